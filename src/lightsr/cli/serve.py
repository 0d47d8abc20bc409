"""`lightsr serve`: enlarging over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lightsr.cli.options import Backend, Device, Precision
from lightsr.cli.reporting import say
from lightsr.errors import BackendError, UserError
from lightsr.server.settings import Settings

_USUAL = Settings()
_TOKEN = "LIGHTSR_SERVE_TOKEN"


def serve(
    host: Annotated[
        str, typer.Option(metavar="H", help="Address to listen on; 0.0.0.0 is all of them.")
    ] = _USUAL.host,
    port: Annotated[
        int, typer.Option(metavar="P", help="Port to listen on; 0 is any.")
    ] = _USUAL.port,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Network where a request names none."),
    ] = _USUAL.model,
    backend: Backend = _USUAL.backend,
    device: Device = _USUAL.device,
    precision: Precision = _USUAL.precision,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that enlarge; 0: two.")
    ] = _USUAL.workers,
    threads: Annotated[
        int,
        typer.Option(metavar="N", help="Threads of each; 0 shares the cores out."),
    ] = _USUAL.threads,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory of each, like 2G; left out, half of what is free is shared out.",
        ),
    ] = _USUAL.memory,
    queue: Annotated[int, typer.Option(metavar="N", help="Pictures that may wait.")] = _USUAL.queue,
    upload_bytes: Annotated[str, typer.Option(metavar="SIZE", help="Largest upload.")] = "64M",
    upload_seconds: Annotated[
        float,
        typer.Option(metavar="S", help="Time for a request to arrive."),
    ] = _USUAL.upload_seconds,
    input_pixels: Annotated[
        int,
        typer.Option(metavar="N", help="Most pixels of an original."),
    ] = _USUAL.input_pixels,
    output_pixels: Annotated[
        int,
        typer.Option(metavar="N", help="Most pixels of a result."),
    ] = _USUAL.output_pixels,
    job_seconds: Annotated[
        float,
        typer.Option(metavar="S", help="Time that a picture may take."),
    ] = _USUAL.job_seconds,
    keep_seconds: Annotated[
        float,
        typer.Option(metavar="S", help="How long results of jobs are kept."),
    ] = _USUAL.keep_seconds,
    keep_bytes: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Most of them together."),
    ] = "2G",
    grace_seconds: Annotated[
        float,
        typer.Option(metavar="S", help="Time to finish in when told to stop."),
    ] = _USUAL.grace_seconds,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"File with the token that clients must send; {_TOKEN} may hold it instead.",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Site whose pages may use the API; repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="H", help="Name that the server may be addressed by; repeatable."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where temporary files lie.")
    ] = None,
    access_log: Annotated[
        bool,
        typer.Option("--access-log", help="Log every request."),
    ] = False,
) -> None:
    """Offer enlarging over HTTP, with a web page. Needs the extra "serve".

    Ctrl-C and SIGTERM end it when what it works on is finished.
    """
    from lightsr.engine.backends.choose import Choice
    from lightsr.engine.machine import parse_memory

    Choice(model, "default", backend, device, precision).check()
    settings = Settings(
        host=host,
        port=port,
        model=model,
        backend=backend,
        device=device,
        precision=precision,
        workers=workers,
        threads=threads,
        memory=memory,
        queue=queue,
        upload_bytes=parse_memory(upload_bytes),
        upload_seconds=upload_seconds,
        input_pixels=input_pixels,
        output_pixels=output_pixels,
        job_seconds=job_seconds,
        keep_seconds=keep_seconds,
        keep_bytes=parse_memory(keep_bytes),
        grace_seconds=grace_seconds,
        token=_token(token_file),
        origins=tuple(origin or ()),
        hosts=tuple(allow_host or ()),
        folder=folder,
        access_log=access_log,
    )
    try:
        from lightsr.server import run
    except ImportError as error:
        raise BackendError(
            f"serving needs {error.name}, which is not installed: pip install 'lightsr[serve]'"
        ) from error
    run.serve(settings, lambda address: _announce(address, settings))


def _announce(address: str, settings: Settings) -> None:
    share = settings.share()
    typer.echo(
        f"lightsr serves at {address} ({share.workers} workers, {share.threads} threads each)"
    )
    if settings.token is None and not settings.on_loopback:
        say(f"everybody who reaches this address may use it; set {_TOKEN} to prevent that")


def _token(file: Path | None) -> str | None:
    given = os.environ.get(_TOKEN)
    if file is None:
        return given or None
    if given:
        raise UserError(f"the token is in {file} and in {_TOKEN}; use one of them")
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
