from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.local import LocalNetworkTester
from networks.published import assert_rule_gives, assert_set5
from networks.tester import noise

from lightsr.errors import WeightsError
from lightsr.networks.build import create_network
from lightsr.networks.carn import MEAN, Cascade, ResidualBlock, carn_m
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.families import Found
from lightsr.weights.official_carn import official_name

Tensors = dict[str, torch.Tensor]


class TestCARN(LocalNetworkTester):
    name: ClassVar[str] = "carn"


class TestCARNM(LocalNetworkTester):
    name: ClassVar[str] = "carn-m"


@pytest.mark.parametrize(
    ("name", "scale", "parameters", "multi_adds"),
    [
        ("carn", 2, "1592K", "222.8G"),
        ("carn", 3, "1592K", "118.8G"),
        ("carn", 4, "1592K", "90.9G"),
        ("carn-m", 2, "412K", "91.2G"),
        ("carn-m", 3, "412K", "46.1G"),
        ("carn-m", 4, "412K", "32.5G"),
    ],
)
def test_published_counts(name: str, scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives(name, scale, parameters, multi_adds)


def official(name: str) -> Tensors:
    """Make up a checkpoint for all scales, in the authors' names."""
    shift = torch.eye(3)[:, :, None, None]
    theirs = {
        "sub_mean.shifter.weight": shift,
        "sub_mean.shifter.bias": -torch.tensor(MEAN),
        "add_mean.shifter.weight": shift,
        "add_mean.shifter.bias": torch.tensor(MEAN),
    }
    for scale in (2, 3, 4):
        state = create_network(name, scale).state_dict()
        theirs |= {official_name(ours, scale): tensor for ours, tensor in state.items()}
    return theirs


@pytest.mark.parametrize(("name", "parameters"), [("carn", 1_591_939), ("carn-m", 414_787)])
def test_one_checkpoint_serves_all_scales(name: str, parameters: int, tmp_path: Path) -> None:
    theirs, path = official(name), tmp_path / "theirs.pth"
    assert sum(tensor.numel() for tensor in theirs.values()) == parameters + 24
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found(name, None)
    for scale in (2, 3, 4):
        for ours, tensor in convert(path, name, scale).items():
            assert np.array_equal(tensor, theirs[official_name(ours, scale)].numpy())
    with pytest.raises(WeightsError, match=f"holds {name}, not imdn x2"):
        convert(path, "imdn", 2)


def test_published_parameters_are_what_the_rule_says() -> None:
    weights = [t for name, t in official("carn-m").items() if name.endswith("weight")]
    shifts = 2 * 9
    assert sum(tensor.numel() for tensor in weights) - shifts == 412_032


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("single", [False, True])
def test_a_checkpoint_for_one_scale(scale: int, single: bool, tmp_path: Path) -> None:
    theirs, path = official("carn-m"), tmp_path / "theirs.pth"
    mine = f"upsample.up{scale}."
    theirs = {n: t for n, t in theirs.items() if n.startswith(mine) or "upsample" not in n}
    if single:
        theirs = {name.replace(mine, "upsample.up."): t for name, t in theirs.items()}
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found("carn-m", scale)
    convert(path, "carn-m", scale)
    other = 2 if scale != 2 else 3
    with pytest.raises(WeightsError, match=f"holds carn-m x{scale}, not carn-m x{other}"):
        convert(path, "carn-m", other)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    theirs, path = official("carn-m"), tmp_path / "theirs.pth"
    torch.save({**theirs, "upsample.up5.body.0.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"1 too many: upsample\.up5\.body\.0\.bias"):
        convert(path, "carn-m", 2)
    torch.save({**theirs, "sub_mean.shifter.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"sub_mean\.shifter is not the shift by the mean"):
        convert(path, "carn-m", 2)
    del theirs["add_mean.shifter.weight"]
    torch.save(theirs, path)
    with pytest.raises(WeightsError, match=r"add_mean\.shifter is missing"):
        convert(path, "carn-m", 2)


def test_a_cascade_gathers_older_features_first() -> None:
    """By hand, in the order of the authors' concatenation, with no residual around it."""
    cascade = Cascade(4, [ResidualBlock(4) for _ in range(3)])
    x = noise(1, 4, 5, 5)
    with torch.no_grad():
        u1 = cascade.steps[0](x)
        o1 = torch.relu(cascade.fusions[0](torch.cat((x, u1), 1)))
        u2 = cascade.steps[1](o1)
        o2 = torch.relu(cascade.fusions[1](torch.cat((x, u1, u2), 1)))
        u3 = cascade.steps[2](o2)
        o3 = torch.relu(cascade.fusions[2](torch.cat((x, u1, u2, u3), 1)))
        assert torch.equal(cascade(x), o3)


def test_steps_are_shared_inside_a_block_of_carn_m_only() -> None:
    names = list(carn_m(2).state_dict())
    assert "cascade.steps.2.steps.0.conv1.weight" in names
    assert not any("steps.0.steps.1." in name for name in names)


def test_the_mean_is_not_trained_and_moves_with_the_network() -> None:
    network = copy.deepcopy(create_network("carn-m", 2)).double()
    assert network.mean.dtype == torch.float64
    assert not any("mean" in name for name in network.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "file", "psnr", "ssim"),
    [
        ("carn", 2, "CARN_2x.safetensors", 37.89, 0.9601),
        ("carn-m", 2, "carn_m.pth", 37.68, 0.9595),
        ("carn-m", 3, "carn_m.pth", 34.06, 0.9248),
        ("carn-m", 4, "carn_m.pth", 31.89, 0.8910),
    ],
)
def test_the_authors_weights_on_set5(
    name: str, scale: int, file: str, psnr: float, ssim: float, assets: Path
) -> None:
    assert_set5(name, scale, assets / "checkpoints" / "carn" / file, psnr, ssim)
