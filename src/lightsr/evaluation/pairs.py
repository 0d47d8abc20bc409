"""Originals and the low-resolution pictures that belong to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import PictureError, UserError
from lightsr.images.files import picture_files
from lightsr.images.reading import read_picture
from lightsr.images.resize import Border, degrade, mod_crop
from lightsr.metrics.ssim import WINDOW

Picture8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """An original and, where it is not to be made from it, its low-resolution picture."""

    name: str
    """The original's path inside its folder, without the suffix."""
    hr: Path
    lr: Path | None

    def load(self, scale: int, border: Border) -> tuple[Picture8, Picture8]:
        """Return the LR picture [h, w, 3] and the original, cropped to `scale` times its size.

        The LR picture is read, or made from the original by the exact bicubic with `border`.
        Grey originals become three equal channels. Raises `PictureError` naming the file.
        """
        hr = mod_crop(_read(self.hr), scale)
        return (degrade(hr, scale, border) if self.lr is None else _read(self.lr)), hr


def find_pairs(data: Path, scale: int, lr_dir: Path | None = None) -> list[Pair]:
    """Return the originals under the folder `data` in the order of their names.

    Where `lr_dir` is given, each must have its LR picture there under the same name, also as
    "namex4" or "name_x4". Every picture's size is checked before any work is done. Raises
    `UserError` for a missing or empty folder, LR pictures that are missing or ambiguous, and
    `PictureError` for an unreadable picture or one that is too small or of the wrong size.
    """
    if scale < 1:
        raise UserError(f"the scale must be at least 1, not {scale}")
    originals = _pictures(data)
    if lr_dir is None:
        pairs = [Pair(name, file, None) for name, file in originals.items()]
    else:
        found = _match(originals, lr_dir, scale)
        pairs = [Pair(name, file, found[name]) for name, file in originals.items()]
    for pair in pairs:
        _check_sizes(pair, scale)
    return pairs


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures under a folder by their path in it without the suffix, sorted."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder" if folder.exists() else f"{folder} does not exist")
    named: dict[str, Path] = {}
    for file, relative in picture_files([folder]):
        name = relative.with_suffix("").as_posix()
        if name in named:
            raise UserError(f"{named[name]} and {file} differ only in their suffix; keep one")
        named[name] = file
    return dict(sorted(named.items()))


def _match(originals: dict[str, Path], lr_dir: Path, scale: int) -> dict[str, Path]:
    there = _pictures(lr_dir)
    found: dict[str, Path] = {}
    missing: list[str] = []
    for name in originals:
        candidates = [name] if name in there else _suffixed(name, there, scale)
        if len(candidates) > 1:
            raise UserError(f"{lr_dir} has several pictures for {name}: {', '.join(candidates)}")
        if candidates:
            found[name] = there[candidates[0]]
        else:
            missing.append(name)
    if missing:
        first = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise UserError(f"{lr_dir} lacks {len(missing)} of {len(originals)} LR pictures: {first}")
    return found


def _suffixed(name: str, there: dict[str, Path], scale: int) -> list[str]:
    pattern = re.compile(rf"{re.escape(name)}([_-]?(LR|LRBI|bicubic))?[_-]?x{scale}", re.IGNORECASE)
    return sorted(other for other in there if pattern.fullmatch(other))


def _check_sizes(pair: Pair, scale: int) -> None:
    hr = read_picture(pair.hr)
    least = -(-(WINDOW + 2 * scale) // scale) * scale
    if min(hr.height, hr.width) < least:
        raise PictureError(
            f"{pair.hr} has {hr.width}x{hr.height} pixels; measuring at x{scale} needs at least "
            f"{least}x{least}"
        )
    if pair.lr is None:
        return
    lr = read_picture(pair.lr)
    expected = (hr.width // scale, hr.height // scale)
    if (lr.width, lr.height) != expected:
        raise PictureError(
            f"{pair.lr} has {lr.width}x{lr.height} pixels; as the x{scale} LR picture of "
            f"{pair.hr} it must have {expected[0]}x{expected[1]}"
        )


def _read(path: Path) -> Picture8:
    picture = read_picture(path)
    pixels = picture.pixels()
    if pixels.dtype != np.uint8:
        raise PictureError(f"{path} has {pixels.dtype} samples; the protocol compares 8-bit ones")
    colours = pixels[..., : picture.channels]
    return np.broadcast_to(colours, (*colours.shape[:2], 3)).astype(np.uint8)
