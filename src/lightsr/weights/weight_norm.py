"""Weights of weight-normalised layers in published checkpoints: as they are stored by other hands.

Ours hold a layer's direction and length, "weight_v" and "weight_g", as torch's older weight norm
names them. Its newer one stores the same as "parametrizations.weight.original1" and "...original0",
and a network from which it was removed stores their product, "weight".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.weights.files import Tensors

_NEWER = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def with_weight_norm(tensors: Mapping[str, NDArray[Any]], expected: Collection[str]) -> Tensors:
    """Return tensors with those of weight-normalised layers as `expected` names them.

    The names in `expected` are the checkpoint's own; a layer is taken apart where its "weight_g"
    is among them. What is of no such layer stays.
    """
    normed: Tensors = {}
    for name, tensor in tensors.items():
        layer = name.removesuffix(".weight")
        if layer != name and f"{layer}.weight_g" in expected:
            normed[f"{layer}.weight_g"], normed[f"{layer}.weight_v"] = _apart(tensor)
        else:
            normed[_older(name)] = tensor
    return normed


def _older(name: str) -> str:
    for newer, older in _NEWER.items():
        if name.endswith(newer):
            return name.removesuffix(newer) + older
    return name


def _apart(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return lengths and directions of the filters in [outputs, ...]."""
    axes = tuple(range(1, weight.ndim))
    length = np.sqrt(np.square(weight).sum(axes, keepdims=True))
    # Any direction does for a filter of zeros, but one of length 0.
    return length, np.where(length == 0, weight.dtype.type(1), weight)
