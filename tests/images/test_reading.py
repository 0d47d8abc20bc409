"""Reading what other programs have written: kinds of samples, colour spaces, orientation."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images.making import (
    exif_block,
    grey_profile,
    noise,
    opened,
    pil,
    profile,
    saved,
    smooth,
    vips_image,
)
from PIL import Image

from lightsr.errors import PictureError
from lightsr.images import rowstore
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture

RGB = noise(37, 53)


def test_png_jpeg_webp_and_bmp_decode_to_what_pillow_decodes_them_to() -> None:
    image = pil(smooth(61, 47))
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    )
    for name, options in cases:
        data = saved(image, name, **options)
        picture = read_picture(data, name)
        assert (picture.height, picture.width, picture.channels) == (61, 47, 3), name
        assert picture.dtype == np.uint8
        assert not picture.has_alpha
        wrong = np.abs(picture.pixels().astype(int) - np.asarray(opened(data))).max()
        assert wrong <= (2 if name in ("JPEG", "AVIF") else 0), name


def test_the_content_tells_the_format_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(saved(pil(RGB), "PNG"))
    picture = read_picture(path)
    assert picture.format == "png"
    assert picture.source == str(path)
    assert picture.path == path
    assert (picture.pixels() == RGB).all()


def test_rows_are_the_rows_of_the_whole_in_any_order() -> None:
    picture = read_picture(saved(pil(RGB), "PNG"))
    for top, bottom in ((30, 37), (0, 1), (5, 30)):
        rows = picture.rows(top, bottom)
        assert rows.flags.c_contiguous
        assert (rows == RGB[top:bottom]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_every_mode_of_pillow_gives_the_channels_it_shows(mode: str, format: str) -> None:
    image = pil(smooth(40, 60, 4)).convert("RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(pil(smooth(40, 60, 1)))
    picture = read_picture(saved(image, format))
    grey = mode in ("1", "L", "LA")
    assert picture.channels == (1 if grey else 3)
    assert picture.has_alpha == (mode in ("LA", "RGBA"))
    shown = np.asarray(image.convert("L" if mode == "1" else "RGB" if mode == "P" else mode))
    assert (picture.pixels() == shown.reshape(40, 60, -1)).all()


def test_palette_with_transparency_becomes_rgb_and_alpha() -> None:
    image = pil(smooth(40, 60)).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    picture = read_picture(saved(image, "PNG", transparency=3))
    assert picture.has_alpha
    assert picture.channels == 3
    index = np.asarray(image)
    assert ((picture.pixels()[..., 3] == 0) == (index == 3)).all()
    assert (picture.pixels()[..., :3] == np.asarray(image.convert("RGB"))).all()


def test_few_bits_are_spread_over_the_whole_range() -> None:
    for bits in (1, 2, 4):
        steps = (1 << bits) - 1
        index = np.arange(steps + 1, dtype=np.uint8).repeat(4)[None, :, None]
        import pyvips

        image: Any = vips_image(np.rint(index * (255 / steps)).astype(np.uint8))
        data: bytes = image.pngsave_buffer(bitdepth=bits)
        assert pyvips.Image.new_from_buffer(data, "").get("bits-per-sample") == bits
        picture = read_picture(data)
        assert sorted(set(picture.pixels().ravel().tolist())) == [
            round(255 * step / steps) for step in range(steps + 1)
        ]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_16_bits_are_kept(channels: int, format: str) -> None:
    deep = noise(20, 31, channels, np.uint16)
    image: Any = vips_image(deep)
    data = image.pngsave_buffer() if format == "png" else image.tiffsave_buffer(compression="lzw")
    picture = read_picture(data)
    assert picture.dtype == np.uint16
    assert picture.has_alpha == (channels in (2, 4))
    assert (picture.pixels() == deep).all()


def test_float_tiff_is_kept_where_it_is_in_range() -> None:
    samples = noise(20, 31, 3, np.float32)
    picture = read_picture(vips_image(samples).tiffsave_buffer())
    assert picture.dtype == np.float32
    assert (picture.pixels() == samples).all()


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_reaches_from_black_to_white(bits: int) -> None:
    steps = (1 << bits) - 1
    index = np.linspace(0, steps, 64).astype(np.int64)
    stored = (index << (16 - bits)).astype(np.uint16)
    image = vips_image(np.broadcast_to(stored[None, :, None], (16, 64, 3)))
    data = image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
    picture = read_picture(data)
    assert picture.dtype == np.uint16
    assert picture.channels == 1, "grey stored as three channels"
    expected = np.rint(index * (65535 / steps))
    assert np.abs(picture.pixels()[0, :, 0] - expected).max() == 0


@pytest.mark.parametrize("format", ["WEBP", "GIF", "AVIF"])
def test_grey_is_grey_again_in_formats_without_grey(format: str) -> None:
    grey = smooth(40, 60, 1)
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(format, {})
    picture = read_picture(saved(pil(grey), format, **options))
    assert picture.channels == 1
    assert np.abs(picture.pixels().astype(int) - grey).max() <= 1
    coloured = grey.repeat(3, 2)
    coloured[20, 30] = (255, 0, 0)
    assert read_picture(saved(pil(coloured), format, **options)).channels == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_premultiplied_tiff_comes_out_straight(dtype: Any) -> None:
    straight = smooth(40, 60, 4, dtype)
    most = 1 if dtype is np.float32 else np.iinfo(dtype).max
    straight[..., 3] = np.array([most // 4 if most > 1 else 0.25, most], dtype)[np.arange(60) // 30]
    image: Any = vips_image(straight)
    if dtype is np.float32:
        image = image.copy(interpretation="scrgb")
    data: bytes = image.tiffsave_buffer(premultiply=True)
    picture = read_picture(data)
    assert picture.has_alpha
    assert (picture.pixels()[..., 3] == straight[..., 3]).all()
    wrong = np.abs(picture.pixels().astype(float) - straight).max() / most
    assert wrong < 0.02, "a quarter of the alpha leaves a quarter of the steps"


def _cmyk(values: tuple[int, int, int, int]) -> Image.Image:
    return Image.new("CMYK", (32, 24), values)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_srgb(format: str) -> None:
    for ink, expected in (
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (230, 20, 30)),
        ((255, 0, 0, 0), (0, 160, 230)),
        ((0, 0, 0, 255), (30, 30, 30)),
    ):
        picture = read_picture(saved(_cmyk(ink), format))
        assert picture.channels == 3
        assert np.abs(picture.pixels()[10, 10].astype(int) - expected).max() < 45, ink
        assert picture.metadata.icc is not None
        assert picture.metadata.icc[16:20] == b"RGB ", "a profile for the samples as they are now"


def test_cmyk_with_a_broken_profile_is_read_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    picture = read_picture(saved(_cmyk((0, 0, 0, 0)), "JPEG", icc_profile=b"nonsense" * 40))
    assert (picture.pixels() == 255).all()
    assert capfd.readouterr() == ("", "")


def test_lab_becomes_srgb_with_real_precision() -> None:
    lab = vips_image(smooth(30, 40, 3, np.uint16)).colourspace("labs")
    picture = read_picture(lab.tiffsave_buffer())
    assert picture.dtype == np.uint16
    wrong = np.abs(picture.pixels().astype(int) - smooth(30, 40, 3, np.uint16))
    assert wrong.mean() < 100, "less than half a step of 8 bits"


def test_rgb_with_a_profile_keeps_samples_and_profile() -> None:
    icc = profile()
    picture = read_picture(saved(pil(RGB), "PNG", icc_profile=icc))
    assert (picture.pixels() == RGB).all()
    assert picture.metadata.icc == icc


def test_a_profile_for_other_channels_is_dropped() -> None:
    grey = read_picture(saved(pil(smooth(8, 8, 1)), "JPEG", icc_profile=profile()))
    assert grey.metadata.icc is None
    icc = grey_profile()
    kept = read_picture(saved(pil(smooth(8, 8, 1)), "JPEG", icc_profile=icc))
    assert kept.metadata.icc == icc


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_orientation_is_applied_and_reset(
    orientation: int, format: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        monkeypatch.setattr(rowstore, "IN_MEMORY", 0)
    stored = smooth(24, 40)
    options: dict[str, Any] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100},
        "TIFF": {"tiffinfo": {0x0112: orientation}},
    }.get(format, {})
    if format != "TIFF":
        options["exif"] = exif_block(orientation, 40, 24)
    data = saved(pil(stored), format, **options)
    picture = read_picture(data)
    upright = TURNS[orientation](stored)
    assert picture.pixels().shape == upright.shape
    assert np.abs(picture.pixels().astype(int) - upright).max() <= 12
    assert np.abs(picture.rows(3, 9).astype(int) - upright[3:9]).max() <= 12
    if picture.metadata.exif is not None:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + picture.metadata.exif)
        assert exif.get(0x0112, 1) == 1
        inner = exif.get_ifd(0x8769)
        if inner:
            assert (inner[0xA002], inner[0xA003]) == (picture.width, picture.height)


def test_resolution_turns_with_the_picture() -> None:
    data = saved(pil(RGB), "JPEG", dpi=(300, 150), exif=exif_block(6))
    picture = read_picture(data)
    assert picture.metadata.resolution is not None
    assert np.allclose(np.array(picture.metadata.resolution) * 25.4, (150, 300))


def test_large_pictures_lie_on_disk_and_leave_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowstore, "IN_MEMORY", 1000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    picture = read_picture(saved(pil(RGB), "PNG"))
    assert (picture.pixels() == RGB).all()
    assert (picture.rows(7, 9) == RGB[7:9]).all()
    del picture
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_read(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(saved(pil(RGB), "PNG"),))
    writer.start()
    picture = read_picture(path)
    writer.join()
    assert (picture.pixels() == RGB).all()


@pytest.mark.parametrize(
    "name", ["grüße 日本 🦊.png", "two[1].png", "%d #a?b*.png", " -o.png", "q" * 251 + ".png"]
)
def test_any_name_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(saved(pil(RGB), "PNG"))
    assert (read_picture(path).pixels() == RGB).all()


def test_names_that_are_not_utf_8_are_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        path.write_bytes(saved(pil(RGB), "PNG"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert (read_picture(path).pixels() == RGB).all()


def test_opaque_tells_whether_alpha_lets_anything_through() -> None:
    rgba = smooth(300, 5, 4)
    rgba[..., 3] = 255
    assert Picture.from_array(rgba).opaque
    rgba[299, 4, 3] = 254
    assert not Picture.from_array(rgba).opaque
    assert Picture.from_array(rgba[..., :3]).opaque


def test_the_limit_on_pixels_can_be_raised_and_lowered() -> None:
    data = saved(pil(RGB), "PNG")
    with pytest.raises(PictureError, match=r"53 x 37 pixels, more than the limit of 1,000"):
        read_picture(data, max_pixels=1000)
    assert read_picture(data, max_pixels=53 * 37).width == 53
