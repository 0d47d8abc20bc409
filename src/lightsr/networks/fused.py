"""Parts of FDIWN's training step as single steps of autograd, on the kernels in `cpp`.

All take and give [b, c, h, w], channels last. R is the type of features, L that of convolutions.
"""

# torch's own annotations are partial, and its decorator hides the name of `ctx`.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lightsr.networks.kernels import Kernels

OUTPUTS = 24
"""Channels that every unit gives."""

_NAMES = {torch.float32: "float", torch.float64: "double", torch.bfloat16: "bf16"}


class FusedUnit(torch.autograd.Function):
    """WIRW or WCRW: p * gated(body(x)) + q * y, with y = x or a convolution of it."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, sizes: UnitSizes, epsilon: float, x: Tensor, weights: Tensor
    ) -> Tensor:
        """[b, c, h, w] -> [b, 24, h, w]; `weights` in one vector, see `Parts` in `units.h`.

        x is of the type of convolutions where the unit has a shortcut.
        """
        x, kind = _dense(x), weights.dtype
        n, _, h, w = x.shape
        out, body = (_features(like, n, OUTPUTS, h, w) for like in (kind, sizes.compute))
        inner = _features(sizes.compute, n, sizes.inner, h, w)
        beside = torch.empty_like(body) if sizes.shortcut else None
        kept = _empty(kind, n, 2, OUTPUTS)
        name = _name("unit", kind, sizes.compute, x.dtype)
        kernels(name, *sizes.of(x), x, weights, epsilon, out, inner, body, beside, kept)
        ctx.kernels, ctx.sizes = kernels, sizes
        ctx.save_for_backward(x, weights, inner, body, beside, kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of x and of the weights."""
        x, weights, *kept = ctx.saved_tensors
        by_x, by_weights = torch.empty_like(x), _empty(weights.dtype, len(x), len(weights))
        name = _name("unit_backward", weights.dtype, ctx.sizes.compute, x.dtype)
        sizes, grad = ctx.sizes.of(x), _dense(grads[0])
        ctx.kernels(name, *sizes, grad, x, weights, *kept, by_x, by_weights)
        return None, None, None, by_x, by_weights.sum(0)


@dataclass(frozen=True, slots=True)
class UnitSizes:
    """A unit's channels between its convolutions, and how it computes."""

    middle: int
    inner: int
    shortcut: bool
    compute: torch.dtype

    def of(self, x: Tensor) -> tuple[int, ...]:
        """Return the sizes that a kernel takes."""
        n, c, h, w = x.shape
        return n, h, w, c, self.middle, self.inner


class Weighed(torch.autograd.Function):
    """(coefficient(a) * a + x) * sigmoid(gate), or without the gate; `weights` in one vector."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, a: Tensor, x: Tensor, weights: Tensor, gate: Tensor | None
    ) -> Tensor:
        """[b, c, h, w] -> the same shape."""
        a, x, gate = _dense(a), _dense(x), None if gate is None else _dense(gate)
        kind, compute = a.dtype, a.dtype if gate is None else gate.dtype
        out, kept = torch.empty_like(a), _empty(kind, len(a), 2, a.shape[1])
        kernels(_name("weighed", kind, compute), *_sizes(a), a, x, weights, gate, out, kept)
        ctx.kernels, ctx.compute = kernels, compute
        ctx.save_for_backward(a, x, weights, gate, kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of all four."""
        a, x, weights, gate, kept = ctx.saved_tensors
        grad = _dense(grads[0])
        by_a, by_weights = torch.empty_like(a), _empty(a.dtype, len(a), *weights.shape)
        by_gate = None if gate is None else torch.empty_like(gate)
        by_x = grad if gate is None else torch.empty_like(x)
        ctx.kernels(
            _name("weighed_backward", a.dtype, ctx.compute),
            *(*_sizes(a), grad, a, x, weights, gate, kept, by_a, by_x, by_weights, by_gate),
        )
        return None, by_a, by_x, by_weights.sum(0), by_gate


class Halves(torch.autograd.Function):
    """The two halves of the channels behind a leaky ReLU, in the type of convolutions."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, x: Tensor, slope: float, compute: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """[b, c, h, w] -> two [b, c / 2, h, w]."""
        x = _dense(x)
        n, c, h, w = x.shape
        halves = [_features(compute, n, c // 2, h, w) for _ in range(2)]
        kernels(_name("halves", x.dtype, compute), *_sizes(x), x, slope, *halves)
        ctx.kernels, ctx.slope, ctx.compute = kernels, slope, compute
        ctx.save_for_backward(x)
        return halves[0], halves[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradient of x."""
        (x,) = ctx.saved_tensors
        by_x, halves = torch.empty_like(x), [_dense(grad) for grad in grads]
        name = _name("halves_backward", x.dtype, ctx.compute)
        ctx.kernels(name, *_sizes(x), *halves, x, ctx.slope, by_x)
        return None, by_x, None, None


