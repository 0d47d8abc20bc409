"""The protocols of the networks' own papers, reached as users reach them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from evaluation.pictures import noise, read, write

from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.evaluate import evaluate, save_image
from lightsr.evaluation.own import RULES, score_own
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import imresize
from lightsr.metrics import compare
from lightsr.networks.registry import list_networks, network_spec
from lightsr.networks.spec import Protocol

Graph = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for i in range(2):
        write(tmp_path / "Noise" / "HR" / f"n{i}.png", noise(41 + i, 38, 3, seed=i))
    return tmp_path / "Noise" / "HR"


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say by which protocol the paper measured the network that tiny graphs call themselves."""
    from lightsr.evaluation import evaluate as module
    from lightsr.evaluation import own

    def say(protocol: str) -> None:
        spec: Any = type("Spec", (), {"protocol": protocol})
        for place in (module, own):
            monkeypatch.setattr(place, "network_spec", lambda *_: spec)

    return say


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "common"])
def test_own_is_what_the_paper_did(
    rule: str, protocol: Callable[[str], None], data: Path, graph: Graph
) -> None:
    path = graph(2)
    run = open_backend(Choice(weights=path)).run
    protocol(rule)
    measured = evaluate(None, None, data, weights=path, protocol="own")
    assert (measured.model, measured.scale) == ("fdiwn", 2)
    told = measured.as_json()["protocol"]
    assert (told["name"], told["rule"]) == ("own", rule)
    alone = score_own(run, "fdiwn", 2, data)
    assert {i.name: (i.psnr, i.ssim) for i in measured.images} == alone
    common = evaluate(None, None, data, weights=path)
    assert (common.protocol["name"], common.protocol["rule"]) == ("common", "common")
    if rule == "chopped":
        assert (told["border"], told["forward"]) == ("replicate", "chop")
        same = evaluate("fdiwn", 2, data, weights=path, border="replicate", forward="chop")
        assert same.psnr == measured.psnr
    else:
        assert measured.psnr != common.psnr
        assert "not rounded" in told["lr"]


def test_luma_is_measured_from_end_to_end(
    protocol: Callable[[str], None], data: Path, graph: Graph
) -> None:
    """By hand, with a network that repeats samples."""
    protocol("luma")
    measured = evaluate(None, 2, data, weights=graph(2, kind="nearest"), protocol="own")
    hr = read(data / "n0.png")[:40]
    luma = np.floor(rgb_to_luma(hr) + 0.5)
    sr = np.floor(imresize(luma, scale=0.5, border="symmetric").repeat(2, 0).repeat(2, 1) + 0.5)
    error = (np.clip(sr, 0, 255) - luma)[2:-2, 2:-2]
    psnr = 10 * np.log10(255**2 / np.mean(error**2))
    assert measured.images[0].psnr == pytest.approx(psnr, abs=1e-3)


def test_unrounded_is_measured_from_floats(
    protocol: Callable[[str], None], data: Path, graph: Graph
) -> None:
    protocol("unrounded")
    measured = evaluate(None, 2, data, weights=graph(2, kind="nearest"), protocol="own")
    hr = read(data / "n0.png")[:40]
    lr = imresize(hr / 255, scale=0.5, border="symmetric")
    sr = np.floor(np.clip(lr, 0, 1) * 255 + 0.5).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    assert measured.images[0].psnr == pytest.approx(compare(sr, hr, border=2).psnr, abs=1e-3)


def test_where_the_paper_used_the_common_protocol_own_is_that(data: Path, graph: Graph) -> None:
    path = graph(2, network="imdn")
    own = evaluate("imdn", 2, data, weights=path, protocol="own", lr_dir=None)
    assert (own.protocol["name"], own.protocol["rule"]) == ("own", "common")
    assert own.psnr == evaluate("imdn", 2, data, weights=path).psnr
    bicubic = evaluate("bicubic", 2, data, protocol="own")
    assert bicubic.psnr == evaluate("bicubic", 2, data).psnr


def test_what_cannot_be_measured_is_told(
    protocol: Callable[[str], None], data: Path, graph: Graph
) -> None:
    with pytest.raises(UserError, match="name a network, or give a file"):
        evaluate(None, 2, data)
    with pytest.raises(UserError, match="give a scale"):
        evaluate("bicubic", None, data)
    with pytest.raises(UserError, match="give a scale"):
        evaluate("fdiwn", None, data)
    protocol("luma")
    with pytest.raises(UserError, match="own protocol of fdiwn makes LR pictures"):
        evaluate(None, 2, data, weights=graph(2), protocol="own", lr_dir=data)
    with pytest.raises(LightsrError, match="not finite"):
        evaluate(None, 2, data, weights=graph(2, kind="nan"), protocol="own")


def test_pictures_of_luma_can_be_saved(
    protocol: Callable[[str], None], data: Path, graph: Graph, tmp_path: Path
) -> None:
    class Saving:
        def start(self, pictures: int) -> None: ...
        def begin(self, name: str) -> None: ...
        def finish(self, score: Any, enlarged: Any) -> None:
            save_image(enlarged, tmp_path / "saved", score.name)

    protocol("luma")
    evaluate(None, 2, data, weights=graph(2), protocol="own", watcher=Saving())
    saved = read(tmp_path / "saved" / "n0.png")
    assert saved.shape[:2] == (40, 38)


def test_every_network_has_a_protocol_that_is_known() -> None:
    assert set(RULES) == set(get_args(Protocol))
    assert {network_spec(name).protocol for name in list_networks()} <= set(RULES)


SLOW = [
    ("srcnn", 2, "srcnn/SRCNN_9-5-5_ImageNet_x2.mat", 36.656, 36.688),
    ("srcnn", 4, "srcnn/SRCNN_9-5-5_ImageNet_x4.mat", 30.484, 30.499),
    ("vdsr", 2, "vdsr/VDSR_Official.mat", 37.527, 37.560),
    ("vdsr", 3, "vdsr/VDSR_Official.mat", 33.658, 33.670),
    ("vdsr", 4, "vdsr/VDSR_Official.mat", 31.343, 31.352),
    ("lapsrn", 2, "lapsrn/LapSRN_x2.mat", 37.517, 37.493),
    ("lapsrn", 4, "lapsrn/LapSRN_x4.mat", 31.539, 31.529),
    ("imdn", 4, "imdn/IMDN_x4.pth", 32.211, 32.211),
    ("fdiwn", 4, "fdiwn/FDIWNx4.pt", 32.2267, None),
]
SET5 = [
    ("fsrcnn", 2, "fsrcnn/FSRCNN_x2.mat", 36.997, 37.030),
    ("fsrcnn", 4, "fsrcnn/FSRCNN_x4.mat", 30.704, 30.721),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW),
]
"""Network, scale, file, and what was measured by others: by its own protocol, and with the
network's luma not rounded, from LR pictures in 8 bits."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "scale", "file", "own", "other"), SET5)
def test_the_authors_weights_by_both_protocols(
    name: str, scale: int, file: str, own: float, other: float | None, assets: Path
) -> None:
    path, set5 = assets / "checkpoints" / file, assets / "data" / "test" / "Set5" / "HR"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    measured = evaluate(None, scale, set5, weights=path, protocol="own")
    assert measured.model == name
    assert measured.psnr == pytest.approx(own, abs=0.01)
    if other is not None:
        # Rounding the output to RGB of 8 bits costs up to 0.015 dB.
        common = evaluate(None, scale, set5, weights=path)
        assert other - 0.02 < common.psnr < other + 0.005
