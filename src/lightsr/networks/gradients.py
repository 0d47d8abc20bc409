"""Steps of training whose gradients are written out, because autograd keeps too much for them.

Autograd stores, and passes over, every value in between; what a step really needs is its input
and one value more. All take [b, c, h, w], channels last for speed.
"""

# torch's own annotations are partial, and its decorator hides the name of `ctx`.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class SelfGate(torch.autograd.Function):
    """x * sigmoid(a * x + d), with a and d from each channel's mean and variance.

    `vectors`, [3, c]: what the mean, the normalised value, and 1 are multiplied with.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, vectors: Tensor, epsilon: float) -> Tensor:
        """[b, c, h, w] -> the same shape."""
        gate, mean, root = _gate(x, vectors, epsilon)
        ctx.save_for_backward(x, vectors, gate, mean, root)
        return x * gate

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of x and of the vectors."""
        (grad,) = grads
        x, vectors, gate, mean, root = ctx.saved_tensors
        through = grad * gate
        return *_gate_gradients(x, vectors, gate, mean, root, through, through * x), None


class GatedSum(torch.autograd.Function):
    """p * SelfGate(x) + q * y, with p and q of shape [1]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, vectors: Tensor, epsilon: float, p: Tensor, y: Tensor, q: Tensor
    ) -> Tensor:
        """[b, c, h, w] -> the same shape."""
        gate, mean, root = _gate(x, vectors, epsilon)
        ctx.save_for_backward(x, vectors, gate, mean, root, p, y, q)
        return (x * gate).mul_(p).addcmul_(y, q)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor, Tensor]:
        """Return the gradients of everything but epsilon."""
        (grad,) = grads
        x, vectors, gate, mean, root, p, y, q = ctx.saved_tensors
        through = grad * gate
        inner = through * x
        by_p, by_q = inner.sum().view(1), (grad * y).sum().view(1)
        by_x, by_vectors = _gate_gradients(x, vectors, gate, mean, root, through, inner)
        return by_x.mul_(p), by_vectors * p, None, by_p, grad * q, by_q


class Statistics(torch.autograd.Function):
    """Mean and standard deviation of each channel: [b, c, h, w] -> [2, b, c]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return both."""
        mean, variance = _mean_and_variance(x)
        # The root's gradient is infinite at 0; what is added is far below what float32 can tell.
        deviation = torch.sqrt(variance + 1e-20)
        ctx.save_for_backward(x, mean, deviation)
        return torch.stack((mean, deviation))[:, :, :, 0, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient of x."""
        (grad,) = grads
        x, mean, deviation = ctx.saved_tensors
        by_mean, by_deviation = grad[:, :, :, None, None] / (x.shape[2] * x.shape[3])
        linear = by_deviation / deviation
        return torch.addcmul(by_mean - linear * mean, x, linear)


def _mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    # torch.var_mean, and norms over channels-last values, take many times as long on CPUs.
    mean = x.mean((2, 3), keepdim=True)
    return mean, (x - mean).square_().mean((2, 3), keepdim=True)


def _gate(x: Tensor, vectors: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gate, the mean, and one over the deviation."""
    weight, slope, offset = vectors[:, None, :, None, None]
    mean, variance = _mean_and_variance(x)
    root = torch.rsqrt(variance + epsilon)
    a = slope * root
    return torch.addcmul((weight - a) * mean + offset, x, a).sigmoid_(), mean, root


def _gate_gradients(
    x: Tensor,
    vectors: Tensor,
    gate: Tensor,
    mean: Tensor,
    root: Tensor,
    through: Tensor,
    inner: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of the vectors; `through` and `inner` are used up.

    `through` is the output's gradient times the gate, `inner` that times x.
    """
    weight, slope, _ = vectors[:, None, :, None, None]
    pixels, a = x.shape[2] * x.shape[3], slope * root
    inner.addcmul_(inner, gate, value=-1)
    by_d = inner.sum((2, 3), keepdim=True)
    by_a = (inner * x).sum((2, 3), keepdim=True) - by_d * mean
    by_mean = by_d * (weight - a)
    by_variance = -0.5 * root.pow(3) * slope * by_a
    linear = 2 / pixels * by_variance
    constant = by_mean / pixels - linear * mean
    by_x = through.addcmul_(inner, a).addcmul_(x, linear).add_(constant)
    by_vectors = torch.stack((by_d * mean, by_a * root, by_d)).sum(1)[:, :, 0, 0]
    return by_x, by_vectors
