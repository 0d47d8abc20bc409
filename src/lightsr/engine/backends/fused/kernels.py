"""The machine code of the fused backend: a handful of row kernels, made by LLVM for this processor.

A feature map is kept row by row, [row][channel][pixel], so that a kernel works on `chunk` pixels
of one row at a time, all of them in vector registers: a convolution holds `BLOCK` output channels
of a chunk while it runs through its inputs. Every kernel has the same signature,

    void kernel(ptr *inputs, ptr *outputs, int64 x, int64 *arguments)

with one pointer per input row (channel by channel, for each channel the rows above to below) and
per output row; x is the first pixel of the chunk. Rows that hold a single chunk (temporaries) are
addressed without x.
"""

# llvmlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

BLOCK = 6
"""Output channels that a convolution holds in registers."""

I64 = ir.IntType(64)
I32 = ir.IntType(32)
F32 = ir.FloatType()
F64 = ir.DoubleType()
PTR = ir.PointerType()
KERNEL = ir.FunctionType(ir.VoidType(), [PTR, PTR, I64, PTR])


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernels are made for."""

    lanes: int
    """float32 values in a vector register."""
    vectors: int
    """Vectors of a chunk: `BLOCK` times as many accumulators must fit the registers."""
    bf16: bool
    """Products of bfloat16 pairs, summed in float32."""

    @property
    def chunk(self) -> int:
        """Pixels that a kernel works on at a time."""
        return self.lanes * self.vectors

    @staticmethod
    def of(features: frozenset[str]) -> Machine:
        """Return what suits a processor with these features, by LLVM's names."""
        if "avx512f" in features:
            return Machine(16, 4, "avx512bf16" in features)
        if "avx2" in features and "fma" in features:
            return Machine(8, 2, bf16=False)
        return Machine(4, 4 if "neon" in features else 2, bf16=False)


class Writer:
    """Writes the functions of one module."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.module = ir.Module(name)
        self.vector = ir.VectorType(F32, machine.lanes)
        self.words = ir.VectorType(I32, machine.lanes)

    @contextmanager
    def function(self, name: str, kind: ir.FunctionType = KERNEL) -> Iterator[Kernel]:
        """Write a kernel, or another function, in the body of the with statement."""
        function = ir.Function(self.module, kind, name)
        kernel = Kernel(self, function)
        yield kernel
        kernel.builder.ret_void()

    def intrinsic(self, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
        """Declare an intrinsic once."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, arguments), name)
        return known


