from __future__ import annotations

import pytest
import torch
from networks.tester import noise
from torch import nn

from lightsr.networks.layers import (
    WeightNormConv2d,
    bicubic_taps,
    channel_shuffle,
    shuffle_order,
    spatial_statistics,
)


@pytest.mark.parametrize("kernel", [1, 3])
def test_weight_norm_is_torchs(kernel: int) -> None:
    own = WeightNormConv2d(5, 7, kernel)
    torchs = nn.utils.parametrizations.weight_norm(nn.Conv2d(5, 7, kernel, padding=kernel // 2))
    g, v = noise(7, 1, 1, 1), noise(7, 5, kernel, kernel, seed=1)
    for conv, names in ((own, ("weight_g", "weight_v")), (torchs, ("original0", "original1"))):
        holder = conv if conv is own else conv.parametrizations["weight"]  # pyright: ignore
        for name, value in zip(names, (g, v), strict=True):
            getattr(holder, name).data.copy_(value)
        assert isinstance(conv.bias, nn.Parameter)
        conv.bias.data.copy_(noise(7))
    x = noise(2, 5, 6, 4)
    torch.testing.assert_close(own(x), torchs(x))
    torch.testing.assert_close(own.folded()(x), own(x))


def test_weight_norm_starts_as_the_plain_convolution() -> None:
    conv = WeightNormConv2d(4, 6, 3)
    torch.testing.assert_close(conv.weight(), conv.weight_v)


def test_channel_shuffle_interleaves() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert shuffle_order(6, 2).tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(x, 3).flatten().tolist() == x.flatten()[shuffle_order(6, 3)].tolist()


def test_bicubic_taps_at_x2() -> None:
    # Keys' kernel at distances 0.25, 0.75, 1.25, 1.75.
    half = [-0.0703125, 0.8671875, 0.2265625, -0.0234375]
    first, second = bicubic_taps(2).tolist()
    assert first == pytest.approx([half[3], half[2], half[1], half[0], 0])
    assert second == pytest.approx([0, half[0], half[1], half[2], half[3]])


def test_statistics() -> None:
    x = noise(2, 3, 4, 5)
    mean, variance = spatial_statistics(x)
    assert mean.shape == variance.shape == (2, 3, 1, 1)
    torch.testing.assert_close(variance[1, 2, 0, 0], x[1, 2].var(correction=0))
    torch.testing.assert_close(mean[1, 2, 0, 0], x[1, 2].mean())
