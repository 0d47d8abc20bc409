"""The authors' own files of SRCNN, in MATLAB's format.

They keep a filter's positions on one axis, column after column, and correlate, as torch does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shape, Shapes, require_exact
from lightsr.weights.files import Tensors

_SRCNN = {"extraction": "conv1", "mapping": "conv2", "reconstruction": "conv3"}


def srcnn_name(ours: str) -> str:
    """Return the SRCNN authors' name for one of our tensors."""
    _, layer, kind = ours.split(".")
    return f"{'weights' if kind == 'weight' else 'biases'}_{_SRCNN[layer]}"


def _recognise_srcnn(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    known = {srcnn_name(f"body.{layer}.weight") for layer in _SRCNN} <= tensors.keys()
    # Their files for every scale are alike.
    return Found("srcnn", None) if known else None


def _convert_srcnn(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    return _take(tensors, expected, path, srcnn_name, _column_major_shape, _from_column_major)


SRCNN = Family("the SRCNN authors'", ("srcnn",), _recognise_srcnn, _convert_srcnn)


def _take(
    tensors: Mapping[str, NDArray[Any]],
    expected: Shapes,
    path: Path,
    their_name: Callable[[str], str],
    their_shape: Callable[[Shape], Shape],
    unfold: Callable[[NDArray[Any], Shape], NDArray[Any]],
) -> Tensors:
    """Return tensors under our names, weights by `unfold` and vectors as they are; strict."""
    theirs = {ours: their_name(ours) for ours in expected}
    shapes = {
        theirs[ours]: _matlab_shape(their_shape(shape) if len(shape) == 4 else (*shape, 1))
        for ours, shape in expected.items()
    }
    require_exact(tensors, shapes, path)
    return {
        ours: np.ascontiguousarray(
            unfold(tensors[name], expected[ours])
            if len(expected[ours]) == 4
            else tensors[name].reshape(expected[ours])
        )
        for ours, name in theirs.items()
    }


def _matlab_shape(shape: Shape) -> Shape:
    """Return the shape that MATLAB gives: at least two axes, and no 1 behind the second."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _column_major_shape(shape: Shape) -> Shape:
    outputs, inputs, height, width = shape
    whole = (inputs, height * width, outputs)
    return whole[1:] if inputs == 1 else whole


def _from_column_major(tensor: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Turn [inputs, column after column, outputs] into [outputs, inputs, row, column]."""
    outputs, inputs, height, width = shape
    return tensor.reshape(inputs, width, height, outputs).transpose(3, 0, 2, 1)


FAMILIES = (SRCNN,)
