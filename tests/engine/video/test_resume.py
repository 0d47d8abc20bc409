"""Runs that are interrupted, and gone on with, end with the file of one that was not."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph

pytest.importorskip("av")

from clips import burnt, clicks, make_clip, shown

from lightsr.engine.fit import Fit
from lightsr.engine.video import run as module
from lightsr.engine.video.encoding import Packet, VideoSettings
from lightsr.engine.video.run import run_video
from lightsr.engine.video.segments import WorkFolder, folder_of, work_folder
from lightsr.errors import UserError, VideoError

SLOW = """
import sys, time
from pathlib import Path
from lightsr.cli.app import run
from lightsr.engine import upscaler
from lightsr.engine.video import run as video

video.SEGMENT = 12
bands = upscaler.Upscaler.bands
def slowly(self, *rest):
    time.sleep(0.02)
    return bands(self, *rest)
upscaler.Upscaler.bands = slowly
sys.exit(run(["upscale", *sys.argv[1:]]))
"""


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT", 12)


@pytest.fixture
def fit(graph: Graph) -> Fit:
    return Fit(2, None, None, {"weights": graph(2)})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 frames, some of them equal, at times of their own."""
    times = [10 * n + (n % 3) for n in range(70)]
    return make_clip(
        *(tmp_path_factory.mktemp("source") / "a.mp4", times),
        picture=lambda n: burnt(n - n % 2 if 30 < n < 50 else n, (n * 2, 90, 200 - n)),
        sound=clicks(7, [1.0, 3.0, 6.0]),
    )


@pytest.mark.parametrize("codec", ["h264", pytest.param("vp9", marks=pytest.mark.slow)])
def test_after_kills_at_random_moments_not_a_bit_differs(
    tmp_path: Path, source: Path, fit: Fit, graph: Graph, codec: str
) -> None:
    whole = tmp_path / "whole.mkv"
    run_video(source, whole, fit, VideoSettings(codec=codec))
    target = tmp_path / "b.mkv"
    command = [sys.executable, "-c", SLOW, str(source), "-o", str(target), "--codec", codec]
    command += ["--weights", str(graph(2))]
    rng = random.Random(codec)
    for kills_left in (2, 1, 0):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            if kills_left:
                _wait_for_another_segment(target, rng)
                process.send_signal(signal.SIGKILL)
            resumed = process.stderr.read().decode()
            assert target.exists() == (kills_left == 0)
            if not kills_left:
                assert "from a run before" in resumed
    assert target.read_bytes() == whole.read_bytes()
    assert shown(target)[10:] != []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mkv", "whole.mkv"]


def _wait_for_another_segment(target: Path, rng: random.Random) -> None:
    """Wait until one more segment is there, and a random while."""
    before = len(list(folder_of(target).glob("*.segment")))
    deadline = time.monotonic() + 60
    while len(list(folder_of(target).glob("*.segment"))) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(rng.random() * 0.2)


def _stopped_after(fit: Fit, source: Path, target: Path, frames: int, **options: Any) -> None:
    """Run, and press Ctrl-C after a number of frames."""

    def press(done: int, count: int | None, rate: float) -> None:
        if done == frames:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_video(source, target, fit, VideoSettings(**options), progress=press)
    assert not target.exists()


def test_ctrl_c_keeps_full_segments_and_says_so(
    tmp_path: Path, source: Path, fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "b.mp4"
    _stopped_after(fit, source, target, 10)
    assert list(tmp_path.iterdir()) == []
    _stopped_after(fit, source, target, 40)
    assert "frames are kept" in caplog.text
    assert [path.name for path in folder_of(target).glob("*.part")] == []
    done = run_video(source, target, fit, VideoSettings())
    assert (done.frames, done.kept) == (70, 36)
    assert list(tmp_path.iterdir()) == [target]
    run_video(source, tmp_path / "c.mp4", fit, VideoSettings())
    assert target.read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_other_options_or_another_source_begin_anew(
    tmp_path: Path, source: Path, fit: Fit, graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    target, own = tmp_path / "b.mp4", tmp_path / "own.mp4"
    shutil.copy2(source, own)
    _stopped_after(fit, own, target, 40)
    assert run_video(own, target, fit, VideoSettings(crf=30)).kept == 0
    assert "begins anew" in caplog.text
    target.unlink()

    _stopped_after(fit, own, target, 40)
    other = Fit(2, None, None, {"weights": graph(2, kind="nearest")})
    assert run_video(own, target, other, VideoSettings()).kept == 0
    target.unlink()

    _stopped_after(fit, own, target, 40)
    make_clip(own, range(70))
    assert run_video(own, target, fit, VideoSettings()).kept == 0
    target.unlink()

    _stopped_after(fit, own, target, 40)
    bounded = Fit(2, None, None, {"weights": graph(2), "memory": "8G"})
    assert run_video(own, target, bounded, VideoSettings()).kept == 36  # nothing differs by it


def test_a_damaged_segment_is_made_again(tmp_path: Path, source: Path, fit: Fit) -> None:
    target = tmp_path / "b.mp4"
    _stopped_after(fit, source, target, 40)
    second = folder_of(target) / "000001.segment"
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    assert run_video(source, target, fit, VideoSettings()).kept == 12
    run_video(source, tmp_path / "c.mp4", fit, VideoSettings())
    assert target.read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_a_full_disk_is_one_line_and_keeps_what_was_made(
    tmp_path: Path, source: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = WorkFolder.put

    def full(work: WorkFolder, number: int, packets: Iterable[Packet]) -> None:
        if number == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(work, number, packets)

    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, "put", full)
        with pytest.raises(UserError, match=r"b.mp4 cannot be written: no space left on the disk"):
            run_video(source, tmp_path / "b.mp4", fit, VideoSettings())
    assert run_video(source, tmp_path / "b.mp4", fit, VideoSettings()).kept == 24


def test_two_at_once_are_told(tmp_path: Path, source: Path, fit: Fit) -> None:
    with work_folder(tmp_path / "b.mp4"), pytest.raises(VideoError, match="by another lightsr"):
        run_video(source, tmp_path / "b.mp4", fit, VideoSettings())
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_changes_meanwhile_gives_nothing(
    tmp_path: Path, source: Path, fit: Fit
) -> None:
    own = tmp_path / "own.mp4"
    shutil.copy2(source, own)

    def change(done: int, count: int | None, rate: float) -> None:
        if done == 30:
            with own.open("ab") as file:
                file.write(b"more")

    with pytest.raises(VideoError, match="has changed"):
        run_video(own, tmp_path / "b.mp4", fit, VideoSettings(), progress=change)
    assert not (tmp_path / "b.mp4").exists()


def test_segments_keep_what_they_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    packets = [Packet(n, n == 0, rng.bytes(int(rng.integers(0, 99)))) for n in (0, 2, 1, 3)]

    def halves() -> Iterator[list[Packet]]:
        yield packets[:3]
        yield packets[3:]

    with work_folder(tmp_path / "ü.mp4") as work:
        for number, some in enumerate(halves()):
            assert work.count() == number
            work.put(number, some)
        assert list(work.packets(2)) == packets
        assert list(work.positions(2)) == [0, 2, 1, 3]
        path = work.path
    assert path.exists()
    with work_folder(tmp_path / "ü.mp4") as work:
        assert work.count() == 2
        work.clear()
    assert list(tmp_path.iterdir()) == []


def test_long_names_fit(tmp_path: Path, source: Path, fit: Fit) -> None:
    target = tmp_path / f"{'ä' * 125}.mp4"
    run_video(source, target, fit, VideoSettings())
    assert list(tmp_path.iterdir()) == [target]
