"""A benchmark of tiny graphs and small pictures, whole, again, and after damage."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.pictures import noise, read, write

from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.benchmark import cost as cost_module
from lightsr.evaluation.benchmark import quality
from lightsr.evaluation.benchmark.cache import Cache, CacheError
from lightsr.evaluation.benchmark.cost import GaveUp, Measured
from lightsr.evaluation.benchmark.results import Results, Row
from lightsr.evaluation.benchmark.run import measure
from lightsr.evaluation.benchmark.settings import Crop, DataSet, Protocol, Settings
from lightsr.evaluation.benchmark.write import write as write_results
from lightsr.evaluation.evaluate import evaluate
from lightsr.images.resize import degrade

Graph = Callable[..., Path]


class Heard:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps = self.kept = -1
        self.finished: list[str | None] = []
        self.left: list[float | None] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def start(self, steps: int, kept: int) -> None:
        self.steps, self.kept = steps, kept

    def begin(self, name: str, left: float | None) -> None:
        self.left.append(left)

    def finish(self, text: str | None) -> None:
        self.finished.append(text)


def no_graph(network: str, scale: int, path: Path) -> None:
    raise LightsrError("none is made here")


@pytest.fixture
def asked(tmp_path: Path, graph: Graph) -> Settings:
    """Two sets, a graph of VDSR for x2, and nothing timed."""
    for name, seed in (("one", 0), ("two", 1)):
        write(tmp_path / "Noise" / "HR" / f"{name}.png", noise(40 + seed, 44, 3, seed=seed))
    write(tmp_path / "Set5" / "grey.png", noise(36, 48, seed=2))
    (tmp_path / "weights").mkdir()
    shutil.copy(graph(2, kind="nearest", network="vdsr"), tmp_path / "weights" / "tiny.onnx")
    return Settings(
        output=tmp_path / "out",
        sets=(DataSet("Noise", tmp_path / "Noise" / "HR"), DataSet("Set5", tmp_path / "Set5")),
        scales=(2, 3),
        networks=("vdsr",),
        weights_dir=tmp_path / "weights",
        protocol=Protocol(border="replicate"),
        repeats=0,
        visual=False,
        plots=False,
    )


def run(asked: Settings) -> tuple[Results, Heard]:
    heard = Heard()
    return measure(asked, watcher=heard, make_graph=no_graph), heard


def scores(results: Results) -> list[dict[str, Any]]:
    return [one["quality"] for one in results.as_json()["rows"]]


def test_scores_are_those_of_evaluate(asked: Settings) -> None:
    results, heard = run(asked)
    names = [(row.contender.network, row.contender.scale) for row in results.rows]
    assert names == [("bicubic", 2), ("vdsr", 2), ("bicubic", 3), ("vdsr", 3)]
    tiny = asked.weights_dir / "tiny.onnx" if asked.weights_dir else ""
    for row, model in zip(results.rows, ("bicubic", "vdsr", "bicubic"), strict=False):
        for test_set in asked.sets:
            held = "default" if model == "bicubic" else tiny
            alone = evaluate(
                model, row.contender.scale, test_set.hr, weights=held, border="replicate"
            )
            both = row.measured(test_set.name)
            assert both is not None
            assert both == pytest.approx((alone.psnr, alone.ssim))
    assert results.rows[3].measured("Noise") is None
    assert results.pictures == {"Noise": 2, "Set5": 1}
    assert (heard.steps, heard.kept, len(heard.finished)) == (9, 0, 9)
    assert heard.left[0] is None
    assert all(left is not None and left >= 0 for left in heard.left[1:])


def test_published_figures_stand_beside_and_nothing_is_made_up(asked: Settings) -> None:
    results, _ = run(asked)
    _, with_weights, _, without = results.as_json()["rows"]
    assert with_weights["weights"]["label"] == "tiny.onnx"
    beside = with_weights["quality"]["Set5"]
    assert beside["published"] == {"psnr": 37.53, "ssim": pytest.approx(0.9587, abs=1e-3)}
    assert beside["difference"]["psnr"] == pytest.approx(beside["measured"]["psnr"] - 37.53)
    assert with_weights["quality"]["Noise"]["published"] is None
    assert with_weights["quality"]["Noise"]["difference"] is None
    assert without["weights"] is None
    assert without["quality"]["Set5"]["measured"] is None
    assert without["quality"]["Set5"]["published"]["psnr"] == 33.66
    assert without["latency"] is None
    assert without["parameters"]["published"] == "665K"
    assert without["multi_adds"]["published_accounting"] != without["multi_adds"]["true"]


def test_a_second_run_measures_only_what_is_new(
    asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run(replace(asked, sets=asked.sets[:1]))
    results, heard = run(asked)
    assert (heard.steps, heard.kept) == (3, 6)
    assert scores(results)[0]["Noise"] == scores(first)[0]["Noise"]
    with monkeypatch.context() as patched:
        patched.setattr(quality, "open_backend", lambda *_: pytest.fail("nothing is to be run"))
        again, heard = run(asked)
    assert (heard.steps, heard.kept) == (0, 9)
    assert again.as_json() == results.as_json()
    _, heard = run(replace(asked, protocol=Protocol(border="symmetric")))
    assert (heard.steps, heard.kept) == (9, 0)
    _, heard = run(replace(asked, protocol=Protocol(border="replicate", forward="chop")))
    assert (heard.steps, heard.kept) == (9, 0)


def test_changed_weights_and_pictures_are_measured_anew(asked: Settings, graph: Graph) -> None:
    run(asked)
    assert asked.weights_dir is not None
    shutil.copy(graph(2, network="vdsr"), asked.weights_dir / "tiny.onnx")
    _, heard = run(asked)
    assert heard.steps == 3
    write(asked.sets[0].hr / "two.png", noise(41, 44, 3, seed=9))
    _, heard = run(asked)
    assert heard.steps == 3


def test_damaged_measurements_are_made_again(asked: Settings) -> None:
    results, _ = run(asked)
    files = sorted((asked.output / "cache").rglob("*.json"))
    assert len(files) == 9
    files[0].write_bytes(files[0].read_bytes()[:-20])
    files[1].write_text(re.sub(r'"psnr": [\d.]+', '"psnr": 99.0', files[1].read_text()))
    again, heard = run(asked)
    assert (heard.steps, heard.kept) == (2, 7)
    assert [(q["Noise"]["measured"]) for q in scores(again)] == [
        (q["Noise"]["measured"]) for q in scores(results)
    ]
    assert any("2 kept measurements were damaged" in note for note in heard.notes)


def test_lr_pictures_on_disk(asked: Settings, tmp_path: Path) -> None:
    hr = asked.sets[1].hr / "grey.png"
    lr = degrade(np.repeat(read(hr)[..., None], 3, 2), 2, "replicate")
    write(tmp_path / "LR" / "x2" / "grey.png", lr)
    made, _ = run(replace(asked, scales=(2,), sets=asked.sets[1:]))
    on_disk = (replace(asked.sets[1], lr=tmp_path / "LR"),)
    found, heard = run(replace(asked, scales=(2,), sets=on_disk))
    assert heard.kept == 0
    assert scores(found)[1]["Set5"]["measured"] == scores(made)[1]["Set5"]["measured"]
    with pytest.raises(UserError, match=r"x3 does not exist"):
        run(replace(asked, sets=on_disk))


def test_a_network_that_fails_is_listed_and_the_rest_is_done(asked: Settings, graph: Graph) -> None:
    assert asked.weights_dir is not None
    shutil.copy(graph(2, kind="nan", network="vdsr"), asked.weights_dir / "bad.onnx")
    results, heard = run(asked)
    bad, tiny = results.rows[1:3]
    assert bad.contender.weights is not None
    assert bad.contender.weights.label == "bad.onnx"
    assert bad.images == {}
    assert set(tiny.images) == {"Noise", "Set5"}
    assert [failure.what for failure in results.failures] == ["VDSR x2 (bad.onnx)"]
    assert "not finite" in results.failures[0].reason
    assert heard.finished.count(None) == 2
    _, heard = run(asked)
    assert heard.steps == 3  # what failed is tried again


def test_nothing_is_measured_for_nothing(asked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be kept, the run ends at once instead of failing step by step."""

    def full(*_: object) -> None:
        raise CacheError("the disk is full")

    monkeypatch.setattr(Cache, "put", full)
    with pytest.raises(UserError, match="the disk is full"):
        run(asked)


