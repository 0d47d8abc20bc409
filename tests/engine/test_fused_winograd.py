"""Convolutions on tiles against numpy in float64, on this machine and on code for lesser ones."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lightsr.engine.backends.choose import at_hand

if "fused" not in at_hand():
    pytest.skip("the fused backend cannot be had here", allow_module_level=True)

from fused_graphs import convolved, graph_of, random, run, spread, spread_by_numpy

from lightsr.engine.backends.fused import code
from lightsr.engine.backends.fused.graph import (
    Convolution,
    Graph,
    Input,
    Node,
    Tiles,
    pack_convolutions,
    tile_convolutions,
    whole,
)
from lightsr.engine.backends.fused.plan import make_plan
from lightsr.engine.backends.fused.program import Program, host_machine
from lightsr.engine.backends.fused.weights import gains_by_tiles, tiled_blocking
from lightsr.engine.backends.fused.writer import Machine

SIZES = ((1, 1), (2, 5), (3, 31), (5, 64), (7, 97), (12, 130))
HOST = host_machine()
AVX512 = Machine(16, 4, bf16=False)
AVX2 = Machine(8, 4, bf16=False, sums=12)
NEON = Machine(4, 4, bf16=False)
"""LLVM makes of any vectors what the processor has, so that these run here as well."""


def _tiled(
    node: Convolution, *before: Node, packed: bool = False, machine: Machine = HOST
) -> Program:
    graph = graph_of([*before, node])
    tile_convolutions(graph, lambda one: one is node, lambda _: packed)
    assert any(isinstance(one, Tiles) for one in graph.nodes)
    return Program(make_plan(graph), machine)


def _convolution(
    source: Node, outputs: int, high: int = 3, groups: int = 1, *, repeat: bool = False
) -> Convolution:
    weight = random(outputs, source.channels // groups, high, 3)
    return Convolution(0, 1, outputs, whole(source), weight, random(outputs), groups, repeat)


def _expected(picture: NDArray[np.float32], node: Convolution, inputs: int) -> NDArray[np.float64]:
    source = spread_by_numpy(picture, inputs)
    return convolved(source, node.weight, node.bias, node.groups, repeat=node.repeat)


def _agrees(program: Program, node: Convolution, inputs: int) -> None:
    for height, width in SIZES:
        picture = random(3, height, width)
        wanted = _expected(picture, node, inputs)
        scale = max(1.0, float(np.abs(wanted).max()))
        for threads in (1, 2):
            result = run(program, picture, threads)
            assert np.abs(result - wanted).max() <= 2e-5 * scale, (height, width, threads)


@pytest.mark.parametrize("machine", [HOST, AVX512, AVX2, NEON], ids=str)
@pytest.mark.parametrize(
    ("high", "inputs", "outputs", "groups", "repeat"),
    [
        (3, 4, 13, 1, False),
        (3, 7, 4, 1, True),
        (3, 20, 27, 1, False),
        (1, 5, 6, 1, False),
        (5, 3, 2, 1, True),
        (3, 12, 8, 4, False),
        (3, 8, 8, 8, False),
    ],
)
def test_convolutions(
    machine: Machine, high: int, inputs: int, outputs: int, groups: int, repeat: bool
) -> None:
    picture = Input(0, 1, 3)
    before = spread(picture, inputs)
    node = _convolution(before, outputs, high, groups, repeat=repeat)
    program = _tiled(node, picture, before, machine=machine)
    _agrees(program, node, inputs)


def test_both_ways_to_hold_sums_are_taken() -> None:
    points = {
        tiled_blocking(_convolution(Input(0, 1, inputs), 8), AVX512).points for inputs in (7, 20)
    }
    assert points == {1, 6}


@pytest.mark.parametrize("activation", ["relu", "slope"])
def test_activations(activation: str) -> None:
    picture = Input(0, 1, 3)
    node = _convolution(picture, 8)
    node.activation, node.slopes = activation, random(8)
    program = _tiled(node, picture)
    lr = random(3, 9, 70)
    y = convolved(lr, node.weight, node.bias)
    below = 0 * y if activation == "relu" else y * random(8)[:, None, None]
    wanted = np.where(y > 0, y, below)
    assert np.abs(run(program, lr) - wanted).max() < 2e-5 * np.abs(wanted).max()


def test_one_map_may_be_read_by_several() -> None:
    """Tiles are made once for those that read them alike."""
    picture = Input(0, 1, 3)
    before = spread(picture, 6)
    one, other = _convolution(before, 6), _convolution(before, 6)
    direct = Convolution(0, 1, 6, (*whole(one), *whole(other)), random(6, 12, 1, 1), random(6))
    graph = graph_of([picture, before, one, other, direct])
    tile_convolutions(graph, lambda node: node.columns == 1, lambda _: False)
    assert sum(isinstance(node, Tiles) for node in graph.nodes) == 1
    lr = random(3, 6, 80)
    both = np.concatenate([_expected(lr, node, 6) for node in (one, other)])
    wanted = convolved(both.astype(np.float32), direct.weight, direct.bias)
    found = run(Program(make_plan(graph), HOST), lr)
    assert np.abs(found - wanted).max() < 2e-5 * np.abs(wanted).max()


def _decibels(found: Any, wanted: NDArray[np.float64]) -> float:
    return float(10 * np.log10((wanted**2).mean() / ((found - wanted) ** 2).mean()))


def _wide(seed: int = 0) -> tuple[Graph, Convolution]:
    generator = np.random.default_rng(seed)
    picture = Input(0, 1, 3)
    weight = generator.standard_normal((64, 64, 3, 3), np.float32) / np.float32(24)
    node = Convolution(0, 1, 64, whole(spread(picture, 64)), weight, random(64))
    return graph_of([picture, node.source[0][0], node]), node


def test_float32_loses_little() -> None:
    """120 dB below the signal is a fraction of the last bits of float32."""
    graph, node = _wide()
    tile_convolutions(graph, lambda one: one is node, lambda _: False)
    lr = random(3, 20, 68)
    result = run(Program(make_plan(graph), HOST), lr)
    assert _decibels(result, _expected(lr, node, 64)) > 120


@pytest.mark.skipif(not HOST.bf16, reason="the processor does not multiply bfloat16")
def test_bfloat16_loses_little_more_than_without_tiles() -> None:
    lr = random(3, 20, 68)
    graph, node = _wide()
    wanted = _expected(lr, node, 64)
    pack_convolutions(graph, lambda one: one is node)
    direct = _decibels(run(Program(make_plan(graph), HOST), lr), wanted)
    graph, node = _wide()
    tile_convolutions(graph, lambda one: one is node, lambda _: True)
    tiled = _decibels(run(Program(make_plan(graph), HOST), lr), wanted)
    assert direct > tiled > direct - 9
    assert tiled > 40


@pytest.mark.skipif(not HOST.bf16, reason="the processor does not multiply bfloat16")
@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(6, 13, 1), (7, 4, 1), (8, 12, 2)])
def test_bfloat16(inputs: int, outputs: int, groups: int) -> None:
    """An odd channel has a partner that counts nothing, and groups do not mix."""
    picture = Input(0, 1, 3)
    before = spread(picture, inputs)
    node = _convolution(before, outputs, groups=groups)
    program = _tiled(node, picture, before, packed=True)
    for height, width in SIZES:
        lr = random(3, height, width)
        wanted = _expected(lr, node, inputs)
        error = np.abs(run(program, lr, 2) - wanted).max()
        assert error < 0.03 * max(1.0, float(np.abs(wanted).max())), (height, width)


def test_tiles_are_for_many_channels_and_three_columns() -> None:
    def gains(inputs: int, outputs: int, machine: Machine = AVX512, groups: int = 1) -> bool:
        node = _convolution(Input(0, 1, inputs), outputs, groups=groups)
        return gains_by_tiles(node, machine, packed=False)

    assert gains(12, 24)
    assert gains(64, 64)
    assert gains(64, 64, AVX2)
    assert gains(64, 64, groups=4)
    assert not gains(1, 32)
    assert gains(48, 48, groups=48)
    assert not gains(64, 64, replace(AVX2, vectors=2))
    square = _convolution(Input(0, 1, 64), 64)
    square.weight = random(64, 64, 5, 5)
    assert not gains_by_tiles(square, AVX512, packed=False)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="not an x86 processor")
def test_code_for_a_processor_with_avx2_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The code of a Haswell, which has no AVX-512, runs here and has none of its registers."""
    llvm: Any = code._llvm  # pyright: ignore[reportPrivateUsage]
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.Target.from_default_triple()
    monkeypatch.setattr(code, "_target", lambda: triple.create_target_machine(cpu="haswell", opt=3))
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path))
    picture = Input(0, 1, 3)
    before = spread(picture, 9)
    node = _convolution(before, 13)
    program = _tiled(node, picture, before, machine=AVX2)
    _agrees(program, node, 9)
    module = llvm.parse_assembly(program._assembly())  # pyright: ignore[reportPrivateUsage]
    assert "zmm" not in triple.create_target_machine(cpu="haswell", opt=3).emit_assembly(module)
