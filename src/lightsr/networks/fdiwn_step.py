"""FDIWN's parameters as a step of training wants them, and the network's parts computed with them.

They are prepared once a step, all of a kind together (weight norm multiplied out, scalars and
shuffles taken in), though a group is applied twice. A 1x1 convolution is a matrix product over
pixels; a shuffle attention is x * sigmoid(a * x + d), with its gradient written out.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.fdiwn import (
    FDIWN,
    FSWG,
    LEAKY_SLOPE,
    WCRW,
    WDIB,
    WIRW,
    CombinationCoefficient,
    ShuffleAttention,
)
from lightsr.networks.gradients import GatedSum, SelfGate, Statistics
from lightsr.networks.layers import WeightNormConv2d, shuffle_order

Pair = tuple[Tensor, Tensor]
"""Weights and biases."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a WIRW or WCRW computes with; weights of 1x1 convolutions are [outputs, inputs]."""

    expand: Pair
    reduce: Pair
    last: Pair
    attention: Tensor
    body_scale: Tensor
    shortcut_scale: Tensor
    shortcut: Pair | None


@dataclass(frozen=True, slots=True)
class Stacked:
    """Parameters of k units of one shape: pairs are weights [k, outputs, inputs, s, s] and biases.

    Channels that the shuffle attention shuffles are in the order in which it gives them.
    """

    expand: Pair
    reduce: Pair
    last: Pair
    vectors: Tensor
    scales: Pair
    shortcut: Pair | None


