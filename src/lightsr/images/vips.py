"""The one door to libvips: pyvips is typed in parts only, so nothing else imports it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

vips: Any = pyvips
VipsImage = Any
VIPS_ERRORS: tuple[type[Exception], ...] = (pyvips.Error, UnicodeDecodeError)
"""What pyvips raises when libvips fails; the second where libvips quotes bytes of a damaged file,
which pyvips takes for UTF-8."""

# libvips would keep the last operations and their pixels for reuse; here every picture is
# opened once.
vips.cache_set_max(0)

DTYPES: dict[str, np.dtype[Any]] = {
    "uchar": np.dtype(np.uint8),
    "ushort": np.dtype(np.uint16),
    "float": np.dtype(np.float32),
}
"""Sample types by libvips's name."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_STRIP_BYTES = 1 << 20
_NOISE = ("unable to", "source: bad seek", "system error")
_LOADERS = {
    "png": "pngload_source",
    "jpg": "jpegload_source",
    "webp": "webpload_source",
    "tiff": "tiffload_source",
    "avif": "heifload_source",
    "heic": "heifload_source",
    "gif": "gifload_source",
}
"""Formats are decoded by these alone, chosen by content; libvips itself never picks a loader, so
its riskier ones (SVG, PDF, ImageMagick, ...) are out of reach however a file is named."""


def reason(error: Exception) -> str:
    """Return what libvips says went wrong, as one line; where it does not say, that."""
    if isinstance(error, UnicodeDecodeError):
        said = error.object.decode("ascii", "replace")
        # pyvips has stumbled before it emptied libvips's list of errors.
        vips.vips_lib.vips_error_clear()
    else:
        said = str(error)
    lines = (line.strip() for line in said.splitlines())
    telling = (line for line in lines if line and not line.startswith(_NOISE))
    return next(telling, "libvips gives no reason")


def load(format_name: str, source: Path | bytes) -> VipsImage:
    """Open a picture of a known format for decoding once from top to bottom.

    Pixels are decoded when they are asked for. Raises `VIPS_ERRORS`, here and then; a file that is
    cut short or seriously damaged is an error, never a picture that ends in grey.
    """
    opened = (
        vips.Source.new_from_memory(source)
        if isinstance(source, bytes)
        else vips.Source.new_from_file(os.fsencode(source))
    )
    loader = getattr(vips.Image, _LOADERS[format_name])
    return loader(opened, access="sequential", fail_on="error")


def field(image: VipsImage, name: str) -> Any:
    """Return a field of an image's metadata; None where it has none of that name."""
    return image.get(name) if image.get_typeof(name) else None


def strips(image: VipsImage) -> Iterator[NDArray[Any]]:
    """Decode an image from top to bottom; yields blocks of rows, (rows, width, bands)."""
    dtype = DTYPES[image.format]
    region = vips.Region.new(image)
    height = max(1, _STRIP_BYTES // (image.width * image.bands * dtype.itemsize))
    for top in range(0, image.height, height):
        rows = min(height, image.height - top)
        block = np.frombuffer(region.fetch(0, top, image.width, rows), dtype)
        yield block.reshape(rows, image.width, image.bands)


def image_of(samples: NDArray[Any]) -> VipsImage:
    """Return an image over samples, (height, width, bands), without copying them."""
    height, width, bands = samples.shape
    name = _NAMES[samples.dtype]
    return vips.Image.new_from_memory(samples.data, width, height, bands, name)


def on_progress(image: VipsImage, tell: Callable[[float], None]) -> None:
    """Have `tell` called with the share of the image, 0 to 1, that a saver has taken."""

    def evaluated(_: Any, progress: Any) -> None:
        tell(progress.npels / progress.tpels)

    image.set_progress(True)
    image.signal_connect("eval", evaluated)
