"""Small graphs for the fused backend, run without a network around them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.frame import Frame
from lightsr.engine.backends.fused.graph import (
    Arithmetic,
    Convolution,
    Graph,
    Input,
    Mean,
    Node,
    Shuffle,
    VectorStep,
    ready,
    whole,
)
from lightsr.engine.backends.fused.plan import make_plan
from lightsr.engine.backends.fused.program import Program, host_machine

Floats = NDArray[np.float32]


def random(*shape: int) -> Floats:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def graph_of(
    nodes: list[Node],
    constants: dict[str, Any] | None = None,
    means: list[Mean] | None = None,
    steps: list[VectorStep] | None = None,
    block: int = 1,
) -> Graph:
    """The last node's channels, shuffled, are the result; the first node is the picture."""
    picture, last = nodes[0], nodes[-1]
    assert isinstance(picture, Input)
    view = whole(last)
    result = Shuffle(ready(view), last.size * block, last.channels // block**2, view, block)
    return Graph(picture, [*nodes, result], means or [], steps or [], constants or {}, result)


def program_of(graph: Graph) -> Program:
    return Program(make_plan(graph), host_machine())


def run(program: Program, picture: Floats, threads: int = 1) -> Floats:
    """Return the result for [3, h, w]; what lies beyond it in memory must stay untouched."""
    graph = program.plan.graph
    _, height, width = picture.shape
    shape = (graph.result.channels, height * graph.scale, width * graph.scale)
    room = np.full(int(np.prod(shape)) + 128, -77, np.float32)
    target = room[64:-64].reshape(shape)
    frame = Frame(program, height, width, threads)
    if threads == 1:
        frame.run(picture, target, None)
    else:
        with ThreadPoolExecutor(threads) as pool:
            frame.run(picture, target, pool)
    assert (room[:64] == -77).all()
    assert (room[-64:] == -77).all()
    return target


def spread(picture: Input, channels: int) -> Convolution:
    """A map of some channels, each a mixture of the picture's."""
    return Convolution(0, 1, channels, whole(picture), random(channels, 3, 1, 1), random(channels))


def spread_by_numpy(picture: Floats, channels: int) -> Floats:
    weight = random(channels, 3, 1, 1)[:, :, 0, 0]
    return np.tensordot(weight, picture, 1) + random(channels)[:, None, None]


def convolved(
    source: Floats, weight: Floats, bias: Floats, groups: int = 1, *, repeat: bool = False
) -> NDArray[np.float64]:
    """[c, h, w] by numpy alone, in float64."""
    outputs, inputs, high, wide = weight.shape
    sides = ((0, 0), (high // 2,) * 2, (wide // 2,) * 2)
    padded = np.pad(source.astype(np.float64), sides, mode="edge" if repeat else "constant")
    height, width = source.shape[1:]
    result = np.repeat(bias.astype(np.float64), height * width).reshape(outputs, height, width)
    per_group = outputs // groups
    for output in range(outputs):
        first = output // per_group * inputs
        for i in range(inputs):
            for y in range(high):
                for x in range(wide):
                    part = padded[first + i, y : y + height, x : x + width]
                    result[output] += weight[output, i, y, x] * part
    return result


def arithmetic(source: Node, tree: Any, vectors: list[str], *more: Node) -> Arithmetic:
    views = [whole(node) for node in (source, *more)]
    level = max(node.ready for node in (source, *more))
    return Arithmetic(level, source.size, source.channels, tree, views, vectors)
