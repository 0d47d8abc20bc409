"""FDIWN's deploy form: the same function with less work, for inference.

Algebra, not approximation. Weight norm is multiplied out. The convolution in front of a shuffle
attention gives its channels in shuffled order already, and takes in the learned scalar behind it;
the attention is then, channel by channel, x * sigmoid(a * x + d) with a and d from that channel's
mean and variance. A coefficient's two branches are one pair of small matrix products. The colour
convolution at the end is multiplied into the tail. The one at the start stays, because the zero
padding of the convolution behind it comes after the shift.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.fdiwn import (
    FDIWN,
    FSWG,
    LEAKY_SLOPE,
    SCF,
    WCRW,
    WDIB,
    WIRW,
    CombinationCoefficient,
    Scale,
    ShuffleAttention,
    WideBody,
)
from lightsr.networks.layers import (
    WeightNormConv2d,
    conv1x1,
    shuffle_order,
    spatial_statistics,
)


class DeployedFDIWN(nn.Module):
    """The deploy form of a trained FDIWN or FDIWN-M: RGB in [0, 1] in and out, not clipped.

    Later changes to `network` do not reach it.
    """

    def __init__(self, network: FDIWN) -> None:
        super().__init__()
        self.scale = network.scale
        self.order = network.order
        self.skip_before_shift = network.skip_before_shift
        self.subtract_mean = _scaled(network.subtract_mean, 255, bias=False)
        self.head = _copy(network.head)
        self.groups = nn.ModuleList(DeployedFSWG(cast(FSWG, group)) for group in network.groups)
        self.main1 = _copy(network.main1)
        self.skip1 = (
            _scaled(network.skip1, 255, bias=False)
            if network.skip_before_shift
            else _copy(network.skip1)
        )
        self.main2, self.skip2 = _with_output_colours(network)
        self.shuffle = nn.PixelShuffle(network.scale)
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 3, scale * h, scale * w]."""
        shifted = self.subtract_mean(x)
        features = self.head(shifted)
        features = self.groups[self.order[0]](features)
        for group in self.order[1:]:
            features = features + self.groups[group](features)
        skip = self.skip2(self.skip1(x if self.skip_before_shift else shifted))
        return self.shuffle(self.main2(self.main1(features)) + skip)


