"""Convolutions of three columns with half of the multiplications, after Winograd.

Four neighbouring outputs of a convolution of three columns depend on six inputs. Both polynomials,
of the inputs and of the taps, are taken at six points (0, +-A, +-B and infinity), multiplied there,
and the four outputs interpolated: six multiplications for twelve. (S. Winograd, "Arithmetic
Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016.) Rows above and below, and input channels, are summed before interpolating.

A *tile* is four neighbouring pixels; a chunk of 4 vectors holds as many tiles as a vector has
lanes. The lane of a tile is what the cheapest shuffle makes it: with the lanes in groups of four,
tile [vector][group] of the row is in lane [group][vector].
"""

# llvmlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.graph import TILE, Floats
from lightsr.engine.backends.fused.kernels import activated, brain_pairs, pairs_added, shuffled
from lightsr.engine.backends.fused.writer import F32, I32, I64, Kernel, Value, Writer

POINTS = TILE + 2
"""Where the polynomials are taken."""
# A * B = 1 keeps the numbers of both transforms near 1, and with them what rounding costs: half as
# much as with the usual 1 and 2.
_A, _B = math.sqrt(0.5), math.sqrt(2.0)
_AA, _BB = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Blocking:
    """What a convolution on tiles holds in registers: sums for some outputs at some points."""

    outputs: int
    points: int


def transformed_taps(weight: Floats) -> NDArray[np.float64]:
    """Return weights [..., 3] at the points, [..., POINTS], divided as interpolation needs it."""
    left, middle, right = (weight[..., i].astype(np.float64) for i in range(3))

    def at(point: float, square: float, other: float) -> NDArray[np.float64]:
        return (left + point * middle + square * right) / (2 * square * (square - other))

    return np.stack(
        [
            left / (_AA * _BB),
            at(_A, _AA, _BB),
            at(-_A, _AA, _BB),
            at(_B, _BB, _AA),
            at(-_B, _BB, _AA),
            right,
        ],
        -1,
    )


def write_tiles(writer: Writer, name: str, *, bf16: bool) -> None:
    """Write the step from rows to a row of tiles at the points, [chunk][point][channel][tile].

    Arguments: channels, mask of x for inputs, bytes of the output per pixel. Under `bf16`, the
    output holds pairs of channels, rounded to even, and their number is the argument.
    """
    lanes = writer.machine.lanes
    with writer.function(name) as k:
        b = k.builder
        channels, read = k.argument(0), k.shift(k.argument(1))
        target = k.row(k.outputs, I64(0), b.mul(k.x, k.argument(2)))
        apart = b.mul(channels, I64(4 * lanes))
        with k.loop(channels) as channel:
            if bf16:
                rows = [b.add(b.mul(channel, I64(2)), I64(i)) for i in range(2)]
                even, odd = (_at_points(k, _tiles(k, k.row(k.inputs, row, read))) for row in rows)
                values = [brain_pairs(k, *both) for both in zip(even, odd, strict=True)]
            else:
                values = _at_points(k, _tiles(k, k.row(k.inputs, channel, read)))
            place = b.mul(channel, I64(4 * lanes))
            for point, value in enumerate(values):
                there = b.add(place, b.mul(apart, I64(point)))
                k.store(value, k.at(target, there), 0)


