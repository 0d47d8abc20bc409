from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from networks.local import LocalNetworkTester
from networks.published import assert_rule_gives
from networks.tester import noise, perturbed
from torch import nn
from torch.nn import functional as F

from lightsr.errors import WeightsError
from lightsr.images.color import rgb_to_luma, rgb_to_ycbcr
from lightsr.images.resize import imresize
from lightsr.networks.build import create_network
from lightsr.networks.ecbsr import ECB, EDGES, EdgeBranch
from lightsr.networks.registry import network_spec
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.families import Found
from lightsr.weights.official_ecbsr import official_name


class TestM4C8(LocalNetworkTester):
    name: ClassVar[str] = "ecbsr-m4c8"


class TestM4C16(LocalNetworkTester):
    name: ClassVar[str] = "ecbsr-m4c16"


class TestM10C32(LocalNetworkTester):
    name: ClassVar[str] = "ecbsr-m10c32"


class TestM16C64(LocalNetworkTester):
    name: ClassVar[str] = "ecbsr-m16c64"


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"), [(2, "596K", "137.31G"), (4, "603K", "34.73G")]
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("ecbsr-m16c64", scale, parameters, multi_adds)


@pytest.mark.parametrize(("scale", "trained"), [(2, 2_190_932), (3, 2_196_647), (4, 2_206_160)])
def test_training_has_more_parameters(scale: int, trained: int) -> None:
    network = create_network("ecbsr-m16c64", scale)
    assert sum(p.numel() for p in network.parameters()) == trained
    assert network_spec("ecbsr-m16c64").cost[scale].parameters < trained / 3


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 8), (8, 8), (8, 16)])
def test_a_block_folds_exactly(inputs: int, outputs: int) -> None:
    """At the border too, with values that make every branch count."""
    block = ECB(inputs, outputs).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn_like(parameter))
        x = noise(2, inputs, 5, 6, dtype=torch.float64)
        torch.testing.assert_close(block(x), block.branches(x), rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(block.folded()(x), block(x), rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(block(x[:, :, :1, :1]), block.branches(x[:, :, :1, :1]))


@pytest.mark.parametrize("kind", range(3))
def test_an_edge_branch_by_hand(kind: int) -> None:
    """The 1x1 convolution's bias stands around its output; the kernel is fixed but for a scale."""
    branch = EdgeBranch(2, 4, EDGES[kind]).double()
    perturbed(branch)
    x = noise(1, 2, 4, 5, dtype=torch.float64)
    with torch.no_grad():
        weight, bias = branch.pointwise.weight, branch.pointwise.bias
        assert bias is not None
        around = bias.view(1, 4, 1, 1).expand(1, 4, 6, 7).clone()
        around[:, :, 1:-1, 1:-1] = F.conv2d(x, weight, bias)
        for channel in range(4):
            mask = torch.tensor(EDGES[kind], dtype=torch.float64)[None, None]
            wanted = F.conv2d(around[:, channel : channel + 1], mask * branch.scale[channel])
            wanted = wanted + branch.bias[channel]
            torch.testing.assert_close(branch(x)[:, channel : channel + 1], wanted)
    trained = {name for name, _ in branch.named_parameters()}
    assert trained == {"pointwise.weight", "pointwise.bias", "scale", "bias"}


def test_deployed_is_plain() -> None:
    network = create_network("ecbsr-m4c8", 3)
    kinds = {type(module) for module in cast("Any", network).deploy().body.modules()}
    assert not kinds & {ECB, EdgeBranch}
    assert {nn.Conv2d, nn.PReLU, nn.PixelShuffle} <= kinds


def test_luma_goes_through_and_chroma_is_bicubic() -> None:
    network = copy.deepcopy(cast("Any", create_network("ecbsr-m4c16", 2))).double()
    lr = noise(1, 3, 8, 7, dtype=torch.float64)
    rgb = lr[0].permute(1, 2, 0).numpy() * 255
    with torch.no_grad():
        sr = network(lr)[0].permute(1, 2, 0).numpy() * 255
        luma = torch.from_numpy(rgb_to_luma(rgb))[None, None]
        wanted = network.body.enlarge(luma)[0, 0].numpy()
    np.testing.assert_allclose(rgb_to_luma(sr), wanted, atol=1e-3)
    chroma = imresize(rgb_to_ycbcr(rgb), scale=2, border="replicate")[..., 1:]
    np.testing.assert_allclose(rgb_to_ycbcr(sr)[..., 1:], chroma, atol=1e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["ecbsr-m4c8", "ecbsr-m16c64"])
def test_the_authors_names_convert(name: str, scale: int, tmp_path: Path) -> None:
    ours, path = create_network(name, scale).state_dict(), tmp_path / "theirs.pt"
    theirs = {official_name(key): tensor for key, tensor in ours.items()}
    for key in [key for key in theirs if key.endswith(".scale")]:
        theirs[key] = theirs[key].view(-1, 1, 1, 1)
        mask = torch.tensor(EDGES[("sbx", "sby", "lpl").index(key.split(".")[2][-3:])])
        theirs[key.replace("scale", "mask")] = mask.float().repeat(len(theirs[key]), 1, 1, 1)
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found(name, scale)
    converted = convert(path, name, scale)
    assert all(np.array_equal(converted[key], tensor.numpy()) for key, tensor in ours.items())
    with pytest.raises(WeightsError, match=f"holds {name} x{scale}, not ecbsr-m4c16 x{scale}"):
        convert(path, "ecbsr-m4c16", scale)
    torch.save({**theirs, "backbone.1.conv1x1_lpl.mask": torch.ones(8, 1, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"conv1x1_lpl\.mask is another kernel"):
        convert(path, name, scale)
