from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from networks.local import LocalNetworkTester
from networks.tester import noise
from torch.nn import functional as F

from lightsr.images.resize import imresize
from lightsr.networks.resampling import BicubicEnlargement, TorchBicubicEnlargement


class TestBicubic(LocalNetworkTester):
    name: ClassVar[str] = "bicubic"

    @pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (9, 7)])
    def test_it_is_matlabs(self, size: tuple[int, int], scale: int) -> None:
        x = noise(1, 3, *size)
        wanted = imresize(x[0].permute(1, 2, 0).numpy(), scale=scale)
        got = self.build(scale)(x)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_border_replicated(scale: int) -> None:
    x = noise(1, 3, 5, 4)
    wanted = imresize(x[0].permute(1, 2, 0).numpy(), scale=scale, border="replicate")
    got = BicubicEnlargement(scale)(x)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (11, 8)])
def test_torchs_bicubic(size: tuple[int, int], scale: int) -> None:
    x = noise(2, 3, *size)
    wanted = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
    torch.testing.assert_close(TorchBicubicEnlargement(scale)(x), wanted, rtol=0, atol=1e-6)
