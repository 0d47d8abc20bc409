"""The row kernels of the fused backend.

A map is kept row by row, [row][channel][pixel], so that a kernel works on a chunk of one row at a
time, all of it in vector registers: a convolution holds a block of output channels of a chunk, or
of a part of it, while it runs through its inputs. See `writer` for what all kernels have in common.
"""

# llvmlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightsr.engine.backends.fused.arithmetic import OPERATORS, sloped
from lightsr.engine.backends.fused.graph import Expression
from lightsr.engine.backends.fused.writer import (
    BLOCK,
    F32,
    F64,
    I32,
    I64,
    Kernel,
    Value,
    Writer,
    ir,
)


def write_convolution(
    writer: Writer, name: str, vectors: int, width: int, activation: str, *, bf16: bool
) -> None:
    """Write a convolution whose kernels are `width` pixels wide.

    The activation is "none", "relu", or "slope": y where positive and y * slope elsewhere.
    Arguments: weights, biases, blocks of outputs, input rows per block, table of each block's
    first input row, masks of x for inputs and outputs, slopes. Weights are [block][input row]
    [tap][output]; under `bf16`, an input row holds pairs of channels, and so do the weights.
    """
    lanes = writer.machine.lanes
    held = min(vectors, writer.machine.held)
    kind, weight_kind = (writer.words, I32) if bf16 else (writer.vector, F32)
    with writer.function(name, vectors) as k:
        b = k.builder
        weights, biases, firsts, slopes = (k.pointer(i) for i in (0, 1, 4, 7))
        blocks, rows = k.argument(2), k.argument(3)
        read, written = k.shift(k.argument(5)), k.shift(k.argument(6))
        per_row = 4 * width * BLOCK
        multiply_add = pairs_added(writer, k) if bf16 else k.fma
        with k.loop(I64(vectors // held)) as part, k.loop(blocks) as block:
            across = b.mul(part, I64(4 * lanes * held))
            own = k.at(weights, b.mul(block, b.mul(rows, I64(per_row))))
            first = k.load(I64, firsts, b.mul(block, I64(8)), align=8)
            bias_at = b.mul(block, I64(4 * BLOCK))

            def number(base: Value, j: int, at: Value = bias_at) -> Value:
                return k.broadcast(base, b.add(at, I64(4 * j)))

            def step(
                r: Value,
                so_far: Sequence[Value],
                own: Value = own,
                first: Value = first,
                across: Value = across,
            ) -> list[Value]:
                row = k.at(k.row(k.inputs, b.add(first, r), read), across)
                taps = k.at(own, b.mul(r, I64(per_row)))
                sums = list(so_far)
                for tap in range(width):
                    at = 4 * (tap - width // 2)
                    pixels = [k.load(kind, row, I64(at + 4 * lanes * v)) for v in range(held)]
                    for j in range(BLOCK):
                        weight = k.broadcast(taps, I64(4 * (tap * BLOCK + j)), weight_kind)
                        for v in range(held):
                            i = j * held + v
                            sums[i] = multiply_add(weight, pixels[v], sums[i])
                return sums

            start = [number(biases, j) for j in range(BLOCK) for _ in range(held)]
            sums = k.accumulate(rows, start, step)
            for j in range(BLOCK):
                channel = b.add(b.mul(block, I64(BLOCK)), I64(j))
                target = k.row(k.outputs, channel, b.add(written, across))
                slope = number(slopes, j) if activation == "slope" else None
                for v in range(held):
                    y = activated(k, activation, sums[j * held + v], slope)
                    k.store(y, target, 4 * lanes * v)


def activated(k: Kernel, activation: str, y: Value, slope: Value) -> Value:
    """Return "none", "relu", or "slope" of y: see `write_convolution`."""
    if activation == "none":
        return y
    if activation == "relu":
        return k.maximum(y, k.constant(0.0))
    return sloped(k, y, slope)


def pairs_added(writer: Writer, k: Kernel) -> Any:
    """Return what adds the two products of bfloat16 pairs to a float32 sum."""
    vector = writer.vector
    brains = ir.VectorType(_BFloat(), 2 * writer.machine.lanes)
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    product = writer.intrinsic(name, vector, vector, brains, brains)

    def add(weight: Value, pixels: Value, held: Value) -> Value:
        b = k.builder
        return b.call(product, [held, b.bitcast(pixels, brains), b.bitcast(weight, brains)])

    return add


def write_pack(writer: Writer, name: str, vectors: int) -> None:
    """Write the step from pairs of float32 rows to one row of bfloat16 pairs, rounded to even.

    Arguments: pairs, masks of x for inputs and outputs.
    """
    lanes = writer.machine.lanes
    with writer.function(name, vectors) as k:
        b = k.builder
        pairs, read, written = k.argument(0), k.shift(k.argument(1)), k.shift(k.argument(2))
        with k.loop(pairs) as i:
            even = k.row(k.inputs, b.mul(i, I64(2)), read)
            odd = k.row(k.inputs, b.add(b.mul(i, I64(2)), I64(1)), read)
            target = k.row(k.outputs, i, written)
            for v in range(vectors):
                both = [k.load(writer.vector, row, I64(4 * lanes * v)) for row in (even, odd)]
                k.store(brain_pairs(k, *both), target, 4 * lanes * v)


def brain_pairs(k: Kernel, even: Value, odd: Value) -> Value:
    """Return pairs of bfloat16, rounded to even, from two float32 vectors."""
    lanes, vector = k.machine.lanes, k.writer.vector
    brains = ir.VectorType(_BFloat(), 2 * lanes)
    shorts = ir.VectorType(ir.IntType(16), 2 * lanes)
    name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
    convert = k.writer.intrinsic(name, brains, vector, vector)
    words = k.builder.bitcast(k.builder.call(convert, [odd, even]), shorts)
    in_turn = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
    return shuffled(k, words, words, in_turn)


def write_statistics(writer: Writer, name: str, vectors: int) -> None:
    """Write the sums of a map's values and of their squares.

    Arguments: channels, mask of x for inputs, width of the map, sums as float64
    [channel][2][lanes].
    """
    lanes = writer.machine.lanes
    wide = ir.VectorType(F64, lanes)
    with writer.function(name, vectors) as k:
        b = k.builder
        channels, read = k.argument(0), k.shift(k.argument(1))
        width, sums = k.argument(2), k.pointer(3)
        left = b.sub(width, k.x)
        inside = [k.before(b.sub(left, I64(v * lanes))) for v in range(vectors)]
        with k.loop(channels) as channel:
            row = k.row(k.inputs, channel, read)
            total, squares = k.constant(0.0), k.constant(0.0)
            for v in range(vectors):
                value = k.load(writer.vector, row, I64(4 * lanes * v))
                value = b.select(inside[v], value, k.constant(0.0))
                total = b.fadd(total, value)
                squares = k.fma(value, value, squares)
            place = k.at(sums, b.mul(channel, I64(2 * 8 * lanes)))
            for at, part in ((0, total), (8 * lanes, squares)):
                so_far = k.load(wide, place, I64(at), align=8)
                b.store(b.fadd(so_far, b.fpext(part, wide)), k.at(place, I64(at)), align=8)


def write_padding(writer: Writer, name: str, *, repeat: bool) -> None:
    """Write what fills the margins of rows once their last chunk is done: zeros, or the edge.

    Arguments: rows, width of the map. Works on whole rows, so x does not matter.
    """
    lanes = writer.machine.lanes
    with writer.function(name) as k:
        b = k.builder
        rows, width = k.argument(0), k.argument(1)
        end = b.mul(width, I64(4))
        with k.loop(rows) as index:
            row = k.row(k.outputs, index, I64(0))
            left = right = k.constant(0.0)
            if repeat:
                left = k.broadcast(row, I64(0))
                right = k.broadcast(row, b.sub(end, I64(4)))
            k.store(left, row, -4 * lanes)
            k.store(right, k.at(row, end), 0)


def write_shuffle(writer: Writer, name: str, vectors: int, block: int) -> None:
    """Write the step from `block` x `block` channels to a map that many times as high and wide.

    Input rows are [channel][row of the block][column of the block], output rows [channel][row of
    the block]. Arguments: output rows, mask of x for inputs, width of the larger map.
    """
    lanes = writer.machine.lanes
    with writer.function(name, vectors) as k:
        b = k.builder
        rows, read, width = k.argument(0), k.shift(k.argument(1)), k.argument(2)
        start = b.mul(k.x, I64(block))
        left = b.sub(width, start)
        masks = [k.before(b.sub(left, I64(lanes * part))) for part in range(block * vectors)]
        with k.loop(rows) as index:
            first = b.mul(index, I64(block))
            columns = [k.row(k.inputs, b.add(first, I64(j)), read) for j in range(block)]
            target = k.row(k.outputs, index, b.mul(start, I64(4)))
            for v in range(vectors):
                at = I64(4 * lanes * v)
                mixed = _interleaved(k, [k.load(writer.vector, row, at) for row in columns])
                for j, part in enumerate(mixed):
                    number = v * block + j
                    k.store_some(part, k.at(target, I64(4 * lanes * number)), masks[number])


def _interleaved(k: Kernel, parts: list[Value]) -> list[Value]:
    """Return the lanes of n vectors in turn, as n vectors."""
    lanes, count = k.machine.lanes, len(parts)
    if count == 1:
        return parts
    joined, length = list(parts), lanes
    while len(joined) > 1:
        joined += joined[-1:] * (len(joined) % 2)
        order = list(range(2 * length))
        joined = [shuffled(k, joined[i], joined[i + 1], order) for i in range(0, len(joined), 2)]
        length *= 2
    turns = [i % count * lanes + i // count for i in range(count * lanes)]
    return [
        shuffled(k, joined[0], joined[0], turns[i * lanes : (i + 1) * lanes]) for i in range(count)
    ]


def shuffled(k: Kernel, one: Value, other: Value, order: Sequence[int]) -> Value:
    """Return the lanes of two vectors, one behind the other, in some order."""
    mask = ir.Constant(ir.VectorType(I32, len(order)), list(order))
    return k.builder.shuffle_vector(one, other, mask)


def write_expression(
    writer: Writer,
    name: str,
    vectors: int,
    expression: Expression,
    in_chunks: Sequence[bool],
    into_chunk: bool,
) -> None:
    """Write arithmetic on maps, channel by channel.

    Operand i of every channel is input row i * channels + channel. Arguments: channels, then the
    addresses of the vectors of numbers per channel.
    """
    lanes = writer.machine.lanes
    with writer.function(name, vectors) as k:
        b = k.builder
        channels = k.argument(0)
        tables = [k.pointer(1 + i) for i in range(_count(expression, "vector"))]
        shifts = [I64(0) if held else k.shift(I64(-1)) for held in in_chunks]
        shift = I64(0) if into_chunk else k.shift(I64(-1))
        with k.loop(channels) as channel:
            rows = [
                k.row(k.inputs, b.add(b.mul(I64(i), channels), channel), at)
                for i, at in enumerate(shifts)
            ]
            numbers = [k.broadcast(table, b.mul(channel, I64(4))) for table in tables]
            target = k.row(k.outputs, channel, shift)
            for v in range(vectors):
                leaves: dict[Any, Value] = {
                    ("map", i): k.load(writer.vector, row, I64(4 * lanes * v))
                    for i, row in enumerate(rows)
                }
                leaves.update({("vector", i): value for i, value in enumerate(numbers)})
                k.store(_value(k, expression, leaves, {}), target, 4 * lanes * v)


def _value(k: Kernel, tree: Expression, leaves: dict[Any, Value], done: dict[int, Value]) -> Value:
    operator = tree[0]
    if tree in leaves:
        return leaves[tree]
    if id(tree) in done:
        return done[id(tree)]
    if operator == "Add" and tree[1][0] == "Mul":
        x, y = (_value(k, part, leaves, done) for part in tree[1][1:])
        result = k.fma(x, y, _value(k, tree[2], leaves, done))
    elif operator == "Add" and tree[2][0] == "Mul":
        x, y = (_value(k, part, leaves, done) for part in tree[2][1:])
        result = k.fma(x, y, _value(k, tree[1], leaves, done))
    else:
        operands = [
            part if isinstance(part, float) else _value(k, part, leaves, done) for part in tree[1:]
        ]
        result = OPERATORS[operator](k, *operands)
    done[id(tree)] = result
    return result


def _count(tree: Expression, kind: str) -> int:
    """Return how many leaves of a kind there are: one more than the highest number."""
    if tree[0] == kind:
        return tree[1] + 1
    return max((_count(part, kind) for part in tree[1:] if isinstance(part, tuple)), default=0)


class _BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite has no name for."""

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash("bfloat")
