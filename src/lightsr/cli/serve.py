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


def _option(help: str, metavar: str, *names: str, variable: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, envvar=_VARIABLES + variable)


def serve(
    host: Annotated[
        str, _option("Address to listen on; 0.0.0.0 is all of them.", "H", variable="HOST")
    ] = _USUAL.host,
    port: Annotated[
        int, _option("Port to listen on; 0 is any.", "P", variable="PORT")
    ] = _USUAL.port,
    model: Annotated[
        str | None,
        _option("Network where a request names none.", "NAME", variable="MODEL"),
    ] = _USUAL.model,
    backend: Annotated[
        str, _option("What runs it.", "auto|onnxruntime|openvino|torch", variable="BACKEND")
    ] = _USUAL.backend,
    device: Annotated[
        str, _option("Where it runs.", "auto|cpu|cuda|mps", variable="DEVICE")
    ] = _USUAL.device,
    precision: Annotated[
        str,
        _option("What it computes in.", "auto|fp32|bf16|fp16|int8", variable="PRECISION"),
    ] = _USUAL.precision,
    workers: Annotated[
        int, _option("Processes that enlarge; 0: two.", "N", variable="WORKERS")
    ] = _USUAL.workers,
    threads: Annotated[
        int,
        _option("Threads of each; 0 shares the cores out.", "N", variable="THREADS"),
    ] = _USUAL.threads,
    memory: Annotated[
        str | None,
        _option(
            "Memory of each, like 2G; left out, half of what is free is shared out.",
            "SIZE",
            variable="MEMORY",
        ),
    ] = _USUAL.memory,
    queue: Annotated[int, _option("Pictures that may wait.", "N", variable="QUEUE")] = _USUAL.queue,
    upload: Annotated[
        str, _option("Largest upload.", "SIZE", "--max-upload", variable="MAX_UPLOAD")
    ] = "64M",
    upload_seconds: Annotated[
        float,
        _option("Time for a request to arrive.", "S", "--upload-time", variable="UPLOAD_TIME"),
    ] = _USUAL.upload_seconds,
    input_pixels: Annotated[
        int,
        _option("Most pixels of an original.", "N", "--max-input", variable="MAX_INPUT"),
    ] = _USUAL.input_pixels,
    output_pixels: Annotated[
        int,
        _option("Most pixels of a result.", "N", "--max-output", variable="MAX_OUTPUT"),
    ] = _USUAL.output_pixels,
    job_seconds: Annotated[
        float,
        _option("Time that a picture may take.", "S", "--job-time", variable="JOB_TIME"),
    ] = _USUAL.job_seconds,
    keep_seconds: Annotated[
        float,
        _option("How long results of jobs are kept.", "S", "--keep", variable="KEEP"),
    ] = _USUAL.keep_seconds,
    keep: Annotated[
        str,
        _option("Most of them together.", "SIZE", "--keep-size", variable="KEEP_SIZE"),
    ] = "2G",
    grace_seconds: Annotated[
        float,
        _option("Time to finish in when told to stop.", "S", "--grace", variable="GRACE"),
    ] = _USUAL.grace_seconds,
    token_file: Annotated[
        Path | None,
        _option(
            "File with the token that clients must send; LIGHTSR_SERVE_TOKEN may hold it instead.",
            "FILE",
            variable="TOKEN_FILE",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        _option("Site whose pages may use the API; repeatable.", "ORIGIN", variable="ORIGIN"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        _option(
            "Name that the server may be addressed by; repeatable.", "H", variable="ALLOW_HOST"
        ),
    ] = None,
    folder: Annotated[
        Path | None, _option("Where temporary files lie.", "DIR", variable="FOLDER")
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every request.", envvar=_VARIABLES + "LOG")
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
        upload_bytes=parse_memory(upload),
        upload_seconds=upload_seconds,
        input_pixels=input_pixels,
        output_pixels=output_pixels,
        job_seconds=job_seconds,
        keep_seconds=keep_seconds,
        keep_bytes=parse_memory(keep),
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
