"""The protocol's numbers: the baseline's, the authors', and those of made-up networks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.pictures import noise, read, write

from lightsr.errors import BackendError, LightsrError, UserError
from lightsr.evaluation.evaluate import (
    Evaluation,
    ImageScore,
    dataset_name,
    evaluate,
    network,
    save_image,
    score,
)
from lightsr.evaluation.forward import Batch
from lightsr.evaluation.pairs import Picture8
from lightsr.images.resize import imresize, mod_crop
from lightsr.metrics import compare

Graph = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for i in range(3):
        write(tmp_path / "Noise" / "HR" / f"n{i}.png", noise(40 + i, 38, 3, seed=i))
    return tmp_path / "Noise" / "HR"


@pytest.mark.parametrize(
    ("scale", "psnr", "ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_bicubic_gives_the_figures_of_every_paper(
    scale: int, psnr: float, ssim: float, assets: Path
) -> None:
    folder = assets / "data" / "test" / "Set5" / "HR"
    measured = evaluate("bicubic", scale, folder, border="replicate")
    assert (measured.model, measured.weights, measured.dataset) == ("bicubic", None, "Set5")
    assert measured.psnr == pytest.approx(psnr, abs=0.015)
    assert measured.ssim == pytest.approx(ssim, abs=0.001)


def test_lr_pictures_on_disk_give_what_made_ones_give(assets: Path) -> None:
    folder = assets / "data" / "test" / "Set5"
    made = evaluate("bicubic", 3, folder / "HR", border="replicate")
    lr_dir = folder / "LR_replicate" / "x3"
    read_in = evaluate("bicubic", 3, folder / "HR", border="replicate", lr_dir=lr_dir)
    assert read_in.protocol["lr"] == str(lr_dir)
    assert [(i.name, i.psnr, i.ssim) for i in made.images] == [
        (i.name, i.psnr, i.ssim) for i in read_in.images
    ]


def test_scores_are_of_the_rounded_output_with_a_border_cut(data: Path) -> None:
    def enlarge(lr: Picture8) -> Picture8:
        return lr.repeat(3, 0).repeat(3, 1)

    for got in score(enlarge, 3, data, border="replicate"):
        hr = mod_crop(read(data / f"{got.name}.png"), 3)
        lr = imresize(hr, scale=1 / 3, border="replicate")
        expected = compare(enlarge(lr)[3:-3, 3:-3], hr[3:-3, 3:-3], border=0)
        assert (got.psnr, got.ssim) == expected
        assert got.seconds > 0


def test_the_networks_output_is_clipped_and_rounded() -> None:
    lr = noise(5, 4, 3)
    seen: list[Batch] = []

    def run(batch: Batch) -> Batch:
        seen.append(batch)
        return (batch + np.float32(0.3 / 255)).repeat(2, 2).repeat(2, 3)

    output = network(run, 2, "whole")(lr)
    np.testing.assert_array_equal(output, lr.repeat(2, 0).repeat(2, 1), strict=True)
    assert seen[0].shape == (1, 3, 5, 4)
    assert seen[0].dtype == np.float32
    np.testing.assert_array_equal(seen[0][0].transpose(1, 2, 0), lr / np.float32(255))
    beyond = network(lambda b: (b * 4 - 2).repeat(2, 2).repeat(2, 3), 2, "whole")(lr)
    expected = np.clip(lr.astype(float) * 4 - 510, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(beyond[::2, ::2], expected)


def test_chop_and_whole_differ_for_a_network_that_sees_the_whole() -> None:
    def run(batch: Batch) -> Batch:
        return (batch * 0 + batch.mean()).repeat(2, 2).repeat(2, 3)

    lr = noise(60, 60, 3)
    assert len(np.unique(network(run, 2, "whole")(lr))) == 1
    assert len(np.unique(network(run, 2, "chop")(lr))) > 1


def test_output_that_is_not_finite_is_an_error() -> None:
    enlarge = network(lambda b: np.full((1, 3, 8, 8), np.nan, np.float32), 2, "whole")
    with pytest.raises(LightsrError, match="not finite"):
        enlarge(noise(4, 4, 3))


class Listening:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def start(self, pictures: int) -> None:
        self.heard.append(pictures)

    def begin(self, name: str) -> None:
        self.heard.append(name)

    def finish(self, score: ImageScore, enlarged: Picture8) -> None:
        self.heard.append((score.name, enlarged.shape))


def test_the_watcher_hears_everything_in_order(data: Path) -> None:
    watcher = Listening()
    evaluate("bicubic", 2, data, watcher=watcher)
    shapes = [(40, 38, 3), (40, 38, 3), (42, 38, 3)]
    pictures = [item for i in range(3) for item in (f"n{i}", (f"n{i}", shapes[i]))]
    assert watcher.heard == [3, *pictures]


def test_a_graph_is_run_by_the_backend_and_described(data: Path, graph: Graph) -> None:
    path = graph(2, kind="nearest")
    measured = evaluate("fdiwn", 2, data, weights=path, forward="chop", backend="onnxruntime")
    assert measured.weights == str(path)
    assert (
        measured.protocol
        | {
            "forward": "chop",
            "border": "symmetric",
            "crop": 2,
            "backend": "onnxruntime",
            "device": "cpu",
            "precision": "fp32",
        }
        == measured.protocol
    )
    by_hand = score(lambda lr: lr.repeat(2, 0).repeat(2, 1), 2, data)
    assert [i.psnr for i in measured.images] == pytest.approx([i.psnr for i in by_hand])


def test_json_is_the_public_contract(data: Path, tmp_path: Path) -> None:
    measured = evaluate("bicubic", 2, data)
    measured.write_json(tmp_path / "new" / "m.json")
    told = json.loads((tmp_path / "new" / "m.json").read_text())
    assert set(told) == {"model", "scale", "weights", "dataset", "protocol", "images", "mean"}
    assert all(set(image) == {"name", "psnr", "ssim", "seconds"} for image in told["images"])
    assert told["dataset"] == "Noise"
    assert told["mean"]["psnr"] == pytest.approx(np.mean([i["psnr"] for i in told["images"]]))
    assert told["mean"]["ssim"] == pytest.approx(np.mean([i["ssim"] for i in told["images"]]))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"m\.json cannot be written"):
        measured.write_json(tmp_path / "file" / "m.json")


def test_equal_pictures_have_no_finite_psnr_and_json_says_null() -> None:
    images = [ImageScore("same", math.inf, 1.0, 0.1), ImageScore("other", 30.0, 0.9, 0.1)]
    told = Evaluation("bicubic", 2, None, "Set", {}, images).as_json()
    assert told["images"][0]["psnr"] is None
    assert told["mean"] == {"psnr": None, "ssim": pytest.approx(0.95)}


def test_saved_pictures_are_the_measured_ones(tmp_path: Path) -> None:
    first, second = noise(8, 6, 3), noise(8, 6, 3, seed=1)
    for picture in (first, second):
        save_image(picture, tmp_path / "out", "sub/a")
        np.testing.assert_array_equal(read(tmp_path / "out" / "sub" / "a.png"), picture)


def test_datasets_are_called_by_their_folder(tmp_path: Path) -> None:
    assert dataset_name(tmp_path / "Set5" / "HR") == "Set5"
    assert dataset_name(tmp_path / "mine") == "mine"


def test_what_is_not_there_is_said_before_any_picture_is_read(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'fdiwn'"):
        evaluate("fdiwnn", 4, data, weights=tmp_path / "none.pt")
    with pytest.raises(UserError, match="x7"):
        evaluate("fdiwn", 7, data, weights=tmp_path / "none.pt")
    with pytest.raises(UserError, match=r"none\.pt does not exist"):
        evaluate("fdiwn", 4, data, weights=tmp_path / "none.pt")
    with pytest.raises(UserError, match="did you mean 'torch'"):
        evaluate("fdiwn", 4, data, backend="torsh")
    with pytest.raises(BackendError):
        evaluate("fdiwn", 4, data, weights=tmp_path / "none.pt", backend="openvino")


AUTHORS = {
    ("Set5", 4, "chop"): (32.2267, 0.8955),
    ("Set5", 4, "whole"): (32.2168, 0.8954),
    ("Set14", 4, "chop"): (28.6606, 0.7829),
    ("Set14", 4, "whole"): (28.6398, 0.7826),
    ("B100", 4, "chop"): (27.6255, 0.7380),
    ("B100", 4, "whole"): (27.6025, 0.7372),
    ("Set5", 2, "whole"): (38.0583, 0.9607),
    ("Set14", 2, "whole"): (33.7124, 0.9195),
    ("B100", 2, "whole"): (32.2064, 0.9000),
}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("dataset", "scale", "forward"), AUTHORS)
def test_the_authors_weights_give_the_papers_numbers(
    dataset: str, scale: int, forward: Any, assets: Path
) -> None:
    measured = evaluate(
        "fdiwn",
        scale,
        assets / "data" / "test" / dataset / "HR",
        weights=assets / "checkpoints" / "fdiwn" / f"FDIWNx{scale}.pt",
        border="replicate",
        forward=forward,
    )
    psnr, ssim = AUTHORS[dataset, scale, forward]
    assert measured.psnr == pytest.approx(psnr, abs=0.002)
    assert measured.ssim == pytest.approx(ssim, abs=0.0001)


@pytest.mark.parametrize(
    ("scale", "forward", "psnr", "ssim"),
    [(4, "chop", 28.7848, 0.92629), (4, "whole", 28.7422, 0.92627), (2, "whole", 35.5547, 0.97893)],
)
def test_the_authors_weights_on_butterfly(
    scale: int, forward: Any, psnr: float, ssim: float, assets: Path, tmp_path: Path
) -> None:
    original = assets / "data" / "test" / "Set5" / "HR" / "butterfly.png"
    (tmp_path / "butterfly.png").write_bytes(original.read_bytes())
    measured = evaluate(
        "fdiwn",
        scale,
        tmp_path,
        weights=assets / "checkpoints" / "fdiwn" / f"FDIWNx{scale}.pt",
        border="replicate",
        forward=forward,
    )
    assert measured.psnr == pytest.approx(psnr, abs=0.002)
    assert measured.ssim == pytest.approx(ssim, abs=0.0001)
