from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from networks.published import assert_rule_gives
from networks.tester import NetworkTester, noise, perturbed
from networks.weight_normed import FORMS, Tensors, renamed
from torch.nn import functional as F

from lightsr.errors import WeightsError
from lightsr.evaluation.counting import count
from lightsr.networks.layers import WeightNormConv2d
from lightsr.networks.maffsrn import FeatureFusionGroup, MultiAttentionBlock, maffsrn
from lightsr.networks.registry import network_spec
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.create import create_network
from lightsr.weights.families import Found
from lightsr.weights.official_maffsrn import official_name


class TestMAFFSRN(NetworkTester):
    name: ClassVar[str] = "maffsrn"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)

    @pytest.mark.parametrize("size", [(13, 13), (20, 17), (41, 33)])
    def test_both_costs_are_exact_at_larger_sizes(self, size: tuple[int, int], scale: int) -> None:
        spec = network_spec(self.name)
        counted = count(self.build(scale), *size, lambda m: isinstance(m, WeightNormConv2d))
        assert spec.cost[scale].multi_adds(*size) == counted.multi_adds
        rule, (height, width) = spec.published_accounting[scale], size
        bicubic = height * width * 15 * (scale + scale**2)
        by_rule = counted.multi_adds - counted.left_out - bicubic
        assert rule.multi_adds(width * scale, height * scale, scale) == by_rule
        assert rule.parameters == counted.parameters

    def test_small_pictures_are_extended(self, scale: int) -> None:
        """The result is that of a picture extended by hand; one that is large enough is left."""
        network, small = self.build(scale), noise(1, 3, 4, 30)
        extended = F.pad(small, (0, 0, 0, 9), mode="replicate")
        with torch.no_grad():
            sr = network(extended)
            assert torch.equal(network(small), sr[:, :, : 4 * scale])
            assert sr.shape == (1, 3, 13 * scale, 30 * scale)

    def test_without_its_tail_it_is_torchs_bicubic(self, scale: int) -> None:
        network = maffsrn(scale)
        with torch.no_grad():
            for weigh in cast("Any", network).tail.scales:
                weigh.scale.zero_()
            x = noise(1, 3, 9, 14)
            wanted = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
            torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "402K", "77.2G"), (3, "418K", "34.2G"), (4, "441K", "19.3G")],
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("maffsrn", scale, parameters, multi_adds)


def test_a_block_by_hand() -> None:
    block = MultiAttentionBlock(8)
    x = noise(1, 8, 21, 33) - 0.5

    def active(y: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(y, 0.05)

    with torch.no_grad():
        y = block.conv2(active(block.conv1(x)))
        reduced = block.reduce(y)
        small = F.conv2d(reduced, block.stride.weight, block.stride.bias, stride=2, padding=1)
        assert small.shape[2:] == (11, 17)
        pooled = F.max_pool2d(small, 7, 3)
        assert pooled.shape[2:] == (2, 4)
        far = F.conv2d(pooled, block.far.weight, block.far.bias, padding=2, dilation=2)
        coarse = active(far) + active(block.near(pooled))
        coarse = F.interpolate(coarse, size=(21, 33), mode="nearest") + reduced
        wide = torch.sigmoid(torch.relu(block.expand(coarse)))
        own = torch.sigmoid(block.depthwise(block.pointwise(y)))
        torch.testing.assert_close(block(x), wide * y * own)


def test_a_group_by_hand() -> None:
    """Each fusion sees the two halves interleaved: a0, b0, a1, b1, ..."""
    group = cast("Any", perturbed(FeatureFusionGroup(4)))
    x = noise(1, 4, 13, 14)
    with torch.no_grad():
        x0 = group.blocks[0](x)
        x1 = group.blocks[1](x0) + x0
        x2 = group.blocks[2](x1) + x1
        fused = x0
        for fusion, other in zip(group.fusions, (x1, x2, group.blocks[3](x2)), strict=True):
            fused = fusion(torch.stack((fused, other), 2).flatten(1, 2))
        wanted = group.fused_scale.scale * fused + group.identity_scale.scale * x
        torch.testing.assert_close(group(x), wanted)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_names_convert(
    scale: int, form: Callable[[Tensors], Tensors], tmp_path: Path
) -> None:
    network, path = perturbed(maffsrn(scale)), tmp_path / "theirs.pt"
    torch.save(form(renamed(network.state_dict(), official_name)), path)
    assert identify(read_checkpoint(path)) == Found("maffsrn", scale)
    x = noise(1, 3, 14, 15)
    with torch.no_grad():
        torch.testing.assert_close(create_network("maffsrn", scale, path)(x), network(x))


def test_names_without_the_sequence_convert_too(tmp_path: Path) -> None:
    state, path = maffsrn(3).state_dict(), tmp_path / "theirs.pt"
    theirs = {re.sub(r"(conv0[01]|bottom11(?:_dw)?)\.0\.", r"\1.", official_name(name)): tensor
              for name, tensor in state.items()}  # fmt: skip
    assert "body.0.b0.bottom11.weight" in theirs
    torch.save(theirs, path)
    converted = convert(path, "maffsrn", 3)
    assert all((converted[name] == tensor.numpy()).all() for name, tensor in state.items())


def test_the_authors_names_by_hand() -> None:
    names = {
        "head.weight_g": "head.0.weight_g",
        "groups.1.blocks.2.conv1.bias": "body.1.b2.conv01.0.bias",
        "groups.1.blocks.2.conv2.bias": "body.1.b2.conv00.0.bias",
        "groups.0.blocks.0.stride.weight": "body.0.b0.reduce_spatial_size.weight",
        "groups.0.blocks.0.far.weight": "body.0.b0.conv2.0.weight",
        "groups.0.blocks.0.near.weight": "body.0.b0.conv1.0.weight",
        "groups.0.blocks.0.depthwise.weight": "body.0.b0.bottom11_dw.0.weight",
        "groups.3.fusions.2.weight_v": "body.3.reduction3.weight_v",
        "groups.3.fused_scale.scale": "body.3.res_scale.scale",
        "tail.convs.1.bias": "tail.tail_k5.bias",
        "tail.scales.0.scale": "tail.scale_k3.scale",
    }
    assert {ours: official_name(ours) for ours in names} == names
    assert names.keys() <= maffsrn(2).state_dict().keys()


def test_the_larger_one_is_refused(tmp_path: Path) -> None:
    theirs = renamed(maffsrn(2).state_dict(), official_name)
    more = {f"body.4{name[6:]}": t for name, t in theirs.items() if name.startswith("body.0")}
    torch.save(theirs | more, tmp_path / "theirs.pt")
    with pytest.raises(WeightsError, match=r"too many: body\.4\.b0"):
        convert(tmp_path / "theirs.pt", "maffsrn", 2)
