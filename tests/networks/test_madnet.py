from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from networks.published import as_printed
from networks.tester import NetworkTester, noise
from torch.nn import functional as F

from lightsr.evaluation.complexity import printed_count
from lightsr.networks.madnet import DRPB, RMAM, ChannelAttention
from lightsr.networks.registry import network_spec


class TestMADNet(NetworkTester):
    name: ClassVar[str] = "madnet"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "878K", "187.1G"), (3, "930K", "88.4G"), (4, "1002K", "54.1G")],
)
def test_the_stand_in_has_the_published_sizes(scale: int, parameters: str, multi_adds: str) -> None:
    """Parameters as printed; multi-adds, whose rule nobody knows, within 0.2%."""
    spec = network_spec("madnet")
    published, rule = spec.published[scale], spec.published_accounting[scale]
    assert (published.parameters, published.multi_adds) == (parameters, multi_adds)
    assert rule.parameters == spec.cost[scale].parameters
    assert parameters in as_printed(rule.parameters, parameters)
    counted = rule.multi_adds(1280, 720, scale)
    assert counted == spec.cost[scale].multi_adds(720 // scale, 1280 // scale)
    assert counted == pytest.approx(printed_count(multi_adds), rel=0.002)


def test_it_says_what_it_is() -> None:
    spec = network_spec("madnet")
    assert spec.title == "MADNet (reconstruction)"
    assert spec.label == "madnet (reconstruction)"
    assert "stand-in" in str(spec.reconstruction)


def test_modules_by_hand() -> None:
    module, x = RMAM(8), noise(1, 8, 9, 7) - 0.5

    def active(y: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(y, 0.05)

    with torch.no_grad():
        b1, b2, b3 = module.convs
        y1 = active(b1(x))
        y2 = active(b2(x + y1))
        y3 = active(b3(x + y1 + y2))
        together = module.attention(torch.cat((y1, y2, y3), 1))
        torch.testing.assert_close(module(x), module.fuse(together) + x)

        block, shallow = DRPB(8), noise(1, 8, 9, 7, seed=1)
        first, output = block(x, shallow)
        assert torch.equal(first, block.first(x))
        refined = block.attention(block.smooth(block.second(first)))
        torch.testing.assert_close(output, refined + x + shallow)


def test_attention_weighs_channels_by_all_means() -> None:
    attention, x = ChannelAttention(6, 2), noise(2, 6, 4, 5)
    means = x.mean((2, 3))[:, :, None, None]
    with torch.no_grad():
        gate = torch.sigmoid(attention.expand(torch.relu(attention.reduce(means))))
        torch.testing.assert_close(attention(x), x * gate)