class Step:
    """The network's parameters, prepared for one step, and its parts computed with them."""

    def __init__(self, network: FDIWN, compute: torch.dtype, kind: torch.dtype) -> None:
        self.compute, self.kind = compute, kind
        blocks = _all(network, WDIB)
        device = network.head.weight.device
        order = shuffle_order(network.widths.n, 2).to(device)
        # The scalars of an SCF's branches go into the columns of what reads them.
        columns = {block.scf.fuse: _columns(block) for block in blocks}
        self.units: dict[nn.Module, Unit] = {}
        for units in _by_shape(_all(network, (WIRW, WCRW))):
            self._prepare_units(units, stack_units(units, order, columns))
        self.attentions = by_module(
            [block.attention for block in blocks],
            attention_vectors([block.attention for block in blocks]).unbind(),
        )
        self.epsilon = blocks[0].attention.norm.eps
        coefficients = _all(network, CombinationCoefficient)
        self.coefficients = by_module(coefficients, _coefficient_layers(coefficients))
        distilled = [conv for block in blocks for conv in (block.distilled_a, block.distilled_b)]
        self.distilled = by_module(distilled, self._filters(_stack(c.weight for c in distilled)))
        gates = _stack(
            block.scf.gate.weight * columns[block.scf.fuse][:, None, None] for block in blocks
        )
        self.gates = by_module([block.scf for block in blocks], self._matrices(gates.flatten(2)))

    def group(self, group: FSWG, x: Tensor) -> Tensor:
        """FSWG."""
        o1 = self.block(group.wdib1, x)
        o2 = self.block(group.wdib2, o1)
        o3 = self.block(group.wdib3, o2 + self._convolve(group.conv, o1))
        s1 = self._fuse(group.fuse1, o1, o2)
        s2 = self._fuse(group.fuse2, s1, o3)
        residual = self.unit(group.residual, x)
        return (s2 + o3) * group.body_scale.scale + residual * group.residual_scale.scale

    def block(self, block: WDIB, x: Tensor) -> Tensor:
        """WDIB."""
        a_distilled, a_remaining = self._halves(self.unit(block.wirw_a1, x))
        a = self.unit(block.wcrw_a, a_remaining)
        a, b = self.weighed(block.coefficient_b1, x, a), self.weighed(block.coefficient_a1, a, x)

        b_distilled, b_remaining = self._halves(self.unit(block.wirw_b1, b))
        b = self.unit(block.wcrw_b, b_remaining)
        gate_a = self._distilled(block.distilled_a, a_distilled)
        gate_b = self._distilled(block.distilled_b, b_distilled)
        a, b = (
            self.weighed(block.coefficient_b2, b, a, gate_a),
            self.weighed(block.coefficient_a2, a, b, gate_b),
        )
        a, b = self.unit(block.wirw_a2, a), self.unit(block.wirw_b2, b)
        return self.closed(block, x, a, b)

    def closed(self, block: WDIB, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """SCF of two branches, the sum with x, and its attention."""
        z = torch.cat((a.to(self.compute), b.to(self.compute)), 1)
        gate = _linear(z, self.gates[block.scf]).to(self.kind).sigmoid()
        fused = torch.addcmul(x, gate, b) + self.unit(block.scf.fuse, z)
        gated = SelfGate.apply(fused, self.attentions[block.attention], self.epsilon)
        return _shuffled(cast(Tensor, gated), 2)

    def unit(self, module: nn.Module, x: Tensor) -> Tensor:
        """WIRW or WCRW."""
        unit, low = self.units[module], x.to(self.compute)
        pixels = F.linear(low.permute(0, 2, 3, 1), *unit.expand).relu_()
        pixels = F.linear(pixels, *unit.reduce).permute(0, 3, 1, 2)
        body = F.conv2d(pixels, *unit.last, padding=1).to(self.kind)
        beside = x
        if unit.shortcut is not None:
            beside = F.conv2d(low, *unit.shortcut, padding=1).to(self.kind)
        summed = GatedSum.apply(
            body, unit.attention, self.epsilon, unit.body_scale, beside, unit.shortcut_scale
        )
        return cast(Tensor, summed)

    def weighed(
        self, module: nn.Module, a: Tensor, x: Tensor, gate: Tensor | None = None
    ) -> Tensor:
        """Return (coefficient(a) * a + x) * sigmoid(gate)."""
        summed = torch.addcmul(x, a, self.coefficient(module, a))
        return summed if gate is None else summed * torch.sigmoid(gate.to(self.kind))

    def coefficient(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return the combination coefficients of `x`: [b, n, h, w] -> [b, n, 1, 1]."""
        values = cast(Tensor, Statistics.apply(x))
        for bias, weight in self.coefficients[module]:
            values = torch.baddbmm(bias, values, weight).relu_()
        return torch.sigmoid(values).mean(0)[:, :, None, None]

    def _convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        weight, low = conv.weight.to(self.compute), x.to(self.compute)
        return F.conv2d(low, weight, padding=1, groups=conv.groups).to(self.kind)

    def _distilled(self, conv: nn.Module, x: Tensor) -> Tensor:
        return F.conv2d(x, self.distilled[conv], padding=1)

    def _fuse(self, conv: nn.Conv2d, a: Tensor, b: Tensor) -> Tensor:
        both = torch.cat((a.to(self.compute), b.to(self.compute)), 1)
        return self._convolve(conv, _shuffled(both, 4))

    def _halves(self, x: Tensor) -> Sequence[Tensor]:
        halves = F.leaky_relu(x, LEAKY_SLOPE).to(self.compute).chunk(2, 1)
        return [half.contiguous(memory_format=torch.channels_last) for half in halves]

    def _prepare_units(self, units: list[WIRW | WCRW], stacked: Stacked) -> None:
        """Prepare units of one shape."""
        shortcuts: Iterable[tuple[Tensor, Tensor] | None] = [None] * len(units)
        if stacked.shortcut is not None:
            kernels, biases = stacked.shortcut
            shortcuts = zip(self._filters(kernels), biases.to(self.compute).unbind(), strict=True)
        prepared = zip(
            units,
            self._products(*stacked.expand),
            self._products(*stacked.reduce),
            zip(
                self._filters(stacked.last[0]),
                stacked.last[1].to(self.compute).unbind(),
                strict=True,
            ),
            stacked.vectors.unbind(),
            *(scales.unbind() for scales in stacked.scales),
            shortcuts,
            strict=True,
        )
        for unit, *parts in prepared:
            self.units[unit] = Unit(*parts)

    def _products(self, weight: Tensor, bias: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        pair = weight.flatten(2).to(self.compute), bias.to(self.compute)
        return zip(*(part.unbind() for part in pair), strict=True)

    def _filters(self, weight: Tensor) -> tuple[Tensor, ...]:
        """[k, outputs, inputs, 3, 3] -> k kernels whose channels come last in memory."""
        laid = weight.to(self.compute).permute(0, 1, 3, 4, 2).contiguous()
        return laid.permute(0, 1, 4, 2, 3).unbind()

    def _matrices(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Return the weights of 1x1 convolutions [k, outputs, inputs] one by one."""
        return weight.to(self.compute).unbind()


def stack_units(units: list[WIRW | WCRW], order: Tensor, columns: dict[WCRW, Tensor]) -> Stacked:
    """Stack the parameters of units of one shape; `columns` scale what a unit reads."""
    expand, _, reduce, last, attention = zip(*(unit.body for unit in units), strict=True)
    expanding, shortcut = _multiplied_out(expand), None
    outer = [unit.identity_scale for unit in units if isinstance(unit, WIRW)]
    if not outer:
        wcrws = [cast(WCRW, unit) for unit in units]
        outer = [unit.shortcut_scale for unit in wcrws]
        kernels = _stack(unit.shortcut.weight for unit in wcrws)
        if wcrws[0] in columns:
            times = _stack(columns[unit] for unit in wcrws)[:, None, :, None, None]
            expanding, kernels = expanding * times, kernels * times
        shortcut = kernels, _stack(cast(Tensor, unit.shortcut.bias) for unit in wcrws)
    return Stacked(
        (expanding, _biases(expand)),
        (_multiplied_out(reduce), _biases(reduce)),
        (_multiplied_out(last)[:, order], _biases(last)[:, order]),
        attention_vectors(cast("list[ShuffleAttention]", list(attention)), order),
        (_stack(unit.body_scale.scale for unit in units), _stack(one.scale for one in outer)),
        shortcut,
    )


def attention_vectors(attentions: list[ShuffleAttention], order: Tensor | None = None) -> Tensor:
    """Return the vectors that `SelfGate` takes, [k, 3, c]; `order` is how the channels come."""
    mean = _stack(a.channel_weight for a in attentions)
    slope = _stack(a.spatial_weight for a in attentions)
    offset = _stack(a.spatial_bias for a in attentions)
    offset = offset + slope * _stack(a.norm.bias for a in attentions)
    slope = slope * _stack(a.norm.weight for a in attentions)
    none = torch.zeros_like(mean)
    halves = (mean, none), (none, slope), (_stack(a.channel_bias for a in attentions), offset)
    vectors = torch.stack([torch.cat(pair, 1) for pair in halves], 1)
    vectors = vectors.repeat(1, 1, attentions[0].groups)
    return vectors if order is None else vectors[:, :, order]


def _coefficient_layers(
    coefficients: list[CombinationCoefficient],
) -> list[tuple[tuple[Tensor, Tensor], ...]]:
    """Return bias [2, 1, outputs] and weight [2, inputs, outputs] of the two layers of each.

    Both branches, of the mean and of the deviation, are side by side.
    """
    layers: list[Iterable[tuple[Tensor, Tensor]]] = []
    for upper, lower in (("mean_reduce", "deviation_reduce"), ("mean_expand", "deviation_expand")):
        pairs = [[cast(nn.Conv2d, getattr(c, n)) for n in (upper, lower)] for c in coefficients]
        convs = [conv for pair in pairs for conv in pair]
        weight = _stack(conv.weight for conv in convs).flatten(2).transpose(1, 2)
        bias = _stack(cast(Tensor, conv.bias) for conv in convs)[:, None]
        unflat = (tensor.unflatten(0, (-1, 2)).unbind() for tensor in (bias, weight))
        layers.append(zip(*unflat, strict=True))
    return list(zip(*layers, strict=True))


def _multiplied_out(convs: Iterable[nn.Module]) -> Tensor:
    """Return the weights of weight-normed convolutions of one shape: [k, outputs, inputs, s, s]."""
    normed = [cast(WeightNormConv2d, conv) for conv in convs]
    v = _stack(conv.weight_v for conv in normed)
    g = _stack(conv.weight_g for conv in normed)
    return v * (g / torch.linalg.vector_norm(v, dim=(2, 3, 4), keepdim=True))


def _biases(convs: Iterable[nn.Module]) -> Tensor:
    return _stack(cast(WeightNormConv2d, conv).bias for conv in convs)


def _columns(block: WDIB) -> Tensor:
    n = block.scf.gate.out_channels
    return torch.cat((block.scf.scale_a.scale.expand(n), block.scf.scale_b.scale.expand(n)))


def _stack(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(tensors))


def _linear(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve channels-last pixels with a 1x1 kernel, given as [outputs, inputs]."""
    return F.linear(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Return `channel_shuffle(x, groups)`, channels last; its gradient is a copy as well."""
    n, c, h, w = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, c // groups)
    return pixels.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)


M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


def _all(network: nn.Module, kind: type[M] | tuple[type[M], ...]) -> list[M]:
    return [module for module in network.modules() if isinstance(module, kind)]


def by_module(modules: Iterable[nn.Module], values: Iterable[T]) -> dict[nn.Module, T]:
    """Return each module's value."""
    return dict(zip(modules, values, strict=True))


def _by_shape(units: list[WIRW | WCRW]) -> list[list[WIRW | WCRW]]:
    alike: dict[object, list[WIRW | WCRW]] = defaultdict(list)
    for unit in units:
        expand = cast(WeightNormConv2d, unit.body[0])
        alike[type(unit), expand.weight_v.shape].append(unit)
    return list(alike.values())
