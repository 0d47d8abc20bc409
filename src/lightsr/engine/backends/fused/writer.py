"""The writing of machine code for this processor: functions, loops and vectors in LLVM's terms.

A row kernel has the signature

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
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

ir: Any = import_module("llvmlite.ir")

Value: TypeAlias = Any
"""Of LLVM: a number, vector or address that there is when the code runs."""
Type: TypeAlias = Any
"""Of LLVM."""

I1 = ir.IntType(1)
I64 = ir.IntType(64)
I32 = ir.IntType(32)
F32 = ir.FloatType()
F64 = ir.DoubleType()
PTR = ir.PointerType()
BLOCK = 6
"""Output channels that a convolution holds in registers."""
_AVX512 = 16
"""float32 values in its registers."""
KERNEL = ir.FunctionType(ir.VoidType(), [PTR, PTR, I64, PTR])


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernels are made for."""

    lanes: int
    """float32 values in a vector register."""
    vectors: int
    """Vectors of a chunk."""
    bf16: bool
    """Products of bfloat16 pairs, summed in float32."""
    sums: int = 24
    """Vectors that a convolution holds in registers: three quarters of all."""

    @property
    def held(self) -> int:
        """Vectors of a chunk that a convolution works on at a time."""
        return self.sums // BLOCK

    @property
    def chunk(self) -> int:
        """Pixels that a kernel works on at a time."""
        return self.lanes * self.vectors

    @property
    def narrow(self) -> int:
        """Vectors of the kernels for the end of a row, where they are enough."""
        return self.vectors // 2

    @staticmethod
    def of(features: frozenset[str]) -> Machine | None:
        """Return what suits a processor with these features, by LLVM's names; None: nothing."""
        if "avx512f" in features:
            return Machine(16, 4, "avx512bf16" in features)
        if {"avx2", "fma"} <= features:
            return Machine(8, 4, bf16=False, sums=12)
        return Machine(4, 4, bf16=False) if "neon" in features else None


class Writer:
    """Writes the functions of one module."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.module = ir.Module(name)
        self.vector = ir.VectorType(F32, machine.lanes)
        self.words = ir.VectorType(I32, machine.lanes)

    @contextmanager
    def function(
        self, name: str, vectors: int | None = None, kind: Type = KERNEL
    ) -> Generator[Kernel]:
        """Write a kernel for chunks of `vectors` (None: full ones) in the body of the with.

        Or another function of some `kind`.
        """
        function = ir.Function(self.module, kind, name)
        kernel = Kernel(self, function, vectors or self.machine.vectors)
        yield kernel
        kernel.builder.ret_void()

    def intrinsic(self, name: str, result: Type, *arguments: Type) -> Value:
        """Declare an intrinsic once."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, arguments), name)
        return known


