"""Videos from end to end, on clips whose frames say their number."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph

pytest.importorskip("av")

import av
from clips import HEIGHT, WIDTH, burnt, clicks, heard, make_clip, shown

from lightsr.engine.fit import Fit
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import VideoDone, run_video
from lightsr.errors import LightsrError, UserError, VideoError

Enlarge = Callable[..., VideoDone]
VARIABLE = [0, 3, 4, 20, 21, 22, 50, 51, 90, 91, 150]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "webm", "avi"])
def test_every_container_keeps_frames_times_and_sound(
    tmp_path: Path, enlarge: Enlarge, ending: str
) -> None:
    sound = clicks(3, [0.5, 1.5, 2.5])
    codecs = {"webm": ("libvpx-vp9", "libopus"), "avi": ("mpeg4", "libmp3lame")}
    codec, sound_codec = codecs.get(ending, ("libx264", "aac"))
    source = make_clip(
        tmp_path / f"a.{ending}", range(30), sound=sound, codec=codec, sound_codec=sound_codec
    )
    target = tmp_path / f"b.{ending}"
    done = enlarge(source, target)
    assert (done.before, done.after, done.frames) == (
        *((HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH), 30),
    )
    assert [number for number, _ in shown(target)] == list(range(30))
    assert shown(target) == shown(source)
    assert heard(target) == heard(source)
    assert len(heard(target)) == 3


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize(
    "time_base", [Fraction(1, 1000), Fraction(1001, 30_000), Fraction(1, 90_000)]
)
def test_variable_rates_keep_every_time(
    tmp_path: Path, enlarge: Enlarge, ending: str, time_base: Fraction
) -> None:
    step = max(1, round(Fraction(1, 100) / time_base))
    times = [step * time for time in VARIABLE]
    source = make_clip(tmp_path / f"a.{ending}", times, time_base)
    enlarge(source, tmp_path / f"b.{ending}")
    assert shown(tmp_path / f"b.{ending}") == shown(source)
    assert [number for number, _ in shown(source)] == list(range(len(times)))


def test_from_one_container_to_another(tmp_path: Path, enlarge: Enlarge) -> None:
    """Matroska counts milliseconds from zero, which is where AAC's run-in begins then."""
    sound = clicks(2, [0.5, 1.5])
    source = make_clip(tmp_path / "a.mp4", range(20), Fraction(1001, 30_000), sound=sound)
    enlarge(source, tmp_path / "b.mkv")
    run_in = Fraction(1024, 48_000)
    for (_, before), (_, after) in zip(shown(source), shown(tmp_path / "b.mkv"), strict=True):
        assert abs(before + run_in - after) <= Fraction(1, 1000)
    later = [time + float(run_in) for time in heard(source)]
    assert heard(tmp_path / "b.mkv") == pytest.approx(later, abs=1.5e-3)
    enlarge(tmp_path / "b.mkv", tmp_path / "c.mp4")
    assert shown(tmp_path / "c.mp4") == shown(tmp_path / "b.mkv")


def test_a_video_that_starts_late_starts_late(tmp_path: Path, enlarge: Enlarge) -> None:
    sound = clicks(3, [0.5, 2.0])
    for ending in ("mp4", "mkv"):
        source = make_clip(tmp_path / f"a.{ending}", range(7, 27), sound=sound)
        enlarge(source, tmp_path / f"b.{ending}")
        assert shown(source)[0] == (0, Fraction(7, 10))
        assert shown(tmp_path / f"b.{ending}") == shown(source)
        assert heard(tmp_path / f"b.{ending}") == heard(source)


def test_avi_refuses_variable_rates_before_any_work(tmp_path: Path, enlarge: Enlarge) -> None:
    source = make_clip(tmp_path / "a.mkv", VARIABLE, Fraction(1, 100))
    with pytest.raises(VideoError, match=r"variable frame rate, which avi cannot hold; write mkv"):
        enlarge(source, tmp_path / "b.avi")


