"""The `lightsr` command: finds the verb, parses its options, runs it, and reports what went wrong.

How to add a verb
-----------------
1. Write `cli/<verb>.py` with a function of the verb's name whose annotated parameters are its
   arguments and options as Typer reads them, and whose docstring is its help. It returns its exit
   status, or None for 0. What it does not need in order to be parsed it imports inside.
2. Add a line to `VERBS` below: the name and the sentence that `lightsr --help` shows.

Only the file of the verb that was asked for is imported, so that each starts fast and one that
cannot be imported does not take the others with it; a verb without a file is not offered.

A verb reports a user's mistake by raising `UserError` (status 2) and any other failure by raising
`LightsrError` (status 1); `reporting.run_guarded` prints them, as one line on standard error.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, cast

import typer

from lightsr import __version__
from lightsr.cli.reporting import run_guarded
from lightsr.errors import UserError

Call = Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its name, which is also its module's and function's, and its line in the help."""

    name: str
    help: str
    variables: str | None = None
    """What the names of environment variables begin with that stand for its options."""
    parts: tuple[str, ...] = ()
    """The words that follow it, each with a function of its own; none: the verb is one itself."""

    @property
    def module(self) -> str:
        """Where its function is."""
        return f"lightsr.cli.{self.name}"

    def load(self, name: str) -> Callable[..., int | None]:
        """Import and return the function of the verb, or of a part of it."""
        return cast("Callable[..., int | None]", getattr(import_module(self.module), name))


VERBS = (
    Verb("upscale", "Enlarge pictures."),
    Verb("models", "List the networks: scales, sizes, costs, and the weights at hand."),
    Verb("evaluate", "Measure PSNR and SSIM of a network on a folder of pictures."),
    Verb("benchmark", "Make the comparison table, measured beside published."),
    Verb("complexity", "Count parameters and multi-adds of a network."),
    Verb("degrade", "Make low-resolution pictures with MATLAB's bicubic, exactly."),
    Verb("convert", "Turn published weights into lightsr's."),
    Verb("train", "Train a network by a recipe."),
    Verb("export", "Write a network for other runtimes."),
    Verb("serve", "Offer enlarging over HTTP, with a web page.", variables="LIGHTSR_SERVE"),
    Verb("cluster", "Enlarge folders and object stores over Ray.", parts=("upscale",)),
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command on `arguments` (None: those of the process) and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    return run_guarded(lambda: _parse(given))


def _parse(arguments: list[str]) -> Call | int | None:
    """Return the call that the arguments ask for, or the status where parsing did it all.

    Typer only parses here. What it would do about errors (several lines, frames around them) is
    not what this command promises, so the verb runs after it is through.
    """
    app = _typer_app(next((word for word in arguments if not word.startswith("-")), None))
    try:
        return app(arguments, prog_name="lightsr", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise UserError(_one_line(cast("Any", error))) from error


def _typer_app(asked: str | None) -> typer.Typer:
    app = typer.Typer(
        name="lightsr",
        help="Enlarge pictures with lightweight super-resolution networks.",
        add_completion=False,
        rich_markup_mode="rich" if sys.stdout is not None and sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for verb in VERBS:
        if verb.name == asked and verb.parts:
            app.add_typer(_group(verb), name=verb.name, help=verb.help)
        elif verb.name == asked and find_spec(verb.module) is not None:
            settings = {"auto_envvar_prefix": verb.variables}
            command = app.command(verb.name, short_help=verb.help, context_settings=settings)
            command(_only_bound(verb.load(verb.name)))
        elif find_spec(verb.module) is not None:
            app.command(verb.name, help=verb.help)(_placeholder)
    return app


def _group(verb: Verb) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)
    for part in verb.parts:
        group.command(part)(_only_bound(verb.load(part)))
    return group


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lightsr {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def _placeholder() -> None:
    """Stand in the list of verbs for one that was not asked for."""


def _only_bound(function: Callable[..., int | None]) -> Callable[..., Call]:
    """Return a function with the same parameters that returns the call instead of making it."""

    @functools.wraps(function)
    def bind(*args: object, **kwargs: object) -> Call:
        return functools.partial(function, *args, **kwargs)

    return bind


def _one_line(error: Any) -> str:
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "lightsr"
    return f"{message[:1].lower()}{message[1:]}{_variable(error)}; see `{command} --help`"


def _variable(error: Any) -> str:
    """Return a note of the environment variable that may have brought a wrong value in."""
    parameter = getattr(error, "param", None)
    prefix = getattr(getattr(error, "ctx", None), "auto_envvar_prefix", None)
    if parameter is None or prefix is None:
        return ""
    name = f"{prefix}_{parameter.name.upper()}"
    return f" ({name} is set)" if name in os.environ else ""
