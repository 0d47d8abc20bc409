"""The MAFFSRN authors' checkpoints (AbdulMoqeet/MAFFSRN)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors
from lightsr.weights.official_awsrn import name_of_kernel
from lightsr.weights.weight_norm import with_weight_norm

_BLOCK = {
    # The one that is applied first has the higher number.
    "conv1": "conv01.0",
    "conv2": "conv00.0",
    "reduce": "reduce_channels",
    "stride": "reduce_spatial_size",
    "near": "conv1.0",
    "far": "conv2.0",
    "expand": "increase_channels.0",
    "pointwise": "bottom11.0",
    "depthwise": "bottom11_dw.0",
}
_UNNUMBERED = re.compile(
    r"\.(conv00|conv01|conv1|conv2|increase_channels|bottom11|bottom11_dw)\.(?!0)"
)


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    if ours.startswith("tail."):
        return f"tail.{name_of_kernel(ours.removeprefix('tail.'))}"
    if not ours.startswith("groups."):
        return ours.replace("head.", "head.0.")
    name = re.sub(r"blocks\.(\d)\.(\w+)", lambda m: f"b{m[1]}.{_BLOCK[m[2]]}", ours)
    name = re.sub(r"fusions\.(\d)", lambda m: f"reduction{int(m[1]) + 1}", name)
    name = name.replace("fused_scale", "res_scale").replace("identity_scale", "x_scale")
    return name.replace("groups.", "body.", 1)


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell a MAFFSRN checkpoint of the authors', and its scale."""
    last = tensors.get("tail.tail_k3.bias")
    if last is None or "body.0.b0.reduce_channels.bias" not in tensors:
        return None
    return Found("maffsrn", math.isqrt(last.size // 3))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`.

    Convolutions that their code keeps in a sequence may be named without it.
    """
    numbered = {_UNNUMBERED.sub(r".\1.0.", name): tensor for name, tensor in tensors.items()}
    normed = with_weight_norm(numbered, {official_name(ours) for ours in expected})
    return rename(normed, expected, path, official_name)


FAMILY = Family("the MAFFSRN authors'", ("maffsrn",), recognise, convert)
