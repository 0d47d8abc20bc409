"""What a video is, before any of it is enlarged: size, colours, time, and what lies beside it."""

from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.engine.video.colour import (
    MATRICES,
    RGB,
    UNSPECIFIED,
    Coding,
    guessed_matrix,
)
from lightsr.engine.video.library import import_av, reason
from lightsr.errors import VideoError

_FULL_RANGE = 2
_NOT_SAID = (UNSPECIFIED, 3)
_CENTRED_CODECS = ("mpeg1video", "mjpeg", "theora")
_ATTACHED_PICTURE = 0x400
"""The disposition of a cover, which is stored as a video stream of one frame."""

_SUBSAMPLINGS = {
    (1, 1): ("444", (1, 1)),
    (2, 1): ("422", (2, 1)),
    (2, 2): ("420", (2, 2)),
    (4, 1): ("422", (2, 1)),  # finer than what there is rather than coarser
    (1, 2): ("444", (1, 1)),
    (4, 4): ("420", (2, 2)),
}
"""Names in pixel formats, and samples read, by luma samples for each chroma sample."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How frames are to be turned to be upright: transposed first, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return [h, w, c] upright, as a view."""
        turned = image.swapaxes(0, 1) if self.transpose else image
        return turned[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width after turning."""
        return (width, height) if self.transpose else (height, width)


@dataclass(frozen=True, slots=True)
class Clip:
    """What is known of a video before it is enlarged."""

    path: Path
    stream: int
    """Index of the stream that is enlarged."""
    stored: tuple[int, int]
    """Height and width of its frames as stored, before turning."""
    turn: Turn
    pixel_format: str
    """Planar format that its frames are taken as; FFmpeg's name."""
    coding: Coding
    primaries: int
    transfer: int
    """Colour primaries and transfer characteristics as H.273 numbers them; 2 is not said."""
    aspect: Fraction
    """Width of a pixel over its height, when upright."""
    rate: Fraction
    """Frames a second, on average."""
    time_base: Fraction
    """The unit of the frames' timestamps, in seconds."""
    frames: int | None
    """How many frames there are, by what the file says; None where it does not."""
    warnings: tuple[str, ...] = ()
    """What will be different in the enlarged video, in words."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its frames when upright."""
        return self.turn.size(*self.stored)


@contextmanager
def opened(path: Path) -> Generator[Any, None, None]:
    """Open a video for reading; a PyAV container.

    What FFmpeg refuses, here or within the block, becomes a `VideoError` naming the file. Only
    local files are read, whatever a playlist that is named like a video may say.
    """
    av = import_av(path)
    try:
        with av.open(
            f"file:{path}",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file"},
        ) as container:
            yield container
    except av.error.FFmpegError as error:
        raise VideoError(f"{path} cannot be read as a video: {reason(error)}") from error


def probe(path: Path) -> Clip:
    """Find out what a video is; its first frame is decoded.

    Raises `VideoError` for a file that holds no video, none that can be decoded, or one of
    colours that lightsr does not know.
    """
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty")
    with opened(path) as container:
        stream = _picked(container, path)
        frame = _first_frame(container, stream, path)
        pixel_format, coding = _coding(frame, stream, path)
        matrix = _display_matrix(frame)
        turn = _turn(matrix) or Turn()
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        return Clip(
            path=path,
            stream=stream.index,
            stored=(frame.height, frame.width),
            turn=turn,
            pixel_format=pixel_format,
            coding=coding,
            primaries=_said(frame.color_primaries),
            transfer=_said(frame.color_trc),
            aspect=1 / aspect if turn.transpose else aspect,
            rate=_rate(stream),
            time_base=stream.time_base,
            frames=_count(container, stream),
            warnings=tuple(_warnings(frame, container, stream, matrix)),
        )


def is_cover(stream: Any) -> bool:
    """Return whether a stream is a picture that is attached to the file, not a video."""
    return bool(int(stream.disposition) & _ATTACHED_PICTURE)


def _picked(container: Any, path: Path) -> Any:
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        raise VideoError(f"{path} holds no video")
    return max(videos, key=lambda stream: (int(stream.disposition) & 1, -stream.index))


def _first_frame(container: Any, stream: Any, path: Path) -> Any:
    av = import_av(path)
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame
        except av.error.InvalidDataError:
            continue
    raise VideoError(f"{path} holds no frame that can be decoded")


def _coding(frame: Any, stream: Any, path: Path) -> tuple[str, Coding]:
    """Return the planar pixel format to read frames in, and what its numbers mean."""
    kind = frame.format
    depth = max(component.bits for component in kind.components)
    centred = stream.codec_context.name in _CENTRED_CODECS
    full = kind.name.startswith("yuvj") or frame.color_range == _FULL_RANGE
    if kind.is_rgb or kind.name.startswith(("pal8", "bayer")):
        depth = next(bits for bits in (8, 10, 12, 16) if bits >= min(depth, 16))
        return _deep("gbrp", depth), Coding(RGB, True, depth)
    depth = next(bits for bits in (8, 10, 12, 16) if bits >= min(depth, 16))
    if len(kind.components) < 3:
        return _deep("gray", depth), Coding(UNSPECIFIED, full, depth, grey=True)
    matrix = frame.colorspace
    if matrix in _NOT_SAID:
        matrix = guessed_matrix(frame.width, frame.height)
    if matrix not in MATRICES or matrix == RGB:
        raise VideoError(
            f"{path} has colours that lightsr does not know (matrix coefficients {matrix} of "
            f"H.273); convert it to BT.709 first"
        )
    ratio = (16 // kind.chroma_width(16), 16 // kind.chroma_height(16))
    name, subsampling = _SUBSAMPLINGS[ratio]
    coding = Coding(matrix, full, depth, subsampling, centred=centred)
    return _deep(f"yuv{name}p", depth), coding


def _deep(name: str, depth: int) -> str:
    return name if depth == 8 else f"{name}{depth}le"


def _said(tag: int) -> int:
    return UNSPECIFIED if tag in _NOT_SAID else int(tag)


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    """Return the nine numbers that say how frames are to be turned."""
    try:
        data = frame.side_data["DISPLAYMATRIX"]
    except KeyError:
        return None
    return struct.unpack("=9i", bytes(data))


def _turn(matrix: tuple[int, ...] | None) -> Turn | None:
    """Return the turn by right angles that a display matrix asks for; None for any other."""
    if matrix is None:
        return Turn()
    x_of_x, y_of_x, _, x_of_y, y_of_y, *_ = matrix
    if x_of_y == y_of_x == 0 and x_of_x and y_of_y:
        return Turn(False, x_of_x < 0, y_of_y < 0)
    if x_of_x == y_of_y == 0 and x_of_y and y_of_x:
        return Turn(True, x_of_y < 0, y_of_x < 0)
    return None


def _rate(stream: Any) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or 25
    return Fraction(rate).limit_denominator(60_000) or Fraction(25)


def _count(container: Any, stream: Any) -> int | None:
    if stream.frames:
        return int(stream.frames)
    if stream.duration:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, 1_000_000)
    else:
        return None
    return max(1, round(seconds * _rate(stream)))


def _warnings(
    frame: Any, container: Any, stream: Any, matrix: tuple[int, ...] | None
) -> Generator[str, None, None]:
    kind = frame.format
    if len(kind.components) in (2, 4) or stream.metadata.get("alpha_mode") == "1":
        yield "its transparency is not kept; the colours under it are"
    if _turn(matrix) is None:
        yield "it is to be turned by an angle that is no right one, which is not done"
    side_data = {one.type.name for one in frame.side_data}
    if side_data & {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}:
        yield "its HDR colour tags are kept, but not the brightness that it was mastered at"
    if any(name.startswith(("DOVI", "DYNAMIC_HDR")) for name in side_data):
        yield "its Dolby Vision or HDR10+ layer is not kept"
    others = [one for one in container.streams.video if not is_cover(one)]
    if len(others) > 1:
        yield "of its video streams one is enlarged; the others are copied as they are"
