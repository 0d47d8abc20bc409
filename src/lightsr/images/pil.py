"""PIL images in, and out again as the same kind."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import PictureError
from lightsr.images import exif
from lightsr.images.picture import Metadata, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_PLAIN = ("L", "LA", "RGB", "RGBA", "F")
_SIMILAR = {
    **{"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"},
    **dict.fromkeys(("P", "RGBX", "YCbCr", "HSV"), "RGB"),
}
"""Modes that say the same in another way, and the mode to turn them into."""


def from_pil(image: Image, *, source: str = "the PIL image") -> Picture:
    """Return a PIL image as a picture, upright where its EXIF asks for turning.

    Modes 1, L, LA, I;16, I (if its samples fit 16 bits), F (in [0, 1]), RGB, RGBA and their
    variants are taken as they are; palettes and transparent colours are expanded; YCbCr, HSV and
    CMYK become RGB, CMYK through its profile if it has one. Raises `PictureError` for other modes,
    several frames, and data that turn out to be damaged.
    """
    from PIL import ImageOps

    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise PictureError(
            f"{source} has {frames} frames (it is animated); give one: image.seek(i), image.copy()"
        )
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
        samples = _samples(upright, source)
    except (OSError, SyntaxError) as error:
        raise PictureError(f"{source} cannot be decoded: {error}") from error
    height, width = samples.shape[:2]
    info = cast("dict[str, Any]", image.info)
    block = exif.stripped(info.get("exif"))
    dots = info.get("dpi")
    if dots and image.getexif().get(exif.ORIENTATION, 1) >= 5:
        dots = (dots[1], dots[0])
    metadata = Metadata(
        icc=None if image.mode == "CMYK" else info.get("icc_profile"),
        exif=None if block is None else exif.corrected(block, width, height),
        xmp=info.get("xmp"),
        resolution=(float(dots[0]) / 25.4, float(dots[1]) / 25.4) if dots and dots[0] else None,
    )
    return Picture.from_array(samples, source=source, metadata=metadata)


def _samples(image: Image, source: str) -> NDArray[Any]:
    if image.mode == "CMYK":
        return np.asarray(_from_cmyk(image))
    if image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "I":
        wide = np.asarray(image)
        if wide.size and (wide.min() < 0 or wide.max() > 65535):
            raise PictureError(f"{source} (mode I) has samples that do not fit 16 bits")
        return wide.astype(np.uint16)
    mode = _SIMILAR.get(image.mode, image.mode)
    if mode not in _PLAIN:
        raise PictureError(f"{source} has mode {image.mode}; convert it to L, LA, RGB or RGBA")
    if image.has_transparency_data:
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _from_cmyk(image: Image) -> Image:
    from PIL import ImageCms

    profile = cast("bytes | None", image.info.get("icc_profile"))
    if profile is not None:
        try:
            cms: Any = ImageCms
            made = cms.profileToProfile(
                image, io.BytesIO(profile), cms.createProfile("sRGB"), outputMode="RGB"
            )
            if made is not None:
                return cast("Image", made)
        except (ImageCms.PyCMSError, OSError):
            # A profile that is broken, or not for CMYK, is as good as none.
            pass
    return image.convert("RGB")


def to_pil(samples: NDArray[Any], like: Picture) -> Image:
    """Return samples (height, width, channels [+ alpha]) as a PIL image.

    8-bit samples give L, LA, RGB or RGBA, 16-bit grey I;16, float grey F; PIL has nothing for
    more: `PictureError`. Profile, EXIF, XMP and resolution come from `like`, in the image's
    `info`, where PIL's own readers put them.
    """
    from PIL import Image

    height, width, channels = samples.shape
    if samples.dtype != np.uint8 and channels > 1:
        raise PictureError(
            f"{like.source} has {samples.dtype} samples in {channels} channels, which no PIL image"
            f" holds; write it to a file or take an array"
        )
    plain = samples[..., 0] if channels == 1 else samples
    image = Image.fromarray(np.ascontiguousarray(plain))
    said = like.metadata
    block = None if said.exif is None else exif.corrected(said.exif, width, height)
    xmp = None if said.xmp is None else exif.corrected_xmp(said.xmp, width, height)
    dots = said.resolution
    found = {
        "icc_profile": said.icc,
        "exif": None if block is None else b"Exif\0\0" + block,
        "xmp": xmp,
        "dpi": None if dots is None else (dots[0] * 25.4, dots[1] * 25.4),
    }
    image.info.update({key: value for key, value in found.items() if value is not None})
    return image
