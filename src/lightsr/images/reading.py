"""Reading any picture a person owns, upright and whole, or saying why not."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from lightsr.errors import PictureError, TooLargeError
from lightsr.images import exif
from lightsr.images.bitmaps import decode_bmp
from lightsr.images.containers import bmp, gif, heif, png, tiff
from lightsr.images.containers.facts import (
    Facts,
    OversizedError,
    UnreadableError,
    require_pixels,
)
from lightsr.images.decoding import Decoded, decode
from lightsr.images.formats import FORMATS, Format, sniff, stranger
from lightsr.images.needs import decoding_bytes
from lightsr.images.picture import Metadata, Picture, unfit
from lightsr.images.rowstore import RowStore, kept_in_memory

MAX_PIXELS = 500_000_000
"""Pixels beyond which a picture is refused from its header, unless `max_pixels` says otherwise."""

_INSPECTORS = {
    "png": png.inspect,
    "tiff": tiff.inspect,
    "avif": heif.inspect,
    "heic": heif.inspect,
    "bmp": bmp.inspect,
    "gif": gif.inspect,
}


def read_picture(
    source: Path | str | bytes,
    name: str | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    memory: int | None = None,
) -> Picture:
    """Read a picture from a file, or from the bytes of one.

    The content tells the format: PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF of one frame, and HEIC
    where libvips can decode it. `name` stands for it in messages (default: the path).

    The whole picture is decoded here, so that no damage shows later; beyond 256 MB of samples
    they lie in a temporary file. `memory` are the bytes that may be taken: less of the samples
    stay in memory then, and a format that cannot be decoded in bands is refused where it would
    take more. Sample types: 8-bit and smaller become uint8 (palettes and bits
    expanded), 16-bit uint16, deeper AVIF and HEIC uint16 using the whole range, float stays
    float32 and must be in [0, 1]. CMYK, Lab and other spaces become sRGB, through the embedded
    profile where there is one; RGB and grey samples stay as they are, with their profile. Grey
    pictures in formats that know no grey have one channel again. The orientation of EXIF or TIFF
    is applied.

    Raises `PictureError`, naming the file and the reason, for everything that cannot be read
    faithfully, animations and several pages included; `TooLargeError`, from the header alone,
    for more than `max_pixels`.
    """
    given = isinstance(source, bytes)
    label = name or ("the picture" if given else str(source))
    path = None if given else Path(source)
    try:
        content = source if given else _regular(Path(source))
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
            return _read(stream, content, label, path, max_pixels, memory)
    except OversizedError as error:
        raise TooLargeError(f"{label} {error}") from None
    except UnreadableError as error:
        raise PictureError(f"{label} {error}") from None
    except MemoryError:
        raise PictureError(f"{label} needs more memory than there is") from None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PictureError(f"{label} cannot be read: {what}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Return height and width as the file's header has them, before orientation is applied.

    Raises `PictureError` where it cannot be told, as `read_picture` then mostly does too.
    """
    try:
        if not path.is_file():
            raise UnreadableError("is no regular file")
        with path.open("rb") as stream:
            kind = _format(stream, stream.seek(0, io.SEEK_END))
            decoded = decode_bmp(stream) if kind.name == "bmp" else decode(kind.name, path)
    except UnreadableError as error:
        raise PictureError(f"{path} {error}") from None
    except (OSError, ValueError, MemoryError) as error:
        raise PictureError(f"{path} cannot be read: {error}") from error
    return decoded.height, decoded.width


