"""Any picture as 8-bit RGB to train on, decoded by Pillow alone.

Training often happens on borrowed machines that have torch, Lightning and Pillow, and no libvips.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightsr.errors import PictureError
from lightsr.images.alpha import fill_transparent
from lightsr.images.picture import Picture
from lightsr.images.pil import from_pil

Pixels = NDArray[np.uint8]
"""[h, w, 3], RGB."""


def read_rgb(path: Path) -> Pixels:
    """Read a picture, upright, as 8-bit RGB [h, w, 3].

    Grey becomes three equal channels, 16 bits and floats in [0, 1] are rounded to 8, palettes and
    CMYK become RGB, alpha is dropped once hidden pixels have their visible neighbours' colours.
    Raises `PictureError`, naming the file, for what cannot be decoded whole.
    """
    try:
        with Image.open(path) as image:
            return as_rgb(from_pil(image, source=str(path)))
    except PictureError:
        raise
    except Exception as error:
        # Pillow's decoders raise errors of any kind on damaged files.
        reason = str(error).replace(f" '{path}'", "") or type(error).__name__
        raise PictureError(f"{path} cannot be decoded: {reason}") from error


def as_rgb(picture: Picture) -> Pixels:
    """Return a decoded picture as 8-bit RGB [h, w, 3]."""
    samples = picture.pixels()
    if picture.has_alpha:
        samples = fill_transparent(samples)[..., :-1]
    return np.ascontiguousarray(np.broadcast_to(_bytes(samples), (*samples.shape[:2], 3)))


def _bytes(samples: NDArray[Any]) -> Pixels:
    if samples.dtype == np.uint16:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.dtype.kind == "f":
        return (samples * 255 + 0.5).astype(np.uint8)
    return samples
