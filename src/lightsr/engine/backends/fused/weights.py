"""Weights in the order in which the convolution kernel reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.graph import TILE, Convolution, Floats
from lightsr.engine.backends.fused.winograd import POINTS, Blocking, transformed_taps
from lightsr.engine.backends.fused.writer import BLOCK, Machine


def blocked_weights(node: Convolution) -> tuple[NDArray[Any], list[int]]:
    """Return weights as [block][input row][tap][output], and each block's first input row.

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
    """[block][points][input channel or pair][row][point][output]."""
    firsts: list[int]
    """Each block's first input channel or pair."""

    @property
    def inputs(self) -> int:
        """Input channels or pairs of a block."""
        return self.values.shape[2]


def tiled_weights(node: Convolution, machine: Machine) -> TiledWeights:
    """Return the weights of a convolution on tiles."""
    blocking = tiled_blocking(node, machine)
    weight, at_once = _in_pairs(node.weight) if node.packed else node.weight, blocking.outputs
    spare = -len(weight) % at_once
    taps = np.pad(transformed_taps(weight), ((0, spare), (0, 0), (0, 0), (0, 0)))
    # [block][output][input channel][row][points][point]
    parted = (*taps.shape[1:3], POINTS // blocking.points, blocking.points)
    blocked = taps.reshape(-1, at_once, *parted).astype(np.float32)
    if node.packed:
        bits = _to_bfloat(blocked)
        blocked = (bits[:, :, 0::2] | (bits[:, :, 1::2] << np.uint32(16))).view(np.float32)
    values = np.ascontiguousarray(blocked.transpose(0, 4, 2, 3, 5, 1))
    per_group = len(values) // node.groups if node.groups > 1 else len(values)
    return TiledWeights(values, [b // per_group * values.shape[2] for b in range(len(values))])


def tiled_blocking(node: Convolution, machine: Machine) -> Blocking:
    """Return what a convolution on tiles holds: all points where its inputs stay in the cache."""
    outputs, inputs, high, _ = node.weight.shape
    outputs //= node.groups
    taken = 4 * machine.lanes * POINTS * high * inputs // (2 if node.packed else 1)
    # Few outputs at once are many loads for a product, and want many registers.
    points = POINTS if taken <= _NEAR and machine.sums >= 4 * POINTS else 1
    blocks = -(-outputs * points // machine.sums)
    # Blocks of several groups are of equal size.
    while node.groups > 1 and outputs % blocks:
        blocks += 1
    return Blocking(-(-outputs // blocks), points)


_NEAR = 16384
"""Bytes of the nearest cache that the inputs of a convolution on tiles may take."""


def gains_by_tiles(node: Convolution, machine: Machine, *, packed: bool) -> bool:
    """Return whether a convolution is faster on tiles, by a count of instructions.

    They are those for one row of 4 vectors of pixels: 4 products for a tap, or 6 for three.
    """
    outputs, inputs, high, wide = node.weight.shape
    if wide != TILE - 1 or machine.vectors != TILE or (packed and node.groups > 1 and inputs % 2):
        return False
    summed = -(-inputs // 2) if packed else inputs
    per_group = outputs // node.groups
    direct = -(-per_group // BLOCK) * BLOCK * wide * TILE
    tiled = -(-per_group // tiled_blocking(node, machine).outputs)
    tiled *= tiled_blocking(node, machine).outputs * POINTS
    saved = (direct - tiled) * node.groups * summed * high
    return saved > _PER_INPUT * len(node.source) + _PER_OUTPUT * outputs


_PER_INPUT, _PER_OUTPUT = 30, 35
"""Instructions of the transforms: loads, shuffles, sums, stores."""


def blocked_numbers(numbers: Floats, count: int) -> Floats:
    """Return numbers per output, with zeros for what the last block has too many."""
    full = np.zeros(count, np.float32)
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
