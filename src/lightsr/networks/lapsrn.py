"""LapSRN, the Laplacian pyramid network.

W.-S. Lai, J.-B. Huang, N. Ahuja, M.-H. Yang, "Deep Laplacian Pyramid Networks for Fast and
Accurate Super-Resolution", CVPR 2017, arXiv:1704.03915. Every level of the pyramid doubles the
size: features are extracted and upsampled, and give the residual that the upsampled picture lacks
(section 3.1). Kernel sizes are those of the authors' code and weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv3x3
from lightsr.networks.luma import LumaNetwork
from lightsr.networks.resampling import FixedResampling

_SLOPE = 0.2
_WIDTH = 64


class Level(nn.Module):
    """One level: features and picture at one size become features and picture at twice the size."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(_WIDTH, _WIDTH) for _ in range(depth))
        self.upsampling = nn.ConvTranspose2d(_WIDTH, _WIDTH, 3, stride=2)
        self.residual = conv3x3(_WIDTH, 1)
        self.picture_upsampling = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
        with torch.no_grad():
            bilinear = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
            self.picture_upsampling.weight.copy_(bilinear[:, None] * bilinear[None, :])

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 64, h, w] and [n, 1, h, w] -> [n, 64, 2h, 2w] and [n, 1, 2h, 2w]."""
        for conv in self.convs:
            features = F.leaky_relu(conv(features), _SLOPE)
        # Without padding there is a row and a column too many, at the end.
        features = F.leaky_relu(F.pad(self.upsampling(features), (0, -1, 0, -1)), _SLOPE)
        return features, self.picture_upsampling(picture) + self.residual(features)


class LapSRN(nn.Module):
    """The pyramid: luma [n, 1, h, w] -> [n, 1, 2^levels * h, 2^levels * w]."""

    def __init__(self, levels: int, depth: int = 10) -> None:
        super().__init__()
        self.head = conv3x3(1, _WIDTH)
        self.levels = nn.ModuleList(Level(depth) for _ in range(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        return self.predictions(x)[-1]

    def predictions(self, x: Tensor) -> list[Tensor]:
        """Return the picture that each level predicts, twice as large as the one before."""
        features = F.leaky_relu(self.head(x), _SLOPE)
        pictures: list[Tensor] = []
        for level in self.levels:
            features, x = level(features, x)
            pictures.append(x)
        return pictures


class ShrunkLapSRN(LapSRN):
    """The pyramid for x4, made smaller by 3/4 with MATLAB's bicubic: the authors' way to x3."""

    def __init__(self) -> None:
        super().__init__(levels=2)
        self.shrinking = FixedResampling(1, _three_quarter_taps(), stride=4)

    def predictions(self, x: Tensor) -> list[Tensor]:
        """Return the one prediction: the levels' sizes are not those of x3."""
        return [self.shrinking(super().predictions(x)[-1])]


def lapsrn(scale: int) -> LumaNetwork:
    """Build LapSRN; a scale of 3 has the architecture and the weights of 4."""
    body = ShrunkLapSRN() if scale == 3 else LapSRN({2: 1, 4: 2, 8: 3}[scale])
    return LumaNetwork(body, scale, pre_enlarged=False)


def _three_quarter_taps() -> Tensor:
    """Return the kernel that makes three samples of four, [3, 8], for offsets -2..5; antialiased.

    Shrinking widens the cubic kernel (a = -0.5) by 4/3.
    """
    middle = (torch.arange(3, dtype=torch.float64) + 0.5) / 0.75 - 0.5
    offsets = torch.arange(-2, 6, dtype=torch.float64)
    distance = (middle[:, None] - offsets[None, :]).abs() * 0.75
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
    return taps / taps.sum(1, keepdim=True)
