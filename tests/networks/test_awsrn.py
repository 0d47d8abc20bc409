from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from networks.local import LocalNetworkTester
from networks.published import assert_rule_gives
from networks.tester import noise, perturbed
from networks.weight_normed import FORMS, Tensors, renamed
from torch import nn

from lightsr.errors import WeightsError
from lightsr.networks.awsrn import awsrn_m
from lightsr.networks.fusion import LocalFusionBlock
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.create import create_network
from lightsr.weights.families import Found
from lightsr.weights.official_awsrn import official_name


class TestAWSRNM(LocalNetworkTester):
    name: ClassVar[str] = "awsrn-m"
    slow: ClassVar[tuple[str, ...]] = ("test_torch_export_is_equal",)


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "1063K", "244.1G"), (3, "1143K", "116.6G"), (4, "1254K", "72.0G")],
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("awsrn-m", scale, parameters, multi_adds)


@pytest.mark.parametrize(("scale", "folded"), [(2, 1_061_634), (3, 1_140_834), (4, 1_251_714)])
def test_weight_norm_goes_with_deploying(scale: int, folded: int) -> None:
    """What the published layers hold without it; here the tail's four are one besides."""
    deployed = awsrn_m(scale).deploy()
    outputs, residuals = 3 * scale**2, 3 * 5
    others = sum(p.numel() for p in deployed.parameters()) - deployed.tail.weight.numel()
    tails = 32 * outputs * (9 + 25 + 49 + 81)
    scalars = 3 * 10 + 4
    biases = 3 * outputs
    assert others + tails + biases + scalars - residuals == folded
    assert deployed.tail.kernel_size == (9, 9)
    assert not any(name.endswith("_g") for name in deployed.state_dict())


def test_a_block_by_hand() -> None:
    block = cast("Any", perturbed(LocalFusionBlock(4, 6)))
    x = noise(1, 4, 5, 6) - 0.5
    with torch.no_grad():
        outputs, y = [], x
        for unit in block.units:
            body = unit.reduce(torch.relu(unit.expand(y)))
            y = unit.body_scale.scale * body + unit.identity_scale.scale * y
            outputs.append(y)
        fused = block.fuse(torch.cat(outputs, 1))
        wanted = block.fuse_scale.scale * fused + block.identity_scale.scale * x
        assert torch.equal(block(x), wanted)


def test_it_sees_samples_around_zero() -> None:
    """By hand: at 0..255, less the mean, divided by half the range."""
    network = perturbed(awsrn_m(2))
    assert isinstance(network, type(awsrn_m(2)))
    x, mean = noise(1, 3, 6, 5), network.mean * 255
    with torch.no_grad():
        inside = (x * 255 - mean) / 127.5
        sr = network.tail(network.body(network.head(inside))) + network.skip(inside)
        wanted = (nn.functional.pixel_shuffle(sr, 2) * 127.5 + mean) / 255
        torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_names_convert(
    scale: int, form: Callable[[Tensors], Tensors], tmp_path: Path
) -> None:
    network, path = perturbed(awsrn_m(scale)), tmp_path / "theirs.pt"
    theirs = form(renamed(network.state_dict(), official_name))
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found("awsrn-m", scale)
    x = noise(1, 3, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(create_network("awsrn-m", scale, path)(x), network(x))


def test_the_authors_names_by_hand() -> None:
    names = {
        "head.weight_g": "head.0.weight_g",
        "body.1.units.3.expand.weight_v": "body.1.b3.body.0.weight_v",
        "body.1.units.3.reduce.bias": "body.1.b3.body.2.bias",
        "body.2.units.0.body_scale.scale": "body.2.b0.res_scale.scale",
        "body.2.units.0.identity_scale.scale": "body.2.b0.x_scale.scale",
        "body.0.fuse.bias": "body.0.reduction.bias",
        "body.0.fuse_scale.scale": "body.0.res_scale.scale",
        "body.0.identity_scale.scale": "body.0.x_scale.scale",
        "tail.convs.2.bias": "tail.tail_k7.bias",
        "tail.scales.3.scale": "tail.scale_k9.scale",
        "skip.bias": "skip.0.bias",
    }
    assert {ours: official_name(ours) for ours in names} == names
    assert names.keys() <= awsrn_m(2).state_dict().keys()


def test_a_deeper_awsrn_is_refused(tmp_path: Path) -> None:
    theirs = renamed(awsrn_m(2).state_dict(), official_name)
    fourth = {f"body.3{name[6:]}": t for name, t in theirs.items() if name.startswith("body.0")}
    torch.save(theirs | fourth, tmp_path / "theirs.pt")
    with pytest.raises(WeightsError, match=r"too many: body\.3\.b0"):
        convert(tmp_path / "theirs.pt", "awsrn-m", 2)
    with pytest.raises(WeightsError, match="holds awsrn-m x2, not carn x2"):
        convert(tmp_path / "theirs.pt", "carn", 2)
