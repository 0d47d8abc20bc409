"""Writing pictures: whole or not at all, in bounded memory, with everything said about them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from lightsr.errors import PictureError
from lightsr.images import exif
from lightsr.images.encoding import Settings, converted, encode, sample_type
from lightsr.images.formats import Format, output_format
from lightsr.images.needs import encoding_bytes
from lightsr.images.picture import Picture
from lightsr.images.rowstore import RowStore, kept_in_memory
from lightsr.images.vips import VIPS_ERRORS, reason

TEMPORARY_PREFIX = ".lightsr-"
"""How the names of files begin that are being written beside their target."""


def check_target(
    target: Path | None,
    format: str | None,
    size: tuple[int, int],
    like: Picture,
    overwrite: bool = False,
) -> Format:
    """Check that a picture could be written, before the work of making it begins.

    The arguments are those of `write_picture`. Returns the format it would have. Raises
    `PictureError` for a format that cannot be written or cannot hold the picture (its size, its
    alpha), and for a target that is the input, exists already, or cannot be written.
    """
    kind = output_format(target, format, like.format)
    name = like.source if target is None else str(target)
    height, width = size
    if height < 1 or width < 1:
        raise PictureError(f"{name} would have no pixels ({width} x {height})")
    if max(size) > kind.longest_side:
        raise PictureError(
            f"{name} would have {width} x {height} pixels; {kind.title} holds at most"
            f" {kind.longest_side:,} each way, choose PNG or TIFF"
        )
    if not kind.alpha and not like.opaque:
        raise PictureError(
            f"{like.source} has transparency, which {kind.title} cannot hold; choose png, webp,"
            f" tiff or avif"
        )
    if target is not None:
        try:
            check_place(target, like.path, overwrite)
        except (OSError, ValueError) as error:
            raise refusal(target, error) from error
    return kind


def check_place(target: Path, source: Path | None, overwrite: bool) -> None:
    """Raise `PictureError` for a target that is the input, exists, or cannot be written."""
    if _exists(target):
        if target.is_dir():
            raise PictureError(f"{target} is a folder; name a file in it")
        if source is not None and target.exists() and target.samefile(source):
            raise PictureError(f"{target} is the input itself; choose another output")
        if not overwrite:
            raise PictureError(f"{target} exists already; ask to overwrite it, or choose another")
        if target.exists() and not target.is_file():
            raise PictureError(f"{target} is no regular file")
    folder = final_path(target).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise PictureError(f"{target} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PictureError(f"{target} cannot be written: no permission to write in {folder}")


def _exists(target: Path) -> bool:
    """Return whether there is something of that name; names that cannot be raise `OSError`."""
    try:
        target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def final_path(target: Path) -> Path:
    """Where the file comes to lie: at the end of the links where the target is one."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def write_picture(
    bands: Iterable[NDArray[Any]],
    size: tuple[int, int],
    like: Picture,
    target: Path | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    memory: int | None = None,
) -> bytes | None:
    """Write a picture that arrives in bands of rows; return its bytes where `target` is None.

    `bands` are consecutive blocks of rows (rows, width, channels [+ alpha]) in the sample type
    and with the channels of `like`, `size` = (height, width) in all. Metadata come from `like`,
    with what names a size corrected. The format is `format`, else the one of the target's
    extension, else that of `like` (PNG where lightsr cannot write it).

    Samples keep their depth where the format has it: PNG 8 and 16 bits, TIFF 8, 16 and float
    (deflate, without loss), JPEG and WebP 8, AVIF 8, and 12 for deeper ones; they are rounded to
    the nearest. Float becomes the deepest that there is. `quality` is 1 to 100 for JPEG (default
    95, no chroma subsampling), WebP (95) and AVIF (90); 100 makes WebP and AVIF lossless. Alpha
    is kept; JPEG, which has none, drops it where it is opaque throughout and refuses otherwise.

    Rows are collected first, in a temporary file when they are many. `memory` are the bytes that
    may be taken: fewer rows stay in memory then, and a format that cannot be encoded in bands is
    refused at once where it would take more. The file is encoded beside
    the target and takes its name when it is complete; whatever goes wrong, nothing of it stays
    behind, and a target that was there before is untouched. Folders missing on the way are made.

    Raises `PictureError` as `check_target` does, and for a disk that is full or fails;
    `ValueError` for bands that do not make up the picture.
    """
    kind = check_target(target, format, size, like, overwrite)
    settings = replace(_settings(kind, size, like, quality), memory=memory)
    _require_memory(target, size, like, settings, memory)
    height, width = size
    channels = like.channels + settings.has_alpha
    name = like.source if target is None else str(target)
    try:
        with contextlib.ExitStack() as stack:
            folder = None
            if target is not None:
                stack.enter_context(making_folders(final_path(target).parent))
                folder = final_path(target).parent
            most = kept_in_memory(memory)
            store = RowStore(height, (width, channels), settings.dtype, folder, most=most)
            stack.enter_context(store)
            for band in bands:
                store.append(converted(_checked(band, like)[..., :channels], settings))
            if target is None:
                buffer = io.BytesIO()
                encode(store, settings, buffer)
                return buffer.getvalue()
            with _replacing(final_path(target), overwrite) as file:
                encode(store, settings, file)
            return None
    except FileExistsError as error:
        raise PictureError(f"{name} has come into being meanwhile; it is left alone") from error
    except OSError as error:
        raise refusal(Path(name), error) from error
    except VIPS_ERRORS as error:
        raise PictureError(f"{name} cannot be encoded ({reason(error)})") from error


