"""LAPAR-A, the Linearly-Assembled Pixel-Adaptive Regression Network.

W. Li, K. Zhou, L. Qi, N. Jiang, J. Lu, J. Jia, "LAPAR: Linearly-Assembled Pixel-Adaptive
Regression Network for Single Image Super-Resolution and Beyond", NeurIPS 2020, arXiv:2105.10422.
The bicubic picture is filtered, every pixel by a filter of its own: a weighted sum of fixed ones,
whose weights a network of AWSRN's blocks finds. The filters follow a rule that reproduces the
authors' file of them to the last digits of a double.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.carn import MEAN
from lightsr.networks.fusion import LocalFusionBlock
from lightsr.networks.layers import MultiKernelConv2d, WeightNormConv2d, conv3x3, mirror
from lightsr.networks.resampling import TorchBicubicEnlargement

CHANNELS = 32
BLOCKS = 4
SIZE = 5
"""Height and width of the filters."""
MARGIN = SIZE // 2


class LAPAR(nn.Module):
    """The network. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped."""

    dictionary: Tensor

    def __init__(self, scale: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.scale = scale
        filters = dictionary().to(torch.get_default_dtype())
        # No parameters, and not kept with the weights: they are always these.
        self.register_buffer("dictionary", filters[:, None], persistent=False)
        self.bicubic = TorchBicubicEnlargement(scale)
        self.regression = Regression(scale, channels, blocks, len(filters))

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        picture = _with_margin(self.bicubic(x))
        filtered = F.conv2d(picture.flatten(0, 1)[:, None], self.dictionary)
        filtered = filtered.unflatten(0, (-1, 3))
        return (filtered * self.regression(x)[:, None]).sum(2)

    def deploy(self) -> DeployedLAPAR:
        """Return an equal network for inference."""
        return DeployedLAPAR(self)


class Regression(nn.Module):
    """Finds a weight for every filter and output pixel.

    RGB in [0, 1], [n, 3, h, w] -> [n, filters, scale * h, scale * w].
    """

    mean: Tensor

    def __init__(self, scale: int, channels: int, blocks: int, filters: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = WeightNormConv2d(3, channels, 3)
        self.body = nn.Sequential(*(LocalFusionBlock(channels, channels) for _ in range(blocks)))
        self.up = WeightNormConv2d(channels, channels * scale**2, 3)
        self.shuffle = nn.PixelShuffle(scale)
        self.spread = MultiKernelConv2d(channels, channels, (3, 5))
        self.fuse = WeightNormConv2d(channels, channels, 3)
        self.weights = WeightNormConv2d(channels, filters, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights."""
        x = self.body(F.relu(self.head(x - self.mean)))
        x = self.spread(self.shuffle(F.relu(self.up(x))))
        return self.weights(F.relu(self.fuse(x)))

    def deploy(self, filters: Tensor) -> Regression:
        """Return a network for inference that finds the 25 taps of each pixel's own filter.

        `filters` is [filters, 1, 5, 5]. What assembles them is linear, and so is the last layer:
        the two become one, with fewer outputs than before.
        """
        network = copy.deepcopy(self)
        blocks = [block for block in network.body if isinstance(block, LocalFusionBlock)]
        network.body = nn.Sequential(*(block.deploy() for block in blocks))
        for name in ("head", "up", "spread", "fuse"):
            setattr(network, name, getattr(network, name).folded())
        network.weights = _assembling(self.weights.folded(), filters.flatten(1))
        return network


class DeployedLAPAR(nn.Module):
    """LAPAR that finds each pixel's filter at once, in place of 72 weights and 72 pictures.

    Later changes to `network` do not reach it.
    """

    def __init__(self, network: LAPAR) -> None:
        super().__init__()
        self.scale = network.scale
        self.bicubic = copy.deepcopy(network.bicubic)
        self.regression = network.regression.deploy(network.dictionary)
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        picture = _with_margin(self.bicubic(x))
        taps = self.regression(x).split([1] * SIZE**2, 1)
        total = None
        for tap, (rows, columns) in enumerate(_windows()):
            product = taps[tap] * picture[:, :, rows, columns]
            total = product if total is None else total + product
        assert total is not None
        return total


def lapar_a(scale: int) -> LAPAR:
    """Build LAPAR-A, the largest: four local fusion blocks of 32 channels."""
    return LAPAR(scale, CHANNELS, BLOCKS)


def dictionary() -> Tensor:
    """Return the fixed filters, [72, 5, 5], float64: Gaussians and differences of two.

    All sum to 1; among them are round ones of three widths and narrow ones in 6 or 12 directions.
    """
    wide, medium, small = 2.0, 1.2, 0.4
    thin = (0.8, 0.6, 0.4)
    filters = [_gaussian(wide, wide)]
    filters += [_gaussian(wide, wide * r, angle) for r in thin for angle in _angles(6)]
    filters += [_gaussian(wide, wide * 0.2, angle) for angle in _angles(12)]
    filters += [_gaussian(medium, medium)]
    filters += [_gaussian(medium, medium * r, angle) for r in thin for angle in _angles(6)]
    filters += [_gaussian(small, small)]
    for one, other in ((wide, medium), (wide, small), (medium, small)):
        filters.append(_difference(_gaussian(one, one), _gaussian(other, other)))
    for r in thin:
        for angle in _angles(6):
            pair = _gaussian(wide, wide * r, angle), _gaussian(medium, medium * r, angle)
            filters.append(_difference(*pair))
    return torch.stack(filters)


def _angles(count: int) -> list[float]:
    """Return directions, evenly over half a turn."""
    return [-math.pi / count * i for i in range(count)]


def _gaussian(along: float, across: float, angle: float = 0.0) -> Tensor:
    steps = torch.arange(-MARGIN, MARGIN + 1, dtype=torch.float64)
    x, y = steps[None, :], steps[:, None]
    p = x * math.cos(angle) + y * math.sin(angle)
    q = y * math.cos(angle) - x * math.sin(angle)
    values = torch.exp(-(p**2 / along**2 + q**2 / across**2) / 2)
    return values / values.sum()


def _difference(wide: Tensor, narrow: Tensor) -> Tensor:
    """Return wide - narrow, its positive values scaled to sum to 1.4, its negative to -0.4."""
    values = wide - narrow
    positive, negative = values.clamp(min=0), values.clamp(max=0)
    return 1.4 * positive / positive.sum() - 0.4 * negative / negative.sum()


def _with_margin(picture: Tensor) -> Tensor:
    """Extend a picture on all sides, mirrored, by as much as the filters reach."""
    return mirror(mirror(picture, 2, MARGIN, twice=False), 3, MARGIN, twice=False)


def _windows() -> Iterator[tuple[slice, slice]]:
    """List the rows and columns of a picture with margin that each tap of a filter meets."""
    shifts = [slice(start, start - SIZE + 1 or None) for start in range(SIZE)]
    return ((rows, columns) for rows in shifts for columns in shifts)


def _assembling(conv: nn.Conv2d, filters: Tensor) -> nn.Conv2d:
    """Return `conv` with the sum of `filters` [k, taps], weighted by its k outputs, in it."""
    assembled = conv3x3(conv.in_channels, filters.shape[1]).to(conv.weight)
    assert conv.bias is not None
    weight = torch.einsum("lchw,lk->kchw", conv.weight, filters)
    assembled.load_state_dict({"weight": weight, "bias": conv.bias @ filters})
    return assembled
