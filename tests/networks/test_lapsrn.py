from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.luma_tester import LumaTester
from networks.tester import noise
from torch import Tensor

from lightsr.images.resize import imresize
from lightsr.networks.lapsrn import LapSRN, Level, ShrunkLapSRN


class TestLapSRN(LumaTester):
    name: ClassVar[str] = "lapsrn"


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 9)])
def test_x3_is_x4_made_smaller_as_matlab_does(size: tuple[int, int]) -> None:
    network = ShrunkLapSRN().double()
    picture = noise(1, 1, *size, dtype=torch.float64)
    with torch.no_grad():
        x4 = LapSRN.forward(network, picture)[0, 0].numpy()
        x3 = network(picture)[0, 0].numpy()
    wanted = imresize(x4, size=(3 * size[0], 3 * size[1]), border="replicate")
    np.testing.assert_allclose(x3, wanted, atol=1e-6)


def _only_middle_tap(level: Level) -> Tensor:
    """Return the features that come out where only the last kernel's first tap is left."""
    with torch.no_grad():
        for parameter in level.parameters():
            parameter.zero_()
        for conv in level.convs:
            conv.get_parameter("weight")[0, 0, 1, 1] = 1
        level.upsampling.weight[0, 0, 0, 0] = 1
        features = torch.zeros(1, 64, 3, 3)
        features[0, 0, 1, 2] = 1
        return level(features, torch.zeros(1, 1, 3, 3))[0]


def test_features_are_cut_at_the_end() -> None:
    features = _only_middle_tap(Level(10))
    assert features.shape == (1, 64, 6, 6)
    assert features.nonzero().tolist() == [[0, 0, 2, 4]]


def test_a_new_level_enlarges_bilinearly_beside_its_residual() -> None:
    level = Level(1)
    for parameter in level.residual.parameters():
        torch.nn.init.zeros_(parameter)
    x = noise(1, 1, 5, 6)
    _, enlarged = level(noise(1, 64, 5, 6), x)
    wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(enlarged[inner], wanted[inner])
