"""Writing the folder of results."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lightsr.errors import UserError
from lightsr.evaluation.benchmark.results import Results
from lightsr.evaluation.benchmark.sheet import sheet
from lightsr.evaluation.benchmark.text import comma_separated, markdown
from lightsr.weights.files import write_whole

if TYPE_CHECKING:
    from lightsr.evaluation.benchmark.plots import Plot

PLOTS = "plots"
"""The sub-folder of the output that holds plots and the visual comparison."""


def require_plots() -> None:
    """Raise `UserError` unless plots can be drawn."""
    if find_spec("matplotlib") is None:
        raise UserError(
            "plots need matplotlib, which is not installed: pip install 'lightsr[benchmark]', "
            "or leave them out with --no-plots"
        )


def write(results: Results) -> None:
    """Write tables, page, plots and the visual comparison, each file whole or not at all.

    Raises `UserError` where a file cannot be written.
    """
    from lightsr.evaluation.benchmark.page import page

    plots = _plots(results)
    pictures = {f"{PLOTS}/{plot.name}.png": (plot.title, plot.png) for plot in plots}
    for scale in results.settings.scales:
        shown = [one for one in results.comparisons if one.scale == scale]
        if shown:
            title = f"Parts of pictures, x{scale}"
            pictures[f"{PLOTS}/visual-x{scale}.png"] = (title, sheet(shown))
    told = json.dumps(results.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    seen = "".join(f"\n![{title}]({name})\n" for name, (title, _) in pictures.items())
    files = {name: content for name, (_, content) in pictures.items()}
    files |= {
        "results.json": told.encode(),
        "table.csv": comma_separated(results).encode(),
        "table.md": (markdown(results) + seen).encode(),
        "index.html": page(results, plots).encode(),
    }
    for name, content in files.items():
        write_whole(results.settings.output / name, content, UserError)
    _remove_old(results.settings.output, set(pictures))


def _remove_old(output: Path, kept: set[str]) -> None:
    """Take away what an earlier run with other options drew, so that nothing old looks new."""
    for kind in ("psnr-*-x*.png", "visual-x*.png"):
        for path in (output / PLOTS).glob(kind):
            if path.relative_to(output).as_posix() not in kept:
                path.unlink()


def _plots(results: Results) -> list[Plot]:
    if not results.settings.plots:
        return []
    from lightsr.evaluation.benchmark.plots import draw_plots

    return draw_plots(results)
