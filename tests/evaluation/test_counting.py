"""The counter, and every registered network's cost held against it."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.evaluation.counting import Count, count
from lightsr.networks.build import create_network
from lightsr.networks.layers import WeightNormConv2d
from lightsr.networks.registry import list_networks, network_spec

LEFT_OUT = {"fdiwn": WeightNormConv2d, "fdiwn-m": WeightNormConv2d}
"""The layers that published multi-adds leave out, where that is all that sets them apart."""

SPECS = [(name, scale) for name in list_networks() for scale in network_spec(name).scales]


class Small(nn.Module):
    """One of everything, with a convolution that is no layer and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 5, padding=2, groups=4, bias=False)
        self.kernel = nn.Parameter(torch.zeros(8, 8, 1, 1))
        self.pooled = nn.Linear(8, 6)
        self.up = nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.grouped(self.grouped(self.first(x)))
        y = F.conv2d(y, self.kernel) + self.pooled(y.mean((2, 3))).sum()
        return self.up(y)


def test_every_kind_of_layer_is_counted_where_it_is_applied() -> None:
    h, w = 7, 5
    first, grouped, bare = 3 * 8 * 9, 2 * (8 * 2 * 25), 8 * 8
    up = 8 * 3 * 16  # each input pixel meets every weight
    expected = h * w * (first + grouped + bare + up) + 8 * 6
    counted = count(Small(), h, w)
    parameters = (216 + 8) + 400 + 64 + (48 + 6) + (384 + 3)
    assert counted == Count(parameters, expected, 0)
    apart = count(Small(), h, w, lambda module: isinstance(module, nn.Conv2d))
    assert apart == Count(parameters, expected, h * w * (first + grouped))


def test_counting_leaves_the_network_alone() -> None:
    network = Small().double()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count(network, 3, 3, lambda module: isinstance(module, nn.Conv2d))
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert not network.first._forward_hooks
    assert not network.first._forward_pre_hooks
    assert network.training


def test_nothing_is_computed_on_the_meta_device() -> None:
    huge = count(Small().to("meta"), 100_000, 100_000)
    assert huge.multi_adds == 10**10 * (count(Small(), 2, 1).multi_adds - 48) // 2 + 48


@pytest.mark.parametrize(("name", "scale"), SPECS)
def test_the_registered_cost_is_the_counted_one(name: str, scale: int) -> None:
    spec, network = network_spec(name), create_network(name, scale)
    if spec.counted == "deployed":
        network = cast("Any", network).deploy()
    left_out = LEFT_OUT.get(name, ())
    # Two sizes tell what grows with the picture from what does not. Tiny ones are run faster
    # than they are traced.
    for height, width in ((1, 1), (17, 9)):
        counted = count(network, height, width, lambda module: isinstance(module, left_out))
        true, published = spec.cost[scale], spec.published_accounting[scale]
        assert true.parameters == counted.parameters
        assert true.multi_adds(height, width) == counted.multi_adds
        if name in LEFT_OUT:
            assert published.parameters == counted.parameters
            rest = counted.multi_adds - counted.left_out
            assert published.multi_adds(width * scale, height * scale, scale) == rest
