"""The RFDN authors' checkpoint (njulj/RFDN, `RFDN_AIM.pth`): E-RFDN at x4."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors
from lightsr.weights.official_imdn import in_their_frame, scale_of_frame

_BLOCK = {
    "distil1": "c1_d",
    "distil2": "c2_d",
    "distil3": "c3_d",
    "refine1": "c1_r",
    "refine2": "c2_r",
    "refine3": "c3_r",
    "refine4": "c4",
    "fuse": "c5",
    "attention.reduce": "esa.conv1",
    "attention.stride": "esa.conv2",
    "attention.coarse1": "esa.conv_max",
    "attention.coarse2": "esa.conv3",
    "attention.coarse3": "esa.conv3_",
    "attention.fine": "esa.conv_f",
    "attention.expand": "esa.conv4",
}


def official_name(ours: str) -> str:
    """Return the authors' name for one of our tensors."""
    return in_their_frame(ours, "B", _BLOCK)


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell an E-RFDN checkpoint of the authors'."""
    if "B1.c1_d.weight" not in tensors or "B1.esa.conv1.weight" not in tensors:
        return None
    return Found("e-rfdn", scale_of_frame(tensors))


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, see `rename`."""
    return rename(tensors, expected, path, official_name)


FAMILY = Family("the RFDN authors'", ("e-rfdn",), recognise, convert)