def test_two_sets_of_one_name_and_none(asked: Settings) -> None:
    with pytest.raises(UserError, match="called Noise"):
        run(replace(asked, sets=(asked.sets[0], asked.sets[0])))
    with pytest.raises(UserError, match="give --data"):
        run(replace(asked, sets=()))


def test_parts_are_chosen_or_asked_for(asked: Settings, tmp_path: Path) -> None:
    flat = np.full((120, 130, 3), 128, np.uint8)
    flat[20:40, 90:110] = noise(20, 20, 3)
    write(tmp_path / "large" / "flat.png", flat)
    large = (DataSet("large", tmp_path / "large"),)
    shows = replace(asked, visual=True, scales=(2,), sets=large)
    results, _ = run(shows)
    (one,) = results.comparisons
    crop = one.crop
    assert (crop.name, crop.width, crop.height) == ("flat", 96, 96)
    assert crop.x + 96 >= 110
    assert crop.y <= 20
    assert [tile.contender.network for tile in one.tiles] == ["bicubic", "vdsr"]
    np.testing.assert_array_equal(one.original, flat[crop.y : crop.y + 96, crop.x : crop.x + 96])
    asked_for, heard = run(replace(shows, crops=(Crop("large/flat", 80, 10, 40, 30),)))
    assert heard.steps == 0  # the enlarged pictures were kept
    assert asked_for.comparisons[0].original.shape == (30, 40, 3)
    assert asked_for.comparisons[0].tiles[0].score.psnr < 60
    with pytest.raises(UserError, match="beyond the picture, which has 130x120"):
        run(replace(shows, crops=(Crop("flat", 100, 10, 40, 30),)))
    with pytest.raises(UserError, match="no picture is named 'round'"):
        run(replace(shows, crops=(Crop("round", 0, 0, 40, 30),)))


