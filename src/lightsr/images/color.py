"""RGB and YCbCr as ITU-R BT.601 and MATLAB's `rgb2ycbcr` have them.

RGB is 0..255; Y is 16..235 and Cb and Cr are 16..240 with 128 for grey. Everything is float64 and
nothing is rounded or clipped. The literature measures on this Y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError

_YCBCR_OF_RGB = (
    np.array(
        [
            [65.481, 128.553, 24.966],
            [-37.797, -74.203, 112.0],
            [112.0, -93.786, -18.214],
        ]
    )
    / 255
)
_RGB_OF_YCBCR = np.linalg.inv(_YCBCR_OF_RGB)
_YCBCR_OF_BLACK = np.array([16.0, 128.0, 128.0])


def rgb_to_luma(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return Y (HW, 16..235, not rounded) of an RGB picture (HWC, 0..255).

    Raises `UserError` for an array that is not HWC with three channels.
    """
    _check(rgb, "RGB")
    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


def rgb_to_ycbcr(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return Y, Cb and Cr (HWC) of an RGB picture (HWC, 0..255).

    Raises `UserError` for an array that is not HWC with three channels.
    """
    _check(rgb, "RGB")
    return rgb.astype(np.float64) @ _YCBCR_OF_RGB.T + _YCBCR_OF_BLACK


def ycbcr_to_rgb(ycbcr: NDArray[Any]) -> NDArray[np.float64]:
    """Return the RGB picture (HWC) of Y, Cb and Cr (HWC); `rgb_to_ycbcr` undone.

    Colours that RGB does not have come out below 0 or above 255. Raises `UserError` for an array
    that is not HWC with three channels.
    """
    _check(ycbcr, "YCbCr")
    return (ycbcr.astype(np.float64) - _YCBCR_OF_BLACK) @ _RGB_OF_YCBCR.T


def _check(picture: NDArray[Any], kind: str) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise UserError(f"{kind} needs an array HWC with 3 channels, not shape {picture.shape}")
