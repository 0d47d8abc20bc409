"""A planned network with its machine code, for pictures of any size."""

from __future__ import annotations

import ctypes
from typing import Any

from lightsr.engine.backends.fused.code import host_features, machine_code
from lightsr.engine.backends.fused.driver import write_driver
from lightsr.engine.backends.fused.graph import (
    Arithmetic,
    Convolution,
    Pack,
    Shuffle,
    Tiles,
    UnsupportedError,
)
from lightsr.engine.backends.fused.kernels import (
    write_convolution,
    write_expression,
    write_pack,
    write_padding,
    write_shuffle,
    write_statistics,
)
from lightsr.engine.backends.fused.layout import Layout
from lightsr.engine.backends.fused.plan import Level, Plan, Work
from lightsr.engine.backends.fused.weights import tiled_blocking
from lightsr.engine.backends.fused.winograd import write_tiled_convolution, write_tiles
from lightsr.engine.backends.fused.writer import Machine, Writer

_ONE_WIDTH = ("tiles", "tiled")
"""Kernels that work on full chunks only, the last of a row too."""
_COPY = ("map", 0)
"""The expression that is a map itself."""


def host_machine() -> Machine:
    """Return what the kernels of this processor look like.

    Raises `UnsupportedError` for a processor without wide vectors.
    """
    machine = Machine.of(host_features())
    if machine is None:
        raise UnsupportedError("this processor has none of AVX2, AVX-512 and NEON")
    return machine


class Program:
    """The machine code and the layout of a plan; any number of threads may share it."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self.plan = plan
        self.machine = machine
        self._names: dict[Any, str] = {}
        for level in plan.levels:
            for work in level.work:
                self._names.setdefault(self._key(level, work), f"kernel{len(self._names)}")
        about = f"{machine} {list(self._names)}"
        self._engine = machine_code(about, self._assembly)
        self.run_phase = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
            self._engine.get_function_address("run")
        )
        self._addresses = {
            key: (
                self._engine.get_function_address(name),
                self._engine.get_function_address(name if key[0] in _ONE_WIDTH else _narrow(name)),
            )
            for key, name in self._names.items()
        }
        self.layout = Layout(plan, machine, self._kernels)

    def _kernels(self, level: Level, work: Work) -> tuple[int, int]:
        return self._addresses[self._key(level, work)]

    def _key(self, level: Level, work: Work) -> Any:
        """Return what tells a kernel from others."""
        node = work.node
        if work.mean is not None:
            return ("statistics",)
        if work.margin_of is not None:
            return ("margin", self.plan.repeats[work.margin_of])
        if work.copy_of is not None:
            return ("arithmetic", _COPY, (level.in_chunks(((work.copy_of, 0),)),), False)
        assert node is not None
        if isinstance(node, Convolution):
            if node.tiled:
                blocking = tiled_blocking(node, self.machine)
                return ("tiled", node.weight.shape[2], blocking, node.activation, node.packed)
            return ("convolution", node.weight.shape[3], node.activation, node.packed)
        if isinstance(node, Pack):
            return ("pack",)
        if isinstance(node, Tiles):
            return ("tiles", node.packed)
        if isinstance(node, Shuffle):
            return ("shuffle", node.block)
        assert isinstance(node, Arithmetic)
        read = tuple(level.in_chunks(view) for view in node.maps)
        return ("arithmetic", node.tree, read, level.in_chunks(((node, 0),)))

    def _assembly(self) -> str:
        writer = Writer(self.machine, "lightsr")
        for key, name in self._names.items():
            _write(writer, name, self.machine.vectors, key)
            if key[0] not in _ONE_WIDTH:
                _write(writer, _narrow(name), self.machine.narrow, key)
        write_driver(writer)
        return str(writer.module)


def _narrow(name: str) -> str:
    return f"{name}.narrow"


def _write(writer: Writer, name: str, vectors: int, key: Any) -> None:
    kind, *about = key
    if kind == "convolution":
        width, activation, packed = about
        write_convolution(writer, name, vectors, width, activation, bf16=packed)
    elif kind == "tiles":
        write_tiles(writer, name, bf16=about[0])
    elif kind == "tiled":
        rows, blocking, activation, packed = about
        write_tiled_convolution(writer, name, rows, blocking, activation, bf16=packed)
    elif kind == "pack":
        write_pack(writer, name, vectors)
    elif kind == "statistics":
        write_statistics(writer, name, vectors)
    elif kind == "margin":
        write_padding(writer, name, repeat=about[0])
    elif kind == "shuffle":
        write_shuffle(writer, name, vectors, about[0])
    else:
        tree, in_chunks, into_chunk = about
        write_expression(writer, name, vectors, tree, in_chunks, into_chunk)
