"""`lightsr benchmark`: the comparison table, measured beside published."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightsr.cli.options import Backend, BorderOfLR, Device, Forward, Precision
from lightsr.cli.progress import Reporter, reporter
from lightsr.errors import LightsrError, UserError

if TYPE_CHECKING:
    from lightsr.evaluation.benchmark.results import Results
    from lightsr.evaluation.benchmark.settings import DataSet


def benchmark(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Where the results go; measurements kept there are not made again.",
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]DIR",
            help="A test set: a folder of originals, or one with them in HR. May be repeated; "
            "the first is the one of the plots.",
        ),
    ],
    lr_dir: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="LR pictures of a test set, in sub-folders x2, x3, x4; made from the originals "
            "if left out.",
        ),
    ] = None,
    scales: Annotated[
        list[str] | None,
        typer.Option(
            "--scale", "--scales", metavar="S,...", help="Scales; 2, 3 and 4 if left out."
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "--models", metavar="NAME,...", help="Networks; all if left out."),
    ] = None,
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Measure also with the weights in this folder and below: published checkpoints, "
            "lightsr's own files, ONNX graphs.",
        ),
    ] = None,
    border: BorderOfLR = "symmetric",
    forward: Forward = "whole",
    repeats: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Timed runs per network and scale, for an output of 1280x720."
        ),
    ] = 3,
    no_latency: Annotated[
        bool, typer.Option("--no-latency", help="Leave out latency and memory: --repeats 0.")
    ] = False,
    time_limit: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="Give a timed run up after so long."),
    ] = 60,
    crop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:X,Y,W,H",
            help="A part for the visual comparison, in pixels of the original; chosen where the "
            "networks differ most if left out. May be repeated.",
        ),
    ] = None,
    no_visual: Annotated[
        bool, typer.Option("--no-visual", help="Leave out the visual comparison.")
    ] = False,
    no_plots: Annotated[
        bool, typer.Option("--no-plots", help="Leave out the plots, which need matplotlib.")
    ] = False,
    backend: Backend = "auto",
    device: Device = "auto",
    precision: Precision = "fp32",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> int:
    """Make the comparison table of all networks, measured beside published.

    Quality is measured on every test set with the weights at hand, latency and peak memory for an
    output of 1280x720. The folder gets table.md, table.csv, results.json, index.html, plots and a
    visual comparison. A run that was interrupted is started again with the same command and goes
    on where it was.
    """
    from lightsr.engine.backends.choose import Choice
    from lightsr.evaluation.benchmark.run import measure
    from lightsr.evaluation.benchmark.settings import Engine, Protocol, Settings, parse_crop
    from lightsr.evaluation.benchmark.write import require_plots, write
    from lightsr.networks.registry import known_scales

    Choice(backend=backend, device=device, precision=precision).check()
    settings = Settings(
        output=output,
        sets=_sets(data, lr_dir or []),
        scales=_scales(scales, known_scales()),
        networks=tuple(_words(models)) or None,
        weights_dir=weights_dir,
        protocol=Protocol(border=border, forward=forward),
        engine=Engine(backend, device, precision),
        repeats=0 if no_latency else repeats,
        time_limit=time_limit,
        crops=tuple(parse_crop(text) for text in crop) if crop else None,
        visual=not no_visual,
        plots=not no_plots,
    )
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is no folder")
    if settings.plots:
        require_plots()
    with ExitStack() as stack:
        results = measure(settings, watcher=_Shown(stack, quiet), make_graph=_make_graph)
    write(results)
    _print(results)
    return 1 if results.failures else 0


def _words(given: list[str] | None) -> list[str]:
    """Return what options that may be repeated name, each also separated by commas."""
    return [word.strip() for text in given or [] for word in text.split(",") if word.strip()]


def _scales(given: list[str] | None, known: tuple[int, ...]) -> tuple[int, ...]:
    wanted = [word.removeprefix("x") for word in _words(given)]
    for word in wanted:
        if word not in map(str, known):
            there = ", ".join(map(str, known))
            raise UserError(f"there is no scale {word!r}; networks enlarge by {there}")
    return tuple(sorted({int(word) for word in wanted})) or (2, 3, 4)


def _sets(data: list[str], lr_dirs: list[str]) -> tuple[DataSet, ...]:
    from dataclasses import replace

    from lightsr.errors import unknown_name
    from lightsr.evaluation.benchmark.settings import parse_test_set, split_named

    sets = {one.name: one for one in map(parse_test_set, data)}
    if len(sets) < len(data):
        raise UserError("two test sets have the same name; name them with --data NAME=DIR")
    for text in lr_dirs:
        name, folder = split_named(text)
        if not name:
            raise UserError(f"--lr-dir {text} must be NAME=DIR, NAME being a test set's")
        if name not in sets:
            raise unknown_name("test set", name, sets)
        sets[name] = replace(sets[name], lr=folder)
    return tuple(sets.values())


def _make_graph(network: str, scale: int, path: Path) -> None:
    """Write a graph with random weights, of which time and memory do not depend."""
    try:
        from lightsr.export.onnx import onnx_model
        from lightsr.networks.build import create_network
    except ImportError as error:
        raise LightsrError(
            f"no graph is shipped, and making one needs {error.name}: pip install 'lightsr[export]'"
        ) from error
    from typing import Any, cast

    # Not `export_onnx`: what it checks is whether values agree, and random ones hardly do.
    deployed = cast("Any", create_network(network, scale)).deploy().eval()
    path.write_bytes(onnx_model(deployed, name=network, scale=scale).SerializeToString())


class _Shown:
    """Shows how the benchmark goes on."""

    def __init__(self, stack: ExitStack, quiet: bool) -> None:
        self._stack = stack
        self._quiet = quiet
        self._to: Reporter | None = None

    def note(self, text: str) -> None:
        from lightsr.cli.reporting import say

        if self._to is not None:
            self._to.note(f"lightsr: {text}")
        else:
            say(text)

    def start(self, steps: int, kept: int) -> None:
        if not self._quiet and kept:
            self.note(f"{kept} measurements are kept from before, {steps} are to be made")
        self._to = self._stack.enter_context(
            reporter(steps, quiet=self._quiet, what="measurements")
        )

    def begin(self, name: str, left: float | None) -> None:
        assert self._to is not None
        self._left = "" if left is None else f", {_time(left)} left"
        self._to.begin(f"{name}{self._left}")

    def finish(self, text: str | None) -> None:
        assert self._to is not None
        self._to.finish(None if text is None else f"{text}{self._left}")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def _print(results: Results) -> None:
    from lightsr.evaluation.benchmark.text import summary

    typer.echo(summary(results), nl=False)
