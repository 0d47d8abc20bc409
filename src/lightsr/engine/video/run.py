"""Enlarging a video from beginning to end.

Three things happen at the same time: frames are decoded ahead, the network enlarges one, and the
ones before are encoded. Encoding goes by segments that are kept until the video is whole, so that
a run that was interrupted goes on where it was; in the end they are joined.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import lightsr
from lightsr.engine import tiles
from lightsr.engine.fit import Fit
from lightsr.engine.overlap import Ahead, Behind
from lightsr.engine.sizes import Size
from lightsr.engine.upscaler import Upscaler
from lightsr.engine.video.clip import Clip, probe
from lightsr.engine.video.colour import Floats, Planes, to_rgb
from lightsr.engine.video.containers import CONTAINERS, Container, container_for
from lightsr.engine.video.encoding import (
    Encoding,
    SegmentEncoder,
    VideoSettings,
    choose_encoding,
    open_encoder,
)
from lightsr.engine.video.frames import Damage, Frame, frames_of
from lightsr.engine.video.joining import Times, check_join, join
from lightsr.engine.video.segments import State, WorkFolder, work_folder
from lightsr.errors import LightsrError, VideoError
from lightsr.images.picture import Picture
from lightsr.images.writing import check_place, final_path, making_folders, put_in_place, refusal
from lightsr.weights.catalogue import FOLDER

log = logging.getLogger("lightsr")

FramesDone = Callable[[int, "int | None", float], None]
"""Called as progress(frames done, frames altogether if known, frames a second)."""

SEGMENT = 120
"""Frames of a segment: what an interruption costs at the most. Each begins with a key frame."""
_AHEAD = 2
_BYTES_PER_PIXEL = 60
"""Memory for each enlarged pixel beside the network and the encoder: three frames as floats, and
what converting one takes."""
_BYTES_PER_SOURCE_PIXEL = 100
"""Memory for each pixel that is read: the decoder's frames, those waiting, and one as floats."""
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True)
class VideoDone:
    """What became of a video."""

    before: Size
    after: Size
    frames: int
    repeated: int
    """Frames that were equal to the one before, whose result was taken again."""
    kept: int
    """Frames whose result was there from a run before."""


@dataclass(slots=True)
class _Work:
    """A video being made."""

    clip: Clip
    container: Container
    encoding: Encoding
    upscaler: Upscaler
    size: Size | None
    folder: WorkFolder
    plan: tiles.Plan
    kept: int
    """Segments from a run before."""
    times: Times = field(default_factory=Times.none)
    damage: Damage = field(default_factory=Damage)
    repeated: int = 0


def run_video(
    source: Path,
    target: Path,
    fit: Fit,
    settings: VideoSettings,
    *,
    format: str | None = None,
    overwrite: bool = False,
    progress: FramesDone | None = None,
) -> VideoDone:
    """Enlarge a video and write it to `target`, whole or not at all.

    `format` is the container where the target's extension does not say it; else it is that of the
    source. Raises `VideoError` for a video that cannot be read or written so, `LightsrError` after
    writing what could be read of a damaged one, and what `Fit.for_size` and `Upscaler.plan` raise.
    """
    clip = probe(source)
    upscaler, size = fit.for_size(clip.size, str(source))
    named = format if format in CONTAINERS and not target.suffix else None
    container = container_for(target, named, source)
    high, wide = clip.size
    after = size or (high * upscaler.scale, wide * upscaler.scale)
    encoding, warnings = choose_encoding(clip, container, after, settings)
    check_place(target, source, overwrite)
    open_encoder(encoding)
    check_join(clip, container, encoding)
    for warning in (*clip.warnings, *warnings):
        log.warning("%s: %s", source, warning)
    final = final_path(target)
    state = _state(clip, encoding, fit, upscaler, size)
    try:
        with making_folders(final.parent), work_folder(final) as folder:
            plan, kept = _resumed(folder, state, clip, encoding, fit, upscaler, size)
            work = _Work(clip, container, encoding, upscaler, size, folder, plan, kept)
            _encode_all(work, progress)
            if _of_source(source) != state["source"]:
                raise VideoError(f"{source} has changed while it was being enlarged")
            _join_all(work, final, overwrite)
    except FileExistsError as error:
        raise VideoError(f"{target} has come into being meanwhile; it is left alone") from error
    except OSError as error:
        raise refusal(target, error) from error
    frames = len(work.times.starts)
    if work.damage:
        raise LightsrError(
            f"{source} is damaged: {work.damage}; {target} holds the {frames} frames that could "
            f"be read"
        )
    return VideoDone(clip.size, after, frames, work.repeated, min(frames, kept * SEGMENT))


def _encode_all(work: _Work, progress: FramesDone | None) -> None:
    """Enlarge and encode whatever is not there yet, and note all frames' times."""
    pending = _Segments(work.folder, work.encoding, work.kept)
    begun, made = perf_counter(), 0
    try:
        with (
            Ahead(frames_of(work.clip, work.damage), _AHEAD) as frames,
            Behind(pending.add, 1) as behind,
        ):
            for position, rgb in _enlarged(frames, work):
                if rgb is None:
                    begun = perf_counter()
                else:
                    behind.put(rgb)
                    made += 1
                if progress is not None:
                    rate = made / (perf_counter() - begun) if made else 0.0
                    progress(position + 1, work.clip.frames, rate)
        pending.finish()
    except BaseException as error:
        count = work.folder.count() * SEGMENT
        if count and not isinstance(error, Exception):  # Ctrl-C, and signals like it
            log.warning(
                "%s: %d frames are kept in %s; the same command goes on from there",
                *(work.clip.path, count, work.folder.path),
            )
        raise
    if not work.times.starts:
        raise VideoError(f"{work.clip.path} holds no frame that can be decoded")


