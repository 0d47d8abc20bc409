"""Pictures for the tests of reading and writing, made by Pillow and libvips themselves."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

DTYPES = ["uint8", "uint16", "float32", "float64"]
"""Every type of sample that pictures are resized in."""


def smooth(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """Slopes that use the whole range of the type: (height, width, channels)."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        (x + 0.5) / width,
        (y + 0.5) / height,
        (x + y + 1) / (height + width),
        1 - (x + 1) / (2 * width),
    ]
    unit = np.stack(planes[:channels], 2)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return unit.astype(kind)
    return np.rint(unit * np.iinfo(kind).max).astype(kind)


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """Random samples of the whole range of the type: (height, width, channels)."""
    rng = np.random.default_rng(height * 1000 + width)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.random((height, width, channels), kind)
    return rng.integers(0, np.iinfo(kind).max, (height, width, channels), kind, endpoint=True)


def random_picture(
    shape: tuple[int, ...], dtype: str, seed: int = 0, *, harsh: bool = False
) -> NDArray[Any]:
    """Noise over the type's whole range; `harsh` has only the ends of it, to overshoot."""
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.uniform(-1000, 1000, shape).astype(dtype)
    top = int(np.iinfo(dtype).max)
    picture = rng.integers(0, 2, shape) * top if harsh else rng.integers(0, top + 1, shape)
    return picture.astype(dtype)


def pil(samples: NDArray[Any]) -> Image.Image:
    """Return 8-bit samples as a PIL image."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def saved(image: Image.Image, format: str, exif: bytes | None = None, **options: Any) -> bytes:
    """Return what Pillow writes."""
    buffer = io.BytesIO()
    if exif is not None:
        options["exif"] = b"Exif\0\0" + exif
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return what Pillow reads, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def vips_image(samples: NDArray[Any]) -> Any:
    """Return samples as a libvips image, in the colour space their number of channels suggests."""
    import pyvips

    vips: Any = pyvips
    names = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
    height, width, bands = samples.shape
    data = np.ascontiguousarray(samples).data
    image = vips.Image.new_from_memory(data, width, height, bands, names[samples.dtype.name])
    deep = samples.dtype == np.uint16
    grey, colour = ("grey16", "rgb16") if deep else ("b-w", "srgb")
    return image.copy(interpretation=grey if bands < 3 else colour)


def profile(space: str = "sRGB") -> bytes:
    """Return a colour profile of Pillow's."""
    cms: Any = ImageCms
    return cms.ImageCmsProfile(cms.createProfile(space)).tobytes()


def grey_profile() -> bytes:
    """Return a profile that says it is for grey; nothing here looks further."""
    data = bytearray(profile())
    data[16:20] = b"GRAY"
    return bytes(data)


MAKER_NOTE = bytes(range(200))


def exif_block(orientation: int = 1, width: int = 60, height: int = 40) -> bytes:
    """Return an EXIF block with camera, sizes, GPS, a maker note and a thumbnail."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Camera", "Model 1", orientation
    inner = exif.get_ifd(0x8769)
    inner[0xA002], inner[0xA003] = width, height
    inner[0x829A], inner[0x927C] = (1, 200), MAKER_NOTE
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 1.0, 2.5)
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    order = "<" if block[:2] == b"II" else ">"
    return _with_thumbnail(block, order, saved(pil(smooth(8, 8)), "JPEG"))


def _with_thumbnail(block: bytes, order: str, thumbnail: bytes) -> bytes:
    """Chain a second directory that holds a thumbnail to a block."""
    (first,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, first)
    link = first + 2 + 12 * count
    start = len(block) + len(block) % 2
    entries = ((0x0103, 3, 6 if order == "<" else 6 << 16), (0x0201, 4, start + 2 + 36 + 4))
    directory = struct.pack(order + "H", 3)
    for tag, kind, value in (*entries, (0x0202, 4, len(thumbnail))):
        directory += struct.pack(order + "HHII", tag, kind, 1, value)
    directory += struct.pack(order + "I", 0)
    whole = bytearray(block.ljust(start, b"\0") + directory + thumbnail)
    struct.pack_into(order + "I", whole, link, start)
    return bytes(whole)


def says(block: bytes | None) -> dict[int, Any]:
    """Return the tags of an EXIF block, all directories in one, as Pillow reads them."""
    assert block is not None
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    found: dict[int, Any] = dict(exif)
    for pointer in (0x8769, 0x8825):
        found.update(exif.get_ifd(pointer))
    return {tag: value for tag, value in found.items() if tag not in (0x8769, 0x8825)}
