"""The authors' own files of SRCNN, FSRCNN and VDSR, in MATLAB's format.

All correlate, as torch does. SRCNN and FSRCNN keep a filter's positions on one axis, column after
column; VDSR's filters are MatConvNet's.
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


_FSRCNN = {"extraction": 1, "shrinking": 2, "mapping": 3}


def fsrcnn_name(ours: str, layers: int) -> str:
    """Return the FSRCNN authors' name for one of our tensors in a network of so many layers."""
    _, layer, *inside, kind = ours.split(".")
    if layer == "deconvolution":
        number = layers
    elif layer == "expanding":
        number = layers - 1
    else:
        number = _FSRCNN[layer] + (int(inside.pop(0)) if layer == "mapping" else 0)
    if inside == ["1"]:
        return f"prelu_conv.{number}"
    return f"{'weights' if kind == 'weight' else 'biases'}_conv.{number}"


def _recognise_fsrcnn(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    first = tensors.get("weights_conv.1")
    if first is None or "prelu_conv.1" not in tensors:
        return None
    # Their files for every scale are alike.
    return Found("fsrcnn-s" if first.shape[-1] == 32 else "fsrcnn", None)


def _convert_fsrcnn(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    layers = sum(len(shape) == 4 for shape in expected.values())

    def their_name(ours: str) -> str:
        return fsrcnn_name(ours, layers)

    return _take(tensors, expected, path, their_name, _in_position_out, _from_column_major)


FSRCNN = Family("the FSRCNN authors'", ("fsrcnn", "fsrcnn-s"), _recognise_fsrcnn, _convert_fsrcnn)


def vdsr_name(ours: str) -> str:
    """Return the name in the VDSR authors' file for one of our tensors."""
    _, _, layer, kind = ours.split(".")
    return f"{kind}.{int(layer) + 1}"


def _recognise_vdsr(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    known = {"weight.1", "bias.1", "weight.20", "bias.20"} <= tensors.keys()
    # One set of weights for every scale.
    return Found("vdsr", None) if known else None


def _convert_vdsr(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    return _take(tensors, expected, path, vdsr_name, _matconvnet_shape, _from_matconvnet)


VDSR = Family("the VDSR authors'", ("vdsr",), _recognise_vdsr, _convert_vdsr)

FAMILIES = (SRCNN, FSRCNN, VDSR)


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
    whole = _in_position_out(shape)
    return whole[1:] if whole[0] == 1 else whole


def _from_column_major(tensor: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Turn [inputs, column after column, outputs] into [outputs, inputs, row, column]."""
    outputs, inputs, height, width = shape
    return tensor.reshape(inputs, width, height, outputs).transpose(3, 0, 2, 1)


def _in_position_out(shape: Shape) -> Shape:
    outputs, inputs, height, width = shape
    return inputs, height * width, outputs


def _matconvnet_shape(shape: Shape) -> Shape:
    outputs, inputs, height, width = shape
    return height, width, inputs, outputs


def _from_matconvnet(tensor: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Turn [row, column, inputs, outputs] into [outputs, inputs, row, column]."""
    return tensor.reshape(_matconvnet_shape(shape)).transpose(3, 2, 0, 1)
