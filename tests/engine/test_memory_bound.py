"""The memory that a whole process takes, for the largest pictures and in every format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import Graph
from PIL import Image

from lightsr.engine.backends.choose import at_hand
from lightsr.errors import PictureError
from lightsr.images.needs import decoding_bytes, encoding_bytes
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture
from lightsr.images.vips import vips
from lightsr.images.writing import write_picture

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")


def _peak(*arguments: object, cwd: Path) -> tuple[int, int, str]:
    """Run the command; return its status, the most bytes it held, and what it said.

    A small process in between starts it, since the system counts what a process held before it
    became the command, and the tests' own process may be large.
    """
    said = cwd / "said.txt"
    command = [sys.executable, "-m", "lightsr", "upscale", *map(str, arguments)]
    with said.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-S", "-c", _BETWEEN, *command],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            check=True,
        )
    status, kilobytes = map(int, done.stdout.split()[-2:])
    return status, kilobytes * 1024, said.read_text()


_BETWEEN = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def _noise(path: Path, side: int, channels: int) -> None:
    """Write a large picture without ever holding it."""
    plane = vips.Image.gaussnoise(side, side, mean=128, sigma=20).cast("uchar")
    picture = plane if channels == 1 else plane.bandjoin([plane.linear(0.5, 20).cast("uchar")] * 2)
    space = "b-w" if channels == 1 else "srgb"
    options = {"compression": 1} if path.suffix == ".png" else {}
    picture.copy(interpretation=space).write_to_file(str(path), **options)


@linux
@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("side", "channels", "source", "target", "memory"),
    [
        (4_000, 3, "in.png", "out.jpg", 400),
        (5_000, 3, "in.jpg", "out.tif", 400),
        (20_000, 1, "in.tif", "out.tif", 1000),
    ],
)
def test_the_process_keeps_to_the_memory_given(
    graph: Graph, tmp_path: Path, side: int, channels: int, source: str, target: str, memory: int
) -> None:
    """Decoding, the network and encoding; 400 megapixels at most, which float would be 5 GB."""
    _noise(tmp_path / source, side, channels)
    options = ["--weights", graph(2, kind="global"), "--width", side, "--memory", f"{memory}M"]
    status, peak, said = _peak(source, "-o", target, *options, cwd=tmp_path)
    assert status == 0, said
    assert peak < memory * 2**20
    assert vips.Image.new_from_file(str(tmp_path / target)).width == side


@linux
@pytest.mark.parametrize(("backend", "memory"), [("onnxruntime", 250), ("fused", 400)])
def test_a_small_picture_keeps_to_the_memory_given(
    graph: Graph, tmp_path: Path, backend: str, memory: int
) -> None:
    if backend not in at_hand():
        pytest.skip(f"there is no {backend} backend here")
    _noise(tmp_path / "in.png", 2500, 3)
    options = ["--weights", graph(2, kind="global"), "--memory", f"{memory}M"]
    options += ["--backend", backend]
    status, peak, said = _peak("in.png", "-o", "out.png", *options, cwd=tmp_path)
    assert status == 0, said
    assert f"does not fit into {memory} MB whole" in said
    assert peak < memory * 2**20


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.webp", {}, "WebP cannot be decoded"),
        ("a.avif", {}, "AVIF cannot be decoded"),
        ("a.png", {"interlace": True}, "interlaced PNG cannot be decoded"),
        ("a.jpg", {"interlace": True}, "interlaced JPEG cannot be decoded"),
    ],
)
def test_what_cannot_be_decoded_in_bands_is_refused_first(
    tmp_path: Path, name: str, options: dict[str, bool], words: str
) -> None:
    vips.Image.black(300, 200, bands=3).copy(interpretation="srgb").write_to_file(
        str(tmp_path / name), **options
    )
    with pytest.raises(PictureError, match=f"300 x 200 pixels, and {words}") as no:
        read_picture(tmp_path / name, memory=300_000)
    assert str(no.value).startswith(str(tmp_path / name))
    assert "\n" not in str(no.value)
    assert read_picture(tmp_path / name, memory=3_000_000).width == 300


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_what_can_be_decoded_in_bands_is_read_in_any_memory(tmp_path: Path, name: str) -> None:
    vips.Image.black(300, 200, bands=3).copy(interpretation="srgb").write_to_file(
        str(tmp_path / name)
    )
    picture = read_picture(tmp_path / name, memory=1000)
    picture.forget()
    assert not picture.samples.any()


@pytest.mark.parametrize("name", ["b.webp", "b.avif"])
def test_what_cannot_be_encoded_in_bands_is_refused_first(tmp_path: Path, name: str) -> None:
    picture = Picture.from_array(np.zeros((200, 300, 3), np.uint8))
    taken: list[int] = []

    def bands() -> object:
        taken.append(1)
        yield picture.samples

    with pytest.raises(PictureError, match=r"300 x 200 pixels, and .* cannot be encoded") as no:
        write_picture(bands(), (200, 300), picture, tmp_path / name, memory=500_000)  # type: ignore[arg-type]
    assert (taken, list(tmp_path.iterdir())) == ([], [])
    assert "\n" not in str(no.value)
    write_picture(bands(), (200, 300), picture, tmp_path / name, memory=5_000_000)  # type: ignore[arg-type]
    assert Image.open(tmp_path / "b.webp").size == (300, 200) if "webp" in name else True


def test_formats_that_go_in_bands_need_nothing() -> None:
    assert decoding_bytes("png", 10**6, interlaced=False) == 0
    assert decoding_bytes("png", 10**6, interlaced=True) > 10**6
    assert encoding_bytes("tiff", 10**6, alpha_or_lossless=True) == 0
    assert encoding_bytes("webp", 10, alpha_or_lossless=True) > encoding_bytes(
        "webp", 10, alpha_or_lossless=False
    )
