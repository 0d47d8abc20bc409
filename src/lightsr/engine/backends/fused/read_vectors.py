"""Reading means over whole maps, and the arithmetic on the vectors that they give."""

from __future__ import annotations

from dataclasses import replace

from lightsr.engine.backends.fused.draft import Draft, Operation
from lightsr.engine.backends.fused.graph import (
    VECTOR_OPERATORS,
    Mean,
    UnsupportedError,
    VectorStep,
    ready,
)


def read_mean(draft: Draft, operation: Operation) -> None:
    """Read a mean over height and width; that of a map less its mean, squared, is a variance."""
    name, attributes = operation.inputs[0], operation.attributes
    if len(operation.inputs) > 1:
        axes = draft.constants[operation.inputs[1]].tolist()
    else:
        axes = attributes["axes"]
    if sorted(axis % 4 for axis in axes) != [2, 3] or not attributes.get("keepdims", 1):
        raise UnsupportedError("a mean over other axes than height and width")
    of = draft.centred.get(name)
    if of is not None:
        _read_variance(draft, of, operation.output)
        return
    draft.plain(name)
    view = draft.full(name).view
    draft.means.append(Mean(view, ready(view), operation.output, None))
    draft.mean_of[operation.output] = name
    draft.vectors[operation.output] = ready(view) + 1


def _read_variance(draft: Draft, of: str, output: str) -> None:
    for i, known in enumerate(draft.means):
        if draft.mean_of[known.mean] == of:
            draft.means[i] = replace(known, variance=output)
            draft.vectors[output] = known.level + 1


def read_vector_step(draft: Draft, operation: Operation) -> None:
    """Read an operation that has vectors and constants alone."""
    kind, inputs, attributes = operation.kind, operation.inputs, operation.attributes
    level = max((draft.vectors.get(name, 0) for name in inputs), default=0)
    kernels = attributes.get("kernel_shape", [1, 1])
    if (kind != "Split" and kind not in VECTOR_OPERATORS) or list(kernels) != [1, 1]:
        raise UnsupportedError(f"{kind} on vectors")
    if attributes.get("group", 1) != 1 or attributes.get("axis", 1) != 1:
        raise UnsupportedError(f"{kind} on vectors like this")
    if kind == "Split" and len(inputs) > 1:
        raise UnsupportedError("a split of vectors into unequal parts")
    for place, name in enumerate(inputs):
        if name in draft.constants:
            value = draft.constants[name]
            matrix = kind == "Conv" and place == 1
            draft.numbers[name] = value.reshape(len(value), -1) if matrix else value.reshape(-1)
    for name in operation.outputs:
        draft.vectors[name] = level
    draft.steps.append(VectorStep(level, kind, tuple(inputs), tuple(operation.outputs)))
