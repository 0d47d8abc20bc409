"""Writing: what comes back is what was written, and nothing is ever half written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import exif_block, noise, opened, pil, saved, smooth
from numpy.typing import NDArray

from lightsr.errors import PictureError
from lightsr.images import rowstore
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture
from lightsr.images.writing import check_target, write_picture

FORMATS = ("png", "jpg", "webp", "tiff", "avif")


def bands(samples: NDArray[Any], rows: int = 7) -> Iterator[NDArray[Any]]:
    for top in range(0, len(samples), rows):
        yield samples[top : top + rows]


def written(samples: NDArray[Any], format: str, **options: Any) -> bytes:
    """Return samples as a file of a format."""
    like = Picture.from_array(samples)
    size = (like.height, like.width)
    data = write_picture(bands(like.samples), size, like, None, format=format, **options)
    assert data is not None
    return data


def off(a: NDArray[Any], b: NDArray[Any]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(format: str, dtype: str, channels: int) -> None:
    samples = smooth(48, 64, channels, dtype)
    if format == "jpg" and channels in (2, 4):
        samples[..., -1] = 1 if dtype == "float32" else np.iinfo(dtype).max
    picture = read_picture(written(samples, format))
    deepest = {"png": "uint16", "tiff": "float32", "avif": "uint16"}.get(format, "uint8")
    kept = dtype if dtype == "uint8" or format == "tiff" else deepest
    assert picture.dtype == kept
    assert picture.channels == (1 if channels < 3 else 3), "grey stays grey"
    assert picture.has_alpha == (channels in (2, 4) and format != "jpg")
    got = picture.pixels().astype(float)
    got /= 1 if kept == "float32" else np.iinfo(kept).max
    sent = samples.astype(float) / (1 if dtype == "float32" else np.iinfo(dtype).max)
    if format == "jpg":
        sent = sent[..., : picture.channels]
    wrong = np.abs(got - sent).max()
    lossless = format in ("png", "tiff")
    half_a_step = 0 if kept == dtype else 0.5001 / np.iinfo(kept).max
    assert wrong <= (half_a_step if lossless else 0.08)


@pytest.mark.parametrize("format", ["png", "tiff"])
@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    dtype=st.sampled_from(["uint8", "uint16"]),
    rows=st.integers(1, 50),
    in_memory=st.booleans(),
)
def test_any_size_in_any_bands_comes_back(
    format: str, height: int, width: int, channels: int, dtype: str, rows: int, in_memory: bool
) -> None:
    samples = noise(height, width, channels, dtype)
    like = Picture.from_array(samples)
    with pytest.MonkeyPatch.context() as patch:
        if not in_memory:
            patch.setattr(rowstore, "IN_MEMORY", 0)
        size = (height, width)
        data = write_picture(bands(samples, rows), size, like, None, format=format)
        assert data is not None
        assert (read_picture(data).pixels() == samples).all()


@pytest.mark.parametrize("format", FORMATS)
def test_one_pixel(format: str) -> None:
    for channels in (1, 3):
        samples = noise(1, 1, channels)
        assert off(read_picture(written(samples, format)).pixels(), samples) <= 12


def test_deep_samples_are_rounded_to_the_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    eight = np.rint(every / 257).astype(np.uint8)
    image = opened(written(every, "webp", quality=100))
    assert (np.asarray(image)[..., :1] == eight).all()
    back = read_picture(written(every, "avif", quality=100)).pixels().astype(int)
    assert np.abs(back - every).max() <= 8 + 1, "half a step of 12 bits"
    assert (back[0, 0, 0], back[-1, -1, 0]) == (0, 65535)


def test_float_becomes_the_deepest_kind_of_integer() -> None:
    floats = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64, 1)
    deep = read_picture(written(floats, "png")).pixels()
    assert deep.dtype == np.uint16
    assert (deep == np.floor(floats * np.float32(65535) + np.float32(0.5))).all()


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_quality_100_loses_nothing(format: str) -> None:
    samples = noise(40, 50, 4)
    samples[..., 3] |= 1
    assert (read_picture(written(samples, format, quality=100)).pixels() == samples).all()


@pytest.mark.parametrize("format", ["jpg", "webp", "avif"])
def test_quality_trades_size_for_faithfulness(format: str) -> None:
    samples = smooth(160, 160) // 2 + noise(160, 160) // 8
    low, default, high = (written(samples, format, quality=q) for q in (30, None, 99))
    assert len(low) < len(default) < len(high)
    decoded = (read_picture(data).pixels().astype(float) for data in (low, default, high))
    errors = [np.square(pixels - samples).mean() for pixels in decoded]
    assert errors[0] > errors[1] > errors[2]


def test_jpeg_keeps_colour_at_full_size() -> None:
    samples = np.zeros((32, 32, 3), np.uint8)
    samples[:, ::2, 0] = 255
    image = opened(written(samples, "jpg"))
    assert off(np.asarray(image), samples) < 40


@pytest.mark.parametrize("quality", [0, 101, -3])
def test_quality_out_of_range(quality: int) -> None:
    with pytest.raises(PictureError, match="between 1 and 100"):
        written(noise(4, 4), "jpg", quality=quality)


def test_jpeg_and_alpha() -> None:
    rgba = noise(20, 20, 4)
    with pytest.raises(PictureError, match="transparency, which JPEG cannot hold"):
        written(rgba, "jpg")
    rgba[..., 3] = 255
    assert read_picture(written(rgba, "jpg")).channels == 3


def test_the_format_comes_from_the_name_then_from_the_input(tmp_path: Path) -> None:
    like = read_picture(saved(pil(noise(8, 8)), "JPEG"))
    size = (8, 8)
    for name, format, found in (
        ("a.png", None, "png"),
        ("a.TIFF", None, "tiff"),
        ("a.jpeg", None, "jpg"),
        ("a", None, "jpg"),
        ("a.png", "webp", "webp"),
        ("b", ".JPG", "jpg"),
        ("b", "tif", "tiff"),
    ):
        assert check_target(tmp_path / name, format, size, like).name == found
    bmp = read_picture(saved(pil(noise(8, 8)), "BMP"))
    assert check_target(None, None, size, bmp).name == "png"
    for name, format in (("a.bmp", None), ("a.gif", None), ("a.xyz", None), ("a.png", "bmp")):
        with pytest.raises(PictureError, match=r"cannot write .*png, jpg, webp, tiff, avif"):
            check_target(tmp_path / name, format, size, like)


@pytest.mark.parametrize(
    ("format", "limit"), [("jpg", 65_500), ("webp", 16_383), ("avif", 16_384), ("png", 10_000_000)]
)
def test_sizes_that_a_format_cannot_hold_are_refused_before_the_work(
    format: str, limit: int
) -> None:
    like = Picture.from_array(noise(4, 4))
    check_target(None, format, (1, limit), like)
    with pytest.raises(PictureError, match="pixels"):
        check_target(None, format, (limit + 1, 1), like)


@pytest.mark.parametrize(("format", "limit"), [("jpg", 65_500), ("webp", 16_383)])
def test_the_largest_size_can_be_written(format: str, limit: int) -> None:
    data = written(np.zeros((limit, 1, 1), np.uint8), format)
    assert read_picture(data).height == limit


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(saved(pil(noise(8, 8)), "PNG"))
    like = read_picture(source)
    size = (16, 16)
    link = tmp_path / "link.png"
    link.symlink_to(source)
    (tmp_path / "folder.png").mkdir()
    other = tmp_path / "other.png"
    other.write_bytes(b"x")
    for target, overwrite, reason in (
        (source, False, "is the input itself"),
        (source, True, "is the input itself"),
        (tmp_path / "." / "in.png", True, "is the input itself"),
        (link, True, "is the input itself"),
        (tmp_path / "folder.png", True, "is a folder"),
        (other, False, "exists already"),
        (other / "below.png", False, "is no folder"),
        (tmp_path / ("x" * 252 + ".png"), False, "name is too long"),
        (tmp_path / "a\0.png", False, "cannot be written"),
    ):
        with one_line(PictureError, match=reason):
            check_target(target, None, size, like, overwrite)
        with pytest.raises(PictureError, match=reason):
            write_picture(bands(noise(16, 16)), size, like, target, overwrite=overwrite)
    assert check_target(other, None, size, like, overwrite=True).name == "png"
    with pytest.raises(PictureError, match="no pixels"):
        check_target(None, None, (0, 4), like)


def test_folders_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(PictureError, match="no permission to write in"):
        check_target(tmp_path / "a" / "b.png", None, (4, 4), Picture.from_array(noise(4, 4)))


def test_missing_folders_are_made_and_names_may_be_long(tmp_path: Path) -> None:
    samples = noise(8, 8)
    like = Picture.from_array(samples)
    for name in ("ü" * 125 + ".png", "a" * 251 + ".png", os.fsdecode(b"\xff\xfe.png"), "[1].png"):
        target = tmp_path / "deep" / "er" / name
        write_picture(bands(samples), (8, 8), like, target)
        assert (read_picture(target).pixels() == samples).all()
        assert [path.name for path in target.parent.iterdir()] == [name]
        target.unlink()


def test_overwriting_replaces_the_whole_and_keeps_links_and_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "a.png", tmp_path / "link.png"
    target.write_bytes(b"before")
    target.chmod(0o640)
    link.symlink_to(target)
    samples = noise(8, 8)
    write_picture(bands(samples), (8, 8), Picture.from_array(samples), link, overwrite=True)
    assert link.is_symlink()
    assert (read_picture(target).pixels() == samples).all()
    assert target.stat().st_mode & 0o777 == 0o640


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("on_disk", [False, True])
def test_nothing_stays_behind_when_the_bands_fail(
    tmp_path: Path, error: type[BaseException], on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        monkeypatch.setattr(rowstore, "IN_MEMORY", 0)

    def failing() -> Iterator[NDArray[Any]]:
        yield noise(4, 8)
        assert not list(tmp_path.rglob(".*")), "rows that have come lie in a file without a name"
        raise error

    target = tmp_path / "new" / "folder" / "out.png"
    with pytest.raises(error):
        write_picture(failing(), (8, 8), Picture.from_array(noise(8, 8)), target)
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "old.png"
    old.write_bytes(b"before")
    with pytest.raises(error):
        write_picture(failing(), (8, 8), Picture.from_array(noise(8, 8)), old, overwrite=True)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"before"


def test_bands_that_do_not_make_up_the_picture(tmp_path: Path) -> None:
    like = Picture.from_array(noise(8, 8))
    for wrong in (
        [noise(4, 8)],
        [noise(8, 8), noise(1, 8)],
        [noise(8, 7)],
        [noise(8, 8, 4)],
        [noise(8, 8, 3, np.uint16)],
        [noise(8, 8)[..., 0]],
    ):
        with pytest.raises(ValueError, match=r"bands?|rows"):
            write_picture(wrong, (8, 8), like, tmp_path / "out.png")
        assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.png"

    def racing() -> Iterator[NDArray[Any]]:
        yield noise(8, 8)
        target.write_bytes(b"somebody else's")

    with pytest.raises(PictureError, match="come into being"):
        write_picture(racing(), (8, 8), Picture.from_array(noise(8, 8)), target)
    assert target.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [target]


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    samples = noise(8, 8)
    target = tmp_path / "out.png"
    write_picture(bands(samples), (8, 8), Picture.from_array(samples), target)
    assert (read_picture(target).pixels() == samples).all()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / f"out.{format}"
    samples = noise(8, 8)
    with pytest.raises(PictureError) as caught:
        write_picture(bands(samples), (8, 8), Picture.from_array(samples), target)
    assert str(caught.value) == f"{target} cannot be written: no space left on the disk"
    assert list(tmp_path.iterdir()) == []


_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from lightsr.errors import PictureError
from lightsr.images import rowstore
from lightsr.images.picture import Picture
from lightsr.images.writing import write_picture
rowstore.IN_MEMORY = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
samples = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
try:
    write_picture([samples], (500, 500), Picture.from_array(samples), Path(sys.argv[1]))
except PictureError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("memory", [0, 1 << 30])
@pytest.mark.parametrize("format", ["png", "jpg", "tiff", "webp"])
def test_a_file_that_the_system_refuses_to_let_grow(
    tmp_path: Path, format: str, memory: int
) -> None:
    target = tmp_path / "new" / f"out.{format}"
    command = [sys.executable, "-c", _LIMITED, str(target), str(memory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout == f"{target} cannot be written: the file would be larger than allowed\n"
    assert list(tmp_path.iterdir()) == []


_LONG = """
import sys
from pathlib import Path
import numpy as np
from lightsr.images.picture import Picture
from lightsr.images.writing import write_picture
samples = np.random.default_rng(0).integers(0, 256, (6000, 6000, 3), np.uint8)
print("encoding", flush=True)
write_picture([samples], (6000, 6000), Picture.from_array(samples), Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_stops_the_encoder_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LONG, str(tmp_path / "out.png")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert time.monotonic() - began < 5
    assert b"KeyboardInterrupt" in told
    assert process.returncode != 0
    assert list(tmp_path.iterdir()) == []


_GROWTH = """
import resource, sys
from pathlib import Path
import numpy as np
from lightsr.images import rowstore
from lightsr.images.picture import Picture
from lightsr.images.writing import write_picture
rowstore.IN_MEMORY = 1 << 20
like = Picture.from_array(np.zeros((4, 4, 3), np.uint8))
def bands(side):
    for top in range(0, side, 100):
        yield np.full((100, side, 3), top % 256, np.uint8)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_picture(bands(500), (500, 500), like, Path(sys.argv[1]) / ("small." + sys.argv[2]))
before = peak()
write_picture(bands(10000), (10000, 10000), like, Path(sys.argv[1]) / ("large." + sys.argv[2]))
print((peak() - before) >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
@pytest.mark.parametrize("format", ["jpg", "tiff"])
def test_a_large_output_is_never_in_memory(tmp_path: Path, format: str) -> None:
    command = [sys.executable, "-c", _GROWTH, str(tmp_path), format]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 100, "of 286 MB of samples"
    assert done.stderr == ""


def test_exif_survives_bands_of_another_size() -> None:
    like = read_picture(saved(pil(noise(24, 40)), "JPEG", exif=exif_block(1, 40, 24)))
    data = write_picture(bands(noise(48, 80)), (48, 80), like, None, format="jpg")
    assert data is not None
    inner = opened(data).getexif().get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (80, 48)
