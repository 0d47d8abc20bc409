"""Writing exact low-resolution pictures of files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import PictureError, UserError
from lightsr.images.picture import Picture
from lightsr.images.reading import picture_files, read_picture
from lightsr.images.resize import Border, RowResizer
from lightsr.images.writing import write_picture

_BAND = 256
"""Rows that are read at a time."""


def degrade_files(
    inputs: Sequence[Path],
    output: Path,
    scale: int,
    border: Border = "symmetric",
    *,
    overwrite: bool = False,
    each: Callable[[Path, UserError | None, int], None] = lambda *_: None,
) -> list[Path]:
    """Write the LR picture of every input, a PNG of the same kind, under the folder `output`.

    `inputs` are pictures, folders (whose structure is kept) and globs. A picture that cannot be
    read or written does not keep the others from being done: `each` is called after every picture
    with its path, the error or None, and the number of pictures in all. Returns what was written.
    Raises `UserError` where the inputs hold no picture, or two would get the same output.
    """
    if scale < 1:
        raise UserError(f"a picture cannot be made smaller by {scale}; the scale is at least 1")
    pictures = picture_files(inputs)
    targets = _targets(pictures, output)
    written: list[Path] = []
    for source, target in targets:
        try:
            degrade_file(source, target, scale, border, overwrite=overwrite)
        except UserError as error:
            each(source, error, len(targets))
        else:
            written.append(target)
            each(source, None, len(targets))
    return written


def degrade_file(
    source: Path,
    target: Path,
    scale: int,
    border: Border = "symmetric",
    *,
    overwrite: bool = False,
) -> None:
    """Write the LR picture of `source`, cropped to multiples of `scale` first, to a PNG `target`.

    Number of channels and bit depth stay (8 or 16). The file appears whole or not at all. Raises
    `PictureError` naming the file that cannot be read, is smaller than `scale`, or exists already.
    """
    if target.exists() and not overwrite:
        raise PictureError(f"{target} exists already; give --overwrite to replace it")
    if target.exists() and target.samefile(source):
        raise PictureError(f"{source} would be replaced by its own LR picture; choose another -o")
    picture = read_picture(source)
    if min(picture.height, picture.width) < scale:
        raise PictureError(
            f"{source} has {picture.width}x{picture.height} pixels, too few to be made {scale} "
            f"times smaller"
        )
    if picture.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"{source} has floating-point samples; give 8 or 16 bit")
    size = picture.height // scale, picture.width // scale
    bands = _degraded(picture, size, scale, border)
    write_picture(bands, size, picture, target, format="png", overwrite=overwrite)


def _degraded(
    picture: Picture, size: tuple[int, int], scale: int, border: Border
) -> Iterator[NDArray[Any]]:
    height, width = size[0] * scale, size[1] * scale
    resizer = RowResizer(height, width, size, border)
    for top in range(0, height, _BAND):
        rows = resizer.push(picture.rows(top, min(top + _BAND, height))[:, :width])
        if len(rows):
            yield rows


def _targets(pictures: list[tuple[Path, Path]], output: Path) -> list[tuple[Path, Path]]:
    sources: dict[Path, Path] = {}
    for source, relative in pictures:
        target = output / relative.with_suffix(".png")
        if target in sources:
            raise UserError(f"{sources[target]} and {source} would both become {target}")
        sources[target] = source
    return [(source, target) for target, source in sources.items()]
