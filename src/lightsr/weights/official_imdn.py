"""The IMDN authors' checkpoints (Zheng222/IMDN, `IMDN_x2.pth`, `IMDN_x3.pth`, `IMDN_x4.pth`)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors

FRAME = {"head": "fea_conv", "collect": "c.0", "smooth": "LR_conv", "tail": "upsampler.0"}
"""The frame that the authors of IMDN and RFDN gave the same names."""

_BLOCK = {
    "refine1": "c1",
    "refine2": "c2",
    "refine3": "c3",
    "refine4": "c4",
    "attention.reduce": "cca.conv_du.0",
    "attention.expand": "cca.conv_du.2",
    "fuse": "c5",
}


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    return in_their_frame(ours, "IMDB", _BLOCK)


def in_their_frame(ours: str, block: str, inside: Mapping[str, str]) -> str:
    """Return the authors' name for a tensor of a network in the frame; `inside` names a block's."""
    layer, _, kind = ours.rpartition(".")
    in_block = re.fullmatch(r"blocks\.(\d+)\.(.+)", layer)
    if in_block is None:
        return f"{FRAME[layer]}.{kind}"
    return f"{block}{int(in_block[1]) + 1}.{inside[in_block[2]]}.{kind}"


def scale_of_frame(tensors: Mapping[str, NDArray[Any]]) -> int | None:
    """Return the scale that the last convolution tells; None where it is missing or odd."""
    last = tensors.get("upsampler.0.bias")
    return math.isqrt(last.size // 3) if last is not None else None


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell an IMDN checkpoint of the authors'."""
    if not any(name.startswith("IMDB1.") for name in tensors):
        return None
    return Found("imdn", scale_of_frame(tensors))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`."""
    return rename(tensors, expected, path, official_name)


FAMILY = Family("the IMDN authors'", ("imdn",), recognise, convert)
