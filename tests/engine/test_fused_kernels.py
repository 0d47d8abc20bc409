"""Every kernel of the fused backend against numpy, at sizes that fit no vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lightsr.engine.backends.choose import at_hand

if "fused" not in at_hand():
    pytest.skip("the fused backend cannot be had here", allow_module_level=True)

from fused_graphs import (
    arithmetic,
    convolved,
    graph_of,
    program_of,
    random,
    run,
    spread,
    spread_by_numpy,
)

from lightsr.engine.backends.fused.arithmetic import OPERATORS
from lightsr.engine.backends.fused.graph import (
    Convolution,
    Graph,
    Input,
    Mean,
    Shuffle,
    VectorStep,
    pack_convolutions,
    whole,
)
from lightsr.engine.backends.fused.program import host_machine

SIZES = ((1, 1), (2, 5), (9, 33), (5, 64), (7, 97), (12, 130))


def _agrees(graph: Graph, expected: Any, tolerance: float = 2e-5) -> None:
    program = program_of(graph)
    for height, width in SIZES:
        picture = random(3, height, width)
        wanted = expected(picture)
        scale = max(1.0, float(np.abs(wanted).max()))
        for threads in (1, 2):
            result = run(program, picture, threads)
            assert np.abs(result - wanted).max() <= tolerance * scale, (height, width, threads)


@pytest.mark.parametrize(
    ("high", "wide", "inputs", "outputs", "groups", "repeat"),
    [
        (1, 1, 5, 4, 1, False),
        (3, 3, 4, 13, 1, False),
        (3, 3, 6, 6, 1, True),
        (5, 5, 3, 2, 1, True),
        (9, 9, 2, 7, 1, True),
        (5, 1, 3, 6, 3, True),
        (1, 5, 6, 24, 6, True),
        (1, 3, 4, 8, 1, False),
        (3, 3, 12, 12, 2, False),
        (1, 1, 12, 4, 4, False),
    ],
)
def test_convolutions(
    high: int, wide: int, inputs: int, outputs: int, groups: int, repeat: bool
) -> None:
    picture = Input(0, 1, 3)
    before = spread(picture, inputs)
    weight, bias = random(outputs, inputs // groups, high, wide), random(outputs)
    node = Convolution(0, 1, outputs, whole(before), weight, bias, groups, repeat)

    def expected(lr: NDArray[np.float32]) -> NDArray[np.float64]:
        return convolved(spread_by_numpy(lr, inputs), weight, bias, groups, repeat=repeat)

    _agrees(graph_of([picture, before, node]), expected)


@pytest.mark.parametrize("activation", ["none", "relu", "slope"])
def test_activations(activation: str) -> None:
    picture = Input(0, 1, 3)
    weight, bias, slopes = random(8, 3, 3, 3), random(8), random(8)
    node = Convolution(0, 1, 8, whole(picture), weight, bias, activation=activation, slopes=slopes)

    def expected(lr: NDArray[np.float32]) -> NDArray[np.float64]:
        y = convolved(lr, weight, bias)
        below = {"none": y, "relu": 0 * y, "slope": y * slopes[:, None, None]}[activation]
        return np.where(y > 0, y, below)

    _agrees(graph_of([picture, node]), expected)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """To bfloat16, to nearest, halves to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32)


