"""An ONNX graph as the fused backend sees it: maps, arithmetic on them, and vectors between.

A *map* is [channels, height, width]; a *vector* has one number per channel, and comes from means
over whole maps. Whatever depends on a vector has to wait until a map is complete, so every node
has a *level*: how many such waits lie before it. Splits, concatenations and shuffles of channels
are no work at all: a `View` says which channels of which nodes are meant.
"""

# onnx is typed only in part.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from lightsr.engine.backends.fused.kernels import Expression

Floats = NDArray[np.float32]


class Unsupported(Exception):
    """The graph has something that this backend does not do; others do."""


@dataclass(eq=False, slots=True)
class Node:
    """What makes a map."""

    level: int
    channels: int


View = tuple[tuple[Node, int], ...]
"""A map by its channels: each the channel of a node."""


@dataclass(eq=False, slots=True)
class Input(Node):
    """The picture."""


@dataclass(eq=False, slots=True)
class Convolution(Node):
    """A convolution of odd size that keeps height and width."""

    source: View
    weight: Floats
    """[channels, inputs per group, k, k]."""
    bias: Floats
    groups: int
    repeat: bool
    """Outside the picture: its edge; otherwise zeros."""
    activation: str = "none"
    slopes: Floats | None = None
    packed: bool = False
    """Its source is in pairs of channels, as bfloat16."""

    @property
    def reach(self) -> int:
        """Rows and columns that it looks around itself."""
        return self.weight.shape[2] // 2


@dataclass(eq=False, slots=True)
class Arithmetic(Node):
    """An expression of maps, vectors and numbers, channel by channel."""

    tree: Expression
    maps: list[View]
    vectors: list[str]


@dataclass(eq=False, slots=True)
class Pack(Node):
    """A map in pairs of channels, as bfloat16."""

    source: View


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean and variance of a map over height and width, by the names of the results."""

    source: View
    level: int
    mean: str
    variance: str | None


@dataclass(frozen=True, slots=True)
class VectorStep:
    """An operation on vectors, done between levels."""

    level: int
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(slots=True)
class Graph:
    """The whole network at LR size; a shuffle to the output's size comes last."""

    picture: Input
    nodes: list[Node]
    """In an order in which each comes after those it needs."""
    means: list[Mean]
    vector_steps: list[VectorStep]
    constants: dict[str, Floats]
    """Vectors and numbers that are given: [channels] or []."""
    output: View
    scale: int


_ELEMENTWISE = {"Add": 2, "Sub": 2, "Mul": 2, "Div": 2, "Sigmoid": 1, "Sqrt": 1, "Reciprocal": 1}
_ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu")


def read_graph(path: Path) -> Graph:
    """Read the graph in `path`. Raises `Unsupported` naming what this backend does not do."""
    return _Reader(onnx.load(str(path)).graph).read()


