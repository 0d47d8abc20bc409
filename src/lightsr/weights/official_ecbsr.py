"""The ECBSR authors' checkpoints (xindongzhang/ECBSR), in their names of the training branches."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.families import Family, Found, Shape, Shapes, rename
from lightsr.weights.files import Tensors

_MASKS = {
    "sbx": ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
    "sby": ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    "lpl": ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
}
"""Their names of the edge branches, and the kernels, which are stored too and never trained."""
_EDGES = tuple(_MASKS)

_KINDS = {
    "plain.weight": "conv3x3.weight",
    "plain.bias": "conv3x3.bias",
    "expand.weight": "conv1x1_3x3.k0",
    "expand.bias": "conv1x1_3x3.b0",
    "squeeze.weight": "conv1x1_3x3.k1",
    "squeeze.bias": "conv1x1_3x3.b1",
    "pointwise.weight": "k0",
    "pointwise.bias": "b0",
    "scale": "scale",
    "bias": "bias",
}


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    activation = re.fullmatch(r"body\.activations\.(\d+)\.weight", ours)
    if activation is not None:
        return f"backbone.{activation[1]}.act.weight"
    conv = re.fullmatch(r"body\.convs\.(\d+)\.(?:edges\.(\d)\.)?(.+)", ours)
    if conv is None:
        return ours
    edge = f"conv1x1_{_EDGES[int(conv[2])]}." if conv[2] else ""
    return f"backbone.{conv[1]}.{edge}{_KINDS[conv[3]]}"


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell an ECBSR checkpoint of the authors', its size and its scale."""
    first = tensors.get("backbone.0.conv3x3.bias")
    if first is None or "backbone.0.conv1x1_3x3.k0" not in tensors:
        return None
    convs = [name for name in tensors if re.fullmatch(r"backbone\.\d+\.conv3x3\.bias", name)]
    last = tensors[max(convs, key=lambda name: int(name.split(".")[1]))]
    return Found(f"ecbsr-m{len(convs) - 2}c{first.size}", math.isqrt(last.size))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`."""
    kept: Tensors = {}
    for name, tensor in tensors.items():
        mask = re.fullmatch(r"backbone\.\d+\.conv1x1_(sbx|sby|lpl)\.mask", name)
        if mask is None:
            kept[name] = tensor
        elif not _all_equal(tensor, np.array(_MASKS[mask[1]])):
            raise WeightsError(f"{path} does not fit: {name} is another kernel than ECBSR's")
    return rename(kept, expected, path, official_name, _official_shape)


FAMILY = Family(
    "the ECBSR authors'",
    ("ecbsr-m4c8", "ecbsr-m4c16", "ecbsr-m10c32", "ecbsr-m16c64"),
    recognise,
    convert,
)


def _all_equal(tensor: NDArray[Any], mask: NDArray[Any]) -> bool:
    return tensor.shape[-2:] == mask.shape and bool(np.all(tensor == mask))


def _official_shape(ours: str, shape: Shape) -> Shape:
    # An edge branch's scales are stored ready to multiply kernels.
    return (*shape, 1, 1, 1) if ours.endswith(".scale") else shape
