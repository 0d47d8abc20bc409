"""Parts of FDIWN's training step as single steps of autograd, on the kernels of `kernels.cpp`.

All take and give [b, c, h, w], channels last. R is the type of features, L that of convolutions.
"""

# torch's own annotations are partial, and its decorator hides the name of `ctx`.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lightsr.networks.kernels import Kernels

_NAMES = {torch.float32: "float", torch.float64: "double", torch.bfloat16: "bf16"}


class FusedUnit(torch.autograd.Function):
    """WIRW or WCRW: p * gated(body(x)) + q * y, with y = x or a convolution of it."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, epsilon: float, compute: torch.dtype, x: Tensor, *weights: Any
    ) -> Tensor:
        """Weights: expand, reduce, last, shortcut (each with its bias), vectors, p, q."""
        ew, eb, rw, rb, lw, lb, sw, sb, vectors, p, q = weights
        kind = vectors.dtype
        low = _dense(x.to(compute))
        hidden = torch.addmm(eb, _rows(low), ew.t()).relu_()
        inner = _picture(torch.addmm(rb, hidden, rw.t()), low)
        body = _dense(F.conv2d(inner, lw, lb, padding=1))
        beside = _dense(x) if sw is None else _dense(F.conv2d(low, sw, sb, padding=1))
        out, kept = torch.empty_like(body, dtype=kind), _empty(kind, len(x), 2, body.shape[1])
        name = _name("gated_sum", kind, compute, beside.dtype)
        kernels(name, *_sizes(body), body, vectors, epsilon, p, beside, q, out, kept)
        ctx.kernels, ctx.shortcut = kernels, sw is not None
        ctx.save_for_backward(low, hidden, inner, body, beside, kept, ew, rw, lw, vectors, p, q, sw)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of x and of the weights."""
        low, hidden, inner, body, beside, kept, ew, rw, lw, vectors, p, q, sw = ctx.saved_tensors
        grad, kind, compute = _dense(grads[0]), vectors.dtype, body.dtype
        by_body, by_beside = torch.empty_like(body), torch.empty_like(beside)
        by_vectors = _empty(kind, len(low), 3, body.shape[1])
        by_scales = _empty(kind, len(low), 2)
        name = _name("gated_sum_backward", kind, compute, beside.dtype)
        ctx.kernels(
            name,
            *(*_sizes(body), grad, body, vectors, p, beside, q, kept),
            *(by_body, by_beside, by_vectors, by_scales),
        )
        by_inner, by_lw, by_lb = _convolution_backward(by_body, inner, lw)
        by_inner, low_rows = _rows(by_inner), _rows(low)
        by_hidden = by_inner @ rw
        by_eb = _empty(kind, len(low), hidden.shape[1])
        name = _name("relu_backward", kind, compute)
        ctx.kernels(name, *_sizes(low), hidden.shape[1], by_hidden, hidden, by_eb)
        by_x = _picture(by_hidden @ ew, low)
        by_sw = by_sb = None
        if ctx.shortcut:
            by_low, by_sw, by_sb = _convolution_backward(by_beside, low, sw)
            by_x = by_low.add_(by_x)
        else:
            by_x = by_beside.add_(by_x)
        by_p, by_q = by_scales.sum(0).split(1)
        return (
            *(None, None, None, by_x),
            *(by_hidden.t() @ low_rows, by_eb.sum(0).to(compute)),
            *(by_inner.t() @ hidden, by_inner.sum(0)),
            *(by_lw, by_lb, by_sw, by_sb, by_vectors.sum(0), by_p, by_q),
        )


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
        halves = [
            torch.empty((n, c // 2, h, w), dtype=compute, memory_format=torch.channels_last)
            for _ in range(2)
        ]
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


def _empty(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=kind)


def _name(kernel: str, kind: torch.dtype, compute: torch.dtype, beside: Any = None) -> str:
    name = f"{kernel}_{_NAMES[kind]}_{_NAMES[compute]}"
    return name if beside is None else f"{name}_{'wide' if beside == kind else 'low'}"


def _sizes(x: Tensor) -> tuple[int, int]:
    return x.shape[0], x.shape[2] * x.shape[3]


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _rows(x: Tensor) -> Tensor:
    """[b, c, h, w] -> [b * h * w, c]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _picture(rows: Tensor, like: Tensor) -> Tensor:
    """[b * h * w, c] -> [b, c, h, w]."""
    n, _, h, w = like.shape
    return rows.view(n, h, w, -1).permute(0, 3, 1, 2)


def _convolution_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    backward = cast(Any, torch.ops.aten.convolution_backward)
    outputs = weight.shape[0]
    return backward(
        grad, x, weight, [outputs], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True] * 3
    )