def _tiles(k: Kernel, row: Value) -> list[Value]:
    """Return for each tile of a chunk the six pixels that its outputs depend on."""
    lanes, vector = k.machine.lanes, k.writer.vector

    def pixels(at: int) -> Value:
        return k.load(vector, row, I64(4 * lanes * at))

    inner = _turned(k, [pixels(v) for v in range(TILE)])
    lane = [tile % (lanes // TILE) * TILE + tile // (lanes // TILE) for tile in range(lanes)]
    before, behind = [0] * lanes, [0] * lanes
    for tile in range(lanes):
        before[lane[tile]] = lane[tile - 1] if tile else 2 * lanes - 1
        behind[lane[tile]] = lane[tile + 1] if tile + 1 < lanes else lanes
    first = shuffled(k, inner[-1], pixels(-1), before)
    last = shuffled(k, inner[0], pixels(TILE), behind)
    return [first, *inner, last]


def _turned(k: Kernel, parts: Sequence[Value]) -> list[Value]:
    """Exchange, within each group of four lanes, lanes and vectors."""

    def mixed(one: int, other: int, order: Sequence[int], of: Sequence[Value]) -> Value:
        lanes = k.machine.lanes
        places = [
            group + place % TILE + place // TILE * lanes
            for group in range(0, lanes, TILE)
            for place in order
        ]
        return shuffled(k, of[one], of[other], places)

    low, high = (0, 4, 1, 5), (2, 6, 3, 7)
    halves = [mixed(i, i + 1, order, parts) for i in (0, 2) for order in (low, high)]
    low, high = (0, 1, 4, 5), (2, 3, 6, 7)
    return [mixed(i, i + 2, order, halves) for i in (0, 1) for order in (low, high)]


def _at_points(k: Kernel, d: Sequence[Value]) -> list[Value]:
    """Return the polynomials of the pixels at the points."""
    b = k.builder
    sum_of_squares = k.constant(-(_AA + _BB))
    found = [k.fma(d[2], sum_of_squares, b.fadd(d[0], d[4]))]
    for point, other in ((_A, _BB), (_B, _AA)):
        even = k.fma(d[2], k.constant(-other), d[4])
        odd = k.fma(d[1], k.constant(-other), d[3])
        found += [k.fma(odd, k.constant(sign * point), even) for sign in (1, -1)]
    return [*found, k.fma(d[3], sum_of_squares, b.fadd(d[1], d[5]))]


def _interpolated(k: Kernel, m: Sequence[Value], bias: Value) -> list[Value]:
    """Return the four outputs of each tile."""
    b = k.builder
    sums = [b.fadd(m[i], m[i + 1]) for i in (1, 3)]
    differences = [b.fsub(m[i], m[i + 1]) for i in (1, 3)]

    def weighted(parts: Sequence[Value], power: int, held: Value) -> Value:
        return k.fma(parts[0], k.constant(_A**power), k.fma(parts[1], k.constant(_B**power), held))

    return [
        b.fadd(b.fadd(m[0], bias), b.fadd(*sums)),
        weighted(differences, 1, bias),
        weighted(sums, 2, bias),
        weighted(differences, 3, b.fadd(m[5], bias)),
    ]


def write_tiled_convolution(
    writer: Writer, name: str, rows: int, blocking: Blocking, activation: str, *, bf16: bool
) -> None:
    """Write a convolution of `rows` rows on tiles.

    The inputs are the rows of tiles, above to below; behind the output rows lies room for the
    products of a block. Activations are those of `write_convolution`. Arguments: weights, biases,
    blocks of outputs, input channels (or pairs), of these for one block, table of each block's
    first, bytes of the inputs per pixel, mask of x for outputs, slopes. Weights are [block]
    [points][input channel][row][point][output], under `bf16` of pairs.
    """
    lanes = writer.machine.lanes
    size = 4 * lanes
    kind, weight_kind = (writer.words, I32) if bf16 else (writer.vector, F32)
    outputs, points = blocking.outputs, blocking.points
    with writer.function(name) as k:
        b = k.builder
        weights, biases, firsts, slopes = (k.pointer(i) for i in (0, 1, 5, 8))
        blocks, inputs, summed = (k.argument(i) for i in (2, 3, 4))
        read, written = b.mul(k.x, k.argument(6)), k.shift(k.argument(7))
        multiply_add = pairs_added(writer, k) if bf16 else k.fma
        sources = [k.row(k.inputs, I64(y), read) for y in range(rows)]
        apart = b.mul(inputs, I64(size))
        per_channel = 4 * rows * points * outputs

        def products(first: Value, point: Value, own: Value) -> list[Value]:
            """Return the sums of all products at some points, [point][output]."""
            start = b.add(b.mul(point, apart), b.mul(first, I64(size)))
            tiles = [k.at(source, start) for source in sources]
            steps = b.sdiv(b.mul(point, summed), I64(points))
            taps = k.at(own, b.mul(steps, I64(per_channel)))

            def step(channel: Value, held: Sequence[Value]) -> list[Value]:
                sums = list(held)
                near = k.at(taps, b.mul(channel, I64(per_channel)))
                place = b.mul(channel, I64(size))
                for y in range(rows):
                    for p in range(points):
                        there = b.add(place, b.mul(apart, I64(p)))
                        tile = k.load(kind, tiles[y], there)
                        for j in range(outputs):
                            i = p * outputs + j
                            at = 4 * (y * points * outputs + i)
                            weight = k.broadcast(near, I64(at), weight_kind)
                            sums[i] = multiply_add(weight, tile, sums[i])
                return sums

            return k.accumulate(summed, [k.constant(0.0)] * (points * outputs), step)

        def finish(channel: Value, found: Sequence[Value]) -> None:
            number = b.mul(channel, I64(4))
            slope = k.broadcast(slopes, number) if activation == "slope" else None
            y4 = _interpolated(k, found, k.broadcast(biases, number))
            values = [activated(k, activation, y, slope) for y in y4]
            target = k.row(k.outputs, channel, written)
            for v, value in enumerate(_turned(k, values)):
                k.store(value, target, size * v)

        with k.loop(blocks) as block:
            per_block = b.mul(summed, I64(per_channel * (POINTS // points)))
            own = k.at(weights, b.mul(block, per_block))
            first = k.load(I64, firsts, b.mul(block, I64(8)), align=8)
            begin = b.mul(block, I64(outputs))
            if points == POINTS:
                found = products(first, I64(0), own)
                for j in range(outputs):
                    finish(b.add(begin, I64(j)), found[j::outputs])
            else:
                room = k.row(k.outputs, b.mul(blocks, I64(outputs)), I64(0))
                with k.loop(I64(POINTS // points)) as part:
                    place = k.at(room, b.mul(part, I64(size * outputs * points)))
                    for i, value in enumerate(products(first, b.mul(part, I64(points)), own)):
                        k.store(value, place, size * i)
                with k.loop(I64(outputs)) as j:
                    place = k.at(room, b.mul(j, I64(size)))
                    found = [
                        k.load(writer.vector, place, I64(size * outputs * point))
                        for point in range(POINTS)
                    ]
                    finish(b.add(begin, j), found)
