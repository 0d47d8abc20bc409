"""The loop over rows and chunks that calls the row kernels, as machine code.

A phase is a list of steps, in groups of equal delay: when the loop stands at row y, a group with
delay d works on row y - d, so that a convolution finds the rows below it that earlier groups made.
All of it is in tables of int64, laid out below; addresses are of memory that Python holds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from lightsr.engine.backends.fused.writer import I64, KERNEL, PTR, Kernel, Value, Writer, ir


class Phase(IntEnum):
    """Fields of a phase."""

    HEIGHT = 0
    WIDTH = 1
    GROUPS = 2
    """How many."""
    GROUP_TABLE = 3
    BEFORE = 4
    """Rows that the loop starts before the first row wanted."""
    AFTER = 5
    """Rows that it runs on behind the last one."""
    ZEROS = 6
    """Address of a row of zeros."""


class Group(IntEnum):
    """Fields of a group."""

    DELAY = 0
    STEPS = 1
    STEP_TABLE = 2


class Step(IntEnum):
    """Fields of a step."""

    KERNEL = 0
    NARROW = 1
    """The kernel for the last chunk of a row, where half of one is enough."""
    INPUTS = 2
    """How many rows, in groups of `TOGETHER`."""
    INPUT_TABLE = 3
    INPUT_ROWS = 4
    """Room for the addresses of the rows, which are found anew for each row."""
    OUTPUTS = 5
    OUTPUT_TABLE = 6
    OUTPUT_ROWS = 7
    ARGUMENTS = 8
    HALO = 9
    """Rows beyond the rows wanted that this step must make."""
    WHOLE = 10
    """1: called once for a row, when its chunks are done."""
    ACTIVE = 11
    """Set by the loop."""


TOGETHER = 8
"""Rows whose addresses are found at once."""


class Row(IntEnum):
    """Fields of a row in a table of rows, [group][field][row of the group]."""

    BASE = 0
    STRIDE = 1
    MASK = 2
    """-1, or the number of rows that are kept, a power of two, less 1."""
    SHIFT = 3
    """Rows below the row that is worked on."""
    REPEAT = 4
    """Outside the picture: 1 the nearest row in it, 0 zeros."""


DRIVER = ir.FunctionType(ir.VoidType(), [PTR, I64, I64])


def write_driver(writer: Writer) -> None:
    """Write `run(phase, first row, end row)`."""
    with writer.function("run", kind=DRIVER) as k:
        b = k.builder
        phase, start, end = k.function.args

        def field(base: Value, index: int) -> Value:
            return k.load(I64, base, I64(8 * index), align=8)

        def address(base: Value, index: int) -> Value:
            return b.inttoptr(field(base, index), PTR)

        height, width = field(phase, Phase.HEIGHT), field(phase, Phase.WIDTH)
        zeros = field(phase, Phase.ZEROS)
        groups = address(phase, Phase.GROUP_TABLE)
        first = b.sub(start, field(phase, Phase.BEFORE))
        rows = b.sub(b.add(end, field(phase, Phase.AFTER)), first)
        chunks = b.sdiv(b.add(width, I64(k.machine.chunk - 1)), I64(k.machine.chunk))
        with k.loop(rows) as passed, k.loop(field(phase, Phase.GROUPS)) as number:
            group = k.at(groups, b.mul(number, I64(8 * len(Group))))
            y = b.sub(b.add(first, passed), field(group, Group.DELAY))
            steps = address(group, Group.STEP_TABLE)
            count = field(group, Group.STEPS)
            with k.loop(count) as i:
                step = k.at(steps, b.mul(i, I64(8 * len(Step))))
                halo = field(step, Step.HALO)
                least = _larger(b, b.sub(start, halo), I64(0))
                most = _smaller(b, b.add(end, halo), height)
                wanted = b.and_(b.icmp_signed(">=", y, least), b.icmp_signed("<", y, most))
                b.store(b.zext(wanted, I64), k.at(step, I64(8 * Step.ACTIVE)), align=8)
                with b.if_then(wanted):
                    for count_at, table_at, rows_at in (
                        (Step.INPUTS, Step.INPUT_TABLE, Step.INPUT_ROWS),
                        (Step.OUTPUTS, Step.OUTPUT_TABLE, Step.OUTPUT_ROWS),
                    ):
                        table, found = address(step, table_at), address(step, rows_at)
                        with k.loop(field(step, count_at)) as group_of_rows:
                            entry = k.at(table, b.mul(group_of_rows, I64(_WIDE * len(Row))))
                            places = _places(k, entry, y, height, zeros)
                            there = k.at(found, b.mul(group_of_rows, I64(_WIDE)))
                            b.store(places, there, align=8)

            def call(step: Value, x: Value) -> None:
                left = b.icmp_signed("<=", b.sub(width, x), I64(k.machine.lanes * k.machine.narrow))
                chosen = b.select(left, field(step, Step.NARROW), field(step, Step.KERNEL))
                kernel = b.inttoptr(chosen, KERNEL.as_pointer())
                arguments = [
                    address(step, Step.INPUT_ROWS),
                    address(step, Step.OUTPUT_ROWS),
                    x,
                    address(step, Step.ARGUMENTS),
                ]
                b.call(kernel, arguments)

            for whole in (0, 1):
                with k.loop(I64(1) if whole else chunks) as chunk, k.loop(count) as i:
                    step = k.at(steps, b.mul(i, I64(8 * len(Step))))
                    kind = b.icmp_signed("==", field(step, Step.WHOLE), I64(whole))
                    active = b.icmp_signed("!=", field(step, Step.ACTIVE), I64(0))
                    with b.if_then(b.and_(kind, active)):
                        call(step, b.mul(chunk, I64(k.machine.chunk)))


_WIDE = 8 * TOGETHER
"""Bytes of a vector of addresses."""
_ADDRESSES = ir.VectorType(I64, TOGETHER)


def _places(k: Kernel, entry: Value, y: Value, height: Value, zeros: Value) -> Value:
    """Return the addresses of the rows that a group of a table's means at row y."""
    b = k.builder

    def field(index: int) -> Value:
        return k.load(_ADDRESSES, entry, I64(_WIDE * index), align=8)

    def everywhere(value: Value) -> Value:
        return k.splat(value, TOGETHER)

    zero = everywhere(I64(0))
    wanted = b.add(everywhere(y), field(Row.SHIFT))
    last = everywhere(b.sub(height, I64(1)))
    inside = _larger(b, _smaller(b, wanted, last), zero)
    offset = b.mul(b.and_(inside, field(Row.MASK)), field(Row.STRIDE))
    found = b.add(field(Row.BASE), offset)
    there = b.icmp_signed("==", wanted, inside)
    repeats = b.icmp_signed("!=", field(Row.REPEAT), zero)
    return b.select(b.or_(there, repeats), found, everywhere(zeros))


def _larger(b: Any, x: Value, y: Value) -> Value:
    return b.select(b.icmp_signed(">", x, y), x, y)


def _smaller(b: Any, x: Value, y: Value) -> Value:
    return b.select(b.icmp_signed("<", x, y), x, y)
