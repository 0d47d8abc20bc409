"""Published checkpoints to weights of ours, strictly."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.networks.registry import network_spec
from lightsr.weights import (
    official_awsrn,
    official_carn,
    official_ecbsr,
    official_fdiwn,
    official_idn,
    official_imdn,
    official_lapar,
    official_maffsrn,
    official_matlab,
    official_rfdn,
    ported,
)
from lightsr.weights.checkpoints import Checkpoint, read_checkpoint
from lightsr.weights.families import Family, Found, Shapes, require_exact, shown
from lightsr.weights.files import FORMAT, Tensors, require_fit, save_tensors

FAMILIES = (
    official_fdiwn.FAMILY,
    *official_matlab.FAMILIES,
    official_imdn.FAMILY,
    official_carn.FAMILY,
    official_rfdn.FAMILY,
    official_ecbsr.FAMILY,
    official_awsrn.FAMILY,
    official_maffsrn.FAMILY,
    official_lapar.FAMILY,
    *official_idn.FAMILIES,
    *ported.FAMILIES,
)
"""Every family of published checkpoints that lightsr knows; one module each."""


def convert(checkpoint: Path, network: str, scale: int) -> Tensors:
    """Return the weights in a checkpoint file under the names and in the shapes of `network`.

    Takes the checkpoints of every family in `FAMILIES`, and files that hold our own names. Needs
    torch (the network's own tensors are what the result is held against). Raises `UserError` for
    an unknown network or scale, and `WeightsError` naming the file and what is wrong: unreadable
    (see `read_checkpoint`), of another network or scale, or a tensor missing, surplus or misshapen.
    """
    network_spec(network, scale)
    return fit(read_checkpoint(checkpoint), checkpoint, network, scale)


def fit(read: Checkpoint, path: Path, network: str, scale: int) -> Tensors:
    """Do what `convert` does with a checkpoint already read from `path`."""
    spec = network_spec(network, scale)
    if not spec.trained:
        raise WeightsError(f"{network} has nothing to learn, so {path} cannot be for it")
    expected = expected_shapes(network, scale)
    if read.metadata.get("format") == FORMAT:
        require_fit(read.metadata, path, network, scale)
    known = family_of(read.tensors)
    if known is not None:
        family, found = known
        _require_found(found, path, network, scale)
        return family.convert(read.tensors, expected, path)
    if not any(name in expected for name in read.tensors):
        raise WeightsError(
            f"{path} holds no checkpoint of {spec.label} that lightsr knows "
            f"({len(read.tensors)} tensors, the first named {shown(next(iter(read.tensors)))!r}); "
            f"see that --model names its network"
        )
    require_exact(read.tensors, expected, path)
    return {name: read.tensors[name] for name in expected}


def convert_file(
    checkpoint: Path, network: str, scale: int, target: Path, *, overwrite: bool = False
) -> Tensors:
    """Convert a checkpoint and write it to `target`, a safetensors file of ours; return it.

    The file appears whole or not at all. Raises what `convert` does, and `WeightsError` where
    `target` exists and `overwrite` is not given, is no `.safetensors`, or cannot be written.
    """
    if target.suffix.lower() != ".safetensors":
        raise WeightsError(f"{target} must end in .safetensors, the format that is written")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists already; give --overwrite to replace it")
    tensors = convert(checkpoint, network, scale)
    metadata = {"network": network, "scale": str(scale), "source": checkpoint.name}
    save_tensors(target, tensors, metadata)
    return tensors


@cache
def expected_shapes(network: str, scale: int) -> Shapes:
    """Return the shapes of a network's tensors by name. Needs torch, which it leaves as it was."""
    import torch

    from lightsr.networks.build import create_network

    # With torch's "meta" device nothing would be made, and it would take three times as long.
    with torch.random.fork_rng(devices=[]):
        state = create_network(network, scale).state_dict()
    return MappingProxyType({name: tuple(tensor.shape) for name, tensor in state.items()})


def identify(checkpoint: Checkpoint) -> Found | None:
    """Tell what a checkpoint holds: by its metadata if it is ours, else by names and shapes.

    None where no family knows it. Needs no torch; `detect` looks closer.
    """
    held, scale = checkpoint.metadata.get("network"), checkpoint.metadata.get("scale", "")
    if checkpoint.metadata.get("format") == FORMAT and held is not None and scale.isdecimal():
        return Found(held, int(scale))
    known = family_of(checkpoint.tensors)
    return None if known is None else known[1]


def family_of(tensors: Mapping[str, NDArray[Any]]) -> tuple[Family, Found] | None:
    """Return the family whose naming tensors have, and what it sees in them; None for no family."""
    for family in FAMILIES:
        try:
            found = family.recognise(tensors)
        except (LookupError, ValueError):
            # A name that is known, on a tensor that has not even the axes it should have.
            continue
        if found is not None:
            return family, found
    return None


def _require_found(found: Found, path: Path, network: str, scale: int) -> None:
    if found.network != network or found.scale not in (scale, None):
        held = found.network if found.scale is None else f"{found.network} x{found.scale}"
        raise WeightsError(
            f"{path} holds {held}, not {network} x{scale}; ask for that network and scale "
            f"or give another checkpoint"
        )