def _enlarged(frames: Iterator[Frame], work: _Work) -> Iterator[tuple[int, Floats | None]]:
    """Yield each frame's position and result; None where it is encoded already.

    A frame that equals the one before gets the very same array.
    """
    before: Planes | None = None
    result: Floats | None = None
    for position, frame in enumerate(frames):
        work.times.add(frame.time, frame.duration)
        same = before is not None and _equal(before, frame.planes)
        if not same:
            result = None
        before = frame.planes
        if position < work.kept * SEGMENT:
            yield position, None
            continue
        if result is None:
            result = _enlarge(frame.planes, work, position)
        else:
            work.repeated += 1
        yield position, result


def _equal(some: Planes, others: Planes) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def _enlarge(planes: Planes, work: _Work, position: int) -> Floats:
    picture = _picture(planes, work.clip, f"{work.clip.path}, frame {position + 1}")
    bands = list(work.upscaler.bands(picture, work.plan, work.size))
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def _picture(planes: Planes, clip: Clip, name: str) -> Picture:
    upright = np.ascontiguousarray(clip.turn(to_rgb(planes, clip.coding)))
    return Picture.from_array(upright, source=name)


class _Segments:
    """Takes enlarged frames in order and keeps every full segment of them."""

    def __init__(self, folder: WorkFolder, encoding: Encoding, number: int) -> None:
        self._folder, self._encoding, self.number = folder, encoding, number
        self._encoder: SegmentEncoder | None = None
        self._frames = 0

    def add(self, rgb: Floats) -> None:
        """Encode the next frame."""
        if self._encoder is None:
            self._encoder = SegmentEncoder(self._encoding, self.number * SEGMENT)
        self._encoder.add(rgb)
        self._frames += 1
        if self._frames == SEGMENT:
            self.finish()

    def finish(self) -> None:
        """Keep what there is of the segment that was begun."""
        if self._encoder is not None:
            self._folder.put(self.number, self._encoder.finish())
            self._encoder, self._frames = None, 0
            self.number += 1


def _join_all(work: _Work, target: Path, overwrite: bool) -> None:
    """Put the segments together and give the result its name; then they are not needed."""
    frames = len(work.times.starts)
    count = -(-frames // SEGMENT)
    if sorted(work.folder.positions(count)) != list(range(frames)):
        work.folder.clear(but=("lock",))
        raise LightsrError(
            f"{work.clip.path}: the kept segments do not fit the video; they are thrown away, so "
            f"start again"
        )
    joined = work.folder.path / f"joined.{work.container.name}"
    positions, packets = work.folder.positions(count), work.folder.packets(count)
    join(work.clip, work.container, work.encoding, work.times, positions, packets, joined)
    put_in_place(joined, target, overwrite)
    work.folder.clear(but=("lock",))


def _resumed(
    folder: WorkFolder,
    state: State,
    clip: Clip,
    encoding: Encoding,
    fit: Fit,
    upscaler: Upscaler,
    size: Size | None,
) -> tuple[tiles.Plan, int]:
    """Return how frames are cut into tiles and how many segments are there from a run before.

    Without a bound on memory the former run's tiles are taken, however much is free now: networks
    with global statistics give others in other tiles.
    """
    there = folder.state()
    if there is not None and {**there, "plan": None} == state and fit.options.get("memory") is None:
        return tiles.plan_from(there["plan"]), folder.count()
    plan = _plan(clip, encoding, upscaler, size)
    wanted = {**state, "plan": json.loads(json.dumps(asdict(plan)))}
    if there == wanted:
        return plan, folder.count()
    if there is not None and folder.count():
        log.warning(
            "%s: what an earlier run kept was made of another source or with other options; "
            "this one begins anew",
            clip.path,
        )
    folder.begin(wanted)
    return plan, 0


def _plan(clip: Clip, encoding: Encoding, upscaler: Upscaler, size: Size | None) -> tiles.Plan:
    """Decide once, for all frames, with what decoding and encoding take left free."""
    high, wide = clip.size
    height, width = encoding.size
    reserve = high * wide * _BYTES_PER_SOURCE_PIXEL
    reserve += height * width * (_BYTES_PER_PIXEL + encoding.bytes_per_pixel)
    channels = 1 if clip.coding.grey else 3
    like = Picture.from_array(np.zeros((high, wide, channels), np.float32), source=str(clip.path))
    return upscaler.plan(like, size, reserve)


def _state(
    clip: Clip, encoding: Encoding, fit: Fit, upscaler: Upscaler, size: Size | None
) -> State:
    """Return everything that the segments depend on but the tiles, as JSON has it."""
    backend, options = upscaler.backend, fit.options
    weights = Path(options.get("weights", "default"))
    known = weights if weights.is_file() else FOLDER / "catalogue.json"
    state: dict[str, Any] = {
        "version": lightsr.__version__,
        "source": _of_source(clip.path),
        "network": [backend.network, backend.scale, backend.name, backend.device],
        "precision": backend.precision,
        "weights": [str(options.get("weights")), hashlib.sha256(known.read_bytes()).hexdigest()],
        "tile": options.get("tile"),
        "ensemble": options.get("ensemble"),
        "size": size,
        "encoding": asdict(encoding),
        "segment": SEGMENT,
        "plan": None,
    }
    return json.loads(json.dumps(state, default=str))


def _of_source(path: Path) -> list[Any]:
    """Return what changes with a file: its size, its time, and its beginning and end."""
    status = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, status.st_size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return [status.st_size, status.st_mtime_ns, digest.hexdigest()]