@dataclass(slots=True)
class _Reader:
    source: Any
    maps: dict[str, View] = field(default_factory=dict[str, View])
    vectors: dict[str, int] = field(default_factory=dict[str, int])
    """Level of each vector."""
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    nodes: list[Node] = field(default_factory=list[Node])
    means: list[Mean] = field(default_factory=list[Mean])
    steps: list[VectorStep] = field(default_factory=list[VectorStep])
    centred: dict[str, str] = field(default_factory=dict[str, str])
    """Names of a map less its mean, and of the square of that, to the map's name."""
    mean_of: dict[str, str] = field(default_factory=dict[str, str])
    uses: Counter[str] = field(default_factory=Counter[str])
    padded: set[str] = field(default_factory=set[str])
    scale: int = 1

    def read(self) -> Graph:
        for tensor in self.source.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor)
        for node in self.source.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            self.uses.update(node.input)
        wanted = self.source.output[0].name
        self.uses[wanted] += 1
        picture = Input(0, 3)
        self.nodes.append(picture)
        self.maps[self.source.input[0].name] = _whole(picture)
        for node in self.source.node:
            if node.op_type != "Constant":
                self._add(node)
        output = self.maps[wanted]
        graph = Graph(picture, self.nodes, self.means, self.steps, {}, output, self.scale)
        graph.constants = {
            name: value.reshape(-1) if value.shape[:1] == (1,) else value
            for name, value in self.constants.items()
            if value.dtype == np.float32
        }
        _keep_needed(graph)
        return graph

    def _add(self, node: Any) -> None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        operator, inputs, output = node.op_type, list(node.input), node.output[0]
        over_maps = [name for name in inputs if name in self.maps]
        if not over_maps:
            self._vector_step(operator, inputs, list(node.output), attributes)
        elif operator == "Identity":
            self.maps[output] = self.maps[inputs[0]]
        elif operator == "Conv":
            self._convolution(inputs, output, attributes)
        elif operator == "ReduceMean":
            self._mean(inputs, output)
        elif operator == "Split":
            self._split(inputs, list(node.output), attributes)
        elif operator == "Concat" and attributes["axis"] == 1:
            self.maps[output] = tuple(part for name in inputs for part in self.maps[name])
        elif operator == "Gather" and attributes.get("axis", 0) == 1:
            view = self.maps[inputs[0]]
            self.maps[output] = tuple(view[i] for i in self.constants[inputs[1]])
        elif operator == "DepthToSpace":
            self._shuffle(inputs[0], output, attributes)
        elif operator in _ACTIVATIONS or operator in _ELEMENTWISE:
            self._elementwise(operator, inputs, output, attributes)
        else:
            raise Unsupported(f"{operator} on maps")

    def _vector_step(
        self, operator: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]
    ) -> None:
        level = max((self.vectors.get(name, 0) for name in inputs), default=0)
        if operator != "Split" and operator not in VECTOR_OPERATORS:
            raise Unsupported(f"{operator} on vectors")
        for name in outputs:
            self.vectors[name] = level
        self.steps.append(VectorStep(level, operator, tuple(inputs), tuple(outputs), attributes))

    def _convolution(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        weight = self.constants[inputs[1]]
        k = weight.shape[2]
        view = self.maps[inputs[0]]
        repeat = inputs[0] in self.padded
        around = 0 if repeat else k // 2
        if (
            weight.shape[3] != k
            or k % 2 == 0
            or k > 9
            or list(attributes.get("strides", [1, 1])) != [1, 1]
            or list(attributes.get("dilations", [1, 1])) != [1, 1]
            or list(attributes.get("pads", [0] * 4)) != [around] * 4
        ):
            raise Unsupported(f"a convolution of {weight.shape[2]}x{weight.shape[3]} like this")
        bias = self.constants[inputs[2]] if len(inputs) > 2 else np.zeros(len(weight), np.float32)
        node = Convolution(
            max(part.level for part, _ in view),
            len(weight),
            view,
            weight,
            bias,
            int(attributes.get("group", 1)),
            repeat,
        )
        self._node(node, output)

    def _mean(self, inputs: list[str], output: str) -> None:
        name = inputs[0]
        axes = self.constants[inputs[1]].tolist()
        if sorted(axis % 4 for axis in axes) != [2, 3]:
            raise Unsupported("a mean over other axes than height and width")
        of = self.centred.get(name)
        if of is None:
            view = self.maps[name]
            level = max(part.level for part, _ in view)
            self.means.append(Mean(view, level, output, None))
            self.mean_of[output] = name
            self.vectors[output] = level + 1
            return
        for i, known in enumerate(self.means):
            if self.mean_of[known.mean] == of:
                self.means[i] = Mean(known.source, known.level, known.mean, output)
                self.vectors[output] = known.level + 1

    def _split(self, inputs: list[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        view = self.maps[inputs[0]]
        if attributes.get("axis", 0) != 1:
            raise Unsupported("a split along other axes than the channels")
        if len(inputs) > 1:
            sizes = self.constants[inputs[1]].tolist()
        else:
            sizes = [len(view) // len(outputs)] * len(outputs)
        start = 0
        for name, size in zip(outputs, sizes, strict=True):
            self.maps[name] = view[start : start + size]
            start += size

    def _shuffle(self, name: str, output: str, attributes: dict[str, Any]) -> None:
        if self.scale != 1 or attributes.get("mode", b"DCR") != b"CRD":
            raise Unsupported("a shuffle in the middle")
        self.scale = int(attributes["blocksize"])
        self.maps[output] = self.maps[name]

    def _elementwise(
        self, operator: str, inputs: list[str], output: str, attributes: dict[str, Any]
    ) -> None:
        first = inputs[0]
        if operator == "Sub" and self.mean_of.get(inputs[1]) == first:
            self.centred[output] = first
        if operator == "Mul" and first == inputs[1] and first in self.centred:
            self.centred[output] = self.centred[first]
        if operator in _ACTIVATIONS and self._activated(operator, inputs, output, attributes):
            return
        channels = max(len(self.maps[name]) for name in inputs if name in self.maps)
        if any(len(self.maps.get(name, range(channels))) != channels for name in inputs):
            raise Unsupported("maps of one channel with maps of several")
        level = max(self._level(name) for name in inputs)
        maps: list[View] = []
        vectors: list[str] = []
        parts: list[Any] = [self._operand(name, level, maps, vectors) for name in inputs]
        if operator == "LeakyRelu":
            parts.append(float(attributes.get("alpha", 0.01)))
        node = Arithmetic(level, channels, (operator, *parts), maps, vectors)
        self._node(node, output)

    def _activated(
        self, operator: str, inputs: list[str], output: str, attributes: dict[str, Any]
    ) -> bool:
        """Let the convolution in front do the activation, if nobody else reads it."""
        node = self._only_reader(inputs[0])
        if not isinstance(node, Convolution) or node.activation != "none":
            return False
        if operator == "Relu":
            node.activation = "relu"
        else:
            node.activation = "slope"
            slopes = (
                self.constants[inputs[1]].reshape(-1)
                if operator == "PRelu"
                else np.float32(attributes.get("alpha", 0.01))
            )
            node.slopes = np.broadcast_to(slopes, node.channels).astype(np.float32)
        self.maps[output] = self.maps[inputs[0]]
        return True

    def _level(self, name: str) -> int:
        if name in self.maps:
            return max(node.level for node, _ in self.maps[name])
        return self.vectors.get(name, 0)

    def _operand(self, name: str, level: int, maps: list[View], vectors: list[str]) -> Expression:
        if name not in self.maps:
            return ("vector", _place(vectors, name))
        node = self._only_reader(name)
        # What only this one reads is written out here; where that would keep two maps for a
        # later level instead of their sum, it is not.
        if isinstance(node, Arithmetic) and (len(node.maps) == 1 or node.level == level):
            self.nodes.remove(node)
            maps_there = [_place(maps, known) for known in node.maps]
            vectors_there = [_place(vectors, known) for known in node.vectors]
            return _renumbered(node.tree, maps_there, vectors_there)
        return ("map", _place(maps, self.maps[name]))

    def _only_reader(self, name: str) -> Node | None:
        """Return the node that makes a map, whole, for one reader."""
        view = self.maps[name]
        node = view[0][0]
        whole = view == _whole(node)
        return node if whole and self.uses[name] == 1 else None

    def _node(self, node: Node, output: str) -> None:
        self.nodes.append(node)
        self.maps[output] = _whole(node)


def _whole(node: Node) -> View:
    return tuple((node, channel) for channel in range(node.channels))


def _place(known: list[Any], item: Any) -> int:
    if item not in known:
        known.append(item)
    return known.index(item)


def _renumbered(tree: Expression, maps: list[int], vectors: list[int]) -> Expression:
    if tree[0] == "map":
        return ("map", maps[tree[1]])
    if tree[0] == "vector":
        return ("vector", vectors[tree[1]])
    parts = (_renumbered(p, maps, vectors) if isinstance(p, tuple) else p for p in tree[1:])
    return (tree[0], *parts)


def sources(node: Node) -> list[View]:
    """Return the views that a node reads."""
    if isinstance(node, Arithmetic):
        return node.maps
    if isinstance(node, (Convolution, Pack)):
        return [node.source]
    return []


def _keep_needed(graph: Graph) -> None:
    """Drop what nobody reads: the squares behind variances, that is."""
    needed = {node for node, _ in graph.output}
    needed |= {node for mean in graph.means for node, _ in mean.source}
    for node in reversed(graph.nodes):
        if node in needed:
            needed |= {part for view in sources(node) for part, _ in view}
    graph.nodes = [node for node in graph.nodes if node in needed]


def _convolved(v: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    product = weight.reshape(len(weight), -1) @ v
    return product if bias is None else product + bias


VECTOR_OPERATORS: dict[str, Any] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Sqrt": np.sqrt,
    "Reciprocal": lambda v: np.float32(1) / v,
    "Relu": lambda v: np.maximum(v, np.float32(0)),
    "Sigmoid": lambda v: np.float32(1) / (np.float32(1) + np.exp(-v)),
    "Conv": _convolved,
    "Concat": lambda *parts: np.concatenate(parts),
    "Gather": lambda v, order: v[order],
    "Identity": lambda v: v,
}
"""Arithmetic on vectors."""


def run_vector_step(step: VectorStep, values: dict[str, Floats]) -> None:
    """Do one operation, from and into `values`."""
    inputs = [values[name] for name in step.inputs if name in values]
    if step.operator == "Split":
        results = np.split(inputs[0], len(step.outputs))
    else:
        results = [VECTOR_OPERATORS[step.operator](*inputs)]
    values.update(zip(step.outputs, results, strict=True))


def pack_convolutions(graph: Graph, chosen: Callable[[Convolution], bool]) -> None:
    """Let the chosen convolutions read bfloat16, each map packed once for a level."""
    packs: dict[tuple[int, View], Pack] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Convolution) and chosen(node):
            per_group = len(node.source) // node.groups
            if per_group % 2 and node.groups > 1:
                nodes.append(node)
                continue
            # What makes an odd count even is multiplied by zero.
            view = node.source + node.source[:1] * (per_group % 2)
            pack = packs.get((node.level, view))
            if pack is None:
                pack = packs[node.level, view] = Pack(node.level, len(view) // 2, view)
                nodes.append(pack)
            node.source, node.packed = _whole(pack), True
        nodes.append(node)
    graph.nodes = nodes
