"""What the published tables of lightweight super-resolution networks measure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError
from lightsr.images.color import rgb_to_luma
from lightsr.metrics.psnr import psnr
from lightsr.metrics.ssim import WINDOW, ssim


class Score(NamedTuple):
    """How near one picture comes to another."""

    psnr: float
    """In dB; infinite for equal pictures."""
    ssim: float
    """At most 1, for equal pictures."""


def compare(sr: NDArray[np.uint8], hr: NDArray[np.uint8], border: int) -> Score:
    """Measure a network's output against the original by the protocol of the published tables.

    Both are uint8, HWC RGB or grey (HW or HW1; as three equal channels, and either may be it).
    Both become BT.601 luma, not rounded; `border` pixels, as a rule the scale, are cut from each
    side; PSNR and SSIM have peak 255.

    Raises `UserError` for other arrays, sizes that differ, and pictures smaller than SSIM's
    window once the border is cut.
    """
    for picture in (sr, hr):
        _check_picture(picture)
    if sr.shape[:2] != hr.shape[:2]:
        raise UserError(
            f"pictures of {_size(sr)} and {_size(hr)} cannot be compared; "
            "crop the original to a multiple of the scale"
        )
    height, width = (length - 2 * border for length in hr.shape[:2])
    if border < 0 or min(height, width) < WINDOW:
        raise UserError(
            f"pictures of {_size(hr)} less a border of {border} cannot be compared; "
            f"SSIM's window needs {WINDOW}x{WINDOW}, and the border at least 0"
        )
    inner = slice(border, border + height), slice(border, border + width)
    luma_sr, luma_hr = _luma(sr[inner]), _luma(hr[inner])
    return Score(psnr(luma_sr, luma_hr), ssim(luma_sr, luma_hr))


def _luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    height, width = picture.shape[:2]
    channels = picture.reshape(height, width, -1)
    return rgb_to_luma(np.broadcast_to(channels, (height, width, 3)))


def _check_picture(picture: NDArray[Any]) -> None:
    grey = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 1)
    rgb = picture.ndim == 3 and picture.shape[2] == 3
    if picture.dtype != np.uint8 or not (grey or rgb):
        raise UserError(
            "the protocol compares uint8 pictures, RGB or grey, "
            f"not {picture.dtype} of shape {picture.shape}"
        )


def _size(picture: NDArray[Any]) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