@pytest.mark.skipif(not host_machine().bf16, reason="the processor does not multiply bfloat16")
@pytest.mark.parametrize(("inputs", "groups", "side"), [(6, 1, 3), (7, 1, 1), (8, 2, 3)])
def test_bfloat16_rounds_inputs_and_weights_only(inputs: int, groups: int, side: int) -> None:
    picture = Input(0, 1, 3)
    before = spread(picture, inputs)
    weight, bias = random(10, inputs // groups, side, side), random(10)
    node = Convolution(0, 1, 10, whole(before), weight, bias, groups)
    graph = graph_of([picture, before, node])
    pack_convolutions(graph, lambda convolution: convolution is node)
    assert node.packed

    def expected(lr: NDArray[np.float32]) -> NDArray[np.float64]:
        source = _rounded(spread_by_numpy(lr, inputs))
        return convolved(source, _rounded(weight), bias, groups)

    # A last bit of float32 decides now and then which way a value is rounded.
    _agrees(graph, expected, tolerance=2e-3)


TREES: list[Any] = [
    (("Add", ("map", 0), ("map", 1)), lambda x, y, _: x + y),
    (("Sub", ("map", 0), ("vector", 0)), lambda x, y, v: x - v),
    (("Mul", ("map", 1), ("vector", 0)), lambda x, y, v: y * v),
    (("Add", ("Mul", ("map", 0), ("vector", 0)), ("map", 1)), lambda x, y, v: x * v + y),
    (("Div", ("map", 0), ("Add", ("Mul", ("map", 1), ("map", 1)), ("vector", 1))),
     lambda x, y, _: x / (y * y + 1)),
    (("Relu", ("map", 0)), lambda x, y, _: np.maximum(x, 0)),
    (("LeakyRelu", ("map", 0), 0.2), lambda x, y, _: np.where(x > 0, x, 0.2 * x)),
    (("PRelu", ("map", 0), ("vector", 0)), lambda x, y, v: np.where(x > 0, x, v * x)),
    (("Sigmoid", ("Mul", ("map", 0), ("vector", 2))), lambda x, y, _: 1 / (1 + np.exp(-9 * x))),
    (("Sqrt", ("Mul", ("map", 0), ("map", 0))), lambda x, y, _: np.abs(x)),
    (("Reciprocal", ("Add", ("Mul", ("map", 0), ("map", 0)), ("vector", 1))),
     lambda x, y, _: 1 / (x * x + 1)),
]  # fmt: skip


def test_every_operator_is_tried() -> None:
    assert {tree[0] for tree, _ in TREES} == set(OPERATORS)


@pytest.mark.parametrize(
    ("tree", "formula"), TREES, ids=lambda v: v[0] if isinstance(v, tuple) else ""
)
def test_arithmetic(tree: Any, formula: Any) -> None:
    picture = Input(0, 1, 3)
    one, other = spread(picture, 5), spread(picture, 5)
    other.weight, other.bias = random(5, 3, 1, 1) * 2, random(5)
    names = ["v", "one", "nine"]
    node = arithmetic(one, tree, names, other)
    if "('map', 1)" not in repr(tree):
        del node.maps[1]
    vector = random(5)
    graph = graph_of([picture, one, other, node], {"v": vector, "one": [1], "nine": [9]})

    def expected(lr: NDArray[np.float32]) -> NDArray[Any]:
        x = spread_by_numpy(lr, 5).astype(np.float64)
        y = np.tensordot(other.weight[:, :, 0, 0], lr, 1) + other.bias[:, None, None]
        return formula(x, y, vector[:, None, None])

    _agrees(graph, expected)


def test_sigmoids_of_extreme_values() -> None:
    picture = Input(0, 1, 3)
    node = arithmetic(picture, ("Sigmoid", ("map", 0)), [])
    program = program_of(graph_of([picture, node]))
    values = np.array([0, 1, -1, 30, -30, 88, -88, 1e4, -1e4, 1e38, -1e38, 1e-30], np.float32)
    result = run(program, np.tile(values, (3, 1, 1)))
    wanted = 1 / (1 + np.exp(-values.astype(np.float64).clip(-700, 700)))
    assert np.abs(result - wanted).max() < 2e-7


def test_means_and_variances() -> None:
    picture = Input(0, 1, 3)
    before = spread(picture, 7)
    mean = Mean(whole(before), 0, "mean", "variance")
    step = VectorStep(1, "Add", ("variance", "one"), ("more",))
    node = arithmetic(before, ("Div", ("Sub", ("map", 0), ("vector", 0)), ("vector", 1)),
                      ["mean", "more"])  # fmt: skip
    node.level = 1
    graph = graph_of([picture, before, node], {"one": np.ones(1, np.float32)}, [mean], [step])

    def expected(lr: NDArray[np.float32]) -> NDArray[Any]:
        x = spread_by_numpy(lr, 7).astype(np.float64)
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        return (x - mean) / (variance + 1)

    _agrees(graph, expected)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 8])
def test_shuffles(block: int) -> None:
    picture = Input(0, 1, 3)
    before = spread(picture, 3 * block**2)
    graph = graph_of([picture, before], block=block)

    def expected(lr: NDArray[np.float32]) -> NDArray[Any]:
        return _shuffled(spread_by_numpy(lr, 3 * block**2), block)

    _agrees(graph, expected)


@pytest.mark.parametrize("repeat", [False, True])
def test_work_goes_on_after_a_shuffle(repeat: bool) -> None:
    """The margins of the larger map are filled, and bands of it fit together."""
    picture = Input(0, 1, 3)
    before = spread(picture, 18)
    larger = Shuffle(0, 3, 2, whole(before), 3)
    weight, bias = random(3, 2, 5, 5), random(3)
    node = Convolution(1, 3, 3, whole(larger), weight, bias, 1, repeat)

    def expected(lr: NDArray[np.float32]) -> NDArray[Any]:
        return convolved(_shuffled(spread_by_numpy(lr, 18), 3), weight, bias, repeat=repeat)

    _agrees(graph_of([picture, before, larger, node]), expected)


def _shuffled(maps: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    channels, height, width = maps.shape
    cut = maps.reshape(channels // block**2, block, block, height, width)
    return cut.transpose(0, 3, 1, 4, 2).reshape(-1, height * block, width * block)
