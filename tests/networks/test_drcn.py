from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest
import torch
from networks.luma_tester import LumaTester
from networks.published import assert_rule_gives
from networks.tester import noise
from torch import Tensor, nn

from lightsr.networks.build import create_network
from lightsr.networks.drcn import DRCN, ConcatenatingDRCN


@pytest.mark.slow
class TestDRCN(LumaTester):
    """Slow, as is the network; what it shares with the reduced one is tested on that one."""

    name: ClassVar[str] = "drcn"


class TestReduced(LumaTester):
    name: ClassVar[str] = "drcn-f96d9"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_published_counts(scale: int) -> None:
    assert_rule_gives("drcn", scale, "1774K", "17974.3G")


def filled(network: nn.Module) -> nn.Module:
    """Fill every parameter with something of its own."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.2)
    return network.double()


def by_the_paper(network: DRCN, x: Tensor) -> list[Tensor]:
    """Return the features of every depth: H_d = ReLU(W * H_(d-1) + b)."""
    features = x
    for conv in network.embedding:
        features = torch.relu(conv(features))
    depths: list[Tensor] = []
    for _ in range(len(network.ensemble)):
        features = torch.relu(network.recursion(features))
        depths.append(features)
    return depths


def test_the_output_is_the_weighted_sum_of_all_predictions() -> None:
    network = cast("DRCN", filled(DRCN(width=6, recursions=3)))
    x = noise(2, 1, 5, 4, dtype=torch.float64)
    first, last = network.reconstruction
    wanted = sum(
        weight * (x + last(torch.relu(first(features))))
        for weight, features in zip(network.ensemble, by_the_paper(network, x), strict=True)
    )
    torch.testing.assert_close(network(x), wanted)


def test_the_reduced_form_concatenates_rectifies_and_normalises() -> None:
    network = cast("ConcatenatingDRCN", filled(ConcatenatingDRCN(width=6, recursions=3)))
    with torch.no_grad():
        network.ensemble.copy_(torch.tensor([0.5, 2.0, 1.5]))
    x = noise(2, 1, 5, 4, dtype=torch.float64) * 255
    first, last = network.reconstruction
    wanted = sum(
        weight * torch.relu(last(torch.cat((torch.relu(first(features)), x), 1)))
        for weight, features in zip((0.125, 0.5, 0.375), by_the_paper(network, x), strict=True)
    )
    torch.testing.assert_close(network(x / 255) * 255, wanted)


def test_it_starts_with_equal_weights_and_a_recursion_that_hands_on() -> None:
    network: Any = create_network("drcn", 2).get_submodule("body")
    assert network.ensemble.tolist() == [1 / 16] * 16
    features = noise(1, 256, 3, 4)
    assert torch.equal(network.recursion(features), features)
