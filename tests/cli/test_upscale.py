"""`lightsr upscale`, through real processes."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph
from numpy.typing import NDArray
from PIL import Image

from lightsr.cli.app import run
from lightsr.weights.catalogue import shipped

Result = subprocess.CompletedProcess[bytes]


def _run(*arguments: object, stdin: bytes = b"", **options: Any) -> Result:
    return subprocess.run(
        [sys.executable, "-m", "lightsr", *map(str, arguments)],
        **{"input": stdin, "capture_output": True, "timeout": 120, **options},
    )


def _picture(path: Path, size: tuple[int, int] = (12, 8), seed: int = 0) -> NDArray[np.uint8]:
    samples = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path)
    return samples


def _lines(result: Result) -> list[str]:
    return result.stderr.decode().splitlines()


def _refused(result: Result, *words: str) -> str:
    """Check that a user's mistake was told in one line, and return it."""
    lines = _lines(result)
    assert (result.returncode, len(lines), result.stdout) == (2, 1, b""), result
    assert lines[0].startswith("lightsr: ")
    for word in words:
        assert word in lines[0]
    return lines[0]


@pytest.fixture
def nearest(graph: Graph) -> Path:
    return graph(2, kind="nearest")


def test_a_file_lands_beside_its_input(tmp_path: Path, nearest: Path) -> None:
    source = tmp_path / "bild ß 鳥.PNG"
    samples = _picture(source)
    result = _run("upscale", source.name, "--weights", nearest, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, b""), result
    target = tmp_path / "bild ß 鳥_x2.PNG"
    np.testing.assert_array_equal(Image.open(target), samples.repeat(2, 0).repeat(2, 1))
    (line,) = _lines(result)
    assert "(12x8 -> 24x16" in line

    untouched = target.read_bytes()
    _refused(_run("upscale", source, "--weights", nearest), "exists already", "--overwrite")
    assert target.read_bytes() == untouched
    again = _run("upscale", source, "--weights", nearest, "--overwrite", "--quiet")
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


def test_names_of_any_length_and_content(tmp_path: Path, nearest: Path) -> None:
    names = [f"{'ä' * 125}.png", "-x.png", "two\nlines.png", "a[1].png"]
    for name in names:
        _picture(tmp_path / name)
    result = _run("upscale", "--weights", nearest, "--", *names, cwd=tmp_path)
    assert (result.returncode, len(_lines(result))) == (0, 4)
    made = {path.name for path in tmp_path.iterdir()} - set(names)
    assert made == {f"{'ä' * 124}_x2.png", "-x_x2.png", "two\nlines_x2.png", "a[1]_x2.png"}


def test_a_pipe_carries_nothing_but_the_picture(tmp_path: Path, nearest: Path) -> None:
    source = tmp_path / "a.jpg"
    _picture(source, (9, 5))
    result = _run("upscale", "-", "--weights", nearest, "--width", 20, stdin=source.read_bytes())
    assert result.returncode == 0
    assert result.stdout.startswith(b"\xff\xd8\xff")
    (tmp_path / "back.jpg").write_bytes(result.stdout)
    assert Image.open(tmp_path / "back.jpg").size == (20, 11)
    assert len(_lines(result)) == 2  # the notice that 20 is beyond x2, and what was done

    result = _run("upscale", source, "-o", "-", "--format", "png", "--weights", nearest, "-q")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"\x89PNG")


def test_a_folder_is_mirrored_and_continued(tmp_path: Path, nearest: Path) -> None:
    folder = tmp_path / "in"
    for seed, name in enumerate(["a.png", "sub/b.jpg", "sub/deep/c.bmp"]):
        _picture(folder / name, seed=seed)
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:100])
    (folder / "notes.txt").write_text("no picture")
    result = _run("upscale", "in", "--weights", nearest, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, b"")
    out = tmp_path / "in_x2"
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert made == ["a.png", "sub/b.jpg", "sub/deep/c.png"]
    lines = _lines(result)
    assert lines[0].startswith("[1/4] in/a.png -> in_x2/a.png (12x8 -> 24x16")
    assert lines[-2] == "lightsr: 1 of 4 pictures failed:"
    assert "broken.png" in lines[-1]

    # What is there is done; the rest is made.
    (out / "sub/b.jpg").unlink()
    (folder / "broken.png").unlink()
    before = (out / "a.png").stat().st_mtime_ns
    result = _run("upscale", "in", "--weights", nearest, cwd=tmp_path)
    assert result.returncode == 0
    assert (out / "sub/b.jpg").exists()
    assert (out / "a.png").stat().st_mtime_ns == before
    assert _lines(result)[0].startswith("2 of 3 pictures have their output already")

    # An output folder inside the input is no input.
    inside = _run("upscale", "in", "-o", "in/large", "--weights", nearest, "-q", cwd=tmp_path)
    again = _run("upscale", "in", "-o", "in/large", "--weights", nearest, cwd=tmp_path)
    assert (inside.returncode, again.returncode) == (0, 0)
    assert _lines(again)[0].startswith("3 of 3")


