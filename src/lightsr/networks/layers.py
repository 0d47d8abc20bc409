"""Layers that more than one network uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave `groups` runs of channels: output `groups * i + j` takes input `j * c/groups + i`.

    `x` is [n, c, h, w] with c a multiple of `groups` (ShuffleNet, Zhang et al. 2018, section 3.1).
    """
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def shuffle_order(channels: int, groups: int) -> Tensor:
    """Return the input channel that each output channel of `channel_shuffle` takes."""
    return torch.arange(channels).view(groups, channels // groups).t().reshape(-1)


def conv3x3(
    inputs: int, outputs: int, *, bias: bool = True, groups: int = 1, device: str | None = None
) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width (zero padding of one pixel)."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, groups=groups, device=device)


def conv1x1(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def weight_norm(conv: nn.Conv2d) -> nn.Conv2d:
    """Give a convolution weight normalisation per output channel (Salimans and Kingma 2016).

    The state dict then holds `parametrizations.weight.original0` (g, [out, 1, 1, 1]) and
    `parametrizations.weight.original1` (v) instead of `weight`.
    """
    return parametrizations.weight_norm(conv)


def is_weight_normalised(module: nn.Module) -> bool:
    """Whether `weight_norm` was put on `module`."""
    return parametrize.is_parametrized(module, "weight")


def folded(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a plain copy of a convolution, its weight normalisation multiplied out."""
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        padding=conv.padding,
        groups=conv.groups,
        bias=conv.bias is not None,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    with torch.no_grad():
        plain.weight.copy_(conv.weight)
        if conv.bias is not None and plain.bias is not None:
            plain.bias.copy_(conv.bias)
    return plain


class Scale(nn.Module):
    """A learned scalar, of shape [1]."""

    def __init__(self, initial: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([initial]))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times the scalar."""
        return x * self.scale


def bicubic_taps(scale: int) -> Tensor:
    """Return the cubic kernel (a = -0.5) that enlarges by `scale`, [scale, 5], float64.

    Row p holds, for output phase p, the weights of the source samples at offsets -2..2
    (Keys 1981; the kernel MATLAB's imresize enlarges with).
    """
    phase = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    distance = (phase[:, None] - torch.arange(-2, 3, dtype=torch.float64)[None, :]).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
    return taps / taps.sum(1, keepdim=True)


def replicate_pad(x: Tensor, size: int) -> Tensor:
    """Repeat the edge pixels of [n, c, h, w] `size` times on every side."""
    return F.pad(x, (size, size, size, size), mode="replicate")
