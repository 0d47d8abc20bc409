"""The local fusion block that AWSRN and LAPAR are made of (section 3.2 of AWSRN's paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import Scale, WeightNormConv2d

UNITS = 4


class AdaptiveWeightedUnit(nn.Module):
    """Adaptive weighted residual unit: a * body(x) + b * x, [n, c, h, w] -> the same."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.expand = WeightNormConv2d(channels, middle, 3)
        self.reduce = WeightNormConv2d(middle, channels, 3)
        self.body_scale = Scale()
        self.identity_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        body = self.reduce(F.relu(self.expand(x)))
        return self.body_scale(body) + self.identity_scale(x)

    def deploy(self) -> FoldedUnit:
        """Return an equal unit for inference."""
        return FoldedUnit(self)


class FoldedUnit(nn.Module):
    """A unit of plain convolutions; the body's weight is in the last of them."""

    def __init__(self, unit: AdaptiveWeightedUnit) -> None:
        super().__init__()
        self.expand = unit.expand.folded()
        self.reduce = unit.reduce.folded(unit.body_scale.scale)
        self.identity_scale = unit.identity_scale

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        return self.reduce(F.relu(self.expand(x))) + self.identity_scale(x)


class LocalFusionBlock(nn.Module):
    """Four units in a row, all their outputs fused, and a weighted residual around them.

    [n, c, h, w] -> the same; `middle` is the width inside of a unit.
    """

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(AdaptiveWeightedUnit(channels, middle) for _ in range(UNITS))
        self.fuse = WeightNormConv2d(UNITS * channels, channels, 3)
        self.fuse_scale = Scale()
        self.identity_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused features."""
        fused = self.fuse(_gathered(self.units, x))
        return self.fuse_scale(fused) + self.identity_scale(x)

    def deploy(self) -> FoldedBlock:
        """Return an equal block for inference."""
        return FoldedBlock(self)


class FoldedBlock(nn.Module):
    """A block of plain convolutions; the fusion's weight is in its convolution."""

    def __init__(self, block: LocalFusionBlock) -> None:
        super().__init__()
        units = [unit for unit in block.units if isinstance(unit, AdaptiveWeightedUnit)]
        self.units = nn.ModuleList(unit.deploy() for unit in units)
        self.fuse = block.fuse.folded(block.fuse_scale.scale)
        self.identity_scale = block.identity_scale

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused features."""
        return self.fuse(_gathered(self.units, x)) + self.identity_scale(x)


def _gathered(units: nn.ModuleList, x: Tensor) -> Tensor:
    """Return what every unit in the row gives, one behind the other."""
    outputs: list[Tensor] = []
    for unit in units:
        x = unit(x)
        outputs.append(x)
    return torch.cat(outputs, 1)
