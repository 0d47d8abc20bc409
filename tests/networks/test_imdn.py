from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.published import assert_rule_gives, assert_set5
from networks.tester import NetworkTester, noise, perturbed

from lightsr.errors import WeightsError
from lightsr.networks.build import create_network
from lightsr.networks.distillation import ContrastAwareChannelAttention
from lightsr.networks.imdn import IMDB
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, identify
from lightsr.weights.families import Found
from lightsr.weights.official_imdn import official_name


class TestIMDN(NetworkTester):
    name: ClassVar[str] = "imdn"


@pytest.mark.parametrize(
    ("scale", "parameters", "multi_adds"),
    [(2, "694K", "158.8G"), (3, "703K", "71.5G"), (4, "715K", "40.9G")],
)
def test_published_counts(scale: int, parameters: str, multi_adds: str) -> None:
    assert_rule_gives("imdn", scale, parameters, multi_adds)


def test_attention_by_hand() -> None:
    attention = ContrastAwareChannelAttention(8, 4).double()
    perturbed(attention)
    x = noise(1, 8, 4, 5, dtype=torch.float64)
    values = x.numpy()[0]
    contrast = values.std((1, 2)) + values.mean((1, 2))
    w1, b1, w2, b2 = (
        p.detach().squeeze((2, 3)).numpy() if p.ndim > 1 else p.detach().numpy()
        for p in attention.parameters()
    )
    gate = 1 / (1 + np.exp(-(w2 @ np.maximum(w1 @ contrast + b1, 0) + b2)))
    got = attention(x).detach().numpy()[0]
    np.testing.assert_allclose(got, values * gate[:, None, None], rtol=1e-9)


def test_a_block_distils_the_first_quarter() -> None:
    """With nothing left to refine, only the first 16 channels reach the block's end."""
    block = IMDB(64)
    with torch.no_grad():
        for conv in (block.refine2, block.refine3, block.refine4):
            conv.weight.zero_()
            assert conv.bias is not None
            conv.bias.zero_()
    x = noise(1, 64, 5, 5)
    before = block(x)
    with torch.no_grad():
        block.refine1.weight[16:] += 1
    assert torch.equal(block(x), before)
    with torch.no_grad():
        block.refine1.weight[15] += 1
    assert not torch.equal(block(x), before)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_names_convert(scale: int, tmp_path: Path) -> None:
    ours = create_network("imdn", scale).state_dict()
    theirs = {f"module.{official_name(name)}": tensor for name, tensor in ours.items()}
    path = tmp_path / "theirs.pth"
    torch.save(theirs, path)
    assert identify(read_checkpoint(path)) == Found("imdn", scale)
    converted = convert(path, "imdn", scale)
    assert converted.keys() == ours.keys()
    assert all(np.array_equal(converted[name], tensor.numpy()) for name, tensor in ours.items())
    with pytest.raises(WeightsError, match=f"holds imdn x{scale}, not imdn x{5 - scale // 2}"):
        convert(path, "imdn", 5 - scale // 2)
    del theirs["module.IMDB3.cca.conv_du.0.bias"]
    torch.save(theirs, path)
    with pytest.raises(WeightsError, match=r"missing: IMDB3\.cca\.conv_du\.0\.bias"):
        convert(path, "imdn", scale)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 37.997, 0.9605), (4, 32.211, 0.8948)])
def test_the_authors_weights_on_set5(scale: int, psnr: float, ssim: float, assets: Path) -> None:
    checkpoint = assets / "checkpoints" / "imdn" / f"IMDN_x{scale}.pth"
    assert_set5("imdn", scale, checkpoint, psnr, ssim)
