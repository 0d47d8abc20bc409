"""`lightsr train`: a run from a recipe, or the rest of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lightsr.cli.reporting import BY_SIGNAL, say
from lightsr.cli.training import training_progress
from lightsr.errors import BackendError, UserError


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A recipe's name (see --list), or a YAML file."),
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
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda, cuda:N or mps; goes before the recipe's."),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the recipes that come along, and end.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of recipes, and end.")
    ] = False,
) -> int:
    """Train a network by a recipe. Needs the extra "train".

    For several GPUs or machines, start it by torchrun:
    torchrun --nproc_per_node 2 -m lightsr train RECIPE -o RUN
    """
    if list_:
        _print_recipes()
        return 0
    if schema:
        _print_schema()
        return 0
    if (recipe is None) == (resume is None):
        raise UserError("give a recipe to start a run, or --resume RUN to go on with one")
    if resume is not None and (set_ or output is not None):
        raise UserError("--resume takes the run as it is: leave out --set and -o")
    try:
        from lightsr.training import run
        from lightsr.training.library import find_recipe
        from lightsr.training.recipe import read_recipe
        from lightsr.training.stopping import Stopped
    except ImportError as error:
        raise _missing(error) from error
    with training_progress() as progress:
        if resume is not None:
            folder, read = resume, None
        else:
            assert recipe is not None
            path = find_recipe(recipe)
            read = read_recipe(path, set_ or [])
            folder = output or Path("runs") / f"{path.stem}-x{read.scale}"
        try:
            if read is None:
                weights = run.resume(folder, device=device, progress=progress)
            else:
                weights = run.train(read, folder, device=device, progress=progress)
        except Stopped as stopped:
            say(f"stopped, with a checkpoint; go on with: lightsr train --resume {folder}")
            return BY_SIGNAL + stopped.signal_number
    if os.environ.get("RANK", "0") == "0":
        typer.echo(weights)
    return 0


def _print_recipes() -> None:
    from lightsr.training.library import list_recipes

    recipes = list_recipes()
    width = max(map(len, recipes), default=0)
    for name, title in recipes.items():
        typer.echo(f"{name:{width}}  {title}")


def _print_schema() -> None:
    try:
        from lightsr.training.recipe import schema
    except ImportError as error:
        raise _missing(error) from error
    typer.echo(schema(), nl=False)


def _missing(error: ImportError) -> BackendError:
    return BackendError(
        f"training needs {error.name}, which is not installed: pip install 'lightsr[train]'"
    )
