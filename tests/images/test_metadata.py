"""What a picture says about itself is carried over, and corrected where the size changes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import (
    MAKER_NOTE,
    exif_block,
    grey_profile,
    noise,
    opened,
    pil,
    profile,
    saved,
    says,
    smooth,
    vips_image,
)
from numpy.typing import NDArray
from PIL import Image

from lightsr.images import exif
from lightsr.images.picture import Metadata, Picture
from lightsr.images.reading import read_picture
from lightsr.images.writing import write_picture

WIDTH, HEIGHT = 80, 48
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'exif:PixelXDimension="40" exif:PixelYDimension = \'24\' dc:title="40 by 24" '
    b'xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF">'
    b"<tiff:ImageWidth>40</tiff:ImageWidth><tiff:ImageLength>24</tiff:ImageLength>"
    b"</rdf:Description></x:xmpmeta>"
)
ICC = profile()


def enlarged(data: bytes, format: str) -> bytes:
    """Return a picture of 40 x 24 pixels at twice the size, in a format."""
    like = read_picture(data)
    rows = like.pixels().repeat(2, 0).repeat(2, 1)
    made = write_picture([rows], rows.shape[:2], like, None, format=format)
    assert made is not None
    return made


def sources() -> dict[str, bytes]:
    image = pil(smooth(24, 40))
    block = exif_block(1, 40, 24)
    said: dict[str, Any] = {"exif": block, "icc_profile": ICC}
    return {
        "PNG": saved(image, "PNG", **said, dpi=(300, 150)),
        "JPEG": saved(image, "JPEG", **said, dpi=(300, 150), xmp=XMP),
        "WEBP": saved(image, "WEBP", **said, xmp=XMP, lossless=True),
        "AVIF": saved(image, "AVIF", **said, xmp=XMP),
    }


@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tiff", "avif"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_everything_is_carried_from_every_format_to_every_other(source: str, target: str) -> None:
    data = enlarged(sources()[source], target)
    for tags in (says(read_picture(data).metadata.exif), _pillow_says(data)):
        assert tags[0x010F] == "Camera"
        assert tags[0x829A] == (1, 200) or float(tags[0x829A]) == 1 / 200
        assert tags[0x927C] == MAKER_NOTE
        assert (tags[0xA002], tags[0xA003]) == (WIDTH, HEIGHT)
        assert tags[1] == "N"
        assert tuple(tags[2]) == (48.0, 1.0, 2.5)
        assert tags.get(0x0112, 1) == 1
    image = opened(data)
    assert image.size == (WIDTH, HEIGHT)
    assert image.info["icc_profile"] == ICC
    if source != "PNG":
        _check_xmp(image.info["xmp"])
    if source in ("PNG", "JPEG") and target in ("png", "jpg", "tiff"):
        assert np.allclose(image.info["dpi"], (300, 150), atol=0.5)


def _pillow_says(data: bytes) -> dict[int, Any]:
    found = opened(data).getexif()
    return {**found, **found.get_ifd(0x8769), **found.get_ifd(0x8825)}


def _check_xmp(xmp: bytes) -> None:
    for part in (
        b'tiff:Orientation="1"',
        b'exif:PixelXDimension="80"',
        b"exif:PixelYDimension = '48'",
        b"<tiff:ImageWidth>80</tiff:ImageWidth>",
        b"<tiff:ImageLength>48</tiff:ImageLength>",
        b'dc:title="40 by 24"',
    ):
        assert part in xmp
    assert b"HasExtendedXMP" not in xmp


@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tiff", "avif"])
@pytest.mark.parametrize("big", [False, True])
def test_exif_of_tiff_is_carried_over(target: str, big: bool) -> None:
    # Pillow writes EXIF into a plain TIFF file; ours goes into a BigTIFF file.
    image = pil(smooth(24, 40))
    info = Image.Exif()
    info[0x010F], info[0x0112] = "Camera", 6
    info.get_ifd(0x8769).update({0xA002: 40, 0xA003: 24, 0x829A: (1, 200)})
    info.get_ifd(0x8825).update({1: "N", 2: (48.0, 1.0, 2.5)})
    data = saved(image, "TIFF", exif=info.tobytes().removeprefix(b"Exif\0\0"), big_tiff=big)
    tags = says(read_picture(enlarged(data, target)).metadata.exif)
    assert tags[0x010F] == "Camera"
    assert tuple(tags[2]) == (48.0, 1.0, 2.5)
    assert tags.get(0x0112, 1) == 1
    assert (tags[0xA002], tags[0xA003]) == (HEIGHT, WIDTH), "turned, then twice the size"


def test_size_tags_grow_beyond_16_bits_in_place() -> None:
    block = exif_block(1, 40, 24)
    grown = exif.corrected(block, 70_000, 80_000)
    assert grown is not None
    tags = says(grown)
    assert (tags[0xA002], tags[0xA003]) == (70_000, 80_000)
    assert grown[: len(grown)].index(MAKER_NOTE) == block.index(MAKER_NOTE), "where it was"


def test_the_thumbnail_goes() -> None:
    block = exif_block(6)
    assert b"\xff\xd8\xff" in block, "there is one"
    without = exif.corrected(block, 10, 10)
    assert without is not None
    assert b"\xff\xd8\xff" not in without
    found = Image.Exif()
    found.load(b"Exif\0\0" + without)
    assert not found.get_ifd(1)


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 1500),
)
def test_damaged_exif_is_dropped_or_kept_but_never_fails(
    changes: list[tuple[int, int]], cut: int
) -> None:
    block = bytearray(exif_block(6))
    for place, value in changes:
        block[place % len(block)] = value
    data = bytes(block[:cut] if cut < len(block) else block)
    assert 1 <= exif.orientation(data) <= 8
    corrected = exif.corrected(data, 10, 20)
    assert corrected is None or len(corrected) <= len(data)
    stripped = exif.stripped(data)
    like = Picture.from_array(noise(4, 4), metadata=Metadata(exif=stripped))
    for format in ("jpg", "tiff", "webp"):
        made = write_picture([like.samples], (4, 4), like, None, format=format)
        assert made is not None
        assert read_picture(made).width == 4


def test_metadata_too_long_for_jpeg_do_not_spoil_the_picture() -> None:
    long = Metadata(exif=exif_block() + bytes(70_000), xmp=b"<x>" + b" " * 70_000 + b"</x>")
    like = Picture.from_array(noise(8, 8), metadata=long)
    for format in ("jpg", "png", "webp", "tiff", "avif"):
        made = write_picture([like.samples], (8, 8), like, None, format=format)
        assert made is not None
        kept = read_picture(made).metadata
        assert (kept.xmp == long.xmp) == (format != "jpg")
        assert (kept.exif is not None) == (format != "jpg")


def test_long_colour_profiles_are_kept() -> None:
    icc = ICC + bytes(200_000)
    icc = len(icc).to_bytes(4, "big") + icc[4:]
    like = Picture.from_array(noise(8, 8), metadata=Metadata(icc=icc))
    for format in ("jpg", "png", "webp", "tiff", "avif"):
        made = write_picture([like.samples], (8, 8), like, None, format=format)
        assert made is not None
        assert read_picture(made).metadata.icc == icc


@pytest.mark.parametrize("format", ["png", "jpg", "tiff"])
def test_a_grey_profile_stays_with_grey_samples(format: str) -> None:
    icc = grey_profile()
    grey = smooth(16, 16, 1)
    like = Picture.from_array(grey, metadata=Metadata(icc=icc))
    made = write_picture([grey], (16, 16), like, None, format=format)
    assert made is not None
    back = read_picture(made)
    assert back.metadata.icc == icc
    assert np.abs(back.pixels().astype(int) - grey).max() <= 3


def test_pictures_that_say_nothing_get_nothing() -> None:
    like = Picture.from_array(noise(8, 8))
    for format in ("jpg", "png", "webp", "tiff", "avif"):
        made = write_picture([like.samples], (8, 8), like, None, format=format)
        assert made is not None
        back = read_picture(made).metadata
        assert (back.icc, back.exif, back.xmp, back.resolution) == (None, None, None, None)


def test_exif_behind_the_pixels_of_a_png_counts() -> None:
    # The specification allows it; libvips does not see it when it reads from top to bottom.
    stored = smooth(24, 40)
    data = saved(pil(stored), "PNG", exif=exif_block(8, 40, 24))
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    data = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert data.index(b"eXIf") > data.index(b"IDAT")
    assert (read_picture(data).pixels() == np.rot90(stored)).all()


@pytest.mark.parametrize("keyword", ["iTXt", "zTXt", "tEXt"])
def test_xmp_in_any_text_chunk_of_a_png(keyword: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    key, text = "XML:com.adobe.xmp", XMP.decode()
    if keyword == "iTXt":
        info.add_itxt(key, text, zip=True)
    else:
        info.add_text(key, text, zip=keyword == "zTXt")
    data = saved(pil(smooth(24, 40)), "PNG", pnginfo=info)
    assert keyword.encode() in data
    _check_xmp(opened(enlarged(data, "png")).info["xmp"])


def test_text_chunks_cannot_be_bombs() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("XML:com.adobe.xmp", " " * 40_000_000, zip=True)
    xmp = read_picture(saved(pil(smooth(4, 4)), "PNG", pnginfo=info)).metadata.xmp
    assert xmp is not None
    assert len(xmp) <= 16 << 20


def test_what_programs_note_about_samples_in_tiff_is_not_carried_over() -> None:
    image = pil(smooth(24, 40))
    noted = saved(image, "TIFF", tiffinfo={270: '{"shape": [24, 40, 3]}', 305: "program"})
    tags = says(read_picture(noted).metadata.exif)
    assert 270 not in tags
    assert tags[305] == "program"
    described = saved(image, "TIFF", tiffinfo={270: "A harbour"})
    assert says(read_picture(described).metadata.exif)[270] == "A harbour"


def test_our_avif_with_exif_shows_the_same_picture() -> None:
    samples: NDArray[Any] = noise(24, 40, 4)
    plain, said = (
        write_picture(
            [samples],
            (24, 40),
            Picture.from_array(samples, metadata=Metadata(exif=block)),
            None,
            format="avif",
            quality=100,
        )
        for block in (None, exif_block())
    )
    assert plain is not None
    assert said is not None
    assert (np.asarray(opened(plain)) == np.asarray(opened(said))).all()
    assert (read_picture(plain).pixels() == read_picture(said).pixels()).all()
    assert vips_image(samples).bands == 4