class DeployedFSWG(nn.Module):
    """FSWG with its residual's scalars taken in."""

    def __init__(self, group: FSWG) -> None:
        super().__init__()
        self.wdib1 = DeployedWDIB(group.wdib1)
        self.wdib2 = DeployedWDIB(group.wdib2)
        self.wdib3 = DeployedWDIB(group.wdib3)
        self.conv = _copy(group.conv)
        self.fuse1 = _copy(group.fuse1)
        self.fuse2 = _copy(group.fuse2)
        outer = group.residual_scale
        self.residual = DeployedWIRW(group.residual, outer)
        self.body_scale = _value(group.body_scale)
        self.order = _index(shuffle_order(group.fuse1.in_channels, 4))

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> the same shape."""
        o1 = self.wdib1(x)
        o2 = self.wdib2(o1)
        o3 = self.wdib3(o2 + self.conv(o1))
        s1 = self.fuse1(torch.cat((o1, o2), 1).index_select(1, self.order))
        s2 = self.fuse2(torch.cat((s1, o3), 1).index_select(1, self.order))
        return (s2 + o3) * self.body_scale + self.residual(x)


class DeployedWDIB(nn.Module):
    """WDIB built of deployed units."""

    def __init__(self, block: WDIB) -> None:
        super().__init__()
        self.wirw_a1 = DeployedWIRW(block.wirw_a1)
        self.wirw_b1 = DeployedWIRW(block.wirw_b1)
        self.wcrw_a = DeployedWCRW(block.wcrw_a)
        self.wcrw_b = DeployedWCRW(block.wcrw_b)
        self.coefficient_a1 = DeployedCoefficient(block.coefficient_a1)
        self.coefficient_b1 = DeployedCoefficient(block.coefficient_b1)
        self.coefficient_a2 = DeployedCoefficient(block.coefficient_a2)
        self.coefficient_b2 = DeployedCoefficient(block.coefficient_b2)
        self.distilled_a = _copy(block.distilled_a)
        self.distilled_b = _copy(block.distilled_b)
        self.wirw_a2 = DeployedWIRW(block.wirw_a2)
        self.wirw_b2 = DeployedWIRW(block.wirw_b2)
        self.scf = DeployedSCF(block.scf)
        self.attention = Gate(block.attention)
        self.order = _index(shuffle_order(block.scf.gate.out_channels, 2))

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
        fused = self.attention(self.scf(self.wirw_a2(a), self.wirw_b2(b)) + x)
        return fused.index_select(1, self.order)


class DeployedSCF(nn.Module):
    """SCF; the branches' scalars are taken into the layers that read them."""

    def __init__(self, fusion: SCF) -> None:
        super().__init__()
        n = fusion.gate.out_channels
        columns = torch.cat(
            (fusion.scale_a.scale.detach().expand(n), fusion.scale_b.scale.detach().expand(n))
        ).view(1, -1, 1, 1)
        self.fuse = DeployedWCRW(fusion.fuse)
        for conv in (self.fuse.body.expand, self.fuse.shortcut):
            conv.weight.data.mul_(columns)
        self.gate = _copy(fusion.gate)
        self.gate.weight.data.mul_(columns)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two [b, n, h, w] -> one."""
        z = torch.cat((a, b), 1)
        return self.fuse(z) + torch.sigmoid(self.gate(z)) * b


class DeployedBody(nn.Module):
    """The wide body times a learned scalar: three convolutions and a gate."""

    def __init__(self, body: WideBody, factor: Tensor) -> None:
        super().__init__()
        expand, _, reduce, last, attention = body
        assert isinstance(expand, WeightNormConv2d)
        assert isinstance(reduce, WeightNormConv2d)
        assert isinstance(last, WeightNormConv2d)
        assert isinstance(attention, ShuffleAttention)
        self.expand = expand.folded()
        self.reduce = reduce.folded()
        self.last = _scaled(last.folded(), factor)
        order = shuffle_order(self.last.out_channels, 2)
        for parameter in self.last.parameters():
            parameter.data = parameter.data[order]
        self.gate = Gate(attention, order, factor)

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, outputs, h, w]."""
        return self.gate(self.last(self.reduce(F.relu(self.expand(x)))))


class DeployedWIRW(nn.Module):
    """WIRW, and an outer scalar if one follows it."""

    def __init__(self, unit: WIRW, outer: Scale | None = None) -> None:
        super().__init__()
        times = 1 if outer is None else outer.scale.detach()
        self.body = DeployedBody(unit.body, unit.body_scale.scale.detach() * times)
        self.identity_scale = nn.Parameter(unit.identity_scale.scale.detach() * times)

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> the same shape."""
        return self.body(x) + self.identity_scale * x


class DeployedWCRW(nn.Module):
    """WCRW with the shortcut's scalar in its convolution."""

    def __init__(self, unit: WCRW) -> None:
        super().__init__()
        self.body = DeployedBody(unit.body, unit.body_scale.scale.detach())
        self.shortcut = _scaled(unit.shortcut, unit.shortcut_scale.scale.detach())

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, outputs, h, w]."""
        return self.body(x) + self.shortcut(x)


class Gate(nn.Module):
    """Shuffle attention without its shuffle: x * sigmoid(a * (x - mean) + d) per channel.

    `order` is the order in which the channels come, `factor` a scalar that they are multiplied
    with already; both are undone in the gate's argument.
    """

    def __init__(
        self,
        attention: ShuffleAttention,
        order: Tensor | None = None,
        factor: Tensor | None = None,
    ) -> None:
        super().__init__()
        half = attention.channel_weight.detach()
        none = torch.zeros_like(half)

        def spread(channel: Tensor, spatial: Tensor) -> nn.Parameter:
            vector = torch.cat((channel.detach(), spatial.detach())).repeat(attention.groups)
            return nn.Parameter((vector if order is None else vector[order]).view(1, -1, 1, 1))

        if factor is None:
            factor = torch.ones_like(half[:1])
        # With a factor of 0 the input is 0 too, and any gate does.
        undo = torch.where(factor == 0, torch.zeros_like(factor), 1 / factor)
        norm = attention.norm
        slope = attention.spatial_weight.detach() * norm.weight.detach()
        offset = attention.spatial_bias + attention.spatial_weight * norm.bias
        self.mean_weight = spread(half * undo, none)
        self.slope = spread(none, slope * torch.sign(factor))
        self.bias = spread(attention.channel_bias, offset)
        self.epsilon = max(norm.eps * float(factor) ** 2, 1e-30)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] -> the same shape."""
        mean, variance = spatial_statistics(x)
        a = self.slope * torch.rsqrt(variance + self.epsilon)
        d = (self.mean_weight - a) * mean + self.bias
        return x * torch.sigmoid(x * a + d)


