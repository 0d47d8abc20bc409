"""RFDN and E-RFDN, the Residual Feature Distillation Networks.

J. Liu, J. Tang, G. Wu, "Residual Feature Distillation Network for Lightweight Image
Super-Resolution", ECCV 2020 Workshops, arXiv:2009.11551. RFDN is the network of the paper's
tables, which its authors did not release; its layout is the one that gives the published sizes.
E-RFDN is the one they released and entered in the AIM 2020 challenge, narrower and with another
attention. Its released weights load here.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.distillation import (
    LEAKY_SLOPE,
    ContrastAwareChannelAttention,
    DistillationNetwork,
)
from lightsr.networks.layers import (
    conv1x1,
    conv3x3,
    crop_to_multiple,
    extend_to,
    resize_bilinear,
)

LEAST = 15
"""The smallest side, in LR pixels, that E-RFDN's attention can work on."""
PEAK = 255
"""E-RFDN sees and gives samples in 0..255."""


class RFDB(nn.Module):
    """Residual feature distillation block, [n, c, h, w] -> the same (the paper's figure 2).

    Three times half the width is distilled by a 1x1 convolution, and a shallow residual block (a
    convolution with its input added, then activated) refines the rest. No residual goes around
    the block: the released code has none.
    """

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        half = channels // 2
        self.distil1 = conv1x1(channels, half)
        self.distil2 = conv1x1(channels, half)
        self.distil3 = conv1x1(channels, half)
        self.refine1 = conv3x3(channels, channels)
        self.refine2 = conv3x3(channels, channels)
        self.refine3 = conv3x3(channels, channels)
        self.refine4 = conv3x3(channels, half)
        self.fuse = conv1x1(4 * half, channels)
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused and weighed features."""
        d1 = F.leaky_relu(self.distil1(x), LEAKY_SLOPE)
        r1 = F.leaky_relu(self.refine1(x) + x, LEAKY_SLOPE)
        d2 = F.leaky_relu(self.distil2(r1), LEAKY_SLOPE)
        r2 = F.leaky_relu(self.refine2(r1) + r1, LEAKY_SLOPE)
        d3 = F.leaky_relu(self.distil3(r2), LEAKY_SLOPE)
        r3 = F.leaky_relu(self.refine3(r2) + r2, LEAKY_SLOPE)
        r4 = F.leaky_relu(self.refine4(r3), LEAKY_SLOPE)
        return self.attention(self.fuse(torch.cat((d1, d2, d3, r4), 1)))


class EnhancedSpatialAttention(nn.Module):
    """ESA: a gate per sample, from a view of a wide surrounding at low resolution.

    [n, c, h, w] -> the same; h and w must be at least 15.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.reduce = conv1x1(channels, narrow)
        self.stride = nn.Conv2d(narrow, narrow, 3, stride=2)
        self.pool = nn.MaxPool2d(7, stride=3)
        self.coarse1 = conv3x3(narrow, narrow)
        self.coarse2 = conv3x3(narrow, narrow)
        self.coarse3 = conv3x3(narrow, narrow)
        self.fine = conv1x1(narrow, narrow)
        self.expand = conv1x1(narrow, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features."""
        reduced = self.reduce(x)
        coarse = F.relu(self.coarse1(self.pool(self.stride(reduced))))
        coarse = self.coarse3(F.relu(self.coarse2(coarse)))
        coarse = resize_bilinear(coarse, x)
        return x * torch.sigmoid(self.expand(coarse + self.fine(reduced)))


class ERFDN(DistillationNetwork):
    """E-RFDN. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped.

    A picture with a side of less than 15 pixels, on which the authors' network fails, is extended
    to that by its last row or column, and the result cut.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        sr = self.enlarge(extend_to(x, LEAST) * PEAK) / PEAK
        return crop_to_multiple(sr, x, self.scale)

    def deploy(self) -> DeployedERFDN:
        """Return an equal network for inference."""
        return DeployedERFDN(self)


class DeployedERFDN(nn.Module):
    """E-RFDN with the range of its values in its first and last convolutions.

    Later changes to `network` do not reach it.
    """

    def __init__(self, network: ERFDN) -> None:
        super().__init__()
        self.scale = network.scale
        self.network = copy.deepcopy(network)
        self.network.head.weight.data *= PEAK
        for parameter in self.network.tail.parameters():
            parameter.data /= PEAK
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        return crop_to_multiple(self.network.enlarge(extend_to(x, LEAST)), x, self.scale)


def rfdn(scale: int) -> DistillationNetwork:
    """Build RFDN: six blocks of 48 channels with channel attention. RGB in [0, 1] inside too."""
    blocks = [RFDB(48, ContrastAwareChannelAttention(48, reduction=4)) for _ in range(6)]
    return DistillationNetwork(scale, 48, blocks)


def e_rfdn(scale: int) -> ERFDN:
    """Build E-RFDN: four blocks of 50 channels with spatial attention."""
    blocks = [RFDB(50, EnhancedSpatialAttention(50)) for _ in range(4)]
    return ERFDN(scale, 50, blocks)
