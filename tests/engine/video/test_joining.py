"""What lies beside the enlarged stream: covers, words, other streams, and the order of decoding."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from graphs import Graph

pytest.importorskip("av")

import av
from clips import clicks, make_clip, shown
from PIL import Image

import lightsr
from lightsr.engine.fit import Fit
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import run_video
from lightsr.errors import VideoError


@pytest.fixture
def fit(graph: Graph) -> Fit:
    return Fit(2, None, None, {"weights": graph(2, kind="nearest")})


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), (9, 99, 199)).save(buffer, "jpeg")
    return buffer.getvalue()


def _with(bare: Path, target: Path, cover: bytes | None = None, words: Path | None = None) -> Path:
    """Write `bare` anew with a cover and subtitles in QuickTime's form."""
    with av.open(str(bare)) as source, av.open(str(target), "w") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        extra: list[tuple[Any, bytes, int, int]] = []
        if cover is not None:
            stream: Any = out.add_mux_stream("mjpeg", width=20, height=30)
            stream.disposition = 0x400
            extra.append((stream, cover, 0, 0))
        if words is not None:
            stream = out.add_mux_stream("mov_text", time_base=Fraction(1, 1000))
            extra.append((stream, b"\x00\x05Hello", 500, 500))
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
        for stream, data, start, length in extra:
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration, packet.is_keyframe = length, True
            out.mux(packet)
    return target


def test_covers_go_along(tmp_path: Path, fit: Fit) -> None:
    bare = make_clip(tmp_path / "bare.mp4", range(10), sound=clicks(1, [0.5]))
    source = _with(bare, tmp_path / "a.mp4", cover=_jpeg())
    with av.open(str(source)) as container:
        assert [s.type for s in container.streams] == ["video", "audio", "video"]
    for name in ("b.mp4", "b.mkv"):
        run_video(source, tmp_path / name, fit, VideoSettings())
        assert shown(tmp_path / name)[-1][0] == 9
        with av.open(str(tmp_path / name)) as container:
            (cover,) = [s for s in container.streams.video if int(s.disposition) & 0x400]
            (data,) = [bytes(packet) for packet in container.demux(cover) if packet.size]
            assert data == _jpeg()
    run_video(tmp_path / "b.mkv", tmp_path / "c.mkv", fit, VideoSettings())  # and once more


def test_quicktime_words_stay_in_quicktime(tmp_path: Path, fit: Fit) -> None:
    bare = make_clip(tmp_path / "bare.mp4", range(10))
    source = _with(bare, tmp_path / "a.mp4", words=tmp_path)
    run_video(source, tmp_path / "b.mp4", fit, VideoSettings())
    with av.open(str(tmp_path / "b.mp4")) as container:
        packets = [p for p in container.demux(container.streams.subtitles[0]) if p.size]
        assert b"\x00\x05Hello" in [bytes(packet) for packet in packets]
    with pytest.raises(VideoError, match=r"mkv cannot hold its subtitle \(mov_text\).*write mp4"):
        run_video(source, tmp_path / "b.mkv", fit, VideoSettings())
    assert not (tmp_path / "b.mkv").exists()


def test_no_frame_is_decoded_after_it_is_shown(tmp_path: Path, fit: Fit) -> None:
    """With frames stored out of order, over segments, at uneven times."""
    times = [n * n for n in range(40)]
    source = make_clip(tmp_path / "a.mp4", times, Fraction(1, 500))
    run_video(source, tmp_path / "b.mp4", fit, VideoSettings(preset="slow"))
    with av.open(str(tmp_path / "b.mp4")) as container:
        demuxed: Any = container.demux(container.streams.video[0])
        packets = [p for p in demuxed if p.size]
        decoded = [p.dts for p in packets]
        assert [p.pts for p in packets] != sorted(p.pts for p in packets)
        assert decoded == sorted(set(decoded))
        assert all(p.dts <= p.pts for p in packets)
        last = max(packets, key=lambda p: p.pts)
        assert last.duration > 0
    assert shown(tmp_path / "b.mp4") == shown(source)


def test_from_python(tmp_path: Path, graph: Graph) -> None:
    source = make_clip(tmp_path / "a.mp4", range(3))
    weights = graph(2, kind="nearest")
    with pytest.raises(VideoError, match="output="):
        lightsr.upscale(source, 2, weights=weights)
    written = lightsr.upscale(source, 2, weights=weights, output=tmp_path / "b.mkv")
    assert shown(written) == shown(source)
    with pytest.raises(lightsr.UserError, match="exists already"):
        lightsr.upscale(source, 2, weights=weights, output=tmp_path / "b.mkv")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_stays_open(tmp_path: Path, fit: Fit) -> None:
    source = make_clip(tmp_path / "a.mp4", range(3), sound=clicks(1, [0.1]))
    run_video(source, tmp_path / "b.mp4", fit, VideoSettings())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name in ("c.mp4", "d.mkv"):
        run_video(source, tmp_path / name, fit, VideoSettings())
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


@pytest.mark.slow
def test_memory_stays_within_its_bound(tmp_path: Path, graph: Graph) -> None:
    """Decoder and encoder included, for a clip that is enlarged to 1920x1080."""
    import subprocess
    import sys

    import numpy as np
    import psutil

    noise = np.random.default_rng(0).integers(0, 256, (540, 960, 3), np.uint8)
    source = make_clip(
        *(tmp_path / "a.mkv", range(50)),
        size=(540, 960),
        picture=lambda number: np.roll(noise, (3 * number, 5 * number), (0, 1)),
        options={"preset": "ultrafast"},
    )
    bound = 900 * 2**20
    command = [sys.executable, "-m", "lightsr", "upscale", str(source), "--memory", str(bound)]
    peak = 0
    with subprocess.Popen([*command, "--weights", str(graph(2, kind="nearest"))]) as process:
        while process.poll() is None:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    assert process.returncode == 0
    assert 200 * 2**20 < peak < bound, f"{peak / 2**20:.0f} MB"