def test_shards_share_a_folder_out(tmp_path: Path) -> None:
    for index in range(6):
        _picture(tmp_path / "in" / f"{index}.png")
    options = ["-o", tmp_path / "out", "--model", "bicubic", "--scale", "2"]
    made: list[int] = []
    for part in ("1/2", "2/2", "2/2"):
        result = _run("upscale", tmp_path / "in", *options, "--shard", part)
        assert result.returncode == 0
        assert _lines(result)[0].startswith(f"shard {part} has ")
        made.append(len(list((tmp_path / "out").iterdir())))
    assert 0 < made[0] < made[1] == made[2] == 6
    assert _lines(result)[1].endswith("--overwrite makes them anew")
    _refused(_run("upscale", tmp_path / "in", *options, "--shard", "3/2"), "like 3/16")


def test_several_inputs_go_into_a_folder(tmp_path: Path, nearest: Path) -> None:
    for seed, name in enumerate(["a.png", "b.png", "c.jpg"]):
        _picture(tmp_path / name, seed=seed)
    result = _run(
        *("upscale", "*.png", "c.jpg", "a.png", "-o", "out", "--format", "webp"),
        *("--weights", nearest, "--tile", "16"),
        cwd=tmp_path,
    )
    assert result.returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.webp", "b.webp", "c.webp"),
    ]


