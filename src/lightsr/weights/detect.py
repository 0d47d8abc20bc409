"""Which network a file of weights holds, and at which scale, told by its tensors.

A file of ours says so, and its tensors must agree. One in its authors' naming is known by its
family (`FAMILIES`), and any other must have the names and shapes of a network in the registry.
Where several fit, as SRCNN's three scales do, the caller has to choose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights.checkpoints import Checkpoint, read_checkpoint
from lightsr.weights.convert import expected_shapes, family_of
from lightsr.weights.families import Family, Found, Shapes, require_exact, shown
from lightsr.weights.files import FORMAT, require_fit


class Held(NamedTuple):
    """A network at a scale, as a file of weights holds it."""

    network: str
    scale: int

    def __str__(self) -> str:
        return f"{self.network} x{self.scale}"


def detect(path: Path, model: str | None = None, scale: int | None = None) -> Held:
    """Return the network and scale whose weights the file `path` holds; see `detect_in`."""
    return _asked(model, scale) or detect_in(read_checkpoint(path), path, model, scale)


def detect_in(
    read: Checkpoint, path: Path, model: str | None = None, scale: int | None = None
) -> Held:
    """Return the network and scale whose weights a checkpoint holds; `path` is for messages.

    `model` and `scale` choose among several that fit; where both are given, nothing is looked at.
    Needs torch otherwise, since networks are built to be compared. Raises `UserError` for an
    unknown model or scale, and `WeightsError` naming the file where nothing fits, where more than
    one does (naming them), where it is not what was asked for, and where a file of ours says one
    thing and holds another.
    """
    if asked := _asked(model, scale):
        return asked
    held = candidates(read, path)
    chosen = [one for one in held if model in (None, one.network) and scale in (None, one.scale)]
    if not chosen:
        wanted = model or f"x{scale}"
        raise WeightsError(
            f"{path} holds {_listed(held)}, not {wanted}; ask for what it holds or give other "
            f"weights"
        )
    if len(chosen) > 1:
        options = "--scale" if len({one.network for one in chosen}) == 1 else "--model and --scale"
        raise WeightsError(
            f"{path} fits {_listed(chosen)} alike; choose with {options}, or once and for all with "
            f"`lightsr convert`"
        )
    return chosen[0]


def candidates(read: Checkpoint, path: Path) -> list[Held]:
    """Return every network and scale that a checkpoint's tensors fit, at least one.

    Raises `WeightsError` naming the file where there is none.
    """
    if read.metadata.get("format") == FORMAT:
        return [_as_it_says(read, path)]
    known = family_of(read.tensors)
    if known is not None:
        return _in_their_names(*known, read.tensors, path)
    shapes = _shapes(read.tensors)
    found = _in_our_names(shapes)
    if found:
        return found
    near = _nearest(shapes)
    if near is not None:
        require_exact(read.tensors, expected_shapes(*near), path, f"{near}, the nearest")
    raise WeightsError(
        f"{path} holds no network that lightsr knows (tensors: {len(shapes)}, the first named "
        f"{shown(next(iter(shapes)))!r}); `lightsr models` lists the networks"
    )


def _asked(model: str | None, scale: int | None) -> Held | None:
    """Return what was asked for where that is all said; `UserError` for what does not exist."""
    if model is not None:
        network_spec(model, scale)
    return None if model is None or scale is None else Held(model, scale)


def _as_it_says(read: Checkpoint, path: Path) -> Held:
    """Return what a file of ours says that it holds, which its tensors must bear out."""
    network, at = read.metadata.get("network", ""), read.metadata.get("scale", "")
    if network not in list_networks() or at not in map(str, network_spec(network).scales):
        raise WeightsError(
            f"{path} says that it holds {network or 'nothing'} x{at}, which this lightsr does not "
            f"have; give other weights or install a newer lightsr"
        )
    said = Held(network, int(at))
    require_fit(read.metadata, path, *said)
    shapes = _shapes(read.tensors)
    if shapes == expected_shapes(*said):
        return said
    if others := _in_our_names(shapes):
        raise WeightsError(
            f"{path} says that it holds {said}, but its tensors are those of {_listed(others)}; "
            f"give weights that are what they say"
        )
    require_exact(read.tensors, expected_shapes(*said), path, f"{said}, which it says it holds")
    return said


def _in_their_names(
    family: Family, found: Found, tensors: Mapping[str, NDArray[Any]], path: Path
) -> list[Held]:
    name = found.network
    scales = network_spec(name).scales if name in list_networks() else ()
    if found.scale is not None:
        scales = tuple(scale for scale in scales if scale == found.scale)
    if not scales:
        at = "" if found.scale is None else f" x{found.scale}"
        raise WeightsError(
            f"{path} holds {name}{at} in the naming of {family.title} checkpoints, which lightsr "
            f"does not have; `lightsr models` lists the networks"
        )
    fitting: list[Held] = []
    unfit: WeightsError | None = None
    for scale in scales:
        try:
            family.convert(tensors, expected_shapes(name, scale), path)
        except WeightsError as error:
            unfit = error
        else:
            fitting.append(Held(name, scale))
    if not fitting and unfit is not None:
        raise unfit
    return fitting


def _in_our_names(shapes: Shapes) -> list[Held]:
    """Return the networks of the registry whose tensors have just these names and shapes."""
    values = sum(map(math.prod, shapes.values()))
    every = _every()
    # Building a network takes some ten milliseconds; most can be left out by their size.
    likely = [held for held in every if _size(held) in (None, values)]
    for some in (likely, every):
        found = [held for held in some if expected_shapes(*held) == shapes]
        if found:
            return found
    return []


def _nearest(shapes: Shapes) -> Held | None:
    """Return the network that has more than half of these tensors, and most of all."""

    def shared(held: Held) -> int:
        return len(shapes.items() & expected_shapes(*held).items())

    nearest = max(_every(), key=shared)
    return nearest if 2 * shared(nearest) > len(shapes) else None


def _every() -> list[Held]:
    specs = [network_spec(name) for name in list_networks()]
    return [Held(spec.name, scale) for spec in specs if spec.trained for scale in spec.scales]


def _size(held: Held) -> int | None:
    """Return how many parameters a network has as it is trained; None where no spec says."""
    spec = network_spec(held.network)
    return spec.cost[held.scale].parameters if spec.counted == "network" else None


def _shapes(tensors: Mapping[str, NDArray[Any]]) -> Shapes:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _listed(held: Sequence[Held]) -> str:
    """Return "a x2", "a x2 and a x3", "a x2, a x3 and a x4"."""
    *others, last = map(str, held)
    return f"{', '.join(others)} and {last}" if others else last
