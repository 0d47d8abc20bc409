"""BMP through Pillow: the one format that libvips does not read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.images.containers.facts import UnreadableError
from lightsr.images.decoding import Decoded

_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
_ROWS = 256


def decode_bmp(stream: BinaryIO) -> Decoded:
    """Open a BMP file; the stream must stay open until its strips are taken.

    Raises `UnreadableError`.
    """
    # Not Image.open: its own limit on pixels would warn and fail before ours is asked.
    from PIL.BmpImagePlugin import BmpImageFile

    stream.seek(0)
    try:
        image = BmpImageFile(stream)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UnreadableError(f"is damaged or of an unusual kind ({error})") from None
    mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    if mode not in _CHANNELS:
        raise UnreadableError(f"is a BMP of a kind lightsr does not take ({image.mode})")
    dots = cast("tuple[float, float] | None", image.info.get("dpi"))
    return Decoded(
        image.width,
        image.height,
        _CHANNELS[mode],
        np.dtype(np.uint8),
        _strips(image, mode),
        resolution=(dots[0] / 25.4, dots[1] / 25.4) if dots and min(dots) > 0 else None,
        maybe_grey=image.mode == "P",
    )


def _strips(image: Any, mode: str) -> Iterator[NDArray[Any]]:
    try:
        image.load()
        for top in range(0, image.height, _ROWS):
            part = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
            rows = np.asarray(part.convert(mode))
            yield rows.reshape(*rows.shape[:2], -1)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UnreadableError(f"is damaged or cut short ({error})") from None
