"""The table as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lightsr import __version__
from lightsr.evaluation.benchmark import text
from lightsr.evaluation.benchmark.crops import Comparison
from lightsr.evaluation.benchmark.results import Results, Row
from lightsr.evaluation.benchmark.sheet import caption, enlarged, headline, held_by, png
from lightsr.evaluation.complexity import printed_count
from lightsr.evaluation.pairs import Picture8

if TYPE_CHECKING:
    from lightsr.evaluation.benchmark.plots import Plot

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    words: bool = False
    first: str = "descending"
    """The direction that the first click sorts in."""
    start: bool = False
    """Whether a group begins here."""


@dataclass(frozen=True, slots=True)
class _Cell:
    shown: str
    value: str | float | None
    """What is sorted by; None sorts last."""
    kind: str = ""


def page(results: Results, plots: Sequence[Plot]) -> str:
    """Return the document `index.html`: it asks no other host or file for anything."""
    scales = results.settings.scales
    links = " ".join(f'<a href="#x{scale}">x{scale}</a>' for scale in scales)
    parts = [
        f"<header><h1>Super-resolution networks compared</h1>"
        f"<p>{escape(' '.join(text.how_it_was_measured(results)))}</p>"
        f'<nav aria-label="Scales">{links}</nav></header>',
        '<main><p id="said" class="quiet" aria-live="polite"></p>',
        *(_scale(results, scale, plots) for scale in scales),
        _left_out(results),
        f'<footer class="quiet">Made by lightsr {__version__}.</footer></main>',
    ]
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Super-resolution networks compared</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{chr(10).join(parts)}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _scale(results: Results, scale: int, plots: Sequence[Plot]) -> str:
    drawn = [plot for plot in plots if plot.scale == scale]
    figures = "".join(
        f"<h3>{escape(plot.title)}</h3>"
        f'<div class="plot" tabindex="0" role="region" aria-label="{escape(plot.title)}">'
        f"{plot.svg}</div>"
        for plot in drawn
    )
    parts = "".join(_comparison(one) for one in results.comparisons if one.scale == scale)
    table = _table(results.at(scale), results.set_names, f"Networks at x{scale}")
    counted = "".join(
        f"<li>{escape(', '.join(titles))}: {escape(rule)}.</li>"
        for rule, titles in text.rules(results.at(scale))
    )
    rules = (
        "<details><summary>What the published multi-adds count</summary>"
        f"<ul>{counted}</ul></details>"
    )
    return f'<section id="x{scale}"><h2>x{scale}</h2>{table}{rules}{figures}{parts}</section>'


def _table(rows: Sequence[Row], sets: Sequence[str], name: str) -> str:
    groups, columns = _columns(sets)
    top = "".join(
        f'<th scope="colgroup" colspan="{span}">{escape(group)}</th>' for group, span in groups
    )
    owners = [group for group, span in groups for _ in range(span)]
    heads = "".join(
        f'<th scope="col" aria-sort="none" data-first="{column.first}" '
        f'data-name="{escape(f"{owner} {column.name}".strip())}"{_words(column)}'
        f'{_classes(column)}><button type="button">{escape(column.name)}</button></th>'
        for owner, column in zip(owners, columns, strict=True)
    )
    lines = "".join(f"<tr>{_line(row, sets, columns)}</tr>" for row in rows)
    return (
        '<p class="quiet">PSNR in dB / SSIM; multi-adds for an output of 1280x720. A click on a '
        "column's name sorts by it.</p>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}, table">'
        f'<table data-sortable aria-label="{escape(name)}"><thead><tr>{top}</tr>'
        f"<tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _columns(sets: Sequence[str]) -> tuple[list[tuple[str, int]], list[_Column]]:
    groups = [("", 2)]
    columns = [_Column("Network", True, "ascending"), _Column("Weights", True, "ascending")]
    for name in sets:
        groups.append((name, 3))
        columns += [_Column("measured", start=True), _Column("published"), _Column("difference")]
    for name in ("Parameters", "Multi-adds"):
        groups.append((name, 3))
        columns += [
            _Column("true", first="ascending", start=True),
            _Column("by their rule", first="ascending"),
            _Column("published", first="ascending"),
        ]
    groups.append(("Measured here", 3))
    columns += [
        _Column("latency", first="ascending", start=True),
        _Column("core time", first="ascending"),
        _Column("peak memory", first="ascending"),
    ]
    return groups, columns


def _line(row: Row, sets: Sequence[str], columns: Sequence[_Column]) -> str:
    cells = [_Cell(row.contender.title, row.contender.title)]
    held = text.weights_of(row.contender)
    cells.append(_Cell(held, held or None))
    for name in sets:
        cells += _quality(row, name)
    cells += _counts(row)
    cells += [
        _Cell(text.seconds(row), row.latency),
        _Cell(text.core_seconds(row), row.core_seconds),
        _Cell(text.memory(row), row.peak_bytes),
    ]
    return "".join(
        _cell(cell, column, heads_row=index == 0)
        for index, (cell, column) in enumerate(zip(cells, columns, strict=True))
    )


def _cell(cell: _Cell, column: _Column, *, heads_row: bool) -> str:
    value = "" if cell.value is None else escape(str(cell.value))
    tag, scope = ("th", ' scope="row"') if heads_row else ("td", "")
    classes = _classes(column, cell.kind)
    return f'<{tag}{scope}{classes} data-value="{value}">{escape(cell.shown)}</{tag}>'


def _quality(row: Row, name: str) -> list[_Cell]:
    measured, published = row.measured(name), row.published(name)
    apart = _Cell(text.difference(measured, published), None)
    if measured is not None and published is not None:
        apart = _Cell(
            apart.shown,
            measured.psnr - published.psnr,
            "up" if measured.psnr >= published.psnr else "down",
        )
    return [
        _Cell(text.score(measured), measured.psnr if measured else None),
        _Cell(text.score(published), published.psnr if published else None),
        apart,
    ]


def _counts(row: Row) -> list[_Cell]:
    counted = row.complexity
    if counted is None:
        return [_Cell(text.NOTHING, None)] * 6
    published = counted.spec.published[row.contender.scale]
    parameters, multi_adds = counted.published_accounting
    return [
        _Cell(text.thousands(counted.parameters), counted.parameters),
        _Cell(text.thousands(parameters), parameters),
        _printed(published.parameters),
        _Cell(text.giga(counted.multi_adds), counted.multi_adds),
        _Cell(text.giga(multi_adds), multi_adds),
        _printed(published.multi_adds),
    ]


def _printed(figure: str | None) -> _Cell:
    return _Cell(text.NOTHING, None) if figure is None else _Cell(figure, printed_count(figure))


def _words(column: _Column) -> str:
    return ' data-words="yes"' if column.words else ""


def _classes(column: _Column, kind: str = "") -> str:
    names = [kind] if kind else []
    names += ["words"] if column.words else []
    names += ["start"] if column.start else []
    return f' class="{" ".join(names)}"' if names else ""


def _comparison(one: Comparison) -> str:
    shown = [_part(one.original, "Original", "", "PSNR / SSIM of the part")]
    shown += [
        _part(tile.samples, tile.contender.title, held_by(tile.contender), caption(tile.score))
        for tile in one.tiles
    ]
    return f'<h3>{escape(headline(one))}</h3><div class="parts">{"".join(shown)}</div>'


def _part(samples: Picture8, title: str, held: str, score: str) -> str:
    coded = base64.b64encode(png(enlarged(samples))).decode("ascii")
    small = f"<br><small>{escape(held)}</small>" if held else ""
    return (
        f'<figure><img src="data:image/png;base64,{coded}" alt="{escape(title)}">'
        f"<figcaption><strong>{escape(title)}</strong>{small}<br>{escape(score)}</figcaption>"
        f"</figure>"
    )


def _left_out(results: Results) -> str:
    skipped = [(one.file, one.reason) for one in results.skipped]
    failed = [(one.what, one.reason) for one in results.failures]
    lists = (("Files that were not used", skipped), ("What failed", failed))
    return "".join(
        f"<section><h2>{title}</h2><ul>"
        + "".join(f"<li>{escape(what)}: {escape(why)}</li>" for what, why in entries)
        + "</ul></section>"
        for title, entries in lists
        if entries
    )
