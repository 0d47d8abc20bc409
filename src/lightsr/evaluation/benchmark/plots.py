"""Plots of quality against cost, drawn with matplotlib."""

# matplotlib is annotated in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.transforms import BboxBase

from lightsr.evaluation.benchmark.labels import Box, Label, place
from lightsr.evaluation.benchmark.results import Results, Row
from lightsr.evaluation.complexity import Complexity, printed_count

_BLUE, _ORANGE = "#3b82d0", "#e07b1a"
_INK = "#010203"
"""Stands for the colour of text in an SVG, and is replaced by that of the page around it."""
_SIZE = (13.0, 6.2)
_FONT = 9.0


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot that was drawn."""

    name: str
    """Its file's name without the suffix."""
    title: str
    scale: int
    png: bytes
    svg: str
    """One element to put into a page; text has the colour of the page."""


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class _Series:
    """Points of one kind, with their Pareto front."""

    name: str
    points: Sequence[_Point]
    marker: str
    colour: str
    filled: bool


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    series: Sequence[_Series]
    links: Sequence[tuple[_Point, _Point]] = ()
    """Points of the same network, to be joined by a line."""


def draw_plots(results: Results) -> list[Plot]:
    """Return the plots of every scale, on the first test set; without points, none is drawn."""
    test_set = results.set_names[0]
    plots: list[Plot] = []
    for scale in results.settings.scales:
        rows = results.at(scale)
        for name, axis, counts in (
            ("multi-adds", "multi-adds for 1280x720", _multi_adds),
            ("parameters", "parameters", _parameters),
        ):
            title = f"PSNR on {test_set} against {name}, x{scale}"
            panels = _against_cost(rows, test_set, counts)
            plots += _plot(f"psnr-{name}-x{scale}", title, scale, axis, panels)
        title = f"PSNR on {test_set} against latency, x{scale}"
        axis = "seconds for 1280x720, measured here"
        plots += _plot(
            f"psnr-latency-x{scale}", title, scale, axis, _against_latency(rows, test_set)
        )
    return plots


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no other beats, by rising cost.

    A point is beaten by one of no higher cost and higher quality, or of lower cost and no lower
    quality.
    """
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


_Counts = Callable[[Complexity], tuple[float, float | None]]
"""The true count, and the published one if there is one."""


def _multi_adds(counted: Complexity) -> tuple[float, float | None]:
    return counted.multi_adds, _printed(counted.spec.published[counted.scale].multi_adds)


def _parameters(counted: Complexity) -> tuple[float, float | None]:
    return counted.parameters, _printed(counted.spec.published[counted.scale].parameters)


def _printed(text: str | None) -> float | None:
    return None if text is None else printed_count(text)


def _against_cost(rows: Sequence[Row], test_set: str, counts: _Counts) -> list[_Panel]:
    as_published: list[_Point] = []
    in_truth: list[_Point] = []
    links: list[tuple[_Point, _Point]] = []
    measured: list[_Point] = []
    seen: set[str] = set()
    for row in rows:
        counted, ours, theirs = row.complexity, row.measured(test_set), row.published(test_set)
        if counted is None:
            continue
        true, printed = counts(counted)
        if ours is not None:
            measured.append(_Point(true, ours.psnr, _label(row)))
        if theirs is None or row.contender.network in seen:
            continue
        seen.add(row.contender.network)
        title = row.contender.title
        there = _Point(true, theirs.psnr, "" if printed is not None else title)
        in_truth.append(there)
        if printed is not None:
            as_published.append(_Point(printed, theirs.psnr, title))
            links.append((as_published[-1], there))
    return [
        _Panel(
            "Published PSNR, at the published and at the true cost",
            [
                _Series("published cost", as_published, "o", _BLUE, filled=False),
                _Series("true cost", in_truth, "D", _ORANGE, filled=True),
            ],
            links,
        ),
        _Panel(
            "PSNR measured here, at the true cost",
            [_Series("measured", measured, "D", _ORANGE, filled=True)],
        ),
    ]


def _against_latency(rows: Sequence[Row], test_set: str) -> list[_Panel]:
    points: list[_Point] = []
    for row in rows:
        ours = row.measured(test_set)
        if ours is not None and row.latency is not None:
            points.append(_Point(row.latency, ours.psnr, _label(row)))
    return [
        _Panel("PSNR and latency measured here", [_Series("measured", points, "D", _ORANGE, True)])
    ]


def _label(row: Row) -> str:
    held = row.contender.weights
    return f"{row.contender.title} (shipped)" if held and held.shipped else row.contender.title


def _plot(name: str, title: str, scale: int, axis: str, panels: Sequence[_Panel]) -> list[Plot]:
    panels = [panel for panel in panels if any(series.points for series in panel.series)]
    if not panels:
        return []
    png = io.BytesIO()
    _figure(title, axis, panels, "#111111").savefig(png, format="png", dpi=130, facecolor="white")
    svg = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        _figure("", axis, panels, _INK).savefig(  # a page has the title above
            svg, format="svg", transparent=True, metadata={"Date": None}
        )
    return [Plot(name, title, scale, png.getvalue(), _element(svg.getvalue(), name, title))]


def _element(document: str, name: str, title: str) -> str:
    """Return the one element of an SVG document, fit to stand in a page beside others."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\1{name}-", element)
    element = element.replace(_INK, "currentColor")
    return element.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def _figure(title: str, axis: str, panels: Sequence[_Panel], ink: str) -> Figure:
    width = _SIZE[0] if len(panels) > 1 else _SIZE[0] * 0.62
    figure = Figure(figsize=(width, _SIZE[1]), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=ink, fontsize=_FONT + 4)
    found: Any = figure.subplots(1, len(panels), squeeze=False)
    for axes, panel in zip(found[0], panels, strict=True):
        _draw(axes, panel, axis, ink)
    # Labels are placed in pixels, so everything else must be where it stays.
    canvas.draw()
    figure.set_layout_engine("none")
    for axes, panel in zip(found[0], panels, strict=True):
        _label_points(axes, panel, ink, canvas)
    return figure


