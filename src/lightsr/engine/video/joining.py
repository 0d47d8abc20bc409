"""Putting the enlarged video together with everything that lay beside the original one.

Nothing is encoded again here. Every frame gets the time that it had; sound, subtitles, fonts,
covers, chapters and titles are copied.
"""

from __future__ import annotations

import errno
import io
import logging
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from lightsr.engine.machine import scheduling_kept
from lightsr.engine.video.clip import Clip, is_cover, opened
from lightsr.engine.video.containers import Container
from lightsr.engine.video.encoding import Encoding, Packet
from lightsr.engine.video.library import import_av, reason
from lightsr.errors import VideoError

log = logging.getLogger("lightsr")

_OF_THE_FILE = (
    *("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "software"),
)
"""Metadata that describe the old file, and not what is in it; in lower case."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_MADE_ANEW = ("tmcd", "text")
"""Data streams of QuickTime that FFmpeg makes again from timecode and chapters."""


@dataclass(slots=True)
class Times:
    """When each frame is shown and for how long, in the clip's time base."""

    starts: array[int]
    durations: array[int]

    @staticmethod
    def none() -> Times:
        """Return the times of no frames."""
        return Times(array("q"), array("q"))

    def add(self, start: int, duration: int) -> None:
        """Note the next frame."""
        self.starts.append(start)
        self.durations.append(duration)

    def duration(self, position: int, usual: int) -> int:
        """Return how long a frame is shown: until the next, or as the file says of the last."""
        if position + 1 < len(self.starts):
            return self.starts[position + 1] - self.starts[position]
        return self.durations[position] or usual


def check_join(clip: Clip, container: Container, encoding: Encoding) -> None:
    """Raise `VideoError` where the container cannot hold the clip's streams, before any work.

    The header is written into memory for that. A constant frame rate is looked for where the
    container needs one.
    """
    with opened(clip.path) as source:
        output = _Output(io.BytesIO(), clip, container, encoding, source)
        output.start()
        output.abandon()
    if not container.variable:
        _require_steady(clip, container)


def join(
    clip: Clip,
    container: Container,
    encoding: Encoding,
    times: Times,
    positions: Iterable[int],
    packets: Iterator[Packet],
    target: Path,
) -> None:
    """Write the whole video to `target`, which must not exist.

    `packets` are those of all frames in the order of decoding, `positions` their positions once
    more. Raises `VideoError` for what FFmpeg refuses, `OSError` for disks.
    """
    av = import_av(clip.path)
    with opened(clip.path) as source:
        try:
            output = _Output(f"file:{target}", clip, container, encoding, source)
            output.start()
            output.write(_timed(times, positions, packets, clip, container), source)
            output.container.close()
        except (av.error.OSError, OSError) as error:
            raise OSError(error.errno, error.strerror) from error
        except av.error.FFmpegError as error:
            raise VideoError(f"{target} cannot be written: {reason(error)}") from error


@dataclass(frozen=True, slots=True)
class _Timed:
    packet: Packet
    shown: int
    decoded: int
    duration: int


def _timed(
    times: Times,
    positions: Iterable[int],
    packets: Iterator[Packet],
    clip: Clip,
    container: Container,
) -> Iterator[_Timed]:
    """Give every packet its times, in units of `_unit`.

    Times of decoding are those of showing, as much earlier as the order of decoding needs: no
    frame is decoded after it is shown.
    """
    starts = times.starts
    usual = max(1, round(1 / (clip.rate * clip.time_base)))
    if not container.variable:
        starts = array("q", _steady(starts, clip))
        times, usual = Times(starts, array("q", [1] * len(starts))), 1
    order = array("q", positions)
    delay = max((number - position for number, position in enumerate(order)), default=0)
    for number, packet in enumerate(packets):
        earlier = number - delay
        decoded = starts[earlier] if earlier >= 0 else starts[0] + earlier * usual
        duration = times.duration(packet.position, usual)
        yield _Timed(packet, starts[packet.position], decoded, duration)


def _unit(clip: Clip, container: Container) -> Fraction:
    """Return the unit of the written frames' times, in seconds."""
    return clip.time_base if container.variable else 1 / clip.rate


def _steady(starts: Sequence[int], clip: Clip) -> list[int]:
    """Return times as numbers of frames at the clip's rate."""
    return [round(start * clip.time_base * clip.rate) for start in starts]


def _require_steady(clip: Clip, container: Container) -> None:
    with opened(clip.path) as source:
        stream = source.streams[clip.stream]
        starts = sorted(packet.pts for packet in source.demux(stream) if packet.pts is not None)
    for start, number in zip(starts, _steady(starts, clip), strict=True):
        off = abs(start * clip.time_base * clip.rate - number)
        if off > Fraction(1, 10) + clip.time_base * clip.rate:
            raise VideoError(
                f"{clip.path} has a variable frame rate, which {container.name} cannot hold; "
                f"write mkv or mp4"
            )


class _Output:
    """The file being written: the enlarged stream, and the others as they were."""

    def __init__(
        self,
        file: str | io.BytesIO,
        clip: Clip,
        container: Container,
        encoding: Encoding,
        source: Any,
    ) -> None:
        self._av = import_av(clip.path)
        self._clip, self._container, self._encoding = clip, container, encoding
        self.container: Any = self._av.open(file, "w", format=container.muxer)
        # No random numbers, dates or versions: equal input, equal file.
        self.container.flags |= self._av.container.Flags.bitexact.value
        self.container.metadata.update(_lasting(source.metadata))
        self._copied: dict[int, Any] = {}
        for stream in source.streams:
            if stream.index == clip.stream:
                self._video = self._add_video(stream)
            else:
                self._add_copy(stream)
        chapters = source.chapters()
        if chapters:
            self.container.set_chapters(chapters)

    def start(self) -> None:
        """Write the header."""
        try:
            with scheduling_kept():  # It opens an encoder, for its headers alone.
                self.container.start_encoding()
        except (self._av.error.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in _OF_THE_DISK:
                raise
            raise VideoError(
                f"{self._clip.path}: {self._container.name} cannot hold its streams "
                f"({reason(error)}); write mkv"
            ) from error

    def abandon(self) -> None:
        """Close without a care for what was written."""
        try:
            self.container.close()
        except self._av.error.FFmpegError:
            return

    def write(self, frames: Iterator[_Timed], source: Any) -> None:
        """Write all packets, those of the copied streams among the frames by their times."""
        unit = _unit(self._clip, self._container)
        waiting = next(frames, None)
        for packet in source.demux(*self._copied_from(source)) if self._copied else ():
            stamp = packet.dts if packet.dts is not None else packet.pts
            if packet.size == 0:
                continue
            while (
                waiting is not None
                and stamp is not None
                and waiting.decoded * unit <= stamp * packet.time_base
            ):
                self._mux_frame(waiting, unit)
                waiting = next(frames, None)
            packet.stream = self._copied[packet.stream.index]
            self.container.mux_one(packet)
        while waiting is not None:
            self._mux_frame(waiting, unit)
            waiting = next(frames, None)

    def _copied_from(self, source: Any) -> list[Any]:
        return [source.streams[index] for index in self._copied]

    def _mux_frame(self, frame: _Timed, unit: Fraction) -> None:
        packet = self._av.Packet(frame.packet.data)
        packet.stream = self._video
        packet.time_base = unit
        packet.pts, packet.dts = frame.shown, frame.decoded
        packet.duration = frame.duration
        packet.is_keyframe = frame.packet.is_key
        self.container.mux_one(packet)

    def _add_video(self, stream: Any) -> Any:
        encoding = self._encoding
        try:
            added = self.container.add_stream(encoding.encoder, rate=encoding.rate)
        except ValueError as error:
            raise VideoError(
                f"{self._container.name} cannot hold what {encoding.encoder} makes; choose "
                f"another --codec, or write mkv"
            ) from error
        encoding.configure(added.codec_context)
        if encoding.encoder == "libx265" and self._container.muxer in ("mp4", "mov"):
            added.codec_context.codec_tag = "hvc1"  # what Apple's players ask for
        added.time_base = _unit(self._clip, self._container)
        added.disposition = int(stream.disposition)
        added.metadata.update(_lasting(stream.metadata, but=("rotate", "alpha_mode")))
        return added

    def _add_copy(self, stream: Any) -> None:
        kind, muxer = stream.type, self._container.muxer
        if kind == "data":
            if stream.codec_tag not in _MADE_ANEW:
                self._leave_out("a stream of data")
        elif kind == "attachment":
            self._attach(stream.name, stream.mimetype, stream.data)
        elif kind == "video" and is_cover(stream) and muxer not in ("mp4", "mov"):
            self._attach(*_cover(stream))
        else:
            self._copied[stream.index] = self._add_like(stream)

    def _add_like(self, stream: Any) -> Any:
        try:
            added = self.container.add_stream_from_template(stream, opaque=True)
        except (ValueError, self._av.error.FFmpegError) as error:
            codec = stream.codec_context.name if stream.codec_context else "unknown"
            raise VideoError(
                f"{self._clip.path}: {self._container.name} cannot hold its {stream.type} "
                f"({codec}) unchanged; write {'mp4' if codec == 'mov_text' else 'mkv'}"
            ) from error
        added.disposition = int(stream.disposition)
        added.metadata.update(_lasting(stream.metadata))
        return added

    def _attach(self, name: str | None, mimetype: str | None, data: bytes) -> None:
        if self._container.muxer != "matroska":
            self._leave_out(f"what is attached to it ({name})")
            return
        self.container.add_attachment(
            name or "attachment", mimetype or "application/octet-stream", data
        )

    def _leave_out(self, what: str) -> None:
        log.warning(
            "%s: %s is left out, since %s cannot hold it",
            *(self._clip.path, what, self._container.name),
        )


def _cover(stream: Any) -> tuple[str, str, bytes]:
    """Return name, media type and bytes of a cover."""
    kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
    name = stream.metadata.get("filename", f"cover.{'jpg' if kind == 'jpeg' else kind}")
    with opened(Path(stream.container.name.removeprefix("file:"))) as again:
        packet = next(iter(again.demux(again.streams[stream.index])))
        return name, stream.metadata.get("mimetype", f"image/{kind}"), bytes(packet)


def _lasting(metadata: dict[str, str], but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the metadata that are as true of the new file as of the old one."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OF_THE_FILE
        and key not in but
        and not key.upper().startswith(("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION"))
    }
