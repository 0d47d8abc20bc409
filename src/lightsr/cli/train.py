"""`lightsr train`: a run from a recipe, or the rest of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lightsr.errors import BackendError, UserError


def train(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE.yaml", help="What to train, and how.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key: data.batch=8."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="RUN", help="The run folder to make."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with the run in this folder.")
    ] = None,
) -> None:
    """Train a network by a recipe. Needs the extra "train"."""
    if (recipe is None) == (resume is None):
        raise UserError("give a recipe to start a run, or --resume RUN to go on with one")
    if resume is not None and (set_ or output is not None):
        raise UserError("--resume takes the run as it is: leave out --set and -o")
    try:
        from lightsr.training import run
        from lightsr.training.recipe import read_recipe
    except ImportError as error:
        raise BackendError(
            f"training needs {error.name}, which is not installed: pip install 'lightsr[train]'"
        ) from error
    _log_to_stderr()
    if resume is not None:
        weights = run.resume(resume)
    else:
        assert recipe is not None
        read = read_recipe(recipe, set_ or [])
        folder = output or Path("runs") / f"{recipe.stem}-x{read.scale}"
        weights = run.train(read, folder)
    typer.echo(weights)


def _log_to_stderr() -> None:
    import logging
    import sys

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("lightsr")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