class Kernel:
    """One function in the writing, with the few forms that the kernels are made of."""

    def __init__(self, writer: Writer, function: ir.Function) -> None:
        self.writer = writer
        self.machine = writer.machine
        self.function = function
        self.builder = ir.IRBuilder(function.append_basic_block())
        if function.function_type == KERNEL:
            self.inputs, self.outputs, self.x, self.arguments = function.args
        vector = writer.vector
        suffix = f"v{self.machine.lanes}f32"
        self._fma = writer.intrinsic(f"llvm.fma.{suffix}", vector, vector, vector, vector)
        self._max = writer.intrinsic(f"llvm.maxnum.{suffix}", vector, vector, vector)
        self._min = writer.intrinsic(f"llvm.minnum.{suffix}", vector, vector, vector)
        self._sqrt = writer.intrinsic(f"llvm.sqrt.{suffix}", vector, vector)
        self._rint = writer.intrinsic(f"llvm.rint.{suffix}", vector, vector)

    def argument(self, index: int) -> ir.Value:
        """Return the kernel's int64 argument `index`."""
        return self.load(I64, self.arguments, I64(8 * index))

    def pointer(self, index: int) -> ir.Value:
        """Return the kernel's argument `index`, an address."""
        return self.builder.inttoptr(self.argument(index), PTR)

    def load(self, kind: ir.Type, base: ir.Value, offset: ir.Value, align: int = 4) -> ir.Value:
        """Load from `base` + `offset` bytes."""
        return self.builder.load(self.at(base, offset), typ=kind, align=align)

    def at(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        """Return `base` + `offset` bytes."""
        return self.builder.gep(base, [offset], source_etype=ir.IntType(8))

    def row(self, table: ir.Value, index: ir.Value, shift: ir.Value) -> ir.Value:
        """Return entry `index` of a table of rows, `shift` bytes in."""
        address = self.load(PTR, table, self.builder.mul(index, I64(8)), align=8)
        return self.at(address, shift)

    @contextmanager
    def loop(self, count: ir.Value) -> Iterator[ir.Value]:
        """Run the body for 0, 1, ..., count - 1; a count of 0 runs it not at all."""
        builder = self.builder
        before = builder.block
        head = builder.append_basic_block()
        body = builder.append_basic_block()
        after = builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(I64)
        index.add_incoming(I64(0), before)
        builder.cbranch(builder.icmp_signed("<", index, count), body, after)
        builder.position_at_end(body)
        yield index
        index.add_incoming(builder.add(index, I64(1)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def accumulate(
        self,
        count: ir.Value,
        start: Sequence[ir.Value],
        step: Callable[[ir.Value, Sequence[ir.Value]], Sequence[ir.Value]],
    ) -> list[ir.Value]:
        """Return what `step` makes of `start` after being applied for 0, ..., count - 1."""
        builder = self.builder
        before = builder.block
        head = builder.append_basic_block()
        body = builder.append_basic_block()
        after = builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(I64)
        index.add_incoming(I64(0), before)
        held = [builder.phi(value.type) for value in start]
        for phi, value in zip(held, start, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", index, count), body, after)
        builder.position_at_end(body)
        results = step(index, held)
        index.add_incoming(builder.add(index, I64(1)), builder.block)
        for phi, value in zip(held, results, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return list(held)

    def shift(self, mask: ir.Value) -> ir.Value:
        """Return x in bytes where the mask is -1, 0 (a temporary) where it is 0."""
        return self.builder.mul(self.builder.and_(self.x, mask), I64(4))

    def splat(self, scalar: ir.Value) -> ir.Value:
        """Return a vector of equal lanes."""
        vector = ir.VectorType(scalar.type, self.machine.lanes)
        one = self.builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
        zeros = ir.Constant(self.writer.words, [0] * self.machine.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

    def constant(self, value: float) -> ir.Value:
        """Return a vector of one number."""
        return ir.Constant(self.writer.vector, [value] * self.machine.lanes)

    def word(self, value: int) -> ir.Value:
        """Return a vector of one int32."""
        return ir.Constant(self.writer.words, [value] * self.machine.lanes)

    def broadcast(self, base: ir.Value, offset: ir.Value, kind: ir.Type = F32) -> ir.Value:
        """Load one number into every lane."""
        return self.splat(self.load(kind, base, offset))

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a * b + c."""
        return self.builder.call(self._fma, [a, b, c])

    def maximum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Return the larger, lane by lane."""
        return self.builder.call(self._max, [a, b])

    def sqrt(self, a: ir.Value) -> ir.Value:
        """Return the square root."""
        return self.builder.call(self._sqrt, [a])

    def sigmoid(self, a: ir.Value) -> ir.Value:
        """Return 1 / (1 + exp(-a)), within 2e-7 of it.

        2^t is 2^n, made of n's bits, times a polynomial in t - n (Taylor's, of degree 7).
        """
        b = self.builder
        t = b.fmul(a, self.constant(-1 / math.log(2)))
        t = b.call(self._min, [self.maximum(t, self.constant(-126.0)), self.constant(126.0)])
        n = b.call(self._rint, [t])
        f = b.fsub(t, n)
        power = self.constant(math.log(2) ** 7 / math.factorial(7))
        for degree in range(6, -1, -1):
            coefficient = math.log(2) ** degree / math.factorial(degree)
            power = self.fma(power, f, self.constant(coefficient))
        bits = b.shl(b.fptosi(n, self.writer.words), self.word(23))
        scaled = b.bitcast(b.add(b.bitcast(power, self.writer.words), bits), self.writer.vector)
        return b.fdiv(self.constant(1.0), b.fadd(scaled, self.constant(1.0)))

    def store(self, value: ir.Value, base: ir.Value, offset: int) -> None:
        """Store a vector at `base` + `offset` bytes."""
        self.builder.store(value, self.at(base, I64(offset)), align=4)


ACTIVATIONS = ("none", "relu", "slope")
"""What a convolution does last: nothing, max(0, y), or y where positive and y * slope elsewhere."""


def write_convolution(
    writer: Writer, name: str, width: int, activation: str, *, bf16: bool
) -> None:
    """Write a convolution whose kernels are `width` pixels wide.

    Arguments: weights, biases, blocks of outputs, input rows per block, table of each block's
    first input row, masks of x for inputs and outputs, slopes. Weights are [block][input row]
    [tap][BLOCK]; under `bf16`, an input row holds pairs of channels, and so do the weights.
    """
    machine = writer.machine
    lanes, vectors = machine.lanes, machine.vectors
    pair = ir.VectorType(I32, lanes) if bf16 else writer.vector
    with writer.function(name) as k:
        b = k.builder
        weights, biases, firsts, slopes = (k.pointer(i) for i in (0, 1, 4, 7))
        blocks, rows = k.argument(2), k.argument(3)
        read, written = k.shift(k.argument(5)), k.shift(k.argument(6))
        per_row = 4 * width * BLOCK
        if bf16:
            brains = ir.VectorType(_BFloat(), 2 * lanes)
            product = writer.intrinsic(
                "llvm.x86.avx512bf16.dpbf16ps.512", writer.vector, writer.vector, brains, brains
            )
        with k.loop(blocks) as block:
            own = k.at(weights, b.mul(block, b.mul(rows, I64(per_row))))
            first = k.load(I64, firsts, b.mul(block, I64(8)), align=8)
            bias_at = b.mul(block, I64(4 * BLOCK))
            start: list[Any] = []
            for j in range(BLOCK):
                start += [k.broadcast(biases, b.add(bias_at, I64(4 * j)))] * vectors

            def step(r: Any, held: Sequence[Any], own: Any = own, first: Any = first) -> list[Any]:
                row = k.row(k.inputs, b.add(first, r), read)
                taps = k.at(own, b.mul(r, I64(per_row)))
                held = list(held)
                for tap in range(width):
                    at = 4 * (tap - width // 2)
                    pixels = [k.load(pair, row, I64(at + 4 * lanes * v)) for v in range(vectors)]
                    for j in range(BLOCK):
                        where = I64(4 * (tap * BLOCK + j))
                        weight = k.broadcast(taps, where, I32 if bf16 else F32)
                        for v in range(vectors):
                            i = j * vectors + v
                            if bf16:
                                operands = [
                                    held[i],
                                    b.bitcast(pixels[v], brains),
                                    b.bitcast(weight, brains),
                                ]
                                held[i] = b.call(product, operands)
                            else:
                                held[i] = k.fma(weight, pixels[v], held[i])
                return held

            sums = k.accumulate(rows, start, step)
            for j in range(BLOCK):
                channel = b.add(b.mul(block, I64(BLOCK)), I64(j))
                target = k.row(k.outputs, channel, written)
                if activation == "slope":
                    slope = k.broadcast(slopes, b.add(bias_at, I64(4 * j)))
                for v in range(vectors):
                    y = sums[j * vectors + v]
                    if activation == "relu":
                        y = k.maximum(y, k.constant(0.0))
                    elif activation == "slope":
                        positive = b.fcmp_ordered(">", y, k.constant(0.0))
                        y = b.select(positive, y, b.fmul(y, slope))
                    k.store(y, target, 4 * lanes * v)


def write_pack(writer: Writer, name: str) -> None:
    """Write the step from pairs of float32 rows to one row of bfloat16 pairs, rounded to even.

    Arguments: pairs, masks of x for inputs and outputs.
    """
    machine = writer.machine
    with writer.function(name) as k:
        b = k.builder
        pairs, read, written = k.argument(0), k.shift(k.argument(1)), k.shift(k.argument(2))

        def rounded(row: Any, v: int) -> Any:
            bits = k.load(writer.words, row, I64(4 * machine.lanes * v))
            odd = b.and_(b.lshr(bits, k.word(16)), k.word(1))
            return b.add(b.add(bits, k.word(0x7FFF)), odd)

        with k.loop(pairs) as i:
            even = k.row(k.inputs, b.mul(i, I64(2)), read)
            odd = k.row(k.inputs, b.add(b.mul(i, I64(2)), I64(1)), read)
            target = k.row(k.outputs, i, written)
            for v in range(machine.vectors):
                low = b.lshr(rounded(even, v), k.word(16))
                high = b.and_(rounded(odd, v), k.word(-65536))
                k.store(b.or_(low, high), target, 4 * machine.lanes * v)


def write_statistics(writer: Writer, name: str) -> None:
    """Write the sums of a map's values and of their squares.

    Arguments: channels, mask of x for inputs, width of the picture, sums as float64
    [channel][2][lanes].
    """
    machine = writer.machine
    lanes = machine.lanes
    wide = ir.VectorType(F64, lanes)
    with writer.function(name) as k:
        b = k.builder
        channels, read, width, sums = (
            k.argument(0),
            k.shift(k.argument(1)),
            k.argument(2),
            k.pointer(3),
        )
        left = k.splat(b.trunc(b.sub(width, k.x), I32))
        inside = [
            b.icmp_signed(
                ">", left, ir.Constant(writer.words, [v * lanes + i for i in range(lanes)])
            )
            for v in range(machine.vectors)
        ]
        with k.loop(channels) as channel:
            row = k.row(k.inputs, channel, read)
            total, squares = k.constant(0.0), k.constant(0.0)
            for v in range(machine.vectors):
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

    Arguments: channels, width of the picture. Works on whole rows, so x does not matter.
    """
    lanes = writer.machine.lanes
    with writer.function(name) as k:
        b = k.builder
        channels, width = k.argument(0), k.argument(1)
        end = b.mul(width, I64(4))
        with k.loop(channels) as channel:
            row = k.row(k.outputs, channel, I64(0))
            left = right = k.constant(0.0)
            if repeat:
                left = k.broadcast(row, I64(0))
                right = k.broadcast(row, b.sub(end, I64(4)))
            k.store(left, row, -4 * lanes)
            k.store(right, k.at(row, end), 0)


Expression = tuple[Any, ...]
"""("map", i), ("vector", i) or (operator, operand, ...); a slope is a float."""


def write_expression(
    writer: Writer,
    name: str,
    expression: Expression,
    temporary: Sequence[bool],
    into_temporary: bool,
) -> None:
    """Write arithmetic on maps, channel by channel.

    Operand i of every channel is input row i * channels + channel. Arguments: channels, then the
    addresses of the vectors of numbers per channel.
    """
    machine = writer.machine
    with writer.function(name) as k:
        b = k.builder
        channels = k.argument(0)
        vectors = [k.pointer(1 + i) for i in range(_count(expression, "vector"))]
        shifts = [I64(0) if held else k.shift(I64(-1)) for held in temporary]
        shift = I64(0) if into_temporary else k.shift(I64(-1))
        with k.loop(channels) as channel:
            rows = [
                k.row(k.inputs, b.add(b.mul(I64(i), channels), channel), at)
                for i, at in enumerate(shifts)
            ]
            numbers = [k.broadcast(v, b.mul(channel, I64(4))) for v in vectors]
            target = k.row(k.outputs, channel, shift)
            for v in range(machine.vectors):
                leaves = {
                    ("map", i): k.load(writer.vector, row, I64(4 * machine.lanes * v))
                    for i, row in enumerate(rows)
                }
                leaves.update({("vector", i): value for i, value in enumerate(numbers)})
                k.store(_value(k, expression, leaves, {}), target, 4 * machine.lanes * v)


def _value(k: Kernel, tree: Expression, leaves: dict[Any, Any], done: dict[int, Any]) -> Any:
    operator = tree[0]
    if tree in leaves:
        return leaves[tree]
    if id(tree) in done:
        return done[id(tree)]
    b = k.builder
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
        result = _apply(k, b, operator, operands)
    done[id(tree)] = result
    return result


def _apply(k: Kernel, b: Any, operator: str, operands: list[Any]) -> Any:
    if operator == "Add":
        return b.fadd(*operands)
    if operator == "Sub":
        return b.fsub(*operands)
    if operator == "Mul":
        return b.fmul(*operands)
    if operator == "Div":
        return b.fdiv(*operands)
    if operator == "Relu":
        return k.maximum(operands[0], k.constant(0.0))
    if operator in ("LeakyRelu", "PRelu"):
        value, slope = operands
        slope = k.constant(slope) if isinstance(slope, float) else slope
        return b.select(b.fcmp_ordered(">", value, k.constant(0.0)), value, b.fmul(value, slope))
    if operator == "Sigmoid":
        return k.sigmoid(operands[0])
    if operator == "Sqrt":
        return k.sqrt(operands[0])
    if operator == "Reciprocal":
        return b.fdiv(k.constant(1.0), operands[0])
    raise NotImplementedError(operator)


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
