"""Doing one job: read a picture or a video, enlarge it, write it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from lightsr.engine.backends.base import Pixels
from lightsr.engine.fit import Fit
from lightsr.engine.jobs import Job
from lightsr.engine.sizes import Size
from lightsr.engine.tiles import Progress
from lightsr.engine.video.containers import CONTAINERS
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import FramesDone, VideoDone, run_video
from lightsr.errors import PictureError, UserError
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture
from lightsr.images.writing import write_picture


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job: sizes are height and width."""

    before: Size
    after: Size
    seconds: float
    video: VideoDone | None = None
    """What there is to say of a video beside."""


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """How results are written; see `write_picture`."""

    format: str | None = None
    quality: int | None = None
    overwrite: bool = False
    video: VideoSettings = field(default_factory=VideoSettings)

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UserError(f"the quality must lie in 1..100, not {self.quality}")


def run_job(
    job: Job,
    fit: Fit,
    settings: WriteSettings,
    progress: Progress | None = None,
    frames: FramesDone | None = None,
) -> Done:
    """Enlarge the picture or video of a job and write it where the job says, whole or not at all.

    `progress` is told of a picture's tiles, `frames` of a video's frames. Raises `PictureError`
    for a picture that cannot be read, enlarged or written, what `Fit.for_picture` and
    `Upscaler.upscale_picture` raise, and for videos what `run_video` does.
    """
    start = perf_counter()
    if job.is_video:
        assert job.source is not None
        assert job.target is not None
        video = run_video(
            job.source,
            job.target,
            fit,
            settings.video,
            format=settings.format,
            overwrite=settings.overwrite,
            progress=frames,
        )
        return Done(video.before, video.after, perf_counter() - start, video)
    source = sys.stdin.buffer.read() if job.source is None else job.source
    done, content = enlarge(source, job.name, job.target, fit, settings, progress)
    if content is not None:
        _write_to_pipe(content)
    return done


def enlarge(
    source: Path | bytes,
    name: str,
    target: Path | None,
    fit: Fit,
    settings: WriteSettings,
    progress: Progress | None = None,
) -> tuple[Done, bytes | None]:
    """Enlarge a picture, called `name`, from a file or its bytes into a file, or into bytes.

    Returns the bytes where `target` is None. Raises as `run_job` does.
    """
    start = perf_counter()
    picture = read_picture(source, name, memory=fit.memory())
    upscaler, size = fit.for_picture(picture)
    before = (picture.height, picture.width)
    after = size or (picture.height * upscaler.scale, picture.width * upscaler.scale)
    bands = upscaler.upscale_picture(picture, size, progress)
    content = _written(bands, after, picture, target, settings, fit.memory())
    return Done(before, after, perf_counter() - start), content


def read(job: Job, memory: int) -> Picture:
    """Read the picture of a job in `memory` bytes. Raises `PictureError`."""
    if job.source is not None:
        return read_picture(job.source, memory=memory)
    return read_picture(sys.stdin.buffer.read(), job.name, memory=memory)


def write(
    job: Job,
    bands: Iterable[Pixels],
    size: Size,
    like: Picture,
    settings: WriteSettings,
    memory: int,
) -> None:
    """Write bands of rows that make up a picture of `size` where a job says, in `memory` bytes.

    Raises `PictureError` as `write_picture` does.
    """
    written = _written(bands, size, like, job.target, settings, memory)
    if written is not None:
        _write_to_pipe(written)


def _written(
    bands: Iterable[Pixels],
    size: Size,
    like: Picture,
    target: Path | None,
    settings: WriteSettings,
    memory: int,
) -> bytes | None:
    return write_picture(
        bands,
        size,
        like,
        target,
        format=None if settings.format in CONTAINERS else settings.format,
        quality=settings.quality,
        overwrite=settings.overwrite,
        memory=memory,
    )


def _write_to_pipe(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PictureError(f"standard output cannot be written to: {error.strerror}") from error