class DeployedCoefficient(nn.Module):
    """Combination coefficient: both branches side by side, as products of matrices."""

    def __init__(self, coefficient: CombinationCoefficient) -> None:
        super().__init__()
        pairs = (
            (coefficient.mean_reduce, coefficient.deviation_reduce),
            (coefficient.mean_expand, coefficient.deviation_expand),
        )
        self.reduce, self.expand = (_side_by_side(upper, lower) for upper, lower in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, h, w] -> [b, n, 1, 1]."""
        mean, variance = spatial_statistics(x)
        statistics = torch.cat((mean, torch.sqrt(variance)), 1)
        both = torch.sigmoid(F.relu(self.expand(F.relu(self.reduce(statistics)))))
        upper, lower = both.chunk(2, 1)
        return (upper + lower) * 0.5


def _side_by_side(upper: nn.Conv2d, lower: nn.Conv2d) -> nn.Conv2d:
    both = conv1x1(upper.in_channels + lower.in_channels, upper.out_channels + lower.out_channels)
    weight = torch.block_diag(upper.weight.detach().flatten(1), lower.weight.detach().flatten(1))
    bias = torch.cat((_bias(upper), _bias(lower)))
    both.to(weight).load_state_dict({"weight": weight[:, :, None, None], "bias": bias})
    return both


def _with_output_colours(network: FDIWN) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Return the main and the skip path's last convolutions with `add_mean` / 255 in them."""
    phases = network.scale**2
    colours = network.add_mean.weight.detach()[:, :, 0, 0] / 255
    mixed: list[nn.Conv2d] = []
    for conv in (network.main2, network.skip2):
        copy = _copy(conv)
        for parameter in copy.parameters():
            by_colour = parameter.data.unflatten(0, (3, phases))
            parameter.data = torch.einsum("ck,k...->c...", colours, by_colour).flatten(0, 1)
        mixed.append(copy)
    main2, skip2 = mixed
    mean = _bias(network.add_mean) / 255
    _parameter_bias(skip2).data.add_(mean.repeat_interleave(phases))
    return main2, skip2


def _copy(conv: nn.Conv2d) -> nn.Conv2d:
    return _scaled(conv, 1)


def _scaled(conv: nn.Conv2d, factor: float | Tensor, *, bias: bool = True) -> nn.Conv2d:
    """Return a copy with its weight, and on request its bias, times `factor`."""
    copy = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        padding=(conv.kernel_size[0] // 2, conv.kernel_size[1] // 2),
        groups=conv.groups,
        bias=conv.bias is not None,
    ).to(conv.weight)
    state = {"weight": conv.weight.detach() * factor}
    if conv.bias is not None:
        state["bias"] = conv.bias.detach() * (factor if bias else 1)
    copy.load_state_dict(state)
    return copy


def _bias(conv: nn.Conv2d) -> Tensor:
    return _parameter_bias(conv).detach()


def _parameter_bias(conv: nn.Conv2d) -> nn.Parameter:
    assert isinstance(conv.bias, nn.Parameter)
    return conv.bias


def _index(order: Tensor) -> nn.Parameter:
    # A parameter, so that it moves with the network; an index has no gradient.
    return nn.Parameter(order, requires_grad=False)


def _value(scale: Scale) -> nn.Parameter:
    return nn.Parameter(scale.scale.detach().clone())
