"""Weights in the order in which the convolution kernel reads them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.graph import Convolution, Floats
from lightsr.engine.backends.fused.kernels import BLOCK


def blocked_weights(node: Convolution) -> tuple[NDArray[Any], list[int]]:
    """Return weights as [block][input row][tap][BLOCK], and each block's first input row.

    A block runs through the inputs of the groups that its outputs are of, and of as many further
    groups as the block that needs most; what is of another group is multiplied by zero.
    """
    weight, groups = _in_pairs(node.weight) if node.packed else node.weight, node.groups
    outputs, inputs, high, wide = weight.shape
    numbers = cast("Any", np.arange(outputs))
    group = numbers // (outputs // groups)
    starts = cast("Any", np.arange(0, outputs, BLOCK))
    ends = np.minimum(starts + BLOCK, outputs) - 1
    span = int((group[ends] - group[starts]).max()) + 1
    first = np.minimum(group[starts], groups - span)
    block, place = numbers // BLOCK, numbers % BLOCK
    offset = (group - first[block]) * inputs
    full = np.zeros((len(starts), BLOCK, span * inputs, high, wide), np.float32)
    full[block[:, None], place[:, None], offset[:, None] + np.arange(inputs)] = weight
    if node.packed:
        bits = _to_bfloat(full)
        full = (bits[:, :, 0::2] | (bits[:, :, 1::2] << np.uint32(16))).view(np.float32)
    read = full.shape[2] // span * high
    arranged = full.transpose(0, 2, 3, 4, 1).reshape(len(starts), -1, wide, BLOCK)
    return np.ascontiguousarray(arranged), (first * read).tolist()


def blocked_numbers(numbers: Floats, blocks: int) -> Floats:
    """Return numbers per output with zeros for what the last block has too many."""
    full = np.zeros(blocks * BLOCK, np.float32)
    full[: len(numbers)] = numbers
    return full


def _in_pairs(weight: Floats) -> Floats:
    """Return weights for an even number of inputs."""
    odd = weight.shape[1] % 2
    return np.pad(weight, ((0, 0), (0, odd), (0, 0), (0, 0)))


def _to_bfloat(values: Floats) -> NDArray[np.uint32]:
    """Return the upper halves of float32 values, rounded to even."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
