"""FDIWN written plainly, as research code is: what the training benchmark compares with.

Everything is a layer or tensor operation of torch used at face value: the old weight norm, an
attention of separate operations with `mean` and `var`, concatenation and shuffling by reshape,
NCHW, float32. In `lightsr.networks.fdiwn` the same function is computed with less work.
"""

# The old weight norm is deprecated, and it is what such code uses.
# pyright: reportDeprecated=false

from __future__ import annotations

import re
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def weight_norm(conv: nn.Conv2d) -> nn.Module:
    """Put the old weight norm on a convolution."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(conv)


def conv(inputs: int, outputs: int, size: int, *, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias, groups=groups)


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave runs of channels."""
    n, c, h, w = x.shape
    x = x.view(n, groups, c // groups, h, w)
    return x.permute(0, 2, 1, 3, 4).contiguous().view(n, c, h, w)


class Attention(nn.Module):
    """Shuffle attention."""

    def __init__(self, channels: int, groups: int = 6) -> None:
        super().__init__()
        self.groups = groups
        half = channels // (2 * groups)
        self.cweight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.cbias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.sweight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.sbias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.gn = nn.GroupNorm(half, half)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Gate half the channels by their means, half by their normalised values."""
        b, c, h, w = x.shape
        x = x.contiguous().view(b * self.groups, -1, h, w)
        x0, x1 = x.chunk(2, dim=1)
        xn = self.pool(x0)
        xn = self.cweight * xn + self.cbias
        xn = x0 * self.sigmoid(xn)
        xs = self.gn(x1)
        xs = self.sweight * xs + self.sbias
        xs = x1 * self.sigmoid(xs)
        out = torch.cat([xn, xs], dim=1).view(b, c, h, w)
        return shuffle(out, 2)


class Coefficient(nn.Module):
    """Combination coefficients from mean and standard deviation."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.upper = nn.Sequential(conv(n, n // 8, 1), nn.ReLU(), conv(n // 8, n, 1), nn.ReLU())
        self.lower = nn.Sequential(conv(n, n // 8, 1), nn.ReLU(), conv(n // 8, n, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return the coefficients, [n, c, 1, 1]."""
        mean = x.sum(3, keepdim=True).sum(2, keepdim=True) / (x.size(2) * x.size(3))
        var = (x - mean).pow(2).sum(3, keepdim=True).sum(2, keepdim=True)
        deviation = (var / (x.size(2) * x.size(3)) + 1e-20).pow(0.5)
        upper = torch.sigmoid(self.upper(self.pool(x)))
        lower = torch.sigmoid(self.lower(deviation))
        return torch.add(upper, lower) / 2


class Wide(nn.Module):
    """A wide unit; its shortcut is the identity or a convolution."""

    def __init__(self, inputs: int, middle: int, inner: int, outputs: int, shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            weight_norm(conv(inputs, middle, 1)),
            nn.ReLU(inplace=True),
            weight_norm(conv(middle, inner, 1)),
            weight_norm(conv(inner, outputs, 3)),
            Attention(outputs),
        )
        self.shortcut = conv(inputs, outputs, 3) if shortcut else nn.Identity()
        self.a = nn.Parameter(torch.ones(1))
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add body and shortcut, each times its scalar."""
        return self.body(x) * self.a + self.shortcut(x) * self.b


class Block(nn.Module):
    """WDIB."""

    def __init__(self, n: int, wide: int, expand: int, fuse: int) -> None:
        super().__init__()
        self.act = nn.LeakyReLU(0.05)
        self.srb1 = Wide(n, wide, n // 2, n, shortcut=False)
        self.srb2 = Wide(n, wide, n // 2, n, shortcut=False)
        self.srb3 = Wide(n, wide, n // 2, n, shortcut=False)
        self.srb4 = Wide(n, wide, n // 2, n, shortcut=False)
        self.rb1 = Wide(n // 2, expand, n // 2, n, shortcut=True)
        self.rb2 = Wide(n // 2, expand, n // 2, n, shortcut=True)
        self.coef_a1, self.coef_b1 = Coefficient(n), Coefficient(n)
        self.coef_a2, self.coef_b2 = Coefficient(n), Coefficient(n)
        self.d1 = conv(n // 2, n, 3, bias=False)
        self.d2 = conv(n // 2, n, 3, bias=False)
        self.p = nn.Parameter(torch.ones(1))
        self.q = nn.Parameter(torch.ones(1))
        self.fuse1 = Wide(2 * n, fuse, n, n, shortcut=True)
        self.fuse2 = conv(2 * n, n, 1, bias=False)
        self.attention = Attention(n)

    def forward(self, x: Tensor) -> Tensor:
        """Two branches that weight each other, fused."""
        a = self.act(self.srb1(x))
        a_d, a_r = torch.split(a, a.size(1) // 2, dim=1)
        a = self.rb1(a_r)
        b1 = self.coef_a1(a) * a + x
        a1 = self.coef_b1(x) * x + a
        b = self.act(self.srb2(b1))
        b_d, b_r = torch.split(b, b.size(1) // 2, dim=1)
        b = self.rb2(b_r)
        b2 = (self.coef_a2(a1) * a1 + b) * torch.sigmoid(self.d1(b_d))
        a2 = (self.coef_b2(b) * b + a1) * torch.sigmoid(self.d2(a_d))
        a3, b3 = self.srb3(a2), self.srb4(b2)
        z = torch.cat([a3 * self.p, b3 * self.q], dim=1)
        y = self.fuse1(z) + torch.sigmoid(self.fuse2(z)) * b3 + x
        return self.attention(y)


class Group(nn.Module):
    """FSWG."""

    def __init__(self, n: int, wide: int, expand: int, fuse: int) -> None:
        super().__init__()
        self.my1 = Block(n, wide, expand, fuse)
        self.my2 = Block(n, wide, expand, fuse)
        self.my3 = Block(n, wide, expand, fuse)
        self.conv = conv(n, n, 3, bias=False)
        self.conv1 = conv(2 * n, n, 3, bias=False, groups=4)
        self.conv2 = conv(2 * n, n, 3, bias=False, groups=4)
        self.rb1 = Wide(n, wide, n // 2, n, shortcut=False)
        self.u = nn.Parameter(torch.tensor([0.5]))
        self.v = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x: Tensor) -> Tensor:
        """Three blocks, fused pairwise."""
        o1 = self.my1(x)
        o2 = self.my2(o1)
        o3 = self.my3(o2 + self.conv(o1))
        s1 = self.conv1(shuffle(torch.cat([o1, o2], dim=1), 4))
        s2 = self.conv2(shuffle(torch.cat([s1, o3], dim=1), 4))
        return (s2 + o3) * self.u + self.rb1(x) * self.v


class NaiveFDIWN(nn.Module):
    """FDIWN: RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        n, wide, expand, fuse, tail = (24, 60, 54, 108, 32) if scale == 4 else (24, 48, 48, 96, 64)
        self.sub_mean, self.add_mean = conv(3, 3, 1), conv(3, 3, 1)
        self.head = conv(3, n, 3)
        self.li1 = Group(n, wide, expand, fuse)
        self.li2 = Group(n, wide, expand, fuse)
        self.li3 = Group(n, wide, expand, fuse)
        self.conv1 = conv(n, tail, 3, bias=False)
        self.conv2 = conv(3, tail, 3)
        self.up1 = nn.Sequential(conv(tail, 3 * scale * scale, 3), nn.PixelShuffle(scale))
        self.up2 = nn.Sequential(conv(tail, 3 * scale * scale, 3), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = x * 255
        shifted = self.sub_mean(x)
        h = self.li1(self.head(shifted))
        u1 = self.li1(h)
        d1 = h + u1
        u2 = self.li2(d1)
        d2 = d1 + u2
        u3 = self.li3(d2)
        d3 = d2 + u3
        u4 = self.li2(d3)
        d5 = self.li3(d3 + u4)
        main = self.up1(self.conv1(h + u1 + u2 + u3 + u4 + d5))
        skip = self.up2(self.conv2(shifted if self.scale == 4 else x))
        return self.add_mean(main + skip) / 255


# Pieces of our names and what they are called here, applied in order.
_NAMES = (
    (r"^subtract_mean", "sub_mean"),
    (r"^main1", "conv1"),
    (r"^skip1", "conv2"),
    (r"^main2", "up1.0"),
    (r"^skip2", "up2.0"),
    (r"^groups\.0", "li1"),
    (r"^groups\.1", "li2"),
    (r"^groups\.2", "li3"),
    (r"\.wdib(\d)", r".my\1"),
    (r"\.residual_scale\.scale", ".v"),
    (r"(li\d)\.body_scale\.scale", r"\1.u"),
    (r"\.residual\.", ".rb1."),
    (r"(li\d)\.fuse(\d)", r"\1.conv\2"),
    (r"\.wirw_a1", ".srb1"),
    (r"\.wirw_b1", ".srb2"),
    (r"\.wirw_a2", ".srb3"),
    (r"\.wirw_b2", ".srb4"),
    (r"\.wcrw_a", ".rb1"),
    (r"\.wcrw_b", ".rb2"),
    (r"\.distilled_b", ".d1"),
    (r"\.distilled_a", ".d2"),
    (r"\.scf\.scale_a\.scale", ".p"),
    (r"\.scf\.scale_b\.scale", ".q"),
    (r"\.scf\.fuse\.", ".fuse1."),
    (r"\.scf\.gate\.", ".fuse2."),
    (r"\.coefficient_", ".coef_"),
    (r"\.mean_reduce", ".upper.0"),
    (r"\.mean_expand", ".upper.2"),
    (r"\.deviation_reduce", ".lower.0"),
    (r"\.deviation_expand", ".lower.2"),
    (r"\.channel_weight", ".cweight"),
    (r"\.channel_bias", ".cbias"),
    (r"\.spatial_weight", ".sweight"),
    (r"\.spatial_bias", ".sbias"),
    (r"\.norm\.", ".gn."),
    (r"\.body_scale\.scale", ".a"),
    (r"\.(identity|shortcut)_scale\.scale", ".b"),
)


def naive_like(network: nn.Module, scale: int) -> NaiveFDIWN:
    """Return the naive network with the weights of our `network`."""
    naive = NaiveFDIWN(scale)
    wanted = naive.state_dict()
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        for ours, theirs in _NAMES:
            name = re.sub(ours, theirs, name)
        state[name] = tensor.reshape(wanted[name].shape)
    naive.load_state_dict(state)
    return naive


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the paper's loss, on the scale of 0..255."""
    return F.l1_loss(sr * 255, hr * 255)
