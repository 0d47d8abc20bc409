"""`lightsr export`: a network for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lightsr.cli.options import Network, Overwrite, Scale, Weights
from lightsr.errors import BackendError, UserError


def export(
    model: Network,
    scale: Scale,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PATH", help="Where to.")],
    weights: Weights = "default",
    format_: Annotated[Literal["onnx"], typer.Option("--format", help="What to write.")] = "onnx",
    overwrite: Overwrite = False,
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
