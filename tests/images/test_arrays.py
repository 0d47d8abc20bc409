"""Pictures from arrays and PIL images, and PIL images back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from images.making import exif_block, noise, opened, pil, profile, saved, smooth
from numpy.typing import NDArray
from PIL import Image

from lightsr.errors import PictureError
from lightsr.images.picture import Picture
from lightsr.images.pil import from_pil, to_pil


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", ">u2", ">f4"])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_arrays_that_are_pictures(dtype: str, channels: int) -> None:
    array = noise(6, 9, max(channels, 1), np.dtype(dtype).newbyteorder("=")).astype(dtype)
    picture = Picture.from_array(array[..., 0] if channels == 0 else array)
    assert (picture.height, picture.width) == (6, 9)
    assert picture.channels == (1 if channels < 3 else 3)
    assert picture.has_alpha == (channels in (2, 4))
    assert picture.dtype == {"float64": "float32", ">u2": "uint16", ">f4": "float32"}.get(
        dtype, dtype
    )
    assert (picture.pixels() == array.astype(picture.dtype)).all()


def test_arrays_are_neither_copied_nor_changed() -> None:
    array = noise(6, 9)
    picture = Picture.from_array(array)
    assert np.shares_memory(picture.samples, array)
    assert array.flags.writeable
    assert (Picture.from_array(array[::2, ::-1]).pixels() == array[::2, ::-1]).all()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((2, 3, 5), np.uint8), r"shape \(2, 3, 5\)"),
        (np.zeros((2, 3, 0), np.uint8), r"shape \(2, 3, 0\)"),
        (np.zeros((1, 2, 3, 4), np.uint8), "shape"),
        (np.zeros((0, 3), np.uint8), "no pixels"),
        (np.zeros((3, 0, 3), np.uint8), "no pixels"),
        (np.zeros((2, 3), np.int16), "int16"),
        (np.zeros((2, 3), np.uint32), "uint32"),
        (np.zeros((2, 3), bool), "bool"),
        (np.zeros((2, 3), np.complex64), "complex64"),
        (np.zeros((2, 3), object), "object"),
        (np.full((2, 3), np.nan), "not finite"),
        (np.full((2, 3), np.inf, np.float32), "not finite"),
        (np.full((2, 3), 1.01), "0..1"),
        (np.full((2, 3), -0.01, np.float32), "0..1"),
        (np.full((2, 3), 255.0), "255"),
    ],
)
def test_arrays_that_are_no_pictures(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(PictureError, match=reason) as caught:
        Picture.from_array(array, source="my array")
    assert str(caught.value).startswith("my array ")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"])
def test_pil_modes(mode: str) -> None:
    image = pil(smooth(20, 30, 4))
    if mode in ("1", "L", "P", "RGB", "RGBX"):
        image = image.convert("RGB")
    if mode in ("LA", "La", "PA"):
        image = image.convert("LA")
    image = image.convert(mode)
    picture = from_pil(image)
    grey, alpha = mode[0] in "1L", mode[-1] in "Aa"
    assert (picture.channels, picture.has_alpha) == (1 if grey else 3, alpha)
    plain = ("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB")
    assert (picture.pixels() == np.asarray(image.convert(plain)).reshape(20, 30, -1)).all()
    back = to_pil(picture.pixels(), picture)
    assert back.mode == plain


def test_pil_with_16_bits_and_floats() -> None:
    deep = noise(20, 30, 1, np.uint16)[..., 0]
    for image in (
        Image.fromarray(deep),
        Image.fromarray(deep.astype(np.int32)),
        opened(saved(Image.fromarray(deep), "PNG")),
    ):
        picture = from_pil(image)
        assert (picture.pixels()[..., 0] == deep).all()
        back = to_pil(picture.pixels(), picture)
        assert back.mode == "I;16"
        assert (np.asarray(back) == deep).all()
    floats = noise(20, 30, 1, np.float32)[..., 0]
    picture = from_pil(Image.fromarray(floats))
    assert picture.dtype == np.float32
    assert (np.asarray(to_pil(picture.pixels(), picture)) == floats).all()


def test_pil_has_nothing_for_deep_colour() -> None:
    picture = Picture.from_array(noise(4, 4, 3, np.uint16), source="photo.png")
    with pytest.raises(PictureError, match=r"photo.png has uint16 samples in 3 channels"):
        to_pil(picture.pixels(), picture)


def test_transparency_by_colour_becomes_alpha() -> None:
    grey = pil(np.arange(200, dtype=np.uint8).reshape(10, 20, 1))
    picture = from_pil(opened(saved(grey, "PNG", transparency=7)))
    assert picture.has_alpha
    assert ((picture.pixels()[..., 1] == 0) == (picture.pixels()[..., 0] == 7)).all()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.new("LAB", (4, 4)), "mode LAB"),
        (Image.fromarray(np.full((4, 4), 70_000, np.int32)), "16 bits"),
        (Image.fromarray(np.full((4, 4), 2.0, np.float32)), "0..1"),
        (Image.new("RGB", (0, 4)), "no pixels"),
    ],
)
def test_pil_images_that_are_no_pictures(image: Image.Image, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        from_pil(image)


def test_pil_animations_and_damaged_data_are_refused() -> None:
    frames = [pil(noise(8, 8 + i)[:, :8]) for i in range(3)]
    animated = Image.open(_stream(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    with pytest.raises(PictureError, match="3 frames"):
        from_pil(animated)
    data = saved(pil(noise(80, 80)), "PNG")
    with pytest.raises(PictureError, match="cannot be decoded"):
        from_pil(Image.open(_stream(data[: len(data) // 2])))


def _stream(data: bytes) -> Any:
    import io

    return io.BytesIO(data)


def test_pil_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    picture = from_pil(image)
    assert picture.channels == 3
    red, green, blue = picture.pixels()[0, 0].astype(int)
    assert red > 180 > 60 > max(green, blue)
    image.info["icc_profile"] = profile()  # not one for CMYK
    assert (from_pil(image).pixels() == picture.pixels()).all()


def test_what_a_pil_image_says_is_given_back_corrected() -> None:
    stored = smooth(24, 40)
    options: dict[str, Any] = {"icc_profile": profile(), "dpi": (300, 150)}
    options["xmp"] = b'<x tiff:Orientation="6"/>'
    image = opened(saved(pil(stored), "JPEG", exif=exif_block(6, 40, 24), quality=100, **options))
    picture = from_pil(image)
    assert (picture.height, picture.width) == (40, 24)
    assert np.abs(picture.pixels().astype(int) - np.rot90(stored, -1)).max() < 12
    doubled = picture.pixels().repeat(2, 0).repeat(2, 1)
    back = to_pil(doubled, picture)
    again = opened(saved(back, "JPEG", exif=back.info["exif"][6:], dpi=back.info["dpi"]))
    exif = again.getexif()
    assert exif[0x0112] == 1
    inner = exif.get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (48, 80)
    assert back.info["icc_profile"] == profile() or len(back.info["icc_profile"]) > 128
    assert back.info["xmp"] == b'<x tiff:Orientation="1"/>'
    assert np.allclose(back.info["dpi"], (150, 300), atol=0.5)
