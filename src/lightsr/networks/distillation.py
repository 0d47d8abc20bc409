"""What the information distillation networks IMDN and RFDN have in common.

Their frame (blocks in a row, whose outputs are all collected) and IMDN's channel attention.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv1x1, conv3x3, spatial_statistics

LEAKY_SLOPE = 0.05


class ContrastAwareChannelAttention(nn.Module):
    """CCA: a gate per channel from its contrast, the sum of standard deviation and mean.

    [n, c, h, w] -> the same (IMDN's paper, section 3.2).
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.reduce = conv1x1(channels, channels // reduction)
        self.expand = conv1x1(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features."""
        mean, variance = spatial_statistics(x)
        # A root has an infinite gradient at 0; what is added is far below float32's digits.
        contrast = torch.sqrt(variance + 1e-20) + mean
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(contrast))))


class DistillationNetwork(nn.Module):
    """The frame: [n, 3, h, w] -> [n, 3, scale * h, scale * w], not clipped.

    A convolution, `blocks` in a row, all their outputs collected by a 1x1 convolution and smoothed
    by a 3x3 one, added to what came out of the first; a convolution and PixelShuffle enlarge.
    """

    def __init__(self, scale: int, channels: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.scale = scale
        self.head = conv3x3(3, channels)
        self.blocks = nn.ModuleList(blocks)
        self.collect = conv1x1(channels * len(blocks), channels)
        self.smooth = conv3x3(channels, channels)
        self.tail = conv3x3(channels, 3 * scale * scale)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch, RGB in [0, 1]."""
        return self.enlarge(x)

    def enlarge(self, x: Tensor) -> Tensor:
        """Enlarge a batch in the range of values that the network was trained with."""
        features = shallow = self.head(x)
        outputs: list[Tensor] = []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        collected = F.leaky_relu(self.collect(torch.cat(outputs, 1)), LEAKY_SLOPE)
        return self.shuffle(self.tail(self.smooth(collected) + shallow))

    def deploy(self) -> nn.Module:
        """Return a copy for inference: there is nothing in it that could be multiplied out."""
        return copy.deepcopy(self).requires_grad_(False).eval()
