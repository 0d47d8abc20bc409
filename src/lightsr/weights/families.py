"""What a family of published checkpoints is, and the strict fitting that all families share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.files import Tensors

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Found:
    """What a checkpoint was seen to hold; `scale` is None where the tensors do not tell."""

    network: str
    scale: int | None


@dataclass(frozen=True, slots=True)
class Family:
    """The checkpoints that one project published, and the way from theirs to ours."""

    title: str
    networks: tuple[str, ...]
    """The networks of ours that these checkpoints fit."""
    recognise: Callable[[Mapping[str, NDArray[Any]]], Found | None]
    """Tells by names and shapes whose tensors these are; None for somebody else's."""
    convert: Callable[[Mapping[str, NDArray[Any]], Shapes, Path], Tensors]
    """Takes their tensors, our names with shapes, and the path for messages."""


def rename(
    tensors: Mapping[str, NDArray[Any]],
    expected: Shapes,
    path: Path,
    their_name: Callable[[str], str],
    their_shape: Callable[[str, Shape], Shape] = lambda _, shape: shape,
) -> Tensors:
    """Return `tensors` under our names and in our shapes, which must take up every one exactly.

    `their_name` gives the checkpoint's name for one of ours, `their_shape` its shape where it
    differs. Raises `WeightsError` naming what is missing, surplus or misshapen.
    """
    theirs = {their_name(ours): ours for ours in expected}
    shapes = {name: their_shape(ours, expected[ours]) for name, ours in theirs.items()}
    require_exact(tensors, shapes, path)
    return {ours: tensors[name].reshape(expected[ours]) for name, ours in theirs.items()}


def from_hwio(
    tensors: Mapping[str, NDArray[Any]],
    expected: Shapes,
    path: Path,
    their_name: Callable[[str], str],
) -> Tensors:
    """Return TensorFlow's tensors under our names, filters turned from height, width, in, out.

    Strict, and raises what `rename` does.
    """
    theirs = {their_name(ours): ours for ours in expected}
    shapes = {name: _hwio(expected[ours]) for name, ours in theirs.items()}
    require_exact(tensors, shapes, path)
    return {
        ours: np.ascontiguousarray(tensors[name].transpose(3, 2, 0, 1))
        if tensors[name].ndim == 4
        else tensors[name]
        for name, ours in theirs.items()
    }


def require_exact(
    tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path, network: str = ""
) -> None:
    """Raise `WeightsError` unless `tensors` have the names and shapes of `expected`, no others.

    The message names what does not fit, and the `network` that it does not fit, where it is given.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    misshapen = [
        f"{name} is {_shape(tensors[name].shape)} and must be {_shape(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{len(names)} of {len(expected)} tensors {what}: {_first(names)}"
        for what, names in (("are missing", missing), ("have the wrong shape", misshapen))
        if names
    ]
    if surplus:
        problems.append(f"{len(surplus)} too many: {_first(surplus)}")
    if problems:
        what = f" {network}" if network else ""
        raise WeightsError(f"{path} does not fit{what}: {'; '.join(problems)}")


def shown(name: str) -> str:
    """Return a tensor's name as a message can show it, whatever a file put there: in one line."""
    printable = name if name.isprintable() else ascii(name)
    return printable if len(printable) <= 100 else f"{printable[:100]}..."


def _hwio(shape: Shape) -> Shape:
    return (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else shape


def _first(names: Collection[str], count: int = 3) -> str:
    listed = ", ".join(map(shown, list(names)[:count]))
    return listed if len(names) <= count else f"{listed}, ..."


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"
