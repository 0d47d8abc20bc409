from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.published import assert_rule_gives, assert_set5
from networks.tester import NetworkTester, noise
from torch.nn import functional as F

from lightsr.errors import WeightsError
from lightsr.evaluation.complexity import complexity
from lightsr.evaluation.counting import count
from lightsr.networks.build import create_network
from lightsr.networks.registry import network_spec
from lightsr.networks.rfdn import RFDB, EnhancedSpatialAttention, e_rfdn
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.families import Found
from lightsr.weights.official_rfdn import official_name


class TestRFDN(NetworkTester):
    name: ClassVar[str] = "rfdn"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)


class TestERFDN(NetworkTester):
    name: ClassVar[str] = "e-rfdn"

    @pytest.mark.parametrize("size", [(15, 15), (20, 17), (41, 33)])
    def test_cost_is_exact_at_larger_sizes(self, size: tuple[int, int], scale: int) -> None:
        cost = network_spec(self.name).cost[scale]
        assert cost.multi_adds(*size) == count(self.build(scale), *size).multi_adds

    def test_cost_at_720p(self, scale: int) -> None:
        with torch.device("meta"):
            network = create_network(self.name, scale)
        size = (720 // scale, 1280 // scale)
        counted = count(network, *size).multi_adds
        assert network_spec(self.name).cost[scale].multi_adds(*size) == counted

    def test_small_pictures_are_extended(self, scale: int) -> None:
        """The result is that of a picture extended by hand; one that is large enough is left."""
        network = self.build(scale)
        small = noise(1, 3, 4, 30)
        extended = F.pad(small, (0, 0, 0, 11), mode="replicate")
        with torch.no_grad():
            sr = network(extended)
            assert torch.equal(network(small), sr[:, :, : 4 * scale])
            assert sr.shape == (1, 3, 15 * scale, 30 * scale)


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "534K", "123.0G"), (3, "541K", "55.4G"), (4, "550K", "31.6G")],
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("rfdn", scale, parameters, multi_adds)
    rule = network_spec("rfdn").published_accounting[scale]
    assert rule.per_pixel == rule.parameters == network_spec("rfdn").cost[scale].parameters


def test_nothing_was_published_of_e_rfdns_size() -> None:
    told = complexity("e-rfdn", 4).as_json()
    assert told["parameters"] == 433_448
    assert round(told["multi_adds"] / 1e9, 2) == 23.76
    assert told["published"]["parameters"] is None
    assert told["published"]["multi_adds"] is None


def test_a_block_by_hand() -> None:
    """Activation comes behind the residual, and no residual goes around the block."""
    block = RFDB(6, torch.nn.Identity())
    x = noise(1, 6, 5, 4) - 0.5

    def active(y: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(y, 0.05)

    with torch.no_grad():
        r1 = active(block.refine1(x) + x)
        r2 = active(block.refine2(r1) + r1)
        r3 = active(block.refine3(r2) + r2)
        parts = (block.distil1(x), block.distil2(r1), block.distil3(r2), block.refine4(r3))
        assert torch.equal(block(x), block.fuse(torch.cat([active(p) for p in parts], 1)))


def test_spatial_attention_sees_the_picture_at_a_sixth() -> None:
    attention = EnhancedSpatialAttention(8)
    x = noise(1, 8, 21, 33)
    with torch.no_grad():
        reduced = attention.reduce(x)
        coarse = F.conv2d(reduced, attention.stride.weight, attention.stride.bias, stride=2)
        assert coarse.shape[2:] == (10, 16)
        coarse = F.max_pool2d(coarse, 7, 3)
        assert coarse.shape[2:] == (2, 4)
        coarse = torch.relu(attention.coarse2(torch.relu(attention.coarse1(coarse))))
        coarse = F.interpolate(attention.coarse3(coarse), (21, 33), mode="bilinear")
        gate = torch.sigmoid(attention.expand(coarse + attention.fine(reduced)))
        torch.testing.assert_close(attention(x), x * gate)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_authors_names_convert(scale: int, tmp_path: Path) -> None:
    ours, path = e_rfdn(scale).state_dict(), tmp_path / "theirs.pth"
    theirs = {official_name(name): tensor for name, tensor in ours.items()}
    assert len(theirs) == 128
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found("e-rfdn", scale)
    converted = convert(path, "e-rfdn", scale)
    assert all(np.array_equal(converted[name], tensor.numpy()) for name, tensor in ours.items())
    with pytest.raises(WeightsError, match=f"holds e-rfdn x{scale}, not rfdn x{scale}"):
        convert(path, "rfdn", scale)
    theirs["B2.esa.conv5.bias"] = torch.zeros(3)
    torch.save(theirs, path)
    with pytest.raises(WeightsError, match=r"1 too many: B2\.esa\.conv5\.bias"):
        convert(path, "e-rfdn", scale)


def test_the_authors_weights_on_set5(assets: Path) -> None:
    checkpoint = assets / "checkpoints" / "rfdn" / "RFDN_AIM.pth"
    assert_set5("e-rfdn", 4, checkpoint, 32.16, 0.8946)