def test_a_kept_picture_that_is_damaged_is_made_again(asked: Settings) -> None:
    shows = replace(asked, visual=True, scales=(2,), crops=(Crop("one", 0, 0, 20, 20),))
    results, _ = run(shows)
    kept = sorted((asked.output / "cache").rglob("*.png"))
    assert len(kept) == 2
    kept[0].write_bytes(b"no picture")
    write(kept[1], noise(40, 44, 3, seed=7))
    again, _ = run(shows)
    assert again.damaged == 2
    for before, after in zip(results.comparisons[0].tiles, again.comparisons[0].tiles, strict=True):
        np.testing.assert_array_equal(before.samples, after.samples)


def answers(*seconds: float) -> Callable[..., subprocess.CompletedProcess[str]]:
    left = list(seconds)

    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        value = {"seconds": left.pop(0), "core_seconds": 1.5, "peak_bytes": 1000, "device": "cpu"}
        return subprocess.CompletedProcess(command, 0, json.dumps(value), "")

    return answer


def by_subject(results: Results) -> dict[tuple[str, int], Row]:
    return {(row.contender.network, row.contender.scale): row for row in results.rows}


def test_latency_is_the_median_of_rounds_in_turn(
    asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = replace(asked, scales=(4,), networks=("fdiwn",), weights_dir=None, repeats=3,
                    sets=asked.sets[1:])  # fmt: skip
    monkeypatch.setattr(cost_module.subprocess, "run", answers(1, 10, 2, 30, 9, 20))
    results, _ = run(timed)
    bicubic, fdiwn = (by_subject(results)[name, 4] for name in ("bicubic", "fdiwn"))
    assert bicubic.cost == Measured((1, 2, 9), 1.5, 1000)
    assert fdiwn.cost == Measured((10, 30, 20), 1.5, 1000)
    assert (fdiwn.latency, fdiwn.peak_bytes) == (20, 1000)
    monkeypatch.setattr(cost_module.subprocess, "run", answers())
    again, heard = run(timed)
    assert heard.steps == 0
    assert by_subject(again)["fdiwn", 4].latency == 20
    more, heard = (
        monkeypatch.setattr(cost_module.subprocess, "run", answers(3, 40)),
        run(replace(timed, repeats=4)),
    )[1]
    assert heard.steps == 2
    assert by_subject(more)["fdiwn", 4].latency == 25


def test_runs_that_take_too_long_are_given_up_until_more_is_allowed(
    asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = replace(asked, scales=(4,), networks=("fdiwn",), weights_dir=None, repeats=2,
                    sets=asked.sets[1:], time_limit=5)  # fmt: skip
    monkeypatch.setattr(cost_module.subprocess, "run", answers(1, 10, 1))
    results, _ = run(timed)
    fdiwn = by_subject(results)["fdiwn", 4]
    assert fdiwn.cost == GaveUp("a run takes more than 5 s")
    assert fdiwn.latency is None
    assert not results.failures
    monkeypatch.setattr(cost_module.subprocess, "run", answers())
    assert run(timed)[1].steps == 0
    monkeypatch.setattr(cost_module.subprocess, "run", answers(10, 12))
    allowed, _ = run(replace(timed, time_limit=20))
    assert by_subject(allowed)["fdiwn", 4].latency == 11


def test_a_graph_that_cannot_be_made_leaves_the_latency_open(asked: Settings) -> None:
    results, _ = run(replace(asked, scales=(2,), repeats=1, sets=asked.sets[1:]))
    assert results.rows[0].latency is not None
    assert results.rows[0].latency > 0
    assert results.rows[1].cost is None
    assert "none is made here" in results.failures[0].reason


class Links(HTMLParser):
    """Collects everything that a page would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "srcset", "action"):
                self.asked.append(value or "")


def test_the_folder_of_results(asked: Settings) -> None:
    pytest.importorskip("matplotlib")
    weights = (asked.weights_dir or Path()) / "<b>&|.pth"
    weights.touch()
    results, _ = run(replace(asked, plots=True, visual=True, crops=(Crop("one", 0, 0, 20, 20),)))
    write_results(results)
    out = asked.output
    plots = {path.name for path in (out / "plots").iterdir()}
    assert {"psnr-multi-adds-x2.png", "visual-x2.png"} <= plots
    assert json.loads((out / "results.json").read_text()) == results.as_json()
    with (out / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["network"] for line in lines] == ["bicubic", "vdsr", "bicubic", "vdsr"]
    assert float(lines[1]["Noise_psnr_measured"]) == pytest.approx(
        scores(results)[1]["Noise"]["measured"]["psnr"]
    )
    assert lines[3]["Set5_psnr_measured"] == ""
    assert lines[3]["Set5_psnr_published"] == "33.66"
    markdown = (out / "table.md").read_text()
    for line in markdown.splitlines():
        if line.startswith("| VDSR"):
            assert line.count("|") in (9, 11)
    assert "`<b>&|.pth`: is empty" in markdown
    assert all((out / name).exists() for name in re.findall(r"\]\((.+?)\)", markdown))

    page = (out / "index.html").read_text()
    links = Links()
    links.feed(page)
    assert links.asked
    assert all(one.startswith(("#", "data:image/png;base64,")) for one in links.asked)
    assert not links.tags & {"link", "iframe", "object", "embed", "base"}
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", page)
    assert "default-src 'none'" in page
    assert "&lt;b&gt;&amp;|.pth" in page
    assert "<b>&" not in page
    assert page.count("<table") == 2
    assert page.count('aria-sort="none"') == 2 * 17


def test_what_an_earlier_run_drew_does_not_stay(asked: Settings) -> None:
    pytest.importorskip("matplotlib")
    write_results(run(replace(asked, plots=True))[0])
    write_results(run(replace(asked, plots=True, scales=(2,)))[0])
    names = sorted(path.name for path in (asked.output / "plots").iterdir())
    assert names == ["psnr-multi-adds-x2.png", "psnr-parameters-x2.png"]
