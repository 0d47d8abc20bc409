"""`lightsr export`: a network for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lightsr.errors import BackendError, UserError


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The network's name; see `lightsr models`.")
    ],
    scale: Annotated[int, typer.Option(metavar="S", help="How many times larger.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PATH", help="Where to.")],
    weights: Annotated[
        str, typer.Option(metavar="TAG|FILE", help="Shipped weights, or a file of weights.")
    ] = "default",
    format_: Annotated[Literal["onnx"], typer.Option("--format", help="What to write.")] = "onnx",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a network with its weights as an ONNX graph, and check it. Needs the extra "export"."""
    del format_  # There is one so far; the parser refuses others.
    if output.exists() and not overwrite:
        raise UserError(f"{output} is there already; --overwrite replaces it")
    try:
        from lightsr.export.onnx import export_onnx
        from lightsr.weights.create import create_network
    except ImportError as error:
        raise BackendError(
            f"exporting needs {error.name}, which is not installed: pip install 'lightsr[export]'"
        ) from error
    export_onnx(create_network(model, scale, weights), output, name=model, scale=scale)
