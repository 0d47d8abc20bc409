"""Colour pictures through networks that know luma only.

Such networks see Y of ITU-R BT.601, 16..235 divided by 255; Cb and Cr are enlarged bicubically.
Both steps, there and back, are linear, and a change of Y moves R, G and B alike. So enlarging the
chroma alone comes to the same as enlarging RGB and adding what the network changed of its Y.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.errors import UserError
from lightsr.networks.resampling import BicubicEnlargement

_RGB_OF_Y = 255 / 219
"""What 1 of Y adds to each of R, G and B."""


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

    def start_at_bicubic(self) -> None:
        """Start the network of luma so that it changes nothing of the bicubic picture.

        Raises `UserError` for an architecture without such a start.
        """
        start = getattr(self.body, "start_at_bicubic", None)
        if start is None:
            raise UserError(f"start: {type(self.body).__name__} has no path to start bicubic on")
        start()

    def deploy(self) -> LumaNetwork:
        """Return an equal network for inference; later changes to this one do not reach it."""
        return copy.deepcopy(self).eval().requires_grad_(False)