def _require_memory(
    target: Path | None,
    size: tuple[int, int],
    like: Picture,
    settings: Settings,
    memory: int | None,
) -> None:
    kind, (height, width) = settings.format, size
    more = settings.has_alpha or settings.quality == 100
    needed = encoding_bytes(kind.name, height * width, alpha_or_lossless=more)
    if memory is not None and needed > memory:
        raise PictureError(
            f"{target or like.source} would have {width} x {height} pixels, and {kind.title} cannot"
            f" be encoded piece by piece: it takes about {needed / 2**30:.1f} GB, and"
            f" {memory / 2**30:.1f} GB may be used; give more --memory, or choose PNG, JPEG or TIFF"
        )


def _settings(kind: Format, size: tuple[int, int], like: Picture, quality: int | None) -> Settings:
    if quality is not None and not 1 <= quality <= 100:
        raise PictureError(f"quality {quality} is not between 1 and 100")
    height, width = size
    said = like.metadata
    metadata = replace(
        said,
        exif=None if said.exif is None else exif.corrected(said.exif, width, height),
        xmp=None if said.xmp is None else exif.corrected_xmp(said.xmp, width, height),
    )
    return Settings(
        kind,
        sample_type(kind, like.dtype),
        quality or kind.quality or 0,
        metadata,
        like.has_alpha and kind.alpha,
    )


def _checked(band: NDArray[Any], like: Picture) -> NDArray[Any]:
    channels = like.channels + like.has_alpha
    if band.ndim != 3 or band.shape[2] != channels or band.dtype != like.dtype:
        raise ValueError(
            f"a band of shape {band.shape} and type {band.dtype} does not belong to a picture of"
            f" {channels} channels and type {like.dtype}"
        )
    return band


@contextmanager
def making_folders(folder: Path) -> Generator[None, None, None]:
    """Make a folder and its parents; take away those that were made where the block fails."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
        yield
    except BaseException:
        for path in reversed(made):
            # Another process may have put something there meanwhile.
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _replacing(target: Path, overwrite: bool) -> Generator[BinaryIO, None, None]:
    """Open a temporary file that becomes `target` when the block succeeds, and goes otherwise.

    Its name is short, so that it fits wherever the target's does.
    """
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            # Full or failing disks of some file systems tell only here.
            os.fsync(file.fileno())
        put_in_place(temporary, target, overwrite)
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give a finished file its name; `FileExistsError` where it is taken, unless `overwrite`."""
    if overwrite:
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here; the remaining way cannot tell a file made in this very moment.
        if _exists(target):
            raise FileExistsError(target) from None
        temporary.replace(target)


def refusal(target: Path, error: Exception) -> PictureError:
    """Return the error that says why a file cannot be written."""
    if not isinstance(error, OSError):
        return PictureError(f"{target} cannot be written: {error}")
    known = {
        errno.ENOSPC: "no space left on the disk",
        errno.EDQUOT: "no space left in your quota",
        errno.EFBIG: "the file would be larger than allowed",
        errno.ENAMETOOLONG: "the name is too long",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
    }
    why = known.get(error.errno or 0, error.strerror or str(error))
    return PictureError(f"{target} cannot be written: {why}")
