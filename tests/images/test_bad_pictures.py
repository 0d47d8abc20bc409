"""What cannot be read faithfully is refused in one line that names the file and the reason."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import exif_block, noise, pil, profile, saved, smooth, vips_image
from PIL import Image

from lightsr.errors import PictureError
from lightsr.images.containers.directories import read_directory, read_header
from lightsr.images.reading import read_picture

PHOTO = smooth(240, 320) // 2 + noise(240, 320) // 8
FORMATS: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved(pil(PHOTO), "PNG"),
    "interlaced png": lambda: vips_image(PHOTO).pngsave_buffer(interlace=True),
    "jpeg": lambda: saved(pil(PHOTO), "JPEG"),
    "progressive jpeg": lambda: saved(pil(PHOTO), "JPEG", progressive=True),
    "webp": lambda: saved(pil(PHOTO), "WEBP"),
    "lossless webp": lambda: saved(pil(PHOTO), "WEBP", lossless=True),
    "tiff": lambda: saved(pil(PHOTO), "TIFF"),
    "deflate tiff": lambda: saved(pil(PHOTO), "TIFF", compression="tiff_adobe_deflate"),
    "lzw tiff": lambda: saved(pil(PHOTO), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": lambda: saved(pil(PHOTO), "TIFF", compression="jpeg"),
    "tiled tiff": lambda: vips_image(PHOTO).tiffsave_buffer(tile=True),
    "big tiff": lambda: vips_image(PHOTO).tiffsave_buffer(bigtiff=True),
    "avif": lambda: saved(pil(PHOTO), "AVIF"),
    "bmp": lambda: saved(pil(PHOTO), "BMP"),
    "gif": lambda: saved(pil(PHOTO), "GIF"),
}


def refusal(source: bytes | Path, name: str = "the file") -> str:
    """Return the message with which a picture is refused, without the name."""
    with pytest.raises(PictureError) as caught:
        read_picture(source, name)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(name + " ")
    assert 10 < len(message) - len(name) < 200
    return message.removeprefix(name + " ")


def read_or_refused(data: bytes) -> tuple[int, str]:
    """Return how many rows a picture has, or 0 and why it has none."""
    try:
        return len(read_picture(data, "x", max_pixels=1_000_000).pixels()), ""
    except PictureError as error:
        return 0, str(error)


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_short_is_an_error_wherever_the_cut_is(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = FORMATS[kind]()
    assert (read_picture(data).height, read_picture(data).width) == (240, 320)
    for part in (0.02, 0.2, 0.5, 0.8, 0.97):
        refusal(data[: int(len(data) * part)])
    if kind != "gif":
        # A GIF's last bytes say only that there is nothing more.
        refusal(data[:-2])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", FORMATS)
def test_zeros_from_the_middle_on_never_crash(kind: str) -> None:
    data = FORMATS[kind]()
    half = len(data) // 2
    # Uncompressed samples may be zero.
    rows, message = read_or_refused(data[:half] + bytes(len(data) - half))
    assert rows in (0, 240)
    assert "\n" not in message


SMALL = {
    "png": saved(pil(noise(9, 7, 4)), "PNG", exif=exif_block(), icc_profile=profile()),
    "jpeg": saved(pil(noise(9, 7)), "JPEG", exif=exif_block(6), icc_profile=profile()),
    "webp": saved(pil(noise(9, 7, 4)), "WEBP", exif=exif_block(3)),
    "tiff": saved(pil(noise(9, 7)), "TIFF", compression="tiff_lzw", tiffinfo={0x010F: "Maker"}),
    "avif": saved(pil(noise(9, 7)), "AVIF", exif=exif_block(8)),
    "bmp": saved(pil(noise(9, 7)), "BMP"),
    "gif": saved(pil(noise(9, 7)), "GIF"),
}


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(sorted(SMALL)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.floats(0, 1),
)
def test_damage_gives_a_picture_or_a_refusal(
    kind: str, changes: list[tuple[float, int]], end: float
) -> None:
    data = bytearray(SMALL[kind])
    for place, value in changes:
        # Most of what can go wrong stands at the beginning.
        data[int(place**3 * (len(data) - 1))] = value
    if end < 0.3:
        data = data[: int(len(data) * end / 0.3)]
    rows, message = read_or_refused(bytes(data))
    assert rows > 0 or message.startswith("x ")
    assert "\n" not in message


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.png") == "does not exist"
    assert "folder" in refusal(tmp_path)
    assert refusal(b"") == "is empty (0 bytes)"
    assert "no picture" in refusal(b"hello, this is text")
    assert "no picture" in refusal(b"\x89PNG")
    assert "PDF" in refusal(b"%PDF-1.7 ...")
    assert "SVG" in refusal(b'\xef\xbb\xbf <svg xmlns="http://www.w3.org/2000/svg">')
    assert "JPEG XL" in refusal(b"\xff\x0a" + bytes(40))
    path = tmp_path / "a\0b"
    assert "null" in refusal(path, "odd name")


def test_the_name_in_the_message_is_the_path(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"junk")
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path} is no picture")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(SMALL["png"])
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def test_devices_are_refused() -> None:
    zero = Path("/dev/zero")
    if not zero.exists():
        pytest.skip("no /dev/zero here")
    assert "no regular file" in refusal(zero)


def _png(width: int, height: int, data: bytes = b"\0", depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _bombs() -> dict[str, bytes]:
    jpeg = bytearray(saved(pil(noise(8, 8)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 20_000, 20_000)
    gif = bytearray(SMALL["gif"])
    gif[6:10] = struct.pack("<HH", 20_000, 20_000)
    frame = gif.index(b"\x2c\0\0\0\0")
    gif[frame + 5 : frame + 9] = struct.pack("<HH", 20_000, 20_000)
    bmp = bytearray(SMALL["bmp"])
    bmp[18:26] = struct.pack("<ii", 20_000, -20_000)
    tiff: bytes = vips_image(noise(9, 7)).tiffsave_buffer()
    for tag, old in ((256, 7), (257, 9)):
        field = struct.pack("<HHII", tag, 3, 1, old)
        assert field in tiff
        tiff = tiff.replace(field, struct.pack("<HHII", tag, 4, 1, 20_000))
    return {
        "png": _png(20_000, 20_000),
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "tiff": tiff,
    }


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff"])
def test_a_size_that_the_data_cannot_hold_is_refused_before_decoding(kind: str) -> None:
    # Below the limit on pixels: it is the little data that gives it away.
    message = refusal(_bombs()[kind])
    assert "20000 x 20000" in message
    assert "cut short or forged" in message


def test_sizes_beyond_the_limit_are_refused_from_the_header() -> None:
    with pytest.raises(PictureError, match="23000 x 23000 pixels, more than the limit"):
        read_picture(_png(23_000, 23_000, bytes(23_000 * 2_900), depth=1, colour=0))
    for make in FORMATS.values():
        with pytest.raises(PictureError, match="320 x 240 pixels, more than the limit of 76,799"):
            read_picture(make(), max_pixels=240 * 320 - 1)


def test_a_well_compressed_blank_page_is_no_bomb() -> None:
    blank = np.zeros((4000, 3000, 1), np.uint8)
    for data in (
        saved(pil(blank), "PNG", compress_level=9),
        saved(pil(blank), "JPEG", quality=10, optimize=True),
        saved(pil(blank), "JPEG", quality=10, progressive=True),
        saved(pil(blank), "TIFF", compression="tiff_adobe_deflate"),
        saved(pil(blank), "GIF"),
        saved(pil(blank).convert("1"), "TIFF", compression="group4"),
        saved(pil(blank), "WEBP", lossless=True),
    ):
        assert read_picture(data).width == 3000


def test_pictures_without_pixels() -> None:
    assert refusal(_png(0, 5)) == "has no pixels (0 x 5)"
    assert refusal(_png(5, 0)) == "has no pixels (5 x 0)"
    bmp = bytearray(SMALL["bmp"])
    bmp[18:26] = struct.pack("<ii", 7, 0)
    assert refusal(bytes(bmp)) == "has no pixels (7 x 0)"
    tiff = vips_image(noise(9, 7)).tiffsave_buffer()
    tag = struct.pack("<HHI", 257, 3, 1)
    place = tiff.index(tag) + 8
    assert refusal(tiff[:place] + b"\0\0" + tiff[place + 2 :]) == "has no pixels (7 x 0)"
    jpeg = bytearray(SMALL["jpeg"])
    frame = jpeg.rindex(b"\xff\xc0")  # the first is the thumbnail's
    jpeg[frame + 5 : frame + 9] = bytes(4)
    refusal(bytes(jpeg))
    gif = bytearray(SMALL["gif"])
    gif[6:10] = bytes(4)
    assert refusal(bytes(gif)) == "has no pixels (0 x 0)"
    gif = bytearray(SMALL["gif"])
    frame = gif.index(b"\x2c\0\0\0\0")
    gif[frame + 7 : frame + 9] = bytes(2)
    assert refusal(bytes(gif)) == "has no pixels (7 x 0)"


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "AVIF", "TIFF"])
def test_several_frames_are_refused_with_their_number(format: str) -> None:
    frames = [pil(noise(16, 16 + i)[:, :16]) for i in range(3)]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:])
    message = refusal(data)
    assert message.startswith(
        "has 3 pages" if format == "TIFF" else "has 3 frames (it is animated)"
    )


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_of_one_frame_is_a_picture(format: str) -> None:
    data = saved(pil(noise(16, 16)), format, save_all=True)
    assert read_picture(data).width == 16


def test_thumbnails_and_pyramids_in_tiff_are_no_pages() -> None:
    data = vips_image(noise(300, 300)).tiffsave_buffer(tile=True, pyramid=True)
    stream = io.BytesIO(data)
    layout, start = read_header(stream)
    assert read_directory(stream, layout, start)[1], "there is a second directory"
    assert read_picture(data).width == 300


def test_camera_raw_files_are_not_mistaken_for_their_thumbnails() -> None:
    thumbnail_first = saved(pil(noise(16, 16)), "TIFF", tiffinfo={254: 1})
    assert "camera raw" in refusal(thumbnail_first)
    dng = saved(pil(noise(16, 16)), "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    assert "camera raw" in refusal(dng)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-np.inf, "not finite"),
        (1.5, "from 0 to 1.5; they must lie in 0..1"),
        (-0.25, "from -0.25 to"),
    ],
)
def test_float_samples_that_are_no_colours(value: float, reason: str) -> None:
    samples = smooth(20, 31, 3, np.float32) * np.float32(0.5)
    samples[0, 0, 0] = 0
    samples[13, 17, 1] = value
    assert reason in refusal(vips_image(samples).tiffsave_buffer())


@pytest.mark.parametrize("kind", ["int", "uint", "double", "short", "complex"])
def test_sample_types_that_are_no_pictures(kind: str) -> None:
    image: Any = vips_image(smooth(20, 31, 1)).cast(kind)
    assert "samples" in refusal(image.tiffsave_buffer())


def test_more_channels_than_colour_and_alpha() -> None:
    image: Any = vips_image(noise(20, 31, 4))
    assert "5 channels" in refusal(image.bandjoin(image[0]).tiffsave_buffer())


def test_heic_says_what_to_do() -> None:
    avif = FORMATS["avif"]()
    heic = avif.replace(b"ftypavif", b"ftypheic").replace(b"av01", b"hvc1")
    assert refusal(heic.replace(b"avif", b"heic")).startswith(
        "is HEIC, which the installed libvips"
    )


def test_pillow_is_not_asked_for_what_it_guesses() -> None:
    # A BMP whose size is beyond Pillow's own limit, which would only warn.
    limit = Image.MAX_IMAGE_PIXELS
    assert limit is not None
    width = limit // 100 + 1
    data = saved(Image.new("1", (width, 100)), "BMP")
    assert read_picture(data).width == width


@pytest.mark.parametrize(("transfer", "kind"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_rather_than_taken_for_what_it_is_not(transfer: int, kind: str) -> None:
    avif = FORMATS["avif"]()
    place = avif.index(b"nclx") + 6
    message = refusal(avif[:place] + transfer.to_bytes(2, "big") + avif[place + 2 :])
    assert message == f"is an HDR picture ({kind}); convert it to SDR first"
    body = b"cICP" + bytes((9, transfer, 0, 1))
    chunk = b"\0\0\0\4" + body + struct.pack(">I", zlib.crc32(body))
    data = SMALL["png"]
    assert "HDR" in refusal(data[:33] + chunk + data[33:])
