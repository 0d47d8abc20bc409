"""MAFFSRN, the Multi-Attention Feature Fusion Super-Resolution Network.

A. Muqeet, J. Hwang, S. Yang, J. H. Kang, Y. Kim, S.-H. Bae, "Multi-Attention Based Ultra
Lightweight Image Super-Resolution", ECCV 2020 Workshops, arXiv:2008.12912. The class names are
the paper's; details that it leaves open are as in the authors' code.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import (
    MultiKernelConv2d,
    Scale,
    WeightNormConv2d,
    channel_shuffle,
    conv1x1,
    conv3x3,
    crop_to_multiple,
    extend_to,
    resize_nearest,
    shuffle_order,
)
from lightsr.networks.resampling import TorchBicubicEnlargement

CHANNELS = 32
GROUPS = 4
LEAST = 13
"""The smallest side, in LR pixels, that the attention can work on."""
LEAKY_SLOPE = 0.05


class MultiAttentionBlock(nn.Module):
    """MAB: two convolutions and two gates on their result, [n, c, h, w] -> the same.

    One gate comes from a view of a wide surrounding at low resolution, and is at least 1/2; the
    other from the pixel's own surrounding. h and w must be at least 13.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)
        self.reduce = conv1x1(channels, narrow)
        self.stride = nn.Conv2d(narrow, narrow, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(7, stride=3)
        self.near = conv3x3(narrow, narrow)
        self.far = nn.Conv2d(narrow, narrow, 3, padding=2, dilation=2)
        self.expand = conv1x1(narrow, channels)
        self.pointwise = conv1x1(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features."""
        x = self.conv2(F.leaky_relu(self.conv1(x), LEAKY_SLOPE))
        wide = torch.sigmoid(F.relu(self.expand(self._coarse(self.reduce(x)))))
        return wide * x * torch.sigmoid(self.depthwise(self.pointwise(x)))

    def _coarse(self, reduced: Tensor) -> Tensor:
        pooled = self.pool(self.stride(reduced))
        coarse = F.leaky_relu(self.far(pooled), LEAKY_SLOPE)
        coarse = coarse + F.leaky_relu(self.near(pooled), LEAKY_SLOPE)
        return resize_nearest(coarse, reduced) + reduced


class FeatureFusionGroup(nn.Module):
    """FFG: four blocks, their outputs fused one after the other, and a weighted residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MultiAttentionBlock(channels) for _ in range(4))
        self.fusions = nn.ModuleList(WeightNormConv2d(2 * channels, channels, 1) for _ in range(3))
        self.fused_scale = Scale()
        self.identity_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same."""
        fused, *others = self.refine(x)
        for fusion, other in zip(self.fusions, others, strict=True):
            fused = fusion(channel_shuffle(torch.cat((fused, other), 1), 2))
        return self.fused_scale(fused) + self.identity_scale(x)

    def refine(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the four blocks give; the two in the middle have a residual."""
        first = self.blocks[0](x)
        second = self.blocks[1](first) + first
        third = self.blocks[2](second) + second
        return first, second, third, self.blocks[3](third)


class FoldedGroup(FeatureFusionGroup):
    """A group whose fusions are plain, take their channels unshuffled, and hold their weight."""

    def __init__(self, group: FeatureFusionGroup) -> None:
        nn.Module.__init__(self)
        self.blocks = group.blocks
        weighted = [fusion for fusion in group.fusions if isinstance(fusion, WeightNormConv2d)]
        plain = [fusion.folded() for fusion in weighted[:-1]]
        plain.append(weighted[-1].folded(group.fused_scale.scale))
        for fusion in plain:
            back = shuffle_order(fusion.in_channels, 2).argsort()
            fusion.weight.data = fusion.weight.data[:, back]
        self.fusions = nn.ModuleList(plain)
        self.identity_scale = group.identity_scale

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same."""
        fused, *others = self.refine(x)
        for fusion, other in zip(self.fusions, others, strict=True):
            fused = fusion(torch.cat((fused, other), 1))
        return fused + self.identity_scale(x)


class MAFFSRN(nn.Module):
    """The network. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped.

    A picture with a side of less than 13 pixels, on which the authors' network fails, is extended
    to that by its last row or column, and the result cut.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        outputs = 3 * scale**2
        self.scale = scale
        self.head = WeightNormConv2d(3, CHANNELS, 3)
        self.groups = nn.Sequential(*(FeatureFusionGroup(CHANNELS) for _ in range(GROUPS)))
        self.tail = MultiKernelConv2d(CHANNELS, outputs, (3, 5))
        self.shuffle = nn.PixelShuffle(scale)
        self.bicubic = TorchBicubicEnlargement(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        extended = extend_to(x, LEAST)
        residual = self.shuffle(self.tail(self.groups(self.head(extended))))
        sr = residual + self.bicubic(extended)
        return crop_to_multiple(sr, x, self.scale)

    def deploy(self) -> DeployedMAFFSRN:
        """Return an equal network for inference."""
        return DeployedMAFFSRN(self)


class DeployedMAFFSRN(nn.Module):
    """MAFFSRN without weight norm and channel shuffles, its tail one convolution.

    Later changes to `network` do not reach it.
    """

    def __init__(self, network: MAFFSRN) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        self.scale = network.scale
        self.head = network.head.folded()
        groups = [group for group in network.groups if isinstance(group, FeatureFusionGroup)]
        self.groups = nn.Sequential(*(FoldedGroup(group) for group in groups))
        self.tail = network.tail.folded()
        self.shuffle = network.shuffle
        self.bicubic = network.bicubic
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        extended = extend_to(x, LEAST)
        residual = self.shuffle(self.tail(self.groups(self.head(extended))))
        sr = residual + self.bicubic(extended)
        return crop_to_multiple(sr, x, self.scale)


def maffsrn(scale: int) -> MAFFSRN:
    """Build MAFFSRN: four feature fusion groups of 32 channels."""
    return MAFFSRN(scale)
