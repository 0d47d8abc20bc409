"""A stand-in for MADNet: a reconstruction of its budget, not its authors' network.

R. Lan, L. Sun, Z. Liu, H. Lu, C. Pang, X. Luo, "MADNet: A Fast and Lightweight Network for
Single-Image Super Resolution", IEEE Transactions on Cybernetics 51(3), 2021, cannot be rebuilt
from what is public of it: dense connections of dual residual-path blocks (DRPB) that are made of
residual multiscale modules with channel attention (RMAM), and the sizes in its tables. The network
here is a design of our own from these parts, which comes to the published sizes.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv1x1, conv3x3

CHANNELS = 64
BLOCKS = 3
LEAKY_SLOPE = 0.05


class ChannelAttention(nn.Module):
    """A gate per channel from the means of all, [n, c, h, w] -> the same."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = conv1x1(channels, hidden)
        self.expand = conv1x1(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features."""
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(mean))))


class RMAM(nn.Module):
    """Residual multiscale module with attention, [n, c, h, w] -> the same.

    Three convolutions of growing dilation, each fed by the sum of what came before.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
            for dilation in (1, 2, 3)
        )
        self.attention = ChannelAttention(3 * channels, 3 * channels // 8)
        self.fuse = conv1x1(3 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        total, scales = x, list[Tensor]()
        for conv in self.convs:
            scales.append(F.leaky_relu(conv(total), LEAKY_SLOPE))
            total = total + scales[-1]
        return self.fuse(self.attention(torch.cat(scales, 1))) + x


class DRPB(nn.Module):
    """Dual residual-path block: one path from its input, one from the shallow features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = RMAM(channels)
        self.second = RMAM(channels)
        self.smooth = conv1x1(channels, channels)
        self.attention = ChannelAttention(channels, channels // 4)

    def forward(self, x: Tensor, shallow: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the first module and what the block gives, both [n, c, h, w]."""
        first = self.first(x)
        refined = self.attention(self.smooth(self.second(first)))
        return first, refined + x + shallow


class MADNet(nn.Module):
    """The stand-in. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = conv3x3(3, CHANNELS)
        self.blocks = nn.ModuleList(DRPB(CHANNELS) for _ in range(BLOCKS))
        self.fusions = nn.ModuleList(
            conv1x1(CHANNELS * (block + 1), CHANNELS) for block in range(1, BLOCKS)
        )
        self.tail = conv3x3(2 * BLOCKS * CHANNELS, 3 * scale**2)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        shallow = self.head(x)
        first, output = self.blocks[0](shallow, shallow)
        hierarchy, dense = [first, output], [shallow, output]
        for fusion, block in zip(self.fusions, list(self.blocks)[1:], strict=True):
            first, output = block(fusion(torch.cat(dense, 1)), shallow)
            hierarchy += [first, output]
            dense.append(output)
        return self.shuffle(self.tail(torch.cat(hierarchy, 1)))

    def deploy(self) -> nn.Module:
        """Return a copy for inference: there is nothing in it that could be multiplied out."""
        return copy.deepcopy(self).requires_grad_(False).eval()


def madnet(scale: int) -> MADNet:
    """Build the stand-in."""
    return MADNet(scale)
