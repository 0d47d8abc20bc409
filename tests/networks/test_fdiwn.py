from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.tester import NetworkTester, noise, perturbed
from PIL import Image

from lightsr.images.resize import imresize
from lightsr.networks.build import create_network
from lightsr.networks.fdiwn import FDIWN, CombinationCoefficient, ShuffleAttention, fdiwn
from lightsr.networks.fdiwn_deploy import Gate
from lightsr.networks.layers import shuffle_order
from lightsr.networks.registry import network_spec
from lightsr.weights.create import create_network as create_with_weights


class TestFDIWN(NetworkTester):
    name: ClassVar[str] = "fdiwn"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal", "test_onnx_graph_is_equal")
    graph_tolerance: ClassVar[float] = 1e-3


class TestFDIWNM(NetworkTester):
    name: ClassVar[str] = "fdiwn-m"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("fdiwn", {2: 629_176, 3: 646_486, 4: 663_848}),
        ("fdiwn-m", {2: 433_840, 3: 446_814, 4: 454_648}),
    ],
)
def test_parameters(name: str, sizes: dict[int, int]) -> None:
    for scale, wanted in sizes.items():
        network = create_network(name, scale)
        assert sum(p.numel() for p in network.parameters()) == wanted


@pytest.mark.parametrize(
    ("name", "scale", "published", "true"),
    [
        ("fdiwn", 2, 112.03, 270.89),
        ("fdiwn", 3, 51.49, 121.98),
        ("fdiwn", 4, 28.36, 71.21),
        ("fdiwn-m", 2, 73.61, 187.88),
        ("fdiwn-m", 3, 35.94, 82.93),
        ("fdiwn-m", 4, 19.60, 48.17),
    ],
)
def test_multi_adds_at_720p(name: str, scale: int, published: float, true: float) -> None:
    size = (720 // scale, 1280 // scale)
    spec = network_spec(name, scale)
    counted = spec.published_accounting[scale].multi_adds(1280, 720, scale)
    assert round(counted / 1e9, 2) == published
    assert round(spec.cost[scale].multi_adds(*size) / 1e9, 2) == true


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_start_is_bicubic_away_from_the_border(scale: int) -> None:
    network = fdiwn(scale)
    network.start_at_bicubic()
    lr = noise(1, 3, 9, 11)
    sr = network(lr)[0].permute(1, 2, 0).detach().numpy()
    wanted = imresize(lr[0].permute(1, 2, 0).numpy(), scale=scale)
    edge = 2 * scale
    inner = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(sr[inner], wanted[inner], atol=2e-5)


def test_shuffle_attention_by_hand() -> None:
    """Groups of 4 channels: two gated by their mean, two by their normalised values; shuffled."""
    attention = perturbed(ShuffleAttention(24)).double()
    assert isinstance(attention, ShuffleAttention)
    x = noise(1, 24, 4, 5, dtype=torch.float64)
    got = attention(x)
    norm = attention.norm
    for output in range(24):
        source = output // 2 + 12 * (output % 2)
        values, position = x[0, source], source % 4
        if position < 2:
            argument = (
                attention.channel_weight[position] * values.mean()
                + attention.channel_bias[position]
            )
        else:
            half = position - 2
            normed = (values - values.mean()) / (values.var(correction=0) + norm.eps).sqrt()
            normed = normed * norm.weight[half] + norm.bias[half]
            argument = attention.spatial_weight[half] * normed + attention.spatial_bias[half]
        torch.testing.assert_close(got[0, output], values * torch.sigmoid(argument))


@pytest.mark.parametrize("factor", [1.0, -0.7, 3.5, 0.0])
def test_gate_is_shuffle_attention_with_the_factor_taken_in(factor: float) -> None:
    attention = perturbed(ShuffleAttention(24)).double()
    assert isinstance(attention, ShuffleAttention)
    order = shuffle_order(24, 2)
    x = noise(2, 24, 5, 3, dtype=torch.float64)
    gate = Gate(attention, order, torch.tensor([factor], dtype=torch.float64))
    torch.testing.assert_close(gate(x[:, order] * factor), attention(x) * factor)


def test_coefficients_lie_between_a_half_and_one() -> None:
    coefficient = perturbed(CombinationCoefficient(24))
    values = coefficient(noise(4, 24, 6, 6) * 5)
    assert values.shape == (4, 24, 1, 1)
    assert (values >= 0.5).all()
    assert (values < 1).all()


def test_groups_are_shared_between_applications() -> None:
    network = fdiwn(2)
    assert len(network.groups) == 3
    assert network.order == (0, 0, 1, 2, 1, 2)


@pytest.mark.parametrize(("scale", "wanted"), [(2, 38.907), (4, 33.804)])
def test_official_weights_on_a_picture(assets: Path, scale: int, wanted: float) -> None:
    from lightsr.metrics import compare

    checkpoint = assets / "checkpoints" / "fdiwn" / f"FDIWNx{scale}.pt"
    if not checkpoint.is_file():
        pytest.skip(f"{checkpoint} is not there")
    network = create_with_weights("fdiwn", scale, checkpoint)
    assert isinstance(network, FDIWN)
    with Image.open(next((assets / "data/test/Set5/HR").glob("baby*"))) as picture:
        hr = np.asarray(picture.convert("RGB"))
    name = next((assets / f"data/test/Set5/LR_replicate/x{scale}").glob("baby*"))
    with Image.open(name) as picture:
        lr = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        sr = (network.deploy()(lr).clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = sr[0].permute(1, 2, 0).numpy()
    hr = hr[: pixels.shape[0], : pixels.shape[1]]
    assert compare(pixels, hr, scale).psnr == pytest.approx(wanted, abs=0.002)