def test_shipped_weights_need_no_torch(tmp_path: Path) -> None:
    if not shipped():
        pytest.skip("no weights are shipped yet")
    _picture(tmp_path / "a.png", (20, 16))
    code = (
        "import sys; sys.modules.update({'torch': None, 'onnx': None}); "
        "from lightsr.cli import main; sys.exit(main())"
    )
    for wanted, size in (([], (80, 64)), (["--width", "70"], (70, 56))):
        result = subprocess.run(
            [sys.executable, "-c", code, "upscale", "a.png", "-o", "b.png", "--overwrite", *wanted],
            **{"cwd": tmp_path, "capture_output": True, "timeout": 120},
        )
        assert result.returncode == 0, result
        assert Image.open(tmp_path / "b.png").size == size


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures and others, which no test changes."""
    folder = tmp_path_factory.mktemp("corner")
    _picture(folder / "a.png")
    _picture(folder / "a.jpg")
    (folder / "empty").mkdir()
    (folder / "zero.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-40])
    (folder / "text.png").write_text("this is no picture")
    (folder / "weights.pth").write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    (folder / "weights.onnx").write_bytes(b"no graph")
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("missing.png", ["missing.png does not exist"]),
        ("empty", ["empty holds no pictures"]),
        ("*.tiff", ["no picture matches *.tiff"]),
        ("text.png", ["text.png", "no picture"]),
        ("zero.png", ["zero.png is empty"]),
        ("cut.png", ["cut.png"]),
        ("a.png -o a.png", ["a.png would be written over an input"]),
        ("a.png -o .", ["written over an input"]),
        ("a.png -o text.png/b.png", ["text.png is a file"]),
        ("a.png a.jpg -o text.png", ["text.png is a file"]),
        ("a.png a.jpg -o out --format png", ["a.png and a.jpg", "out/a.png"]),
        ("empty a.png -o empty", ["empty is the input folder itself"]),
        ("a.png a.jpg -o -", ["standard output holds one picture"]),
        ("a.png - -o out", ["standard input must be the only input"]),
        ("-", ["standard input", "empty"]),
        ("a.png -o b.xyz", ["b.xyz", "png"]),
        ("a.png -o b.png --format jpg", ["b.png is named like PNG"]),
        ("a.png --format gif", ["'gif'", "png, jpg"]),
        ("a.png --quality 0", ["1..100"]),
        ("a.png --scale 5", ["no scale x5", "x2, x3, x4"]),
        ("a.png --scale two", ["'--scale'", "integer"]),
        ("a.png --scale 2 --width 40", ["exclude each other"]),
        ("a.png --width 11", ["12x8 already", "only enlarges"]),
        ("a.png --height 0", ["at least 1 pixel"]),
        ("a.png --model fdwin", ["did you mean 'fdiwn'"]),
        ("a.png --model fdiwn-m", ["holds fdiwn x2, not fdiwn-m"]),
        ("a.png --scale 4", ["holds fdiwn x2, not fdiwn x4"]),
        ("a.png --backend tourch", ["did you mean 'torch'"]),
        ("a.png --device tpu", ["no device is named 'tpu'"]),
        ("a.png --precision int8", ["int8", "docs/performance.md"]),
        ("a.png --tile small", ["'small'"]),
        ("a.png --tile 4", ["4x4", "at least 16"]),
        ("a.png --memory much", ["'much' is no amount of memory"]),
        ("a.png --memory 1M", ["1 MB of memory is too little"]),
        ("a.png --weights none.onnx", ["none.onnx does not exist"]),
        ("a.png --weights weights.onnx", ["weights.onnx is no ONNX graph"]),
        ("a.png --model fdiwn --scale 2 --weights weights.pth", ["weights.pth", "system"]),
        ("a.png --widht 3", ["no such option: --widht"]),
        ("", ["missing argument 'INPUT...'"]),
        ("a.png --output=", ["empty name"]),
        ("a.png --weights=", ["empty name"]),
    ],
)
def test_mistakes(
    corner: Path,
    nearest: Path,
    arguments: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """In this process, for there are many; `_refused` above looks at a real one."""
    before = sorted(corner.rglob("*"))
    weights = [] if "--weights" in arguments else ["--weights", str(nearest)]
    monkeypatch.chdir(corner)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    status = run(["upscale", *arguments.split(), *weights])
    out, err = capfdbinary.readouterr()
    _refused(Result([], status, out, err), *words)
    assert sorted(corner.rglob("*")) == before


def test_a_network_that_gives_no_numbers_is_our_failure(tmp_path: Path, graph: Graph) -> None:
    _picture(tmp_path / "a.png")
    result = _run("upscale", "a.png", "--weights", graph(2, kind="nan"), cwd=tmp_path)
    (line,) = _lines(result)
    assert (result.returncode, result.stdout) == (1, b"")
    assert "a.png" in line
    assert "not finite" in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_and_closed_outputs(tmp_path: Path, nearest: Path) -> None:
    _picture(tmp_path / "a.png", (40, 40))
    arguments = ("upscale", "a.png", "-o", "-", "--weights", nearest, "-q")
    with Path("/dev/full").open("wb") as full:
        result = _run(*arguments, cwd=tmp_path, capture_output=False, stdout=full, stderr=-1)
    assert result.returncode == 2
    assert _lines(result) == [
        "lightsr: standard output cannot be written to: No space left on device"
    ]
    for closed in ("<&-", ">&-", "2>&-"):
        words = f'"$@" -o "out{closed}.png" {closed}'
        command = ["sh", "-c", words, "sh", sys.executable, "-m", "lightsr", "upscale", "a.png"]
        result = subprocess.run(
            [*command, "--weights", nearest], cwd=tmp_path, capture_output=True, timeout=120
        )
        assert (result.returncode, result.stdout) == (0, b""), closed
        assert Image.open(tmp_path / f"out{closed}.png").size == (80, 80)
    reading, writing = os.pipe()
    os.close(reading)
    result = _run(*arguments, cwd=tmp_path, capture_output=False, stdout=writing, stderr=-1)
    os.close(writing)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_stopped_in_the_middle(
    tmp_path: Path, nearest: Path, sent: signal.Signals, status: int
) -> None:
    """One line, nothing half-written, and what was done stays."""
    (tmp_path / "in").mkdir()
    _picture(tmp_path / "in" / "a.png", (20, 20))
    big = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    Image.fromarray(big).save(tmp_path / "in" / "b.png", compress_level=0)
    command = [sys.executable, "-m", "lightsr", "upscale", "in", "--weights", str(nearest)]
    with subprocess.Popen(
        [*command, "--ensemble", "--tile", "256"],
        **{"cwd": tmp_path, "stderr": subprocess.PIPE, "start_new_session": True},
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"[1/2] in/a.png")
        time.sleep(0.5)
        process.send_signal(sent)
        rest = process.stderr.read().decode()
    assert process.returncode == status
    assert len(rest.splitlines()) == 1
    assert "nothing half-written" in rest
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["a.png", "a.png", "b.png"]


def test_on_a_terminal_there_are_bars(tmp_path: Path, nearest: Path) -> None:
    for seed in range(3):
        _picture(tmp_path / "in" / f"{seed}.png", (40, 40), seed)
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "lightsr", "upscale", "in", "--weights", str(nearest)]
    with subprocess.Popen(
        [*command, "--tile", "16"],
        cwd=tmp_path,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(main, 65536):
                shown += chunk
        except OSError:
            pass  # how Linux says that the other end is closed
    os.close(main)
    assert process.returncode == 0
    for word in (b"pictures", b"/3", b"in/2.png", b"80x80"):
        assert word in shown
