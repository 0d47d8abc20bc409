from __future__ import annotations

import numpy as np
import pytest
import torch
from networks.tester import noise
from torch import nn

from lightsr.images.resize import imresize
from lightsr.networks.luma import BicubicEnlargement, LumaNetwork


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 9)])
def test_enlargement_is_exactly_bicubic(size: tuple[int, int], scale: int) -> None:
    x = noise(2, 3, *size, dtype=torch.float64)
    got = BicubicEnlargement(scale).double()(x)
    for picture, enlarged in zip(x, got, strict=True):
        wanted = imresize(picture.permute(1, 2, 0).numpy(), scale=scale, border="replicate")
        np.testing.assert_allclose(enlarged.permute(1, 2, 0).numpy(), wanted, atol=1e-6)


def test_a_network_that_changes_nothing_gives_the_bicubic_picture() -> None:
    x = noise(1, 3, 6, 5)
    network = LumaNetwork(nn.Identity(), 2, pre_enlarged=True)
    torch.testing.assert_close(network(x), BicubicEnlargement(2)(x))


def test_fixed_kernels_are_neither_trained_nor_kept_with_the_weights() -> None:
    network = LumaNetwork(nn.Conv2d(1, 1, 1), 3, pre_enlarged=True)
    assert list(network.state_dict()) == ["body.weight", "body.bias"]
    assert [name for name, _ in network.named_parameters()] == ["body.weight", "body.bias"]
    assert not network.deploy().training
    assert not any(p.requires_grad for p in network.deploy().parameters())
    assert all(p.requires_grad for p in network.parameters())