def _regular(path: Path) -> Path | bytes:
    """Return the path of a file that can be read again and again, or what a pipe held."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UnreadableError("does not exist") from None
    if stat.S_ISDIR(mode):
        raise UnreadableError("is a folder, not a picture")
    if stat.S_ISFIFO(mode):
        return path.read_bytes()
    if not stat.S_ISREG(mode):
        raise UnreadableError("is no regular file")
    return path


def _read(
    stream: BinaryIO,
    content: Path | bytes,
    label: str,
    path: Path | None,
    most: int,
    memory: int | None,
) -> Picture:
    size = stream.seek(0, io.SEEK_END)
    kind = _format(stream, size)
    inspect = _INSPECTORS.get(kind.name)
    facts = inspect(stream, size) if inspect is not None else Facts()
    _require_single(kind, facts.frames)
    decoded = decode_bmp(stream) if kind.name == "bmp" else decode(kind.name, content)
    _require_single(kind, decoded.frames)
    _require_size(kind, decoded, size, most)
    _require_memory(kind, decoded, memory)
    block = facts.exif if facts.exif is not None else decoded.exif
    turn = facts.orientation or exif.orientation(block)
    collected, forget = _collected(decoded, kept_in_memory(memory))
    samples = _upright(collected, turn)
    height, width = samples.shape[:2]
    xmp = facts.xmp if facts.xmp is not None else decoded.xmp
    dots = decoded.resolution
    metadata = Metadata(
        icc=decoded.icc,
        exif=None if block is None else exif.corrected(block, width, height),
        xmp=None if xmp is None else exif.corrected_xmp(xmp, width, height),
        resolution=(dots[1], dots[0]) if dots is not None and turn >= 5 else dots,
    )
    return Picture(samples, decoded.has_alpha, label, kind.name, metadata, path, forget)


def _format(stream: BinaryIO, size: int) -> Format:
    if size == 0:
        raise UnreadableError("is empty (0 bytes)")
    stream.seek(0)
    head = stream.read(64)
    kind = sniff(head)
    if kind is None:
        titles = ", ".join(entry.title for entry in FORMATS.values())
        what = stranger(head.lstrip(b"\xef\xbb\xbf \t\r\n")) or "no picture that lightsr knows"
        raise UnreadableError(f"is {what}; lightsr reads {titles}")
    return kind


def _require_single(kind: Format, frames: int) -> None:
    if frames > 1:
        what = "pages" if kind.name == "tiff" else "frames (it is animated)"
        raise UnreadableError(f"has {frames} {what}; save the ones you want as single pictures")


def _require_size(kind: Format, decoded: Decoded, size: int, most: int) -> None:
    width, height = decoded.width, decoded.height
    require_pixels(width, height)
    if width * height > most:
        raise OversizedError(f"has {width} x {height} pixels, more than the limit of {most:,}")
    bound = kind.pixels_per_byte
    if bound is not None and width * height > bound * size:
        raise UnreadableError(
            f"is cut short or forged: {width} x {height} pixels cannot come from {size:,} bytes"
        )


def _require_memory(kind: Format, decoded: Decoded, memory: int | None) -> None:
    pixels = decoded.width * decoded.height
    needed = decoding_bytes(kind.name, pixels, interlaced=decoded.interlaced)
    if memory is not None and needed > memory:
        how = "interlaced " if decoded.interlaced else ""
        raise UnreadableError(
            f"has {decoded.width} x {decoded.height} pixels, and {how}{kind.title} cannot be"
            f" decoded piece by piece: it takes about {needed / 2**30:.1f} GB, and"
            f" {memory / 2**30:.1f} GB may be used; give more --memory, or save it as plain PNG or"
            f" TIFF"
        )


def _collected(decoded: Decoded, most: int) -> tuple[NDArray[Any], Callable[[], None]]:
    """Decode everything; a grey picture that was stored as RGB comes back with one channel.

    The second is what frees the memory of rows that were used.
    """
    row = (decoded.width, decoded.channels)
    grey = decoded.maybe_grey and decoded.icc is None
    with RowStore(decoded.height, row, decoded.dtype, most=most) as store:
        for rows in decoded.strips:
            problem = unfit(rows)
            if problem is not None:
                raise UnreadableError(problem)
            grey = grey and bool((rows[..., 1:3] == rows[..., :1]).all())
            store.append(rows)
        samples = store.samples()
    if grey:
        samples = samples[..., ::3] if decoded.has_alpha else samples[..., :1]
    return samples, store.forget


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a view of the samples turned and mirrored as EXIF's orientation 1 to 8 asks."""
    turned = samples.swapaxes(0, 1) if orientation >= 5 else samples
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return turned[::down, ::across]
