from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from networks.local import LocalNetworkTester, WithinRadiusTester
from networks.luma_tester import LumaTester
from networks.published import assert_rule_gives
from networks.tester import noise

from lightsr.evaluation.complexity import complexity
from lightsr.networks.build import create_network
from lightsr.networks.idn import DistillationBlock, TransposedHead
from lightsr.networks.luma import BicubicEnlargement


class TestIDN(LumaTester):
    name: ClassVar[str] = "idn"

    def test_published_counts(self, scale: int) -> None:
        counted = complexity(self.name, scale)
        assert counted.published_accounting[0] == counted.parameters == 552_769
        printed = {2: "139.74", 3: "71.47", 4: "47.72"}[scale]
        assert f"{counted.published_accounting[1] / 1e9:.2f}" == printed


class TestRGB(WithinRadiusTester):
    name: ClassVar[str] = "idn-rgb"


class TestSubPixel(LocalNetworkTester):
    name: ClassVar[str] = "idn-tf"


@pytest.mark.parametrize(("scale", "multi_adds"), [(3, "105.6G"), (4, "81.9G")])
def test_the_figures_of_the_comparison_table_are_those_of_rgb(scale: int, multi_adds: str) -> None:
    assert_rule_gives("idn-rgb", scale, "590K", multi_adds)


@pytest.mark.parametrize(("scale", "parameters"), [(2, 579_276), (3, 587_931), (4, 600_048)])
def test_the_later_version_has_its_authors_parameters(scale: int, parameters: int) -> None:
    told = complexity("idn-tf", scale).as_json()
    assert told["parameters"] == told["published"]["parameters"] == parameters


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_residual_lies_where_the_authors_add_it(scale: int) -> None:
    """Their deconvolution overhangs by 8, and its first row meets row scale - 1."""
    head = TransposedHead(1, scale).double()
    x = noise(1, 64, 5, 4, dtype=torch.float64)
    weight, bias = head.deconvolution.weight, head.deconvolution.bias
    theirs = torch.nn.functional.conv_transpose2d(x, weight, bias, stride=scale, padding=8)
    ours = head(x)
    assert ours.shape == (1, 1, 5 * scale, 4 * scale)
    torch.testing.assert_close(ours[:, :, scale - 1 :, scale - 1 :], theirs)


def test_a_block_keeps_the_first_channels_and_works_on_with_the_rest() -> None:
    block = DistillationBlock().double()
    x = noise(1, 64, 4, 5, dtype=torch.float64)
    features = x
    for conv in block.enhancement:
        features = torch.nn.functional.leaky_relu(conv(features), 0.05)
    rest = features[:, 16:]
    for conv in block.further:
        rest = torch.nn.functional.leaky_relu(conv(rest), 0.05)
    total = torch.cat((x, features[:, :16]), 1) + rest
    wanted = torch.nn.functional.leaky_relu(block.compression(total), 0.05)
    torch.testing.assert_close(block(x), wanted)


@pytest.mark.parametrize("name", ["idn", "idn-rgb", "idn-tf"])
def test_the_last_layer_gives_what_the_bicubic_picture_lacks(name: str) -> None:
    network = create_network(name, 3)
    for parameter_name, parameter in network.named_parameters():
        if "head." in parameter_name:
            torch.nn.init.zeros_(parameter)
    x = noise(1, 3, 5, 6)
    torch.testing.assert_close(network(x), BicubicEnlargement(3)(x))
