"""The operators of `Arithmetic`, each as the instructions that a kernel does it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lightsr.engine.backends.fused.writer import Kernel, Value


def sloped(k: Kernel, y: Value, slope: Value) -> Value:
    """Return y where positive, and y * slope elsewhere."""
    b = k.builder
    return b.select(b.fcmp_ordered(">", y, k.constant(0.0)), y, b.fmul(y, slope))


def _instruction(name: str) -> Callable[..., Value]:
    def write(k: Kernel, *operands: Value) -> Value:
        return getattr(k.builder, name)(*operands)

    return write


def _inverse(k: Kernel, y: Value) -> Value:
    return k.builder.fdiv(k.constant(1.0), y)


def _leaky(k: Kernel, y: Value, slope: float) -> Value:
    return sloped(k, y, k.constant(slope))


def _rectified(k: Kernel, y: Value) -> Value:
    return k.maximum(y, k.constant(0.0))


OPERATORS: Mapping[str, Callable[..., Value]] = {
    "Add": _instruction("fadd"),
    "Sub": _instruction("fsub"),
    "Mul": _instruction("fmul"),
    "Div": _instruction("fdiv"),
    "Relu": _rectified,
    "LeakyRelu": _leaky,
    "PRelu": sloped,
    "Sigmoid": Kernel.sigmoid,
    "Sqrt": Kernel.sqrt,
    "Reciprocal": _inverse,
}
"""By ONNX's names: they take a kernel and the operands, and no other can be in an expression."""
