"""Weights in the order in which the convolution kernel reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.graph import TILE, Convolution, Floats
from lightsr.engine.backends.fused.kernels import BLOCK
from lightsr.engine.backends.fused.winograd import MOST_OUTPUTS, transformed_taps


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


@dataclass(frozen=True, slots=True)
class TiledWeights:
    """What a convolution on tiles reads."""

    values: NDArray[Any]
    """[block][point][row][input channel or pair][output]."""
    firsts: list[int]
    """Each block's first input channel or pair."""

    @property
    def inputs(self) -> int:
        """Input channels or pairs of a block."""
        return self.values.shape[3]


def tiled_weights(node: Convolution) -> TiledWeights:
    """Return the weights of a convolution on tiles, in blocks of `outputs_at_once`."""
    weight, at_once = _in_pairs(node.weight) if node.packed else node.weight, outputs_at_once(node)
    spare = -len(weight) % at_once
    taps = np.pad(transformed_taps(weight), ((0, spare), (0, 0), (0, 0), (0, 0)))
    # [block][output][input channel][row][point]
    blocked = taps.reshape(-1, at_once, *taps.shape[1:]).astype(np.float32)
    if node.packed:
        bits = _to_bfloat(blocked)
        blocked = (bits[:, :, 0::2] | (bits[:, :, 1::2] << np.uint32(16))).view(np.float32)
    values = np.ascontiguousarray(blocked.transpose(0, 4, 3, 2, 1))
    per_group = len(values) // node.groups if node.groups > 1 else len(values)
    return TiledWeights(values, [b // per_group * values.shape[3] for b in range(len(values))])


def outputs_at_once(node: Convolution) -> int:
    """Return how many outputs a convolution on tiles holds: what fills most of the registers.

    Blocks of several groups are of equal size.
    """
    outputs = node.channels // node.groups
    blocks = -(-outputs // MOST_OUTPUTS)
    while node.groups > 1 and outputs % blocks:
        blocks += 1
    return -(-outputs // blocks)


def gains_by_tiles(node: Convolution, *, packed: bool) -> bool:
    """Return whether a convolution is faster on tiles, by a count of instructions.

    They are those for one input row of 4 vectors of pixels: 4 products for a tap, 6 for tiles.
    """
    outputs, per_group, high, wide = node.weight.shape
    if wide != TILE - 1 or (packed and node.groups > 1 and per_group % 2):
        return False
    summed = -(-per_group // 2) if packed else per_group
    at_once = outputs_at_once(node)
    blocks = -(-outputs // BLOCK) if node.groups == 1 else node.groups * -(
        -(outputs // node.groups) // BLOCK
    )
    direct = blocks * BLOCK * summed * high * wide * TILE
    products = -(-outputs // at_once) * at_once * summed * high * (TILE + 2)
    return products + _PER_INPUT * len(node.source) + _PER_OUTPUT * outputs < direct


_PER_INPUT, _PER_OUTPUT = 30, 35
"""Instructions of the transforms: loads, shuffles, sums, stores."""


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
