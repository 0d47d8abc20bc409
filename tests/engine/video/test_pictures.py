"""What becomes of a video's pictures: colours, depth, rotation, sides, formats, fields, alpha."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph

pytest.importorskip("av")

import av
from clips import HEIGHT, WIDTH, burnt, first_frame, make_clip, shown

from lightsr.engine.fit import Fit
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import VideoDone, run_video

Enlarge = Callable[..., VideoDone]


@pytest.mark.parametrize(
    ("matrix", "range_", "pixel_format", "expected"),
    [
        (1, 1, "yuv420p", 1),
        (6, 1, "yuv420p", 6),
        (6, 2, "yuv420p", 6),
        (1, 2, "yuv444p", 1),
        (9, 1, "yuv420p10le", 9),
        (2, 1, "yuv422p", 6),  # small and untagged: BT.601, and from then on it says so
    ],
)
def test_colours_keep_their_codes_and_tags(
    tmp_path: Path,
    enlarge: Enlarge,
    matrix: int,
    range_: int,
    pixel_format: str,
    expected: int,
) -> None:
    """An enlarged flat colour has the very codes that the original one has."""
    codes = (120, 90, 200) if "10" not in pixel_format else (480, 360, 800)

    def tag(_: Any, stream: Any) -> None:
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, range_
        context.color_primaries, context.color_trc = (9, 16) if matrix == 9 else (matrix, matrix)
        context.sample_aspect_ratio = Fraction(4, 3)

    source = make_clip(
        tmp_path / "a.mkv",
        range(3),
        codec="libx264",
        options={"qp": "0", "crf": "0"},
        pixel_format=pixel_format,
        picture=lambda _: _coded(codes, pixel_format),
        setup=tag,
    )
    before, _ = first_frame(source)
    for ending in ("mkv", "mp4"):
        target = tmp_path / f"b.{ending}"
        enlarge(source, target, VideoSettings(codec="h264", crf=0))
        after, aspect = first_frame(target)
        assert after.format.name.replace("yuvj", "yuv") == pixel_format
        for plane, code in zip(after.planes, codes, strict=True):
            kind = "<u2" if "10" in pixel_format else "u1"
            assert abs(int(np.median(np.frombuffer(plane, kind))) - code) <= 1
        assert (after.colorspace, after.color_range) == (expected, range_)
        tags = (before.color_primaries, before.color_trc)
        assert (after.color_primaries, after.color_trc) == tags
        assert aspect == Fraction(4, 3)


def _coded(codes: tuple[int, ...], pixel_format: str) -> Any:
    frame: Any = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    for plane, code in zip(frame.planes, codes, strict=True):
        np.frombuffer(plane, "<u2" if "10" in pixel_format else "u1")[:] = code
    return frame


def test_ten_bits_stay_ten_bits(tmp_path: Path, enlarge: Enlarge) -> None:
    """A ramp of 10 bit codes that differ by one keeps its steps."""

    def ramp(_: int) -> Any:
        frame = _coded((500, 512, 512), "yuv420p10le")
        rows = np.frombuffer(frame.planes[0], "<u2").reshape(HEIGHT, -1)
        rows[:, :WIDTH] = 400 + np.arange(WIDTH)
        return frame

    source = make_clip(
        *(tmp_path / "a.mkv", range(2)), codec="ffv1", pixel_format="yuv420p10le", picture=ramp
    )
    enlarge(source, tmp_path / "b.mkv", VideoSettings(codec="ffv1"))
    after, _ = first_frame(tmp_path / "b.mkv")
    assert after.format.name == "yuv420p10le"
    rows = np.frombuffer(after.planes[0], "<u2").reshape(2 * HEIGHT, -1)
    np.testing.assert_array_equal(rows[5, : 2 * WIDTH], (400 + np.arange(WIDTH)).repeat(2))


def test_ten_bits_where_the_codec_has_eight(
    tmp_path: Path, enlarge: Enlarge, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(tmp_path / "a.mkv", range(2), codec="ffv1", pixel_format="yuv420p10le")
    enlarge(source, tmp_path / "b.mkv", VideoSettings(codec="mpeg4"))
    assert "mpeg4 writes 8 bits, not 10" in caplog.text
    default = enlarge(source, tmp_path / "c.mkv")
    assert default.frames == 2
    assert first_frame(tmp_path / "c.mkv")[0].format.name == "yuv420p10le"


@pytest.mark.parametrize(
    ("degrees", "hflip"), [(0, False), (90, False), (180, False), (270, False), (0, True)]
)
def test_rotated_videos_come_out_upright(
    tmp_path: Path, enlarge: Enlarge, degrees: int, hflip: bool
) -> None:
    """The same frame as FFmpeg's own turning gives, and no matrix left."""
    red_corner = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    red_corner[: HEIGHT // 2, : WIDTH // 4] = (250, 0, 0)

    def turn(_: Any, stream: Any) -> None:
        stream.set_display_rotation(degrees, hflip=hflip)
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    source = make_clip(tmp_path / "a.mp4", range(2), picture=lambda _: red_corner, setup=turn)
    frame, _ = first_frame(source)
    assert hflip or frame.rotation % 360 == degrees
    done = enlarge(source, tmp_path / "b.mp4")
    after, aspect = first_frame(tmp_path / "b.mp4")
    assert after.rotation == 0
    with pytest.raises(KeyError):
        after.side_data["DISPLAYMATRIX"]
    image = after.to_ndarray(format="rgb24").astype(int)
    expected = np.rot90(red_corner[:, ::-1] if hflip else red_corner, degrees // 90)
    assert (done.before, image.shape[:2]) == (
        *(expected.shape[:2], (2 * expected.shape[0], 2 * expected.shape[1])),
    )
    assert np.abs(image[::2, ::2] - expected).mean() < 6
    quarter = degrees in (90, 270)
    assert aspect == (Fraction(2, 3) if quarter else Fraction(3, 2))


def test_odd_sides_are_made_even(
    tmp_path: Path, graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(tmp_path / "a.mp4", range(3))
    fit = Fit(None, 201, None, {"weights": graph(2, kind="nearest")})
    done = run_video(source, tmp_path / "b.mp4", fit, VideoSettings())
    assert done.after == (75, 201)
    assert "doubled for 202x76" in caplog.text
    frame, _ = first_frame(tmp_path / "b.mp4")
    assert (frame.height, frame.width) == (76, 202)


@pytest.mark.parametrize("pixel_format", ["gray", "bgr0", "yuv411p", "yuv440p"])
def test_other_pixel_formats_look_the_same(
    tmp_path: Path, enlarge: Enlarge, pixel_format: str
) -> None:
    grey = pixel_format == "gray"
    colour = (90, 90, 90) if grey else (200, 80, 40)
    source = make_clip(
        *(tmp_path / "a.mkv", range(3)),
        codec="ffv1",
        pixel_format=pixel_format,
        picture=lambda number: burnt(number, colour),
    )
    enlarge(source, tmp_path / "b.mkv")
    before, after = (
        first_frame(tmp_path / name)[0].to_ndarray(format="rgb24") for name in ("a.mkv", "b.mkv")
    )
    assert np.abs(after[-20:, ::2].astype(int)[::2] - before[-10:].astype(int)).max() <= 5
    assert shown(tmp_path / "b.mkv") == shown(source)


def test_interlaced_videos_are_deinterlaced(
    tmp_path: Path, enlarge: Enlarge, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(
        *(tmp_path / "a.mkv", range(12)),
        options={"x264-params": "tff=1"},
        setup=lambda _, stream: setattr(
            stream.codec_context, "flags", stream.codec_context.flags | 0x20040000
        ),
    )
    frame, _ = first_frame(source)
    assert frame.interlaced_frame
    enlarge(source, tmp_path / "b.mkv")
    assert caplog.text.count("interlaced") == 1 or "deinterlaced first" in caplog.text
    assert [time for _, time in shown(tmp_path / "b.mkv")] == [time for _, time in shown(source)]
    assert not first_frame(tmp_path / "b.mkv")[0].interlaced_frame


def test_transparency_is_told_of(
    tmp_path: Path, enlarge: Enlarge, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(tmp_path / "a.mkv", range(2), codec="ffv1", pixel_format="yuva420p")
    enlarge(source, tmp_path / "b.mkv")
    assert "transparency is not kept" in caplog.text
