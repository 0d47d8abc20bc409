"""Fronts are fronts, labels do not overlap, and an SVG fits into a page."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.evaluation.benchmark.contenders import contenders
from lightsr.evaluation.benchmark.cost import Measured
from lightsr.evaluation.benchmark.labels import Box, Label, place
from lightsr.evaluation.benchmark.results import Results, Row
from lightsr.evaluation.benchmark.settings import DataSet, Settings
from lightsr.evaluation.evaluate import ImageScore

Points = list[tuple[float, float]]
POINTS = st.lists(st.tuples(st.integers(1, 9).map(float), st.integers(1, 9).map(float)))


@settings(deadline=None)
@given(POINTS)
def test_the_front_holds_what_nothing_beats(points: Points) -> None:
    pytest.importorskip("matplotlib")
    from lightsr.evaluation.benchmark.plots import pareto

    def beaten(one: tuple[float, float]) -> bool:
        return any(o != one and o[0] <= one[0] and o[1] >= one[1] for o in points)

    assert pareto(points) == sorted({one for one in points if not beaten(one)})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(50, 750), st.floats(50, 550)), max_size=20))
def test_labels_cover_neither_each_other_nor_points_where_there_is_room(points: Points) -> None:
    inside = Box(0, 0, 800, 600)
    markers = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    placed = place([Label(x, y, 60, 12) for x, y in points], inside, markers)
    boxes = [one.box for one in placed]
    for one, other in itertools.combinations(boxes, 2):
        assert one.overlap(other) == 0
    for box in boxes:
        assert all(box.overlap(marker) == 0 for marker in markers)
        assert box.left >= 0
        assert box.bottom >= 0
        assert box.right <= 800
        assert box.top <= 600


def test_a_label_keeps_off_lines_where_it_can() -> None:
    line = [Box(x - 1, 99, x + 1, 101) for x in range(100, 300, 4)]
    label = place([Label(100, 100, 40, 10)], Box(0, 0, 400, 400), [Box(95, 95, 105, 105)], line)[0]
    assert all(label.box.overlap(part) == 0 for part in line)
    assert not label.leader


def made_up(scales: tuple[int, ...] = (4,)) -> Results:
    """Results as if the published figures had been measured."""
    asked = Settings(Path("out"), (DataSet("Set5", Path()),), scales=scales)
    rows: list[Row] = []
    for contender in contenders(asked)[0]:
        row = Row(contender)
        published, counted = row.published("Set5"), row.complexity
        if published is not None:
            row.images["Set5"] = [ImageScore("a", published.psnr, published.ssim, 1.0)]
        if counted is not None:
            row.cost = Measured((counted.multi_adds / 1e10,), 1.0, 10**8)
        rows.append(row)
    return Results(asked, {}, rows, pictures={"Set5": 1})


def test_plots_of_all_networks_are_drawn_and_stand_for_themselves() -> None:
    pytest.importorskip("matplotlib")
    from lightsr.evaluation.benchmark.plots import draw_plots

    plots = draw_plots(made_up())
    names = ["psnr-multi-adds-x4", "psnr-parameters-x4", "psnr-latency-x4"]
    assert [plot.name for plot in plots] == names
    known: set[str] = set()
    for plot in plots:
        assert plot.png.startswith(b"\x89PNG")
        element = ElementTree.fromstring(plot.svg)
        assert element.get("role") == "img"
        assert element.get("aria-label") == plot.title
        assert "currentColor" in plot.svg
        assert "#010203" not in plot.svg
        ids = {one.get("id", "") for one in element.iter()} - {""}
        assert not ids & known
        known |= ids


def test_without_figures_there_is_no_plot() -> None:
    pytest.importorskip("matplotlib")
    from lightsr.evaluation.benchmark.plots import draw_plots

    results = made_up()
    for row in results.rows:
        row.images, row.cost = {}, None
    results.settings = Settings(Path("out"), (DataSet("Unheard", Path()),), scales=(4,))
    assert draw_plots(results) == []
