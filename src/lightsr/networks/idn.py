"""IDN, the information distillation network, for luma and for RGB.

Z. Hui, X. Wang, X. Gao, "Fast and Accurate Single Image Super-Resolution via Information
Distillation Network", CVPR 2018, arXiv:1803.09454. Four blocks each keep a part of their features
as they are and work on with the rest (section 3.2); the last layer gives the residual that the
bicubic picture lacks. A later version of the authors, for RGB, ends in sub-pixels instead of a
transposed convolution.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import bicubic_taps, conv1x1, conv3x3
from lightsr.networks.luma import LumaNetwork
from lightsr.networks.resampling import FixedResampling

_SLOPE = 0.05
_WIDTH = 64
_KEPT = 16
_GROUPS = 4


class DistillationBlock(nn.Module):
    """[n, 64, h, w] -> the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.enhancement = nn.ModuleList(
            (conv3x3(_WIDTH, 48), conv3x3(48, 32, groups=_GROUPS), conv3x3(32, 64))
        )
        self.further = nn.ModuleList(
            (conv3x3(64 - _KEPT, 64), conv3x3(64, 48, groups=_GROUPS), conv3x3(48, _WIDTH + _KEPT))
        )
        self.compression = conv1x1(_WIDTH + _KEPT, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Distil a batch."""
        features = _through(self.enhancement, x)
        kept, rest = features.split((_KEPT, _WIDTH - _KEPT), 1)
        total = torch.cat((x, kept), 1) + _through(self.further, rest)
        return F.leaky_relu(self.compression(total), _SLOPE)


class TransposedHead(nn.Module):
    """The upsampling of the paper: [n, 64, h, w] -> [n, channels, scale * h, scale * w].

    Without overhang its 17x17 kernel gives (h - 1) * scale + 1 rows, and the authors' weights have
    them lie from row scale - 1 on. Here the rows before that are filled by what the kernel says.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.deconvolution = nn.ConvTranspose2d(
            _WIDTH, channels, 17, stride=scale, padding=9 - scale
        )
        self.surplus = scale - 1

    def forward(self, x: Tensor) -> Tensor:
        """Upsample a batch."""
        return F.pad(self.deconvolution(x), (0, -self.surplus, 0, -self.surplus))


class SubPixelHead(nn.Sequential):
    """The upsampling of the authors' later version, of the same shapes."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(
            conv3x3(_WIDTH, _WIDTH),
            conv3x3(_WIDTH, channels * scale**2),
            nn.PixelShuffle(scale),
        )


class IDN(nn.Module):
    """The network: [n, channels, h, w] -> [n, channels, scale * h, scale * w].

    Samples are in [0, 1] outside and in [0, `white`] inside.
    """

    def __init__(self, scale: int, channels: int, head: nn.Module, white: float = 1) -> None:
        super().__init__()
        self.white = white
        self.features = nn.ModuleList((conv3x3(channels, _WIDTH), conv3x3(_WIDTH, _WIDTH)))
        self.blocks = nn.Sequential(*(DistillationBlock() for _ in range(4)))
        self.head = head
        self.enlargement = FixedResampling(channels, bicubic_taps(scale))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # torch counts what goes in and out of a transposed convolution the other way round.
                mode = "fan_in" if isinstance(module, nn.Conv2d) else "fan_out"
                nn.init.kaiming_normal_(module.weight, a=_SLOPE, mode=mode)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        residual = self.head(self.blocks(_through(self.features, x * self.white)))
        return self.enlargement(x) + residual / self.white

    def deploy(self) -> IDN:
        """Return an equal network for inference; later changes to this one do not reach it."""
        return copy.deepcopy(self).eval().requires_grad_(False)


def idn(scale: int) -> LumaNetwork:
    """Build IDN as published, a network of luma."""
    return LumaNetwork(IDN(scale, 1, TransposedHead(1, scale)), scale, pre_enlarged=False)


def idn_rgb(scale: int) -> IDN:
    """Build the same network with three channels in and out."""
    return IDN(scale, 3, TransposedHead(3, scale))


def idn_tf(scale: int) -> IDN:
    """Build the authors' later version, which ends in sub-pixels and sees 0..255."""
    return IDN(scale, 3, SubPixelHead(3, scale), white=255)


def _through(convs: nn.ModuleList, x: Tensor) -> Tensor:
    for conv in convs:
        x = F.leaky_relu(conv(x), _SLOPE)
    return x
