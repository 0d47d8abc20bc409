"""FDIWN and FDIWN-M, the Feature Distillation Interaction Weighting Networks.

G. Gao, W. Li, J. Li, F. Wu, H. Lu, Y. Yu, "Feature Distillation Interaction Weighting Network for
Lightweight Image Super-Resolution", AAAI 2022, 36(1):661-669, arXiv:2112.08655. The classes carry
the paper's names and follow its figures: units (WIRW, WCRW) in figure 4, the interaction block
(WDIB) in figure 3, the group (FSWG) in figure 2. Where text and figures leave something open, the
layout is that of the authors' released weights, which load here and give the published numbers.

This is the form that is trained and read; `deploy()` gives the rewritten form that is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import (
    Scale,
    WeightNormConv2d,
    bicubic_taps,
    channel_shuffle,
    conv1x1,
    conv3x3,
    spatial_statistics,
)

if TYPE_CHECKING:
    from lightsr.networks.fdiwn_deploy import DeployedFDIWN

DIV2K_MEAN = (0.4488 * 255, 0.4371 * 255, 0.4040 * 255)
LEAKY_SLOPE = 0.05


@dataclass(frozen=True, slots=True)
class Widths:
    """Channel counts of a variant; n is the width of the body."""

    n: int
    wirw: int
    """Middle of a WIRW."""
    expand: int
    """Middle of a WCRW that goes from n/2 to n."""
    fuse: int
    """Middle of the WCRW in an SCF, from 2n to n."""
    tail: int


NARROW = Widths(n=24, wirw=48, expand=48, fuse=96, tail=64)
WIDE = Widths(n=24, wirw=60, expand=54, fuse=108, tail=32)


class ShuffleAttention(nn.Module):
    """SA: gates half the channels by their means and half by their normalised values.

    [n, c, h, w] -> the same. The channels form `groups` runs; in each the first half is gated per
    channel, the second per pixel, by parameters that all groups share; a shuffle ends it.
    """

    def __init__(self, channels: int, groups: int = 6) -> None:
        super().__init__()
        self.groups = groups
        half = channels // (2 * groups)
        self.channel_weight = nn.Parameter(torch.zeros(half))
        self.channel_bias = nn.Parameter(torch.ones(half))
        self.spatial_weight = nn.Parameter(torch.zeros(half))
        self.spatial_bias = nn.Parameter(torch.ones(half))
        self.norm = nn.GroupNorm(half, half)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated and shuffled features."""
        n, c, h, w = x.shape
        grouped = x.reshape(n * self.groups, c // self.groups, h, w)
        channel, spatial = grouped.chunk(2, dim=1)
        mean = channel.mean((2, 3), keepdim=True)
        channel = channel * torch.sigmoid(
            _per_channel(self.channel_weight) * mean + _per_channel(self.channel_bias)
        )
        spatial = spatial * torch.sigmoid(
            _per_channel(self.spatial_weight) * self.norm(spatial) + _per_channel(self.spatial_bias)
        )
        return channel_shuffle(torch.cat((channel, spatial), 1).reshape(n, c, h, w), 2)


class CombinationCoefficient(nn.Module):
    """Combination coefficient learning: a weight per channel from its mean and its deviation.

    [n, c, h, w] -> [n, c, 1, 1], every weight in [0.5, 1): a ReLU stands before the sigmoid.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean_reduce = conv1x1(channels, channels // 8)
        self.mean_expand = conv1x1(channels // 8, channels)
        self.deviation_reduce = conv1x1(channels, channels // 8)
        self.deviation_expand = conv1x1(channels // 8, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the coefficients of `x`."""
        mean, variance = spatial_statistics(x)
        # The root's gradient is infinite at 0; what is added is far below what float32 can tell.
        deviation = torch.sqrt(variance + 1e-20)
        upper = F.relu(self.mean_expand(F.relu(self.mean_reduce(mean))))
        lower = F.relu(self.deviation_expand(F.relu(self.deviation_reduce(deviation))))
        return (torch.sigmoid(upper) + torch.sigmoid(lower)) / 2


class WideBody(nn.Sequential):
    """The wide body of a unit: 1x1 up to `middle`, ReLU, 1x1 down, 3x3, shuffle attention."""

    def __init__(self, inputs: int, middle: int, inner: int, outputs: int) -> None:
        super().__init__(
            WeightNormConv2d(inputs, middle, 1),
            nn.ReLU(),
            WeightNormConv2d(middle, inner, 1),
            WeightNormConv2d(inner, outputs, 3),
            ShuffleAttention(outputs),
        )


class WIRW(nn.Module):
    """Wide identical residual weighting unit: a * body(x) + b * x."""

    def __init__(self, n: int, middle: int) -> None:
        super().__init__()
        self.body = WideBody(n, middle, n // 2, n)
        self.body_scale = Scale()
        self.identity_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> the same shape."""
        return self.body_scale(self.body(x)) + self.identity_scale(x)


class WCRW(nn.Module):
    """Wide convolutional residual weighting unit: a * body(x) + b * conv(x), changing the width."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.body = WideBody(inputs, middle, min(inputs, outputs), outputs)
        self.shortcut = conv3x3(inputs, outputs)
        self.body_scale = Scale()
        self.shortcut_scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, outputs, h, w]."""
        return self.body_scale(self.body(x)) + self.shortcut_scale(self.shortcut(x))


class SCF(nn.Module):
    """Self-calibration fusion of the two branches of a WDIB (in place of concatenation)."""

    def __init__(self, n: int, middle: int) -> None:
        super().__init__()
        self.scale_a = Scale()
        self.scale_b = Scale()
        self.fuse = WCRW(2 * n, middle, n)
        self.gate = conv1x1(2 * n, n, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two [b, n, h, w] -> one."""
        z = torch.cat((self.scale_a(a), self.scale_b(b)), 1)
        return self.fuse(z) + torch.sigmoid(self.gate(z)) * b


class WDIB(nn.Module):
    """Wide-residual distillation interaction block: two branches, a and b, that weight each other.

    After the first WIRW of a branch half of the channels is distilled (kept, to gate the branch
    once it has taken in the other one) and half goes on: the wide-residual distillation
    connection, WRDC.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        n = widths.n
        self.wirw_a1 = WIRW(n, widths.wirw)
        self.wirw_b1 = WIRW(n, widths.wirw)
        self.wcrw_a = WCRW(n // 2, widths.expand, n)
        self.wcrw_b = WCRW(n // 2, widths.expand, n)
        self.coefficient_a1 = CombinationCoefficient(n)
        self.coefficient_b1 = CombinationCoefficient(n)
        self.coefficient_a2 = CombinationCoefficient(n)
        self.coefficient_b2 = CombinationCoefficient(n)
        self.distilled_a = conv3x3(n // 2, n, bias=False)
        self.distilled_b = conv3x3(n // 2, n, bias=False)
        self.wirw_a2 = WIRW(n, widths.wirw)
        self.wirw_b2 = WIRW(n, widths.wirw)
        self.scf = SCF(n, widths.fuse)
        self.attention = ShuffleAttention(n)

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> the same shape."""
        a_distilled, a_remaining = F.leaky_relu(self.wirw_a1(x), LEAKY_SLOPE).chunk(2, 1)
        a = self.wcrw_a(a_remaining)
        b = self.coefficient_a1(a) * a + x
        a = self.coefficient_b1(x) * x + a

        b_distilled, b_remaining = F.leaky_relu(self.wirw_b1(b), LEAKY_SLOPE).chunk(2, 1)
        b = self.wcrw_b(b_remaining)
        gate_a = torch.sigmoid(self.distilled_a(a_distilled))
        gate_b = torch.sigmoid(self.distilled_b(b_distilled))
        a, b = (
            (self.coefficient_b2(b) * b + a) * gate_a,
            (self.coefficient_a2(a) * a + b) * gate_b,
        )
        return self.attention(self.scf(self.wirw_a2(a), self.wirw_b2(b)) + x)


class FSWG(nn.Module):
    """Feature shuffle weighted group: three WDIBs, fused pairwise, with a weighted residual."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        n = widths.n
        self.wdib1 = WDIB(widths)
        self.wdib2 = WDIB(widths)
        self.wdib3 = WDIB(widths)
        self.conv = conv3x3(n, n, bias=False)
        self.fuse1 = conv3x3(2 * n, n, bias=False, groups=4)
        self.fuse2 = conv3x3(2 * n, n, bias=False, groups=4)
        self.residual = WIRW(n, widths.wirw)
        self.body_scale = Scale(0.5)
        self.residual_scale = Scale(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> the same shape."""
        o1 = self.wdib1(x)
        o2 = self.wdib2(o1)
        o3 = self.wdib3(o2 + self.conv(o1))
        s1 = self.fuse1(channel_shuffle(torch.cat((o1, o2), 1), 4))
        s2 = self.fuse2(channel_shuffle(torch.cat((s1, o3), 1), 4))
        return self.body_scale(s2 + o3) + self.residual_scale(self.residual(x))


class FDIWN(nn.Module):
    """The network. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped.

    `order` says which group each application uses (weights are shared between applications), and
    `skip_before_shift` whether the skip path sees the picture before its mean is taken off, as
    the authors' x2 and x3 networks do.
    """

    def __init__(
        self, scale: int, widths: Widths, order: tuple[int, ...], *, skip_before_shift: bool
    ) -> None:
        super().__init__()
        self.scale = scale
        self.widths = widths
        self.order = order
        self.skip_before_shift = skip_before_shift
        n, t, outputs = widths.n, widths.tail, 3 * scale * scale
        self.subtract_mean = conv1x1(3, 3)
        self.add_mean = conv1x1(3, 3)
        self.head = conv3x3(3, n)
        self.groups = nn.ModuleList(FSWG(widths) for _ in range(max(order) + 1))
        self.main1 = conv3x3(n, t, bias=False)
        self.main2 = conv3x3(t, outputs)
        self.skip1 = conv3x3(3, t)
        self.skip2 = conv3x3(t, outputs)
        self.shuffle = nn.PixelShuffle(scale)
        self._start_as_mean_shift()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = x * 255
        shifted = self.subtract_mean(x)
        main = self.main2(self.main1(self.body(self.head(shifted))))
        skip = self.skip2(self.skip1(x if self.skip_before_shift else shifted))
        return self.add_mean(self.shuffle(main) + self.shuffle(skip)) / 255

    def body(self, x: Tensor) -> Tensor:
        """Apply the groups in their order, [b, n, h, w] -> the same.

        The paper sums the outputs of all groups; since each works on the sum of those before it,
        that is a chain of residual steps behind the first group.
        """
        x = self.groups[self.order[0]](x)
        for group in self.order[1:]:
            x = x + self.groups[group](x)
        return x

    def deploy(self) -> DeployedFDIWN:
        """Return an equal network, rewritten to run fast; see `fdiwn_deploy`."""
        from lightsr.networks.fdiwn_deploy import DeployedFDIWN

        return DeployedFDIWN(self)

    def start_at_bicubic(self) -> None:
        """Set the skip path to bicubic enlargement and the main path's last convolution to zero.

        Training then begins at the bicubic picture (but for two LR pixels along the border)
        instead of at noise. Needs a tail of at least 27 channels.
        """
        with torch.no_grad():
            for parameter in self.main2.parameters():
                parameter.zero_()
            _set_to_bicubic(self.skip1, self.skip2, self.scale)
            if self.skip_before_shift and self.skip2.bias is not None:
                # add_mean adds the mean to a path that never lost it.
                mean = torch.tensor(DIV2K_MEAN).repeat_interleave(self.scale**2)
                self.skip2.bias.copy_(-mean)

    def _start_as_mean_shift(self) -> None:
        identity, mean = torch.eye(3)[:, :, None, None], torch.tensor(DIV2K_MEAN)
        self.subtract_mean.load_state_dict({"weight": identity, "bias": -mean})
        self.add_mean.load_state_dict({"weight": identity, "bias": mean})


def fdiwn(scale: int) -> FDIWN:
    """Build FDIWN: three FSWGs applied six times (sections 3.1 and 4.1 of the paper)."""
    widths = WIDE if scale == 4 else NARROW
    return FDIWN(scale, widths, (0, 0, 1, 2, 1, 2), skip_before_shift=scale != 4)


def fdiwn_m(scale: int) -> FDIWN:
    """Build FDIWN-M: two FSWGs applied four times, as its published sizes require."""
    widths = NARROW if scale == 3 else WIDE
    return FDIWN(scale, widths, (0, 0, 1, 1), skip_before_shift=False)


def _per_channel(parameter: Tensor) -> Tensor:
    return parameter.view(1, -1, 1, 1)


def _set_to_bicubic(first: nn.Conv2d, second: nn.Conv2d, scale: int) -> None:
    """Make two 3x3 convolutions, 3 -> t -> 3 * scale^2, enlarge bicubically before PixelShuffle.

    The first hands on the nine shifts of each colour; the second combines them, so that together
    they reach the five taps per axis that a phase needs.
    """
    taps = bicubic_taps(scale).to(first.weight.dtype)
    first.weight.zero_()
    second.weight.zero_()
    for conv in (first, second):
        if conv.bias is not None:
            conv.bias.zero_()
    # Ways to reach each offset -2..2 as a sum of two offsets in -1..1.
    ways = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0])
    spread = taps / ways
    for colour in range(3):
        for i in range(3):
            for j in range(3):
                shift = 9 * colour + 3 * i + j
                first.weight[shift, colour, i, j] = 1
                kernel = spread[:, None, i : i + 3, None] * spread[None, :, None, j : j + 3]
                start = colour * scale * scale
                second.weight[start : start + scale * scale, shift] = kernel.flatten(0, 1)
