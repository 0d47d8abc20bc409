"""Writing exact low-resolution pictures of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.errors import PictureError
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture
from lightsr.images.resize import Border, RowResizer
from lightsr.images.writing import write_picture

_BAND = 256
"""Rows that are resized at a time."""


def degrade_file(
    source: Path,
    target: Path,
    scale: int,
    border: Border = "symmetric",
    *,
    overwrite: bool = False,
) -> tuple[int, int]:
    """Write the LR picture of `source`, a PNG, to `target` and return its height and width.

    The picture is cropped to multiples of `scale` from the top left and resized as MATLAB does;
    number of channels and bit depth (8 or 16) stay. The file appears whole or not at all. Raises
    `PictureError` naming the file that cannot be read or written, has fewer pixels than `scale` on
    a side, or exists already.
    """
    picture = read_picture(source)
    size = picture.height // scale, picture.width // scale
    if min(size) < 1:
        raise PictureError(
            f"{source} has {picture.width}x{picture.height} pixels, too few to be made {scale} "
            f"times smaller"
        )
    if picture.dtype.kind != "u":
        raise PictureError(f"{source} has floating-point samples; give 8 or 16 bit")
    bands = _degraded(picture, size, scale, border)
    write_picture(bands, size, picture, target, format="png", overwrite=overwrite)
    return size


def _degraded(
    picture: Picture, size: tuple[int, int], scale: int, border: Border
) -> Iterator[NDArray[Any]]:
    height, width = size[0] * scale, size[1] * scale
    resizer = RowResizer(height, width, size, border)
    for top in range(0, height, _BAND):
        rows = resizer.push(picture.rows(top, min(top + _BAND, height))[:, :width])
        if len(rows):
            yield rows
