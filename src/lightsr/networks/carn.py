"""CARN and CARN-M, the Cascading Residual Networks.

N. Ahn, B. Kang, K.-A. Sohn, "Fast, Accurate, and Lightweight Super-Resolution with Cascading
Residual Network", ECCV 2018, arXiv:1803.08664. The layout is that of the authors' released
weights, which load here. Theirs is one network with an upsampler for each scale; here each scale
is a network of its own, with that one's upsampler alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv1x1, conv3x3

MEAN = (0.4488, 0.4371, 0.4040)
"""RGB, of DIV2K; what the network sees inside has it taken off."""
CHANNELS = 64
GROUPS_M = 4
"""Groups of CARN-M's grouped convolutions."""
STEPS = 3


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a residual, [n, c, h, w] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        return F.relu(self.conv2(F.relu(self.conv1(x))) + x)


class EfficientResidualBlock(nn.Module):
    """CARN-M's: two grouped 3x3 convolutions, a 1x1 one, and a residual."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels, groups=groups)
        self.conv2 = conv3x3(channels, channels, groups=groups)
        self.pointwise = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        return F.relu(self.pointwise(F.relu(self.conv2(F.relu(self.conv1(x))))) + x)


class Cascade(nn.Module):
    """Three steps in a row; 1x1 convolutions fuse each one's output with all that came before.

    `steps` holds three modules, or one that is applied three times. [n, c, h, w] -> the same.
    """

    def __init__(self, channels: int, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.fusions = nn.ModuleList(
            conv1x1(channels * (step + 2), channels) for step in range(STEPS)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last fusion gives."""
        gathered = x
        for step in range(STEPS):
            gathered = torch.cat((gathered, self.steps[step % len(self.steps)](x)), 1)
            x = F.relu(self.fusions[step](gathered))
        return x


class CARN(nn.Module):
    """The network. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped."""

    mean: Tensor

    def __init__(
        self, scale: int, blocks: Sequence[Sequence[nn.Module]], upsampler_groups: int
    ) -> None:
        super().__init__()
        self.scale = scale
        # No parameter, and not saved: the authors' is frozen, and always this.
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.entry = conv3x3(3, CHANNELS)
        self.cascade = Cascade(CHANNELS, [Cascade(CHANNELS, steps) for steps in blocks])
        factors = (2, 2) if scale == 4 else (scale,)
        self.upsampler = nn.ModuleList(
            conv3x3(CHANNELS, CHANNELS * factor**2, groups=upsampler_groups) for factor in factors
        )
        self.shuffles = nn.ModuleList(nn.PixelShuffle(factor) for factor in factors)
        self.exit = conv3x3(CHANNELS, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        return self.enlarge(x) + self.mean

    def enlarge(self, x: Tensor) -> Tensor:
        """Enlarge a batch, but leave the mean off."""
        x = self.cascade(self.entry(x - self.mean))
        for conv, shuffle in zip(self.upsampler, self.shuffles, strict=True):
            x = shuffle(F.relu(conv(x)))
        return self.exit(x)

    def deploy(self) -> DeployedCARN:
        """Return an equal network for inference."""
        return DeployedCARN(self)


class DeployedCARN(nn.Module):
    """CARN with the mean that is added at the end in the last bias.

    The one that is taken off at the start stays, because zero padding comes after it. Later
    changes to `network` do not reach it.
    """

    def __init__(self, network: CARN) -> None:
        super().__init__()
        self.scale = network.scale
        self.network = copy.deepcopy(network)
        bias = self.network.exit.bias
        assert bias is not None
        bias.data += network.mean.flatten()
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        return self.network.enlarge(x)


def carn(scale: int) -> CARN:
    """Build CARN: three cascading blocks of three residual blocks each."""
    return CARN(scale, _blocks(lambda: ResidualBlock(CHANNELS), STEPS), upsampler_groups=1)


def carn_m(scale: int) -> CARN:
    """Build CARN-M: grouped convolutions, and one residual block to each cascading block.

    It is applied three times there, which the paper calls recursive.
    """
    blocks = _blocks(lambda: EfficientResidualBlock(CHANNELS, GROUPS_M), 1)
    return CARN(scale, blocks, upsampler_groups=GROUPS_M)


def _blocks(make: Callable[[], nn.Module], distinct: int) -> list[list[nn.Module]]:
    return [[make() for _ in range(distinct)] for _ in range(STEPS)]
