"""Reading the frames of a video in the order they are shown in, each with its time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lightsr.engine.video.clip import Clip, opened
from lightsr.engine.video.colour import Planes
from lightsr.engine.video.library import import_av

log = logging.getLogger("lightsr")

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2",)
"""Demuxers that know from the start how many packets the file should hold."""
_TOLERANCE = 1
"""Seconds that a file may be shorter than it says: durations are rounded, or of another stream."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame, before turning."""

    planes: Planes = field(repr=False)
    time: int
    """When it is shown, in the clip's time base; strictly ascending."""
    duration: int
    """How long, in the clip's time base; 0 where the file does not say."""


@dataclass(slots=True)
class Damage:
    """What could not be read of a video, found out on the way."""

    packets: int = 0
    cut: bool = False
    """Whether the file ends before it should."""

    def __bool__(self) -> bool:
        return self.cut or self.packets > 0

    def __str__(self) -> str:
        parts = ["the file ends too early"] if self.cut else []
        if self.packets:
            some = "packet" if self.packets == 1 else "packets"
            parts.append(f"{self.packets} {some} cannot be decoded")
        return " and ".join(parts)


def frames_of(clip: Clip, damage: Damage) -> Iterator[Frame]:
    """Yield every frame that can be read; what cannot is noted in `damage`.

    Interlaced frames are deinterlaced (BWDIF, one frame for each), with one warning. Frames of
    another size than the first are brought to that one, with one warning.
    """
    with opened(clip.path) as container:
        stream = container.streams[clip.stream]
        stream.thread_type = "AUTO"
        decoded = _deinterlaced(_decoded(container, stream, clip, damage), clip)
        last, length, warned = None, 0, False
        for frame in decoded:
            if not warned and (frame.height, frame.width) != clip.stored:
                log.warning("%s: its frames change size; all get that of the first", clip.path)
                warned = True
            time = frame.pts
            if time is None:
                time = 0 if last is None else last + (length or _usual(clip))
            if last is not None and time <= last:
                time = last + 1
            last, length = time, max(0, int(frame.duration or 0))
            yield Frame(_planes(frame, clip), time, length)
        if last is not None:
            end = (last + (length or _usual(clip))) * clip.time_base
            damage.cut = damage.cut or _ends_early(container, end, clip)


def _ends_early(container: Any, end: Fraction, clip: Clip) -> bool:
    """Return whether a file ends well before the time that it says itself.

    `end` is where its video ends; where that is early, sound may still go on to the end.
    """
    if container.duration is None:
        return False
    expected = Fraction((container.start_time or 0) + container.duration, 1_000_000) - _TOLERANCE
    if end >= expected:
        return False
    with opened(clip.path) as again:
        return all(
            (packet.pts + (packet.duration or 0)) * packet.time_base < expected
            for packet in again.demux()
            if packet.pts is not None and packet.stream.index != clip.stream
        )


def _usual(clip: Clip) -> int:
    """Return the duration of a frame at the average rate, in the clip's time base."""
    return max(1, round(1 / (clip.rate * clip.time_base)))


def _decoded(container: Any, stream: Any, clip: Clip, damage: Damage) -> Iterator[Any]:
    av = import_av(clip.path)
    packets = container.demux(stream)
    read = 0
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            damage.cut = True
            packet = None
        if packet is None:
            break
        read += packet.size > 0
        damage.packets += bool(packet.is_corrupt)
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            damage.packets += not packet.is_corrupt
    if damage.cut:
        yield from _rest(stream, av)
    if container.format.name in _INDEXED and read < stream.frames:
        damage.cut = True


def _rest(stream: Any, av: Any) -> Iterator[Any]:
    """Yield what the decoder holds back, after an error kept its end from being told."""
    try:
        yield from stream.decode(None)
    except (av.error.EOFError, av.error.InvalidDataError):
        return


def _deinterlaced(frames: Iterator[Any], clip: Clip) -> Iterator[Any]:
    """Send frames through a deinterlacer from the first one on that is interlaced."""
    graph = None
    for frame in frames:
        if graph is None and frame.interlaced_frame:
            log.warning("%s: it is interlaced; it is deinterlaced first", clip.path)
            graph = _Deinterlacer(frame, clip)
        if graph is None:
            yield frame
        else:
            yield from graph.push(frame)
    if graph is not None:
        yield from graph.push(None)


class _Deinterlacer:
    """FFmpeg's BWDIF, one frame out for each one in; frames that are not interlaced pass."""

    def __init__(self, first: Any, clip: Clip) -> None:
        self._av = import_av(clip.path)
        self._clip = clip
        import av.filter

        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format,
            time_base=clip.time_base,
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def push(self, frame: Any) -> Iterator[Any]:
        """Put a frame in, or None after the last, and yield those that are ready."""
        self._graph.vpush(frame)
        while True:
            try:
                ready = self._graph.vpull()
            except (self._av.error.BlockingIOError, self._av.error.EOFError):
                return
            unit = Fraction(ready.time_base or self._clip.time_base) / self._clip.time_base
            if ready.pts is not None:
                ready.pts = round(ready.pts * unit)
            ready.duration = round((ready.duration or 0) * unit)
            yield ready


def _planes(frame: Any, clip: Clip) -> Planes:
    """Return a copy of a frame's samples, in the clip's pixel format and size."""
    height, width = clip.stored
    name = frame.format.name.replace("yuvj", "yuv")
    if (frame.height, frame.width) != clip.stored:
        frame = frame.reformat(width=width, height=height, format=clip.pixel_format)
    elif name != clip.pixel_format:
        frame = frame.reformat(format=clip.pixel_format)
    kind = np.dtype(np.uint8) if clip.coding.depth == 8 else np.dtype("<u2")
    planes: list[np.ndarray[Any, Any]] = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
        planes.append(rows[: plane.height, : plane.width].copy())
    return tuple(planes)
