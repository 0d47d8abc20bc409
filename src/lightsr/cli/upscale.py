"""`lightsr upscale`: enlarge pictures and videos, folders of them, or what comes through a pipe."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lightsr.cli.options import (
    Backend,
    Device,
    Ensemble,
    Height,
    Model,
    Overwrite,
    Part,
    Precision,
    Quality,
    Quiet,
    Tiling,
    WantedScale,
    Weights,
    Width,
)
from lightsr.cli.progress import Reporter, before_the_first, reporter
from lightsr.cli.reporting import FAILURE, print_line, say
from lightsr.errors import LightsrError, UserError

if TYPE_CHECKING:
    from lightsr.engine.crew import Result
    from lightsr.engine.fit import Fit
    from lightsr.engine.jobs import Job, Jobs
    from lightsr.engine.run import Done, WriteSettings
    from lightsr.engine.upscaler import Tile
    from lightsr.engine.video.run import VideoDone


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures and videos: files, folders with all below them, globs, or - for a "
            "picture from standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file for one input file, else a folder; - is standard output. "
            "Left out, results lie beside the inputs as NAME_x4.",
        ),
    ] = None,
    scale: WantedScale = None,
    width: Width = None,
    height: Height = None,
    model: Model = None,
    weights: Weights = "default",
    backend: Backend = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Tiling = "auto",
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Memory to use, like 2G; half of what is free if left out."
        ),
    ] = None,
    ensemble: Ensemble = False,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="png|jpg|mp4|mkv|...",
            help="Format to write: png, jpg, webp, tiff, avif; mp4, m4v, mov, mkv, webm, avi. The "
            "input's own if left out.",
        ),
    ] = None,
    quality: Quality = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Codec of videos: h264, hevc, av1, vp9, ffv1, prores, mpeg4, or an encoder of "
            "FFmpeg's.",
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(metavar="N", help="Constant rate factor of videos: lower is better."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The video encoder's preset, like slow or fast."),
    ] = None,
    shard: Part = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Enlarge pictures and videos.

    Everything else about a picture stays: bit depth, grey, alpha, colour profile, metadata; about
    a video its times, sound, subtitles, chapters, colours. A run that was interrupted goes on
    where it was, since results appear whole.
    """
    from lightsr.engine.crew import run_jobs
    from lightsr.engine.fit import Fit
    from lightsr.engine.jobs import plan_jobs
    from lightsr.engine.run import WriteSettings
    from lightsr.engine.shard import Shard
    from lightsr.engine.video.encoding import VideoSettings
    from lightsr.engine.video.library import HINT

    _require_no_terminal(inputs, output)
    with before_the_first(quiet=quiet):
        fit = Fit(
            scale,
            width,
            height,
            {
                "model": model,
                "weights": weights,
                "backend": backend,
                "device": device,
                "precision": precision,
                "tile": parse_tile(tile),
                "ensemble": ensemble,
                "memory": memory,
            },
        )
    suffix = _suffix(fit.scale, width, height)
    settings = WriteSettings(format, quality, overwrite, VideoSettings(codec, crf, preset))
    part = None if shard is None else Shard.parse(shard)
    jobs = plan_jobs(inputs, output, suffix=suffix, format=format, overwrite=overwrite, shard=part)
    failures: list[str] = []
    try:
        with reporter(len(jobs.todo), quiet=quiet) as to:
            if jobs.elsewhere:
                here = jobs.done + len(jobs.todo)
                to.note(f"shard {shard} has {here} of {here + jobs.elsewhere} {_kinds(jobs)}")
            if jobs.done:
                to.note(
                    f"{jobs.done} of {jobs.done + len(jobs.todo)} {_kinds(jobs)} have their output "
                    f"already; --overwrite makes them anew"
                )
            if jobs.left_out:
                to.note(f"{jobs.left_out} videos are left out; for them: {HINT}")
            with_bars = partial(_alone, fit=fit, to=to, settings=settings)
            for result in run_jobs(jobs.todo, fit, settings, with_bars):
                _tell(result, to, failures if not jobs.single else None)
    finally:
        if failures:
            say(f"{len(failures)} of {len(jobs.todo)} {_kinds(jobs)} failed:")
        for failure in failures:
            print_line(f"  {failure}")
    return FAILURE if failures else 0


def _alone(job: Job, fit: Fit, to: Reporter, settings: WriteSettings) -> Done:
    """Do a job, and show how far it is."""
    from lightsr.engine.run import run_job

    to.begin(job.name)
    return run_job(job, fit, settings, to.tiles, to.frames)


def _tell(result: Result, to: Reporter, failures: list[str] | None) -> None:
    """Say what became of a job; add what failed to a list, or raise it where there is none."""
    job, outcome = result.job, result.outcome
    if not isinstance(outcome, Exception):
        to.finish(_about(job, outcome))
        return
    to.finish(None)
    if failures is None or isinstance(outcome, BrokenPipeError):
        raise outcome
    known = isinstance(outcome, LightsrError)
    failures.append(str(outcome) if known else f"{job.name}: {type(outcome).__name__}: {outcome}")


def _about(job: Job, done: Done) -> str:
    (high, wide), (higher, wider) = done.before, done.after
    target = "standard output" if job.target is None else job.target
    sizes = f"{wide}x{high} -> {wider}x{higher}"
    frames = "" if done.video is None else f"{_about_frames(done.video)}, "
    return f"{job.name} -> {target} ({sizes}, {frames}{done.seconds:.1f} s)"


def _about_frames(done: VideoDone) -> str:
    text = f"{done.frames} frames"
    if done.repeated:
        text += f", {done.repeated} of them repeated"
    if done.kept:
        text += f", {done.kept} from a run before"
    return text


def _kinds(jobs: Jobs) -> str:
    videos = sum(job.is_video for job in jobs.todo)
    if not videos:
        return "pictures"
    return "videos" if videos == len(jobs.todo) else "pictures and videos"


def _suffix(scale: int | None, width: int | None, height: int | None) -> str:
    """Return what the names of results beside their inputs end in."""
    if scale is not None:
        return f"_x{scale}"
    if width and height:
        return f"_{width}x{height}"
    return f"_w{width}" if width else f"_h{height}"


def parse_tile(text: str) -> Tile:
    """Return what `--tile` says. Raises `UserError`."""
    if text.isdecimal():
        return int(text)
    if text == "auto" or text == "off":
        return text
    raise UserError(f"--tile must be auto, off or a number of pixels, not {text!r}")


def _require_no_terminal(inputs: list[str], output: str | None) -> None:
    """Raise where a picture would be typed in, or shown as bytes on the screen."""
    from lightsr.engine.jobs import PIPE

    if PIPE in inputs and sys.stdin.isatty():
        raise UserError("standard input is a terminal; send a picture into it, as in: < FILE")
    if (output == PIPE or (PIPE in inputs and output is None)) and sys.stdout.isatty():
        raise UserError("standard output is a terminal; send it on, as in: > FILE, or give -o FILE")
