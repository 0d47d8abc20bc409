"""Doing one job: read a picture, enlarge it, write it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import perf_counter

from lightsr.engine.fit import Fit
from lightsr.engine.jobs import Job
from lightsr.engine.sizes import Size
from lightsr.engine.upscaler import Progress
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


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """How results are written; see `write_picture`."""

    format: str | None = None
    quality: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UserError(f"the quality must lie in 1..100, not {self.quality}")


def run_job(job: Job, fit: Fit, settings: WriteSettings, progress: Progress | None = None) -> Done:
    """Enlarge the picture of a job and write it where the job says, whole or not at all.

    Raises `PictureError` for a picture that cannot be read, enlarged or written, and what
    `Fit.for_picture` and `Upscaler.upscale_picture` raise.
    """
    start = perf_counter()
    picture = _read(job)
    upscaler, size = fit.for_picture(picture)
    before = (picture.height, picture.width)
    after = size or (picture.height * upscaler.scale, picture.width * upscaler.scale)
    bands = upscaler.upscale_picture(picture, size, progress)
    written = write_picture(
        bands,
        after,
        picture,
        job.target,
        format=settings.format,
        quality=settings.quality,
        overwrite=settings.overwrite,
    )
    if written is not None:
        _write_to_pipe(written)
    return Done(before, after, perf_counter() - start)


def _read(job: Job) -> Picture:
    if job.source is not None:
        return read_picture(job.source)
    return read_picture(sys.stdin.buffer.read(), job.name)


def _write_to_pipe(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PictureError(f"standard output cannot be written to: {error.strerror}") from error
