"""The FDIWN authors' checkpoints (24wenjie-li/FDIWN, `model_best.pt`, x2, x3 and x4).

They hold 1591 tensors each; the tables below give the authors' name for each part of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shape, Shapes, rename
from lightsr.weights.files import Tensors

_NETWORK = {
    "subtract_mean": "Sub_mean",
    "add_mean": "Add_mean",
    "head": "head",
    "main1": "conv1",
    "main2": "UP1.0",
    "skip1": "conv2",
    "skip2": "UP2.0",
}

_GROUP = {
    "wdib1": "MY1",
    "wdib2": "MY2",
    "wdib3": "MY3",
    "conv": "conv",
    "fuse1": "conv1",
    "fuse2": "conv2",
    "residual": "rb1",
    "body_scale": "scale_x",
    "residual_scale": "scale_res",
}

_BLOCK = {
    "wirw_a1": "srb1",
    "wirw_b1": "srb2",
    "wirw_a2": "srb3",
    "wirw_b2": "srb4",
    "wcrw_a": "rb1",
    "wcrw_b": "rb2",
    "coefficient_a1": "A1_coffconv",
    "coefficient_b1": "B1_coffconv",
    "coefficient_a2": "A2_coffconv",
    "coefficient_b2": "B2_coffconv",
    # Theirs are numbered by the branch that they gate, ours named after the branch they come from.
    "distilled_a": "conv_distilled2",
    "distilled_b": "conv_distilled1",
    "scf.scale_a": "scale_x1",
    "scf.scale_b": "scale_x2",
    "scf.fuse": "fuse1",
    "scf.gate": "fuse2",
    "attention": "SAlayer",
}

_INSIDE = {
    # A unit: WIRW or WCRW. Its convolutions have the same names.
    "body.4": "SAlayer",
    "body_scale": "res_scale",
    "identity_scale": "x_scale",
    "shortcut_scale": "x_scale",
    "shortcut": "conv",
    # A shuffle attention.
    "channel_weight": "cweight",
    "channel_bias": "cbias",
    "spatial_weight": "sweight",
    "spatial_bias": "sbias",
    "norm": "gn",
    # A combination coefficient.
    "mean_reduce": "upper_branch.1",
    "mean_expand": "upper_branch.3",
    "deviation_reduce": "lower_branch.0",
    "deviation_expand": "lower_branch.2",
}

_PER_CHANNEL = ("channel_weight", "channel_bias", "spatial_weight", "spatial_bias")


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    in_group = re.fullmatch(r"groups\.(\d+)\.(.+)", ours)
    if in_group is None:
        return _translate(ours, _NETWORK)
    rest = _translate(in_group[2], _GROUP)
    in_block = re.fullmatch(r"(MY\d)\.(.+)", rest)
    if in_block is not None:
        rest = f"{in_block[1]}.{_translate(in_block[2], _BLOCK)}"
    return f"Li{int(in_group[1]) + 1}.{rest}"


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell an FDIWN checkpoint of the authors', and its scale by its last convolution."""
    if not any(name.startswith("Li1.MY") for name in tensors):
        return None
    last = tensors.get("UP1.0.weight", tensors.get("UP2.0.weight"))
    scale = math.isqrt(last.shape[0] // 3) if last is not None and last.ndim == 4 else None
    return Found("fdiwn", scale)


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`."""
    return rename(tensors, expected, path, official_name, _official_shape)


FAMILY = Family("the FDIWN authors'", ("fdiwn",), recognise, convert)


def _translate(name: str, outermost: Mapping[str, str]) -> str:
    """Replace the first part of `name` by `outermost` and the parts within by `_INSIDE`."""
    for ours, theirs in outermost.items():
        if name.startswith(f"{ours}."):
            inside = name[len(ours) + 1 :]
            for part, official in _INSIDE.items():
                inside = re.sub(rf"(^|\.){re.escape(part)}(?=\.|$)", rf"\g<1>{official}", inside)
            return f"{theirs}.{inside}"
    return name


def _official_shape(ours: str, shape: Shape) -> Shape:
    # The attention's parameters are stored ready to broadcast over a picture.
    return (1, *shape, 1, 1) if ours.endswith(_PER_CHANNEL) else shape