def test_equal_frames_are_not_computed_again(tmp_path: Path, graph: Graph) -> None:
    source = make_clip(
        tmp_path / "a.mkv", range(12), codec="ffv1", picture=lambda number: burnt(number // 4)
    )
    fit = Fit(2, None, None, {"weights": graph(2, kind="nearest")})
    upscaler, _ = fit.for_size((HEIGHT, WIDTH), "")
    seen: list[Any] = []
    run = upscaler.backend.run
    upscaler.backend.run = lambda batch: seen.append(1) or run(batch)  # type: ignore[method-assign]
    done = run_video(source, tmp_path / "b.mkv", fit, VideoSettings(codec="ffv1"))
    assert (done.frames, done.repeated, len(seen)) == (12, 9, 3)
    assert [number for number, _ in shown(tmp_path / "b.mkv")] == [n // 4 for n in range(12)]


def test_chapters_titles_subtitles_fonts_and_languages_are_copied(
    tmp_path: Path, enlarge: Enlarge
) -> None:
    bare = make_clip(tmp_path / "bare.mkv", range(20), sound=clicks(2, [1]))
    source = tmp_path / "a.mkv"
    _add_extras(bare, source)
    target = tmp_path / "b.mkv"
    enlarge(source, target)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert after.metadata["title"] == "A clip"
        assert [(c["start"], c["metadata"]) for c in after.chapters()] == [
            (c["start"], c["metadata"]) for c in before.chapters()
        ]
        assert len(after.chapters()) == 2
        assert after.streams.audio[0].language == "fra"
        assert after.streams.audio[0].disposition == before.streams.audio[0].disposition
        (font,) = after.streams.attachments
        assert (font.name, font.data) == ("font.ttf", b"not really a font")
        said = [
            [bytes(packet) for packet in one.demux(one.streams.subtitles[0]) if packet.size]
            for one in (before, after)
        ]
        assert said[0] == said[1]
        assert len(said[0]) == 1


def _add_extras(bare: Path, target: Path) -> None:
    subtitles = target.with_suffix(".srt")
    subtitles.write_text("1\n00:00:00,500 --> 00:00:01,000\nHello\n")
    with (
        av.open(str(bare)) as source,
        av.open(str(subtitles)) as words,
        av.open(str(target), "w") as out,
    ):
        out.metadata["title"] = "A clip"
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        copies[1].metadata["language"] = "fra"
        lines = out.add_stream_from_template(words.streams[0], opaque=True)
        out.add_attachment("font.ttf", "font/ttf", b"not really a font")
        out.set_chapters([_chapter(1, 0, 900), _chapter(2, 900, 2000)])
        for packet in words.demux():
            if packet.size:
                packet.stream = lines
                out.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)


def _chapter(number: int, start: int, end: int) -> Any:
    title = {"title": f"Chapter {number}"}
    unit = Fraction(1, 1000)
    return {"id": number, "start": start, "end": end, "time_base": unit, "metadata": title}


def test_streams_that_a_container_cannot_hold_are_refused(tmp_path: Path, enlarge: Enlarge) -> None:
    source = make_clip(tmp_path / "a.mp4", range(5), sound=clicks(1, [0.2]))
    with pytest.raises(VideoError, match=r"a.mp4: webm cannot hold its audio \(aac\)"):
        enlarge(source, tmp_path / "b.webm")
    with pytest.raises(VideoError, match=r"webm cannot hold what libx264 makes"):
        enlarge(make_clip(tmp_path / "c.mp4"), tmp_path / "b.webm", VideoSettings(codec="h264"))
    assert not (tmp_path / "b.webm").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (VideoSettings(codec="h246"), "did you mean 'h264'"),
        (VideoSettings(codec="aac"), "no video codec is named 'aac'"),
        (VideoSettings(crf=99), "crf of libx264 lies in 0..51, not 99"),
        (VideoSettings(codec="ffv1", crf=3), "ffv1 has no crf"),
        (VideoSettings(codec="mpeg4", preset="slow"), "mpeg4 has no preset"),
        (VideoSettings(preset="quick"), "libx264 does not take .* preset quick"),
    ],
)
def test_settings_are_checked_before_any_work(
    tmp_path: Path, enlarge: Enlarge, settings: VideoSettings, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        enlarge(make_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", settings)
    assert not (tmp_path / "b.mp4").exists()


def _policy() -> int:
    """Return how the system schedules this thread, where it says so."""
    return os.sched_getscheduler(0) if sys.platform == "linux" else 0


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1", "prores", "mpeg4"])
def test_every_codec_family_works(
    tmp_path: Path, enlarge: Enlarge, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip(tmp_path / "a.mkv", range(6))
    policy = _policy()
    enlarge(source, tmp_path / "b.mkv", VideoSettings(codec=codec))
    assert shown(tmp_path / "b.mkv") == shown(source)
    assert capfd.readouterr() == ("", "")
    # SVT-AV1 would make it real-time where root runs it.
    assert _policy() == policy


def test_broken_files_are_one_error_each(tmp_path: Path, enlarge: Enlarge) -> None:
    whole = make_clip(tmp_path / "a.mp4", range(30)).read_bytes()
    broken = tmp_path / "broken.mp4"
    for content, words in (
        (b"", "is empty"),
        (b"no video at all" * 40, "cannot be read as a video"),
        (whole[: len(whole) // 3], "cannot be read as a video"),
    ):
        broken.write_bytes(content)
        with pytest.raises(VideoError, match=f"broken.mp4 {words}"):
            enlarge(broken, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(clicks(1, [0.5])[np.newaxis], "s16", "mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))  # type: ignore[union-attr]
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="holds no video"):
        enlarge(tmp_path / "sound.mp4", tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize("ending", ["mkv", "avi", "mp4"])
def test_of_a_truncated_video_what_is_there_is_made(
    tmp_path: Path, enlarge: Enlarge, ending: str
) -> None:
    rng = np.random.default_rng(0)
    source = make_clip(
        *(tmp_path / f"a.{ending}", range(60)),
        codec="mpeg4",
        picture=lambda number: burnt(number, rng.integers(0, 256, 3).tolist()),
        setup=lambda container, _: container.container_options.update(
            {"movflags": "faststart"} if ending == "mp4" else {}
        ),
    )
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(LightsrError, match=r"damaged: .*frames that could be read"):
        enlarge(source, tmp_path / f"b.{ending}")
    numbers = [number for number, _ in shown(tmp_path / f"b.{ending}")]
    assert 10 < len(numbers) < 60
    assert numbers[:10] == list(range(10))
