"""AWSRN-M, the Adaptive Weighted Super-Resolution Network of medium size.

C. Wang, Z. Li, J. Shi, "Lightweight Image Super-Resolution with Adaptive Weighted Learning
Network", arXiv:1904.02358. Local fusion blocks extract features, and an adaptive weighted
multi-scale module (AWMS, section 3.3) enlarges by convolutions of four sizes at once.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lightsr.networks.carn import MEAN
from lightsr.networks.fusion import LocalFusionBlock
from lightsr.networks.layers import MultiKernelConv2d, WeightNormConv2d

CHANNELS = 32
INSIDE = 128
"""Channels inside of a residual unit."""
KERNELS = (3, 5, 7, 9)
RANGE = 2
"""The network sees samples from -1 to 1, but for the shift by the mean."""


class AWSRN(nn.Module):
    """The network. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped."""

    mean: Tensor

    def __init__(self, scale: int, blocks: int) -> None:
        super().__init__()
        outputs = 3 * scale**2
        self.scale = scale
        # No parameter, and not saved: it is always this.
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = WeightNormConv2d(3, CHANNELS, 3)
        self.body = nn.Sequential(*(LocalFusionBlock(CHANNELS, INSIDE) for _ in range(blocks)))
        self.tail = MultiKernelConv2d(CHANNELS, outputs, KERNELS)
        self.skip = WeightNormConv2d(3, outputs, 3)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = (x - self.mean) * RANGE
        sr = self.tail(self.body(self.head(x))) + self.skip(x)
        return self.shuffle(sr) / RANGE + self.mean

    def deploy(self) -> DeployedAWSRN:
        """Return an equal network for inference."""
        return DeployedAWSRN(self)


class DeployedAWSRN(nn.Module):
    """AWSRN in plain convolutions, the four of its tail in one of 9x9.

    Learned weights are folded in where a convolution follows; those of the residuals stay. So
    does the mean at the start, because zero padding comes after it. Later changes to `network` do
    not reach it.
    """

    mean: Tensor

    def __init__(self, network: AWSRN) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        self.scale = network.scale
        self.register_buffer("mean", network.mean)
        self.head = network.head.folded()
        self.head.weight.data *= RANGE
        blocks = [block for block in network.body if isinstance(block, LocalFusionBlock)]
        self.body = nn.Sequential(*(block.deploy() for block in blocks))
        self.tail = network.tail.folded(1 / RANGE)
        # From the shift alone to half of what comes of twice that: the weight stays.
        self.skip = network.skip.folded()
        assert self.skip.bias is not None
        self.skip.bias.data /= RANGE
        self.skip.bias.data += network.mean.flatten().repeat_interleave(self.scale**2)
        self.shuffle = network.shuffle
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        x = x - self.mean
        return self.shuffle(self.tail(self.body(self.head(x))) + self.skip(x))


def awsrn_m(scale: int) -> AWSRN:
    """Build AWSRN-M: three local fusion blocks."""
    return AWSRN(scale, blocks=3)
