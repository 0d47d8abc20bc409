"""`lightsr degrade`: exact low-resolution pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lightsr.cli.options import Border, Overwrite, Quiet
from lightsr.errors import LightsrError, UserError

if TYPE_CHECKING:
    from lightsr.engine.jobs import Job


def degrade(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Pictures: files, folders with all below, globs."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.")
    ],
    scale: Annotated[int, typer.Option(metavar="S", help="How many times smaller.")],
    border: Annotated[
        Border,
        typer.Option(
            metavar="symmetric|replicate",
            help="How the picture goes on beyond its edge: as in newer or in older MATLAB.",
        ),
    ] = "symmetric",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Make low-resolution PNG pictures exactly as MATLAB's imresize(..., 'bicubic') does.

    Pictures are cropped to multiples of the scale first, from the top left. Bit depth and number
    of channels stay. Folders keep their structure.
    """
    from lightsr.cli.progress import reporter
    from lightsr.cli.reporting import FAILURE, say
    from lightsr.engine.jobs import plan_jobs

    if scale < 1:
        raise UserError(f"pictures cannot be made {scale} times smaller; the scale is at least 1")
    # The slash says that it is a folder, even for one picture.
    jobs = plan_jobs(inputs, f"{output}/", suffix="", format="png", overwrite=overwrite)
    failures: list[LightsrError] = []
    with reporter(len(jobs.todo), quiet=quiet) as to:
        if jobs.done:
            to.note(f"{jobs.done} pictures have their output already; --overwrite makes them anew")
        for job in jobs.todo:
            to.begin(job.name)
            try:
                to.finish(_do(job, scale, border, overwrite=overwrite))
            except LightsrError as error:
                to.finish(None)
                if jobs.single:
                    raise
                failures.append(error)
    if failures:
        say(f"{len(failures)} of {len(jobs.todo)} pictures failed:")
        for failure in failures:
            say(failure)
    return FAILURE if failures else 0


def _do(job: Job, scale: int, border: Border, *, overwrite: bool) -> str:
    from lightsr.evaluation.degraded import degrade_file

    if job.source is None or job.target is None:
        raise UserError("degrade works on files, not on standard input")
    height, width = degrade_file(job.source, job.target, scale, border, overwrite=overwrite)
    return f"{job.name} -> {job.target} ({width}x{height})"
