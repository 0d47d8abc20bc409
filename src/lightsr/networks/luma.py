"""Colour pictures through networks that know luma only.

Such networks see Y of ITU-R BT.601, 16..235 divided by 255; Cb and Cr are enlarged bicubically.
Both steps, there and back, are linear, and a change of Y moves R, G and B alike. So enlarging the
chroma alone comes to the same as enlarging RGB and adding what the network changed of its Y.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import bicubic_taps

_RGB_OF_Y = 255 / 219
"""What 1 of Y adds to each of R, G and B."""


class BicubicEnlargement(nn.Module):
    """MATLAB's bicubic on a float picture, its border replicated: as `images.resize.imresize`.

    [n, 3, h, w] -> [n, 3, scale * h, scale * w]. Two convolutions with fixed kernels, down and
    across, give each LR pixel its scale^2 output pixels.
    """

    down: Tensor
    across: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        taps = bicubic_taps(scale).to(torch.get_default_dtype())
        # No parameters, and not kept with the weights: every network at this scale has the same.
        self.register_buffer("down", taps.repeat(3, 1)[:, None, :, None], persistent=False)
        self.register_buffer(
            "across", taps.repeat(3 * scale, 1)[:, None, None, :], persistent=False
        )
        self.groups = 3 * scale
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = F.conv2d(F.pad(x, (0, 0, 2, 2), mode="replicate"), self.down, groups=3)
        x = F.conv2d(F.pad(x, (2, 2, 0, 0), mode="replicate"), self.across, groups=self.groups)
        return self.shuffle(x)


class Luma(nn.Module):
    """Y of RGB in [0, 1], [n, 3, h, w] -> [n, 1, h, w], 16/255 to 235/255."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        weight = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", torch.tensor([16 / 255]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the luma of a batch."""
        return F.conv2d(x, self.weight, self.bias)


class LumaNetwork(nn.Module):
    """A network of luma with RGB around it: [n, 3, h, w] -> [n, 3, scale * h, scale * w].

    RGB is in [0, 1], and not clipped behind the network. `body` takes and gives Y / 255, one
    channel: to `scale` times the size, or, where it is `pre_enlarged`, from the bicubic picture
    to one of the same size.
    """

    def __init__(self, body: nn.Module, scale: int, *, pre_enlarged: bool) -> None:
        super().__init__()
        self.body = body
        self.scale = scale
        self.pre_enlarged = pre_enlarged
        self.bicubic = BicubicEnlargement(scale)
        self.luma = Luma()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        enlarged = self.bicubic(x)
        luma = self.luma(enlarged)
        sr = self.body(luma if self.pre_enlarged else self.luma(x))
        return enlarged + (sr - luma) * _RGB_OF_Y

    def deploy(self) -> LumaNetwork:
        """Return an equal network for inference; later changes to this one do not reach it."""
        return copy.deepcopy(self).eval().requires_grad_(False)
