"""The AWSRN authors' checkpoints (ChaofWang/AWSRN), of AWSRN-M; and names that LAPAR took over."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors
from lightsr.weights.weight_norm import with_weight_norm

_KERNELS = (3, 5, 7, 9)
_UNIT = {"expand": "body.0", "reduce": "body.2"}


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    if ours.startswith("body."):
        return name_in_body(ours)
    if ours.startswith("tail."):
        return f"tail.{name_of_kernel(ours.removeprefix('tail.'))}"
    layer, _, kind = ours.rpartition(".")
    return f"{layer}.0.{kind}"


def name_in_body(ours: str) -> str:
    """Return the authors' name for a tensor of a local fusion block."""
    name = re.sub(r"units\.(\d+)\.", r"b\1.", ours)
    name = re.sub(r"\b(expand|reduce)\b", lambda m: _UNIT[m[1]], name)
    name = name.replace(".fuse.", ".reduction.")
    return re.sub(r"\b(body|fuse)_scale\b", "res_scale", name).replace("identity_", "x_")


def name_of_kernel(ours: str) -> str:
    """Return the authors' name for a tensor of a layer with kernels of several sizes."""
    kind, index, rest = ours.split(".", 2)
    return f"{'tail' if kind == 'convs' else 'scale'}_k{_KERNELS[int(index)]}.{rest}"


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell an AWSRN checkpoint of the authors', and its scale."""
    last = tensors.get("tail.tail_k9.bias")
    if last is None or "body.0.b0.body.0.bias" not in tensors:
        return None
    return Found("awsrn-m", math.isqrt(last.size // 3))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`."""
    normed = with_weight_norm(tensors, {official_name(ours) for ours in expected})
    return rename(normed, expected, path, official_name)


FAMILY = Family("the AWSRN authors'", ("awsrn-m",), recognise, convert)
