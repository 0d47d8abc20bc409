"""`lightsr convert`: published weights to ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lightsr.cli.options import Overwrite


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A published file of weights: .pt, .pth, .safetensors, .mat, .caffemodel, or a "
            "TensorFlow checkpoint (any of its files, or what their names begin with).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.safetensors", help="The file to write."),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The network that it is of; found if left out."),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            metavar="S", help="The scale that it is for; found if left out, where tensors tell."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a published checkpoint into weights of ours.

    Strict: a tensor that is missing, too many or of another shape is an error that names it.
    Nothing that the checkpoint holds is run. Needs the torch extra.
    """
    from lightsr.weights.convert import convert_file
    from lightsr.weights.detect import detect

    held = detect(checkpoint, model, scale)
    tensors = convert_file(checkpoint, *held, output, overwrite=overwrite)
    values = sum(tensor.size for tensor in tensors.values())
    typer.echo(f"{output}: {held}, {len(tensors)} tensors, {values:,} values")
