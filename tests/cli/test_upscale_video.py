"""`lightsr upscale` on videos, and on folders that hold both."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from graphs import Graph
from PIL import Image

pytest.importorskip("av")

from clips import clicks, make_clip, shown
from process import mistake, run_lightsr

from lightsr.cli.app import run
from lightsr.cli.progress import Lines

Monkey = pytest.MonkeyPatch
Captured = pytest.CaptureFixture[str]

WITHOUT_AV = "import sys; sys.modules['av'] = None; from lightsr.cli import main; sys.exit(main())"


@pytest.fixture
def weights(graph: Graph) -> str:
    return str(graph(2, kind="nearest"))


def test_a_video_lands_beside_its_input(tmp_path: Path, weights: str) -> None:
    source = make_clip(tmp_path / "a:ü 1%.mp4", range(12), sound=clicks(1, [0.5]))
    done = run_lightsr("upscale", source.name, "--weights", weights, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done
    assert done.stderr.startswith("a:ü 1%.mp4 -> a:ü 1%_x2.mp4 (128x48 -> 256x96, 12 frames, ")
    assert shown(tmp_path / "a:ü 1%_x2.mp4") == shown(source)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_of_pictures_and_videos(
    tmp_path: Path,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_clip(folder / "a.mp4", range(3))
    make_clip(folder / "b.flv", range(3))
    (folder / "broken.mkv").write_bytes(b"no video")
    (folder / "code.ts").write_text("let x = 1")
    Image.new("RGB", (8, 8)).save(folder / "c.png")
    monkeypatch.chdir(tmp_path)
    assert run(["upscale", "in", "--weights", weights]) == 1
    assert sorted(path.name for path in (tmp_path / "in_x2").iterdir()) == [
        *("a.mp4", "b.mkv", "c.png"),
    ]
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2] == "lightsr: 1 of 4 pictures and videos failed:"
    assert "broken.mkv cannot be read as a video" in lines[-1]

    out = ["-o", "out", "--format", "mkv", "--codec", "ffv1"]
    assert run(["upscale", "in/*", "--weights", weights, *out]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "b.mkv", "c.png"]


def test_mistakes(
    tmp_path: Path,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mp4", range(3))
    Image.new("RGB", (8, 8)).save("a.png")
    for arguments, words in (
        ("a.mp4 -o b.png", "b.png: cannot write videos as '.png'; choose one of: mp4"),
        ("a.mp4 -o a.mp4", "written over an input"),
        ("a.mp4 -o -", "a.mp4 is a video; name a file for it with -o"),
        ("a.mp4 -o b.mkv --format mp4", "b.mkv is named like mkv, not like mp4"),
        ("a.mp4 --format png", "cannot write videos as 'png'"),
        ("a.png --format mkv", "cannot write format 'mkv'"),
        ("a.png -o b.mkv", "b.mkv"),
        ("a.mp4 --crf 70", "0..51"),
        ("a.mp4 --codec divx", "no video codec is named 'divx'"),
        ("a.mp4 --memory 90M", "of memory is too little; give at least"),
        ("a.mp4 --scale 4", "not fdiwn x4"),
    ):
        assert words in mistake(capsys, "upscale", *arguments.split(), "--weights", weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.png"]


def test_without_pyav_videos_are_told_of(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "a.mp4", range(3))

    def upscale(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_AV, "upscale", what, "--weights", weights]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    alone = upscale("a.mp4")
    hint = (
        "a.mp4 is a video; videos need PyAV, which is not installed: pip install 'lightsr[video]'"
    )
    assert (alone.returncode, alone.stderr) == (2, f"lightsr: {hint}\n")
    only = upscale(".")
    assert only.returncode == 2
    assert "holds videos only, which need PyAV" in only.stderr
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    mixed = upscale("*")
    assert mixed.returncode == 0, mixed
    assert "1 videos are left out; for them: pip install" in mixed.stderr
    assert (tmp_path / "a_x2.png").exists()


def test_ctrl_c_says_where_it_goes_on(tmp_path: Path, weights: str) -> None:
    source = make_clip(tmp_path / "a.mp4", range(60))
    short = (
        "import sys; from lightsr.engine.video import run; run.SEGMENT = 12; "
        "from lightsr.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", short, "upscale", "a.mp4", "--weights", weights, "--ensemble"]
    work = tmp_path / ".lightsr-a_x2.mp4"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 60
        while not list(work.glob("*.segment")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert "frames are kept in .lightsr-a_x2.mp4; the same command goes on" in said
    assert not (tmp_path / "a_x2.mp4").exists()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "(128x48 -> 256x96, 60 frames, " in again.stderr
    assert "from a run before" in again.stderr
    assert shown(tmp_path / "a_x2.mp4") == shown(source)
    assert not work.exists()


def test_progress_has_rate_and_time_left(monkeypatch: Monkey, capsys: Captured) -> None:
    now = [0.0]
    monkeypatch.setattr("lightsr.cli.progress.monotonic", lambda: now[0])
    lines = Lines(1)
    lines.begin("a.mp4")
    for second in range(25):
        now[0] = second
        lines.frames(2 * second, 100, 2.0)
    now[0] = 60
    lines.frames(50, None, 2.0)
    assert capsys.readouterr().err.splitlines() == [
        "a.mp4: 22 of 100 frames, 2 fps, 0:00:39 left",
        "a.mp4: 44 of 100 frames, 2 fps, 0:00:28 left",
        "a.mp4: 50 frames, 2 fps",
    ]


def test_on_a_terminal_there_is_a_bar(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "a.mp4", range(60))
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "lightsr", "upscale", "a.mp4", "--weights", weights]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "--ensemble"], cwd=tmp_path, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        seen = b""
        try:
            while chunk := os.read(main, 65536):
                seen += chunk
        except OSError:
            pass  # how Linux says that the other end is closed
    os.close(main)
    assert process.returncode == 0
    assert b"fps" in seen
    assert b"/60" in seen
