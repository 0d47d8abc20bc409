"""Resizing with fixed kernels, as convolutions: what every runtime computes alike."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import bicubic_taps, mirror

Border = Literal["replicate", "symmetric"]
"""How a picture goes on beyond its edge: as its last sample, or mirrored, that sample twice."""


class FixedResampling(nn.Module):
    """A resize with the same fixed kernels, down and across, for every channel.

    `taps` is [phases, k]: each `stride` input samples become `phases` output samples. Two
    convolutions give each such block its phases^2 output pixels.
    """

    down: Tensor
    across: Tensor

    def __init__(
        self, channels: int, taps: Tensor, stride: int = 1, border: Border = "replicate"
    ) -> None:
        super().__init__()
        phases, size = taps.shape
        taps = taps.to(torch.get_default_dtype())
        # No parameters, and not kept with the weights: they are the same in every network.
        down = taps.repeat(channels, 1)[:, None, :, None]
        across = taps.repeat(channels * phases, 1)[:, None, None, :]
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("across", across, persistent=False)
        self.channels = channels
        self.groups = channels * phases
        self.stride = stride
        self.border: Border = border
        self.margin = (size - stride) // 2
        self.shuffle = nn.PixelShuffle(phases)

    def forward(self, x: Tensor) -> Tensor:
        """Resize a batch."""
        step = self.stride
        x = F.conv2d(self._extend(x, 2), self.down, stride=(step, 1), groups=self.channels)
        x = F.conv2d(self._extend(x, 3), self.across, stride=(1, step), groups=self.groups)
        return self.shuffle(x)

    def _extend(self, x: Tensor, axis: int) -> Tensor:
        margin = self.margin
        if self.border == "symmetric":
            return mirror(x, axis, margin, twice=True)
        sides = (0, 0, margin, margin) if axis == 2 else (margin, margin, 0, 0)
        return F.pad(x, sides, mode="replicate")


class BicubicEnlargement(FixedResampling):
    """MATLAB's bicubic on a float picture: as `images.resize.imresize` with that border.

    [n, 3, h, w] -> [n, 3, scale * h, scale * w].
    """

    def __init__(self, scale: int, border: Border = "replicate") -> None:
        super().__init__(3, bicubic_taps(scale), border=border)


class TorchBicubicEnlargement(FixedResampling):
    """torch's bicubic, `interpolate(..., mode="bicubic", align_corners=False)`.

    [n, 3, h, w] -> [n, 3, scale * h, scale * w].
    """

    def __init__(self, scale: int) -> None:
        super().__init__(3, bicubic_taps(scale, a=-0.75))