class Kernel:
    """One function in the writing, with the few forms that the kernels are made of."""

    def __init__(self, writer: Writer, function: Value, vectors: int) -> None:
        self.writer = writer
        self.machine = writer.machine
        self.vectors = vectors
        """Vectors of the chunk that it works on."""
        self.function = function
        self.builder: Any = ir.IRBuilder(function.append_basic_block())
        if function.function_type == KERNEL:
            self.inputs, self.outputs, self.x, self.arguments = function.args
        vector = writer.vector
        suffix = f"v{self.machine.lanes}f32"
        self._fma = writer.intrinsic(f"llvm.fma.{suffix}", vector, vector, vector, vector)
        self._max = writer.intrinsic(f"llvm.maxnum.{suffix}", vector, vector, vector)
        self._min = writer.intrinsic(f"llvm.minnum.{suffix}", vector, vector, vector)
        self._sqrt = writer.intrinsic(f"llvm.sqrt.{suffix}", vector, vector)
        self._rint = writer.intrinsic(f"llvm.rint.{suffix}", vector, vector)

    def argument(self, index: int) -> Value:
        """Return the kernel's int64 argument `index`."""
        return self.load(I64, self.arguments, I64(8 * index))

    def pointer(self, index: int) -> Value:
        """Return the kernel's argument `index`, an address."""
        return self.builder.inttoptr(self.argument(index), PTR)

    def load(self, kind: Type, base: Value, offset: Value, align: int = 4) -> Value:
        """Load from `base` + `offset` bytes."""
        return self.builder.load(self.at(base, offset), typ=kind, align=align)

    def at(self, base: Value, offset: Value) -> Value:
        """Return `base` + `offset` bytes."""
        return self.builder.gep(base, [offset], source_etype=ir.IntType(8))

    def row(self, table: Value, index: Value, shift: Value) -> Value:
        """Return entry `index` of a table of rows, `shift` bytes in."""
        address = self.load(PTR, table, self.builder.mul(index, I64(8)), align=8)
        return self.at(address, shift)

    @contextmanager
    def loop(self, count: Value) -> Generator[Value]:
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
        count: Value,
        start: Sequence[Value],
        step: Callable[[Value, Sequence[Value]], Sequence[Value]],
    ) -> list[Value]:
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

    def shift(self, mask: Value) -> Value:
        """Return x in bytes where the mask is -1, 0 (a temporary) where it is 0."""
        return self.builder.mul(self.builder.and_(self.x, mask), I64(4))

    def splat(self, scalar: Value, lanes: int | None = None) -> Value:
        """Return a vector of equal lanes."""
        lanes = lanes or self.machine.lanes
        undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def constant(self, value: float) -> Value:
        """Return a vector of one number."""
        return ir.Constant(self.writer.vector, [value] * self.machine.lanes)

    def word(self, value: int) -> Value:
        """Return a vector of one int32."""
        return ir.Constant(self.writer.words, [value] * self.machine.lanes)

    def broadcast(self, base: Value, offset: Value, kind: Type = F32) -> Value:
        """Load one number into every lane."""
        return self.splat(self.load(kind, base, offset))

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a * b + c."""
        return self.builder.call(self._fma, [a, b, c])

    def maximum(self, a: Value, b: Value) -> Value:
        """Return the larger, lane by lane."""
        return self.builder.call(self._max, [a, b])

    def sqrt(self, a: Value) -> Value:
        """Return the square root."""
        return self.builder.call(self._sqrt, [a])

    def sigmoid(self, a: Value) -> Value:
        """Return 1 / (1 + exp(-a)), within 2e-7 of it.

        2^t is 2^n, made of n's bits, times a polynomial in t - n (Taylor's, of degree 6).
        """
        b = self.builder
        t = b.fmul(a, self.constant(-1 / math.log(2)))
        t = b.call(self._min, [self.maximum(t, self.constant(-126.0)), self.constant(126.0)])
        n = b.call(self._rint, [t])
        f = b.fsub(t, n)
        power = self.constant(math.log(2) ** 6 / math.factorial(6))
        for degree in range(5, -1, -1):
            coefficient = math.log(2) ** degree / math.factorial(degree)
            power = self.fma(power, f, self.constant(coefficient))
        bits = b.shl(b.fptosi(n, self.writer.words), self.word(23))
        scaled = b.bitcast(b.add(b.bitcast(power, self.writer.words), bits), self.writer.vector)
        return self.reciprocal(b.fadd(scaled, self.constant(1.0)))

    def reciprocal(self, a: Value) -> Value:
        """Return 1 / a for 1 <= a < 2^127, within 2e-7 of it."""
        one = self.constant(1.0)
        if self.machine.lanes != _AVX512:
            return self.builder.fdiv(one, a)
        # A first guess of 14 bits and Newton's step take a third of the time of a division.
        vector, mask = self.writer.vector, ir.IntType(16)
        guess = self.writer.intrinsic("llvm.x86.avx512.rcp14.ps.512", vector, vector, vector, mask)
        r = self.builder.call(guess, [a, self.constant(0.0), mask(-1)])
        return self.fma(r, self.fma(self.builder.fneg(a), r, one), r)

    def store(self, value: Value, base: Value, offset: int) -> None:
        """Store a vector at `base` + `offset` bytes."""
        self.builder.store(value, self.at(base, I64(offset)), align=4)

    def before(self, count: Value) -> Value:
        """Return a mask of the lanes whose number is less than `count`, an int64."""
        limit = self.splat(self.builder.trunc(count, I32))
        numbers = ir.Constant(self.writer.words, list(range(self.machine.lanes)))
        return self.builder.icmp_signed(">", limit, numbers)

    def store_some(self, value: Value, base: Value, mask: Value) -> None:
        """Store the lanes of a vector that a mask allows."""
        masks = ir.VectorType(I1, self.machine.lanes)
        vector = self.writer.vector
        name = f"llvm.masked.store.v{self.machine.lanes}f32.p0"
        store = self.writer.intrinsic(name, ir.VoidType(), vector, PTR, I32, masks)
        self.builder.call(store, [value, base, I32(4), mask])
