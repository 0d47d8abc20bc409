"""FDIWN's training form: the same function of the same parameters, with fewer passes.

Not a network of its own: it holds the network that is trained and reads its parameters (`Step`).

`compute` is the type in which convolutions work. What goes from unit to unit, statistics, and the
shallow path (head, skip, tail) stay in the type of the input: features run in 0..255, and what
rounding does to them would add up through 18 blocks.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from lightsr.networks.fdiwn import FDIWN, FSWG, LEAKY_SLOPE, WCRW, WDIB, WIRW
from lightsr.networks.fdiwn_step import Stacked, Step, by_module
from lightsr.networks.fused import (
    Close,
    Convolution,
    FusedUnit,
    Halves,
    Join,
    UnitSizes,
    Weighed,
)
from lightsr.networks.kernels import Kernels


class FDIWNTraining(nn.Module):
    """RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w], equal to `network`."""

    def __init__(
        self,
        network: FDIWN,
        compute: torch.dtype = torch.float32,
        kernels: Kernels | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.compute = compute
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        network = self.network
        groups = [cast(FSWG, group) for group in network.groups]
        kind = Step if self.kernels is None else partial(FusedStep, self.kernels)
        step = kind(network, self.compute, x.dtype)
        x = x.contiguous(memory_format=torch.channels_last) * 255
        shifted = network.subtract_mean(x)
        features = step.group(groups[network.order[0]], network.head(shifted))
        for index in network.order[1:]:
            features = features + step.group(groups[index], features)
        main = network.main2(network.main1(features))
        skip = network.skip2(network.skip1(x if network.skip_before_shift else shifted))
        return network.add_mean(network.shuffle(main + skip)) / 255


class FusedStep(Step):
    """A step on compiled kernels."""

    def __init__(
        self, kernels: Kernels, network: FDIWN, compute: torch.dtype, kind: torch.dtype
    ) -> None:
        self.kernels = kernels
        self.flat_units: dict[nn.Module, tuple[UnitSizes, Tensor]] = {}
        super().__init__(network, compute, kind)
        modules = list(self.coefficients)
        layers = [
            [torch.stack(values) for values in zip(*of_layer, strict=True)]
            for of_layer in zip(*self.coefficients.values(), strict=True)
        ]
        flat = torch.cat([part.flatten(1) for layer in layers for part in layer], 1)
        self.flat_coefficients = by_module(modules, flat.unbind())

    def unit(self, module: nn.Module, x: Tensor) -> Tensor:
        """WIRW or WCRW."""
        sizes, weights = self.flat_units[module]
        x = x.to(self.compute) if sizes.shortcut else x
        return cast(Tensor, FusedUnit.apply(self.kernels, sizes, self.epsilon, x, weights))

    def weighed(
        self, module: nn.Module, a: Tensor, x: Tensor, gate: Tensor | None = None
    ) -> Tensor:
        """Return (coefficient(a) * a + x) * sigmoid(gate)."""
        weights = self.flat_coefficients[module]
        return cast(Tensor, Weighed.apply(self.kernels, a, x, weights, gate))

    def _prepare_units(self, units: list[WIRW | WCRW], stacked: Stacked) -> None:
        flat = flat_weights(stacked)
        _, inner, middle, *_ = stacked.reduce[0].shape
        sizes = UnitSizes(middle, inner, stacked.shortcut is not None, self.compute)
        self.flat_units |= by_module(units, ((sizes, weights) for weights in flat.unbind()))

    def closed(self, block: WDIB, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """SCF of two branches, the sum with x, and its attention."""
        z = cast(Tensor, Join.apply(self.kernels, self.compute, a, b))
        features = x, b, self.unit(block.scf.fuse, z), z
        parameters = self.gates[block.scf], self.attentions[block.attention]
        return cast(Tensor, Close.apply(self.kernels, self.epsilon, *features, *parameters))

    def _convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        if conv.groups > 1:
            return super()._convolve(conv, x)
        (weight,) = self._filters(conv.weight[None])
        return cast(Tensor, Convolution.apply(self.kernels, self.compute, x, weight))

    def _distilled(self, conv: nn.Module, x: Tensor) -> Tensor:
        weight = self.distilled[conv]
        return cast(Tensor, Convolution.apply(self.kernels, self.compute, x, weight))

    def _filters(self, weight: Tensor) -> tuple[Tensor, ...]:
        """[k, outputs, inputs, 3, 3] -> k times [3, 3, inputs, outputs]."""
        return weight.permute(0, 3, 4, 2, 1).contiguous().unbind()

    def _matrices(self, weight: Tensor) -> tuple[Tensor, ...]:
        """[k, outputs, inputs] -> k times [inputs, outputs]."""
        return weight.transpose(1, 2).contiguous().unbind()

    def _halves(self, x: Tensor) -> Sequence[Tensor]:
        halves = Halves.apply(self.kernels, x, LEAKY_SLOPE, self.compute)
        return cast("tuple[Tensor, Tensor]", halves)


def flat_weights(stacked: Stacked) -> Tensor:
    """Return the parameters of k units as the kernels take them, [k, all of a unit]."""
    parts: list[Tensor] = []
    for pair in (stacked.expand, stacked.reduce, stacked.last, stacked.shortcut):
        if pair is not None:
            weight, bias = pair
            parts += [weight.permute(0, 3, 4, 2, 1), bias]
    return torch.cat([part.flatten(1) for part in (*parts, stacked.vectors, *stacked.scales)], 1)
