"""`lightsr serve`: enlarging over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lightsr.cli.reporting import say
from lightsr.errors import BackendError, UserError
from lightsr.server.settings import Settings

_USUAL = Settings()
_VARIABLES = "LIGHTSR_SERVE_"


def _option(help: str, metavar: str, variable: str) -> Any:
    return typer.Option(metavar=metavar, help=help, envvar=_VARIABLES + variable)


def serve(
    host: Annotated[
        str, _option("Address to listen on; 0.0.0.0 is all of them.", "H", "HOST")
    ] = _USUAL.host,
    port: Annotated[int, _option("Port to listen on; 0 is any.", "P", "PORT")] = _USUAL.port,
    model: Annotated[
        str | None,
        _option("Network where a request names none.", "NAME", "MODEL"),
    ] = _USUAL.model,
    backend: Annotated[
        str, _option("What runs it.", "auto|fused|onnxruntime|openvino|torch", "BACKEND")
    ] = _USUAL.backend,
    device: Annotated[
        str, _option("Where it runs.", "auto|cpu|cuda|mps", "DEVICE")
    ] = _USUAL.device,
    precision: Annotated[
        str,
        _option("What it computes in.", "auto|fp32|bf16|fp16|int8", "PRECISION"),
    ] = _USUAL.precision,
    workers: Annotated[
        int, _option("Processes that enlarge; 0: two.", "N", "WORKERS")
    ] = _USUAL.workers,
    threads: Annotated[
        int,
        _option("Threads of each; 0 shares the cores out.", "N", "THREADS"),
    ] = _USUAL.threads,
    memory: Annotated[
        str | None,
        _option(
            "Memory of each, like 2G; left out, half of what is free is shared out.",
            "SIZE",
            "MEMORY",
        ),
    ] = _USUAL.memory,
    queue: Annotated[int, _option("Pictures that may wait.", "N", "QUEUE")] = _USUAL.queue,
    upload_bytes: Annotated[str, _option("Largest upload.", "SIZE", "UPLOAD_BYTES")] = "64M",
    upload_seconds: Annotated[
        float,
        _option("Time for a request to arrive.", "S", "UPLOAD_SECONDS"),
    ] = _USUAL.upload_seconds,
    input_pixels: Annotated[
        int,
        _option("Most pixels of an original.", "N", "INPUT_PIXELS"),
    ] = _USUAL.input_pixels,
    output_pixels: Annotated[
        int,
        _option("Most pixels of a result.", "N", "OUTPUT_PIXELS"),
    ] = _USUAL.output_pixels,
    job_seconds: Annotated[
        float,
        _option("Time that a picture may take.", "S", "JOB_SECONDS"),
    ] = _USUAL.job_seconds,
    keep_seconds: Annotated[
        float,
        _option("How long results of jobs are kept.", "S", "KEEP_SECONDS"),
    ] = _USUAL.keep_seconds,
    keep_bytes: Annotated[
        str,
        _option("Most of them together.", "SIZE", "KEEP_BYTES"),
    ] = "2G",
    grace_seconds: Annotated[
        float,
        _option("Time to finish in when told to stop.", "S", "GRACE_SECONDS"),
    ] = _USUAL.grace_seconds,
    token_file: Annotated[
        Path | None,
        _option(
            "File with the token that clients must send; LIGHTSR_SERVE_TOKEN may hold it instead.",
            "FILE",
            "TOKEN_FILE",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        _option("Site whose pages may use the API; repeatable.", "ORIGIN", "ORIGIN"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        _option("Name that the server may be addressed by; repeatable.", "H", "ALLOW_HOST"),
    ] = None,
    folder: Annotated[Path | None, _option("Where temporary files lie.", "DIR", "FOLDER")] = None,
    access_log: Annotated[
        bool,
        typer.Option("--access-log", help="Log every request.", envvar=_VARIABLES + "ACCESS_LOG"),
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
        say(
            "everybody who reaches this address may use it; set LIGHTSR_SERVE_TOKEN to prevent that"
        )


def _token(file: Path | None) -> str | None:
    variable = f"{_VARIABLES}TOKEN"
    given = os.environ.get(variable)
    if file is None:
        return given or None
    if given:
        raise UserError(f"the token is in {file} and in {variable}; use one of them")
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
