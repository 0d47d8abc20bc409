"""IMDN, the Information Multi-Distillation Network.

Z. Hui, X. Gao, Y. Yang, X. Wang, "Lightweight Image Super-Resolution with Information
Multi-distillation Network", ACM Multimedia 2019, arXiv:1909.11856. The layout is that of the
authors' released weights, which load here and give the published numbers.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.distillation import (
    LEAKY_SLOPE,
    ContrastAwareChannelAttention,
    DistillationNetwork,
)
from lightsr.networks.layers import conv1x1, conv3x3

CHANNELS = 64
BLOCKS = 6


class IMDB(nn.Module):
    """Information multi-distillation block.

    Three times a convolution's output is split: a quarter is distilled, the rest refined further.
    Attention weighs what was distilled, and a 1x1 convolution fuses it (the paper's figure 3).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.distilled = channels // 4
        self.remaining = channels - self.distilled
        self.refine1 = conv3x3(channels, channels)
        self.refine2 = conv3x3(self.remaining, channels)
        self.refine3 = conv3x3(self.remaining, channels)
        self.refine4 = conv3x3(self.remaining, self.distilled)
        self.attention = ContrastAwareChannelAttention(channels, reduction=16)
        self.fuse = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same shape."""
        sizes = (self.distilled, self.remaining)
        d1, r1 = F.leaky_relu(self.refine1(x), LEAKY_SLOPE).split(sizes, 1)
        d2, r2 = F.leaky_relu(self.refine2(r1), LEAKY_SLOPE).split(sizes, 1)
        d3, r3 = F.leaky_relu(self.refine3(r2), LEAKY_SLOPE).split(sizes, 1)
        d4 = self.refine4(r3)
        return self.fuse(self.attention(torch.cat((d1, d2, d3, d4), 1))) + x


def imdn(scale: int) -> DistillationNetwork:
    """Build IMDN: six blocks of 64 channels. RGB in [0, 1] is what it works on inside too."""
    return DistillationNetwork(scale, CHANNELS, [IMDB(CHANNELS) for _ in range(BLOCKS)])
