"""ECBSR, plain networks of luma that are trained with edge-oriented convolution blocks.

X. Zhang, H. Zeng, L. Zhang, "Edge-oriented Convolution Block for Real-time Super Resolution on
Mobile Devices", ACM Multimedia 2021, 4034-4043. MxCy has x blocks of y channels between the first
and the last. `deploy()` multiplies the branches of each block out to one 3x3 convolution.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv3x3
from lightsr.networks.luma import LumaNetwork

PEAK = 255
"""Inside, Y is in 16..235."""

EDGES = (
    ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
    ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
)
"""Sobel across, Sobel down, Laplacian."""


class EdgeBranch(nn.Module):
    """A 1x1 convolution and, channel by channel, a fixed edge kernel with a learned scale."""

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, mask: tuple[tuple[int, int, int], ...]) -> None:
        super().__init__()
        # Padding in front of the 1x1 convolution leaves its bias around its output, which is what
        # makes the branch equal to one convolution at the picture's border too.
        self.pointwise = nn.Conv2d(inputs, outputs, 1, padding=1)
        self.scale = nn.Parameter(torch.randn(outputs) * 1e-3)
        self.bias = nn.Parameter(torch.randn(outputs) * 1e-3)
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h, w]."""
        weight = self.scale[:, None, None, None] * self.mask
        return F.conv2d(self.pointwise(x), weight, self.bias, groups=len(self.scale))

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of an equal 3x3 convolution."""
        pointwise = self.pointwise.weight[:, :, 0, 0] * self.scale[:, None]
        # The mask adds up to 0, so the 1x1 convolution's bias comes to nothing.
        bias = self.bias + self.scale * _bias(self.pointwise) * self.mask.sum()
        return pointwise[:, :, None, None] * self.mask, bias


class ECB(nn.Module):
    """Edge-oriented convolution block, [n, inputs, h, w] -> [n, outputs, h, w]: five branches.

    A 3x3 convolution; a 1x1 one to twice the width and a 3x3 one back; three edge branches.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.plain = conv3x3(inputs, outputs)
        self.expand = nn.Conv2d(inputs, 2 * outputs, 1, padding=1)
        self.squeeze = nn.Conv2d(2 * outputs, outputs, 3)
        self.edges = nn.ModuleList(EdgeBranch(inputs, outputs, mask) for mask in EDGES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the branches, by the one convolution that they come to.

        In training too: multiplying the kernels out costs next to nothing beside running each
        branch over the picture, and gradients reach every branch through it.
        """
        weight, bias = self.kernel()
        return F.conv2d(x, weight, bias, padding=1)

    def branches(self, x: Tensor) -> Tensor:
        """Return the sum of the branches, each run by itself as the paper draws them."""
        y = self.plain(x) + self.squeeze(self.expand(x))
        for edge in self.edges:
            y = y + edge(x)
        return y

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the 3x3 convolution that equals the branches."""
        expand, squeeze = self.expand.weight[:, :, 0, 0], self.squeeze.weight
        weight = self.plain.weight + torch.einsum("odyx,dc->ocyx", squeeze, expand)
        bias = _bias(self.plain) + _bias(self.squeeze) + squeeze.sum((2, 3)) @ _bias(self.expand)
        for edge in self.edges:
            edge_weight, edge_bias = cast(EdgeBranch, edge).kernel()
            weight, bias = weight + edge_weight, bias + edge_bias
        return weight, bias

    def folded(self) -> nn.Conv2d:
        """Return an equal convolution, multiplied out in float64."""
        with torch.no_grad():
            weight, bias = copy.deepcopy(self).double().kernel()
        conv = conv3x3(weight.shape[1], weight.shape[0]).to(self.plain.weight)
        conv.load_state_dict({"weight": weight, "bias": bias})
        return conv


class ECBSR(nn.Module):
    """The network of luma: Y / 255, [n, 1, h, w] -> [n, 1, scale * h, scale * w].

    The picture itself, its pixels repeated, is added in front of the shuffle.
    """

    def __init__(self, scale: int, blocks: int, channels: int) -> None:
        super().__init__()
        widths = (1, *[channels] * (blocks + 1), scale * scale)
        self.convs = nn.ModuleList(ECB(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.activations = nn.ModuleList(nn.PReLU(channels) for _ in range(blocks + 1))
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        return self.enlarge(x * PEAK) / PEAK

    def enlarge(self, x: Tensor) -> Tensor:
        """Enlarge a batch in the range of values that the network was trained with."""
        *body, last = self.convs
        y = x
        for conv, activation in zip(body, self.activations, strict=True):
            y = activation(conv(y))
        return self.shuffle(last(y) + x)


class DeployedECBSR(nn.Module):
    """ECBSR with its blocks, and the range of its values, multiplied out."""

    def __init__(self, network: ECBSR) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.network.convs = nn.ModuleList(cast(ECB, conv).folded() for conv in network.convs)
        # Scaling all biases is enough, since a PReLU scales with its input.
        for conv in self.network.convs:
            cast("nn.Conv2d", conv).get_parameter("bias").data /= PEAK

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, h, w] -> [n, 1, scale * h, scale * w]."""
        return self.network.enlarge(x)


class ColourECBSR(LumaNetwork):
    """ECBSR with RGB around it."""

    def __init__(self, scale: int, blocks: int, channels: int) -> None:
        super().__init__(ECBSR(scale, blocks, channels), scale, pre_enlarged=False)

    def deploy(self) -> LumaNetwork:
        """Return an equal network for inference, of plain convolutions."""
        network = copy.deepcopy(self)
        network.body = DeployedECBSR(cast(ECBSR, self.body))
        return network.eval().requires_grad_(False)


def ecbsr(scale: int, *, blocks: int, channels: int) -> ColourECBSR:
    """Build ECBSR-MxCy of x `blocks` and y `channels`."""
    return ColourECBSR(scale, blocks, channels)


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.get_parameter("bias")