class Convolution(torch.autograd.Function):
    """A 3x3 convolution without a bias, computed in another type than it reads and gives."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, compute: torch.dtype, x: Tensor, weights: Tensor
    ) -> Tensor:
        """[b, inputs, h, w] -> [b, outputs, h, w]; weights [3, 3, inputs, outputs]."""
        x, outputs = _dense(x), weights.shape[-1]
        n, c, h, w = x.shape
        out = _features(x.dtype, n, outputs, h, w)
        kernels(
            _name("convolve", weights.dtype, compute, x.dtype), n, h, w, c, outputs, x, weights, out
        )
        ctx.kernels, ctx.compute = kernels, compute
        ctx.save_for_backward(x, weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of x and of the weights."""
        x, weights = ctx.saved_tensors
        n, c, h, w = x.shape
        by_x, by_weights = torch.empty_like(x), _empty(weights.dtype, n, *weights.shape)
        name = _name("convolve_backward", weights.dtype, ctx.compute, x.dtype)
        sizes = n, h, w, c, weights.shape[-1]
        ctx.kernels(name, *sizes, _dense(grads[0]), x, weights, by_x, by_weights)
        return None, None, by_x, by_weights.sum(0)


class Join(torch.autograd.Function):
    """Two features side by side, in the type of convolutions."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, compute: torch.dtype, a: Tensor, b: Tensor) -> Tensor:
        """Two [b, 24, h, w] -> [b, 48, h, w]."""
        a, b = _dense(a), _dense(b)
        n, c, h, w = a.shape
        out = _features(compute, n, 2 * c, h, w)
        kernels(_name("join", a.dtype, compute), *_sizes(a), a, b, out)
        ctx.kernels, ctx.kinds = kernels, (a.dtype, compute)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of both."""
        grad = _dense(grads[0])
        n, c, h, w = grad.shape
        halves = [_features(ctx.kinds[0], n, c // 2, h, w) for _ in range(2)]
        ctx.kernels(_name("join_backward", *ctx.kinds), *_sizes(grad), grad, *halves)
        return None, None, *halves


class Close(torch.autograd.Function):
    """What ends a WDIB: attention(x + sigmoid(gate(z)) * b + fused), shuffled.

    The gate is a 1x1 convolution, its weights [48, 24]; the attention as in `SelfGate`.
    """

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, epsilon: float, *inputs: Tensor) -> Tensor:
        """x, b, fused [n, 24, h, w], z [n, 48, h, w], weights, vectors -> [n, 24, h, w]."""
        x, b, fused, z = (_dense(features) for features in inputs[:4])
        weights, vectors = inputs[4:]
        out, t, gate = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x, dtype=z.dtype)
        kept = _empty(x.dtype, len(x), 2, OUTPUTS)
        features = x, b, fused, z, weights, vectors
        kernels(
            _name("close", x.dtype, z.dtype), *_sizes(x), *features, epsilon, out, gate, t, kept
        )
        ctx.kernels = kernels
        ctx.save_for_backward(b, z, weights, vectors, gate, t, kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of all six."""
        saved = b, z, weights, vectors, *_ = ctx.saved_tensors
        by_t, by_b, by_z = torch.empty_like(b), torch.empty_like(b), torch.empty_like(z)
        by_weights, by_vectors = (_empty(b.dtype, len(b), *p.shape) for p in (weights, vectors))
        given = by_t, by_b, by_z, by_weights, by_vectors
        name = _name("close_backward", b.dtype, z.dtype)
        ctx.kernels(name, *_sizes(b), _dense(grads[0]), *saved, *given)
        return None, None, by_t, by_b, by_t, by_z, by_weights.sum(0), by_vectors.sum(0)


def _empty(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=kind)


def _features(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=kind, memory_format=torch.channels_last)


def _name(kernel: str, *kinds: torch.dtype) -> str:
    return "_".join((kernel, *(_NAMES[kind] for kind in kinds)))


def _sizes(x: Tensor) -> tuple[int, int]:
    return x.shape[0], x.shape[2] * x.shape[3]


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
