"""The LAPAR authors' checkpoints (dvlab-research/Simple-SR), of LAPAR-A."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors
from lightsr.weights.official_awsrn import name_in_body, name_of_kernel
from lightsr.weights.weight_norm import with_weight_norm

_LAYERS = {"head": "head.0", "up": "up.0", "fuse": "tail.fuse", "weights": "tail.w_conv"}
_MEAN = (0.4488, 0.4371, 0.4040)
"""As in the network, whose module needs torch and is not imported here."""
_CLOSE = 1e-5
"""How far constants that are stored in single precision may be off."""


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    name = ours.removeprefix("regression.")
    if name.startswith("body."):
        return f"w_conv.{name_in_body(name)}"
    if name.startswith("spread."):
        return f"w_conv.tail.{name_of_kernel(name.removeprefix('spread.'))}"
    layer, _, kind = name.rpartition(".")
    return f"w_conv.{_LAYERS[layer]}.{kind}"


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell a LAPAR checkpoint of the authors', and its scale."""
    head, up = tensors.get("w_conv.head.0.bias"), tensors.get("w_conv.up.0.bias")
    if head is None or up is None or not head.size:
        return None
    return Found("lapar-a", math.isqrt(up.size // head.size))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`.

    Constants that they store, the mean and the filters, must be those of the network.
    """
    kept = dict(tensors)
    _take_constant(kept, "w_conv.rgb_mean", np.array(_MEAN), path)
    if "decom_conv.weight" in kept:
        from lightsr.networks.lapar import dictionary

        _take_constant(kept, "decom_conv.weight", dictionary().numpy(), path)
    normed = with_weight_norm(kept, {official_name(ours) for ours in expected})
    return rename(normed, expected, path, official_name)


FAMILY = Family("the LAPAR authors'", ("lapar-a",), recognise, convert)


def _take_constant(tensors: Tensors, name: str, value: NDArray[Any], path: Path) -> None:
    stored = tensors.pop(name, None)
    if stored is None:
        return
    if stored.size != value.size or not np.allclose(stored.ravel(), value.ravel(), atol=_CLOSE):
        raise WeightsError(f"{path} does not fit: {name} is not what this network has")
