"""`lightsr cluster upscale`: enlarge folders and object stores of pictures over Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lightsr.cli.options import (
    Backend,
    Ensemble,
    Height,
    Model,
    Part,
    Precision,
    Quality,
    Quiet,
    Tiling,
    WantedScale,
    Weights,
    Width,
)
from lightsr.cli.progress import before_the_first, reporter
from lightsr.cli.reporting import FAILURE, print_line, say
from lightsr.cli.upscale import parse_tile

_SHOWN = 10
"""Failures that are printed; all of them are in the report."""


def upscale(
    input: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Pictures: a folder with all below it, a glob, or s3://, gs://, az:// with a "
            "prefix or glob.",
        ),
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="A folder or prefix for the results.")
    ],
    scale: WantedScale = None,
    width: Width = None,
    height: Height = None,
    model: Model = None,
    weights: Weights = "default",
    backend: Backend = "auto",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where; cuda gives each worker a GPU.")
    ] = "auto",
    precision: Precision = "auto",
    tile: Tiling = "auto",
    ensemble: Ensemble = False,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="png|jpg|...",
            help="Format to write: png, jpg, webp, tiff, avif. The input's own if left out.",
        ),
    ] = None,
    quality: Quality = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="A Ray cluster that is running; left out, Ray is started on this machine.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that enlarge; 0: as many as have room.")
    ] = 0,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of each.")] = 1,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Memory of each; half of what is free is shared if left out."
        ),
    ] = None,
    shard: Part = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where failures go; .lightsr/ in OUTPUT if left out."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make everything anew, over what is there.")
    ] = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what Ray logs.")] = False,
) -> int:
    """Enlarge pictures over Ray, on this machine or a cluster. Needs the extra "cluster".

    A run that was interrupted goes on where it was; pictures whose source or options have changed
    are done again.
    """
    from lightsr.cluster.run import Counts
    from lightsr.cluster.run import upscale as run
    from lightsr.cluster.settings import Enlarging, Sharing
    from lightsr.engine.shard import Shard

    enlarging = Enlarging(
        scale=scale,
        width=width,
        height=height,
        model=model,
        weights=weights,
        backend=backend,
        device=device,
        precision=precision,
        tile=parse_tile(tile),
        ensemble=ensemble,
        format=format,
        quality=quality,
    )
    sharing = Sharing(
        address=address,
        workers=workers,
        threads=threads,
        memory=memory,
        shard=None if shard is None else Shard.parse(shard),
        overwrite=overwrite,
        report=report,
        verbose=verbose,
    )
    failures: list[str] = []

    def failed(_name: str, reason: str) -> None:
        if len(failures) < _SHOWN:
            failures.append(reason)

    with before_the_first(quiet=quiet), reporter(0, quiet=quiet) as to:

        def tell(counts: Counts) -> None:
            to.many(counts.accounted, counts.total, counts.rate)

        counts = run(input, output, enlarging, sharing, tell, failed)
        kept = f", {counts.kept} were done before" if counts.kept else ""
        to.note(f"{counts.done} pictures done{kept}")
    if counts.failed:
        say(f"{counts.failed} of {counts.accounted} pictures failed:")
        for failure in failures:
            print_line(f"  {failure}")
        if counts.failed > len(failures):
            print_line(f"  and {counts.failed - len(failures)} more, which are in the report")
    return FAILURE if counts.failed else 0