def _draw(axes: Axes, panel: _Panel, axis: str, ink: str) -> None:
    axes.set_xscale("log")
    for start, end in panel.links:
        axes.plot([start.x, end.x], [start.y, end.y], color=ink, alpha=0.25, linewidth=0.8)
    for series in panel.series:
        if not series.points:
            continue
        x, y = [point.x for point in series.points], [point.y for point in series.points]
        look: dict[str, Any] = {"facecolors": series.colour if series.filled else "none"}
        # A ring is wide enough to be seen around a mark at the same place.
        look |= {"s": 36 if series.filled else 90, "marker": series.marker, "linewidths": 1.4}
        axes.scatter(x, y, edgecolors=series.colour, label=series.name, zorder=3, **look)
        front = pareto(list(zip(x, y, strict=True)))
        style = "-" if series.filled else "--"
        axes.plot(*zip(*front, strict=True), style, color=series.colour, alpha=0.6,
                  linewidth=1.2, label=f"Pareto front, {series.name}")  # fmt: skip
    axes.margins(x=0.12, y=0.12)
    axes.set_title(panel.title, color=ink, fontsize=_FONT + 1)
    axes.set_xlabel(axis, color=ink, fontsize=_FONT)
    axes.set_ylabel("PSNR in dB", color=ink, fontsize=_FONT)
    axes.xaxis.set_major_formatter(_count_format if "seconds" not in axis else _seconds_format)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.minorticks_off()
    axes.tick_params(colors=ink, labelsize=_FONT - 1)
    axes.grid(visible=True, color=ink, alpha=0.12, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_color(ink)
        spine.set_alpha(0.4)
    axes.legend(fontsize=_FONT - 1, labelcolor=ink, framealpha=0, loc="best")


def _count_format(value: float, _: float) -> str:
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _seconds_format(value: float, _: float) -> str:
    return f"{value:g} s"


def _label_points(axes: Axes, panel: _Panel, ink: str, canvas: FigureCanvasAgg) -> None:
    """Write every point's label where it covers nothing."""
    renderer, dot = canvas.get_renderer(), canvas.figure.dpi / 72

    def at(point: _Point) -> tuple[float, float]:
        x, y = axes.transData.transform((point.x, point.y))
        return float(x), float(y)

    points = [point for series in panel.series for point in series.points]
    named = sorted((point for point in points if point.label), key=lambda point: -point.y)
    wanted: list[Label] = []
    for point in named:
        text = axes.text(0, 0, point.label, fontsize=_FONT)
        extent = text.get_window_extent(renderer)
        text.remove()
        wanted.append(Label(*at(point), extent.width + 3, extent.height + 2))
    taken = [_square(at(point), 5.5 * dot) for point in points]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(_box(legend.get_window_extent(renderer)))
    lines = [
        _square(pixel, dot)
        for line in axes.get_lines()
        for pixel in _along(axes.transData.transform(line.get_xydata()))
    ]
    inside = _box(axes.get_window_extent(renderer))
    to_data = axes.transData.inverted()
    for point, placed in zip(named, place(wanted, inside, taken, lines), strict=True):
        box = placed.box
        x, y = to_data.transform(((box.left + box.right) / 2, (box.bottom + box.top) / 2))
        axes.text(x, y, point.label, fontsize=_FONT, color=ink, ha="center", va="center")
        if placed.leader:
            across, up = at(point)
            near = max(box.left, min(across, box.right)), max(box.bottom, min(up, box.top))
            end = to_data.transform(near)
            axes.plot([point.x, end[0]], [point.y, end[1]], color=ink, alpha=0.5, linewidth=0.6)


def _box(extent: BboxBase) -> Box:
    return Box(extent.x0, extent.y0, extent.x1, extent.y1)


def _square(middle: tuple[float, float], radius: float) -> Box:
    x, y = middle
    return Box(x - radius, y - radius, x + radius, y + radius)


def _along(vertices: Any, step: float = 6.0) -> list[tuple[float, float]]:
    """Return points every few pixels along a line."""
    points: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in itertools.pairwise(vertices):
        count = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / step))
        points += [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count)]
    return points
