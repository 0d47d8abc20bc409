from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.local import LocalNetworkTester
from networks.published import assert_rule_gives
from networks.tester import noise, perturbed
from networks.weight_normed import FORMS, Tensors, renamed
from safetensors.numpy import load_file
from torch.nn import functional as F

from lightsr.errors import WeightsError
from lightsr.evaluation.counting import count
from lightsr.networks.lapar import MEAN, dictionary, lapar_a
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.create import create_network
from lightsr.weights.families import Found
from lightsr.weights.official_lapar import official_name


class TestLAPARA(LocalNetworkTester):
    name: ClassVar[str] = "lapar-a"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)

    def radius(self, scale: int) -> int:
        # 38 LR pixels, and the four output pixels of the last layers, which are fewer LR ones.
        return 38 + math.ceil(4 / scale)

    def test_deploying_saves_work(self, scale: int) -> None:
        deployed = count(lapar_a(scale).deploy(), 4, 4).multi_adds
        saved = 1 - deployed / count(self.build(scale), 4, 4).multi_adds
        assert round(saved, 2) == {2: 0.15, 3: 0.22, 4: 0.26}[scale]


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "548K", "171G"), (3, "594K", "114G"), (4, "659K", "94G")],
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("lapar-a", scale, parameters, multi_adds)


def test_the_dictionary_is_the_authors(assets: Path) -> None:
    path = assets / "checkpoints" / "lapar" / "kernel_72_k5.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    theirs = load_file(path)["weight"].reshape(72, 5, 5)
    np.testing.assert_allclose(dictionary().numpy(), theirs, rtol=0, atol=1e-15)


def test_the_dictionary_by_its_shapes() -> None:
    filters = dictionary()
    assert filters.shape == (72, 5, 5)
    torch.testing.assert_close(filters.sum((1, 2)), torch.ones(72, dtype=torch.float64))
    # Every filter is the same from both ends; round ones are so from all sides.
    torch.testing.assert_close(filters.flip(1, 2), filters)
    for index in (0, 31, 50, 51, 52, 53):
        torch.testing.assert_close(filters[index].T, filters[index])
    # Direction 0 is narrow across, along the columns; a quarter turn on it is along the rows.
    torch.testing.assert_close(filters[4].T, filters[1])
    assert filters[1][2, 0] > filters[1][0, 2]
    assert (filters[:51] > 0).all()
    assert (filters[51:, 2, 2] < 0).all()
    narrow = filters[51:].clamp(max=0).sum((1, 2))
    torch.testing.assert_close(narrow, torch.full_like(narrow, -0.4))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_last_step_by_hand(scale: int) -> None:
    """Bicubic of torch's, mirrored without its edge, and filtered pixel by pixel."""
    torch.manual_seed(0)
    network, x = lapar_a(scale), noise(1, 3, 6, 5)
    with torch.no_grad():
        weights = network.regression(x)
        picture = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
        picture = F.pad(picture, (2, 2, 2, 2), mode="reflect")
        row, column = 3 * scale - 1, 4 * scale + 1
        own = (weights[0, :, row, column, None, None] * network.dictionary[:, 0]).sum(0)
        seen = picture[0, :, row : row + 5, column : column + 5]
        wanted = (own * seen).sum((1, 2))
        torch.testing.assert_close(network(x)[0, :, row, column], wanted)


def test_one_colour_stays_where_weights_sum_to_one() -> None:
    network = lapar_a(2)
    with torch.no_grad():
        network.regression.weights.weight_g.zero_()
        network.regression.weights.bias.fill_(1 / 72)
        torch.testing.assert_close(network(torch.full((1, 3, 4, 4), 0.25)).mean().item(), 0.25)


def official(network: torch.nn.Module) -> Tensors:
    """Return what the authors' code would save, constants included."""
    return renamed(network.state_dict(), official_name) | {
        "w_conv.rgb_mean": torch.tensor(MEAN).view(1, 3, 1, 1),
        "decom_conv.weight": dictionary().float()[:, None],
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_names_convert(
    scale: int, form: Callable[[Tensors], Tensors], tmp_path: Path
) -> None:
    network, path = perturbed(lapar_a(scale)), tmp_path / "theirs.pth"
    torch.save(form(official(network)), path)
    assert identify(read_checkpoint(path)) == Found("lapar-a", scale)
    x = noise(1, 3, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(create_network("lapar-a", scale, path)(x), network(x))


def test_the_authors_names_by_hand() -> None:
    names = {
        "regression.head.weight_g": "w_conv.head.0.weight_g",
        "regression.body.1.units.3.expand.bias": "w_conv.body.1.b3.body.0.bias",
        "regression.body.1.fuse.bias": "w_conv.body.1.reduction.bias",
        "regression.up.bias": "w_conv.up.0.bias",
        "regression.spread.convs.1.bias": "w_conv.tail.tail_k5.bias",
        "regression.spread.scales.0.scale": "w_conv.tail.scale_k3.scale",
        "regression.fuse.bias": "w_conv.tail.fuse.bias",
        "regression.weights.bias": "w_conv.tail.w_conv.bias",
    }
    assert {ours: official_name(ours) for ours in names} == names
    assert names.keys() <= lapar_a(2).state_dict().keys()


def test_other_constants_are_refused(tmp_path: Path) -> None:
    theirs, path = official(lapar_a(2)), tmp_path / "theirs.pth"
    torch.save(theirs | {"decom_conv.weight": theirs["decom_conv.weight"].flip(0)}, path)
    with pytest.raises(WeightsError, match=r"decom_conv\.weight is not what this network has"):
        convert(path, "lapar-a", 2)
    torch.save(theirs | {"w_conv.rgb_mean": torch.zeros(1, 3, 1, 1)}, path)
    with pytest.raises(WeightsError, match=r"w_conv\.rgb_mean is not what this network has"):
        convert(path, "lapar-a", 2)
