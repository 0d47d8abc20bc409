"""From an ONNX graph to the fused backend's own: what can be joined is joined on the way.

A shuffle to larger maps is put off as long as what follows can be done before it as well (sums,
products, 1x1 convolutions), and transposed convolutions become convolutions and a shuffle, so that
most of the work is done on maps of the picture's size.
"""

# onnx is typed only in part.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from lightsr.engine.backends.fused.graph import (
    VECTOR_OPERATORS,
    Arithmetic,
    Convolution,
    Expression,
    Floats,
    Graph,
    Input,
    Mean,
    Node,
    Shuffle,
    UnsupportedError,
    VectorStep,
    View,
    ready,
    sources,
    whole,
)

_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Sigmoid", "Sqrt", "Reciprocal")
_ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu")
_WIDEST = 9
"""Columns of a convolution: half of them must fit a row's margin."""
_INSIDE = (0, 0, 0, 0)


def read_graph(path: Path) -> Graph:
    """Read the graph in `path`. Raises `UnsupportedError` naming what this backend does not do."""
    try:
        return _Reader(onnx.load(str(path)).graph).read()
    except (LookupError, ValueError, TypeError) as error:
        raise UnsupportedError(f"{path} is built in another way: {error}") from error


@dataclass(frozen=True, slots=True)
class _Map:
    """A value of the ONNX graph that is a map."""

    view: View
    block: int = 1
    """Its channels have still to be shuffled to maps this many times as high and wide."""
    pads: tuple[int, ...] = _INSIDE
    """Edge repeated above, left, below, right."""
    excess: int = 0
    """Rows below and columns on the right that are there too many."""

    @property
    def channels(self) -> int:
        return len(self.view) // self.block**2

    @property
    def size(self) -> int:
        return self.view[0][0].size * self.block

    def picked(self, channels: list[int]) -> _Map:
        """Return some channels."""
        each = self.block**2
        parts = (self.view[c * each : (c + 1) * each] for c in channels)
        return replace(self, view=tuple(part for some in parts for part in some))


@dataclass(slots=True)
class _Reader:
    source: Any
    maps: dict[str, _Map] = field(default_factory=dict[str, _Map])
    vectors: dict[str, int] = field(default_factory=dict[str, int])
    """Level of each vector."""
    constants: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    numbers: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    """The constants that are needed when pictures are enlarged, in the shape for that."""
    nodes: list[Node] = field(default_factory=list[Node])
    means: list[Mean] = field(default_factory=list[Mean])
    steps: list[VectorStep] = field(default_factory=list[VectorStep])
    centred: dict[str, str] = field(default_factory=dict[str, str])
    """Names of a map less its mean, and of the square of that, to the map's name."""
    mean_of: dict[str, str] = field(default_factory=dict[str, str])
    uses: Counter[str] = field(default_factory=Counter[str])
    shuffled: dict[tuple[View, int], View] = field(
        default_factory=dict[tuple[View, int], View],
    )

    def read(self) -> Graph:
        for tensor in self.source.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor)
        for node in self.source.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            self.uses.update(node.input)
        wanted = self.source.output[0].name
        self.uses[wanted] += 1
        picture = Input(0, 1, 3)
        self.nodes.append(picture)
        self.maps[self.source.input[0].name] = _Map(whole(picture))
        for node in self.source.node:
            if node.op_type != "Constant":
                self._add(node)
        last = self._plain(wanted)
        result = Shuffle(ready(last.view), last.size, last.channels, last.view, last.block)
        self.nodes.append(result)
        if last.channels != 3:
            raise UnsupportedError(f"a result of {last.channels} channels")
        graph = Graph(picture, self.nodes, self.means, self.steps, self.numbers, result)
        _keep_needed(graph)
        return graph

    def _add(self, node: Any) -> None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        operator, inputs, output = node.op_type, list(node.input), node.output[0]
        if not any(name in self.maps for name in inputs):
            self._vector_step(operator, inputs, list(node.output), attributes)
        elif operator == "Identity":
            self.maps[output] = self.maps[inputs[0]]
        elif operator == "Conv":
            self._convolution(inputs, output, attributes)
        elif operator == "ConvTranspose":
            self._transposed(inputs, output, attributes)
        elif operator == "Pad":
            self._pad(inputs, output, attributes)
        elif operator == "ReduceMean":
            self._mean(inputs, output, attributes)
        elif operator == "Split":
            self._split(inputs, list(node.output), attributes)
        elif operator == "Concat" and attributes["axis"] == 1:
            parts = self._alike(inputs)
            view = tuple(channel for part in parts for channel in part.view)
            self.maps[output] = _Map(view, parts[0].block)
        elif operator == "Gather" and attributes.get("axis", 0) == 1:
            order = self.constants[inputs[1]].tolist()
            self.maps[output] = self._plain(inputs[0]).picked(order)
        elif operator == "DepthToSpace" and attributes.get("mode") == b"CRD":
            self.maps[output] = _Map(self._full(inputs[0]).view, int(attributes["blocksize"]))
        elif operator in _ACTIVATIONS or operator in _ELEMENTWISE:
            self._elementwise(operator, inputs, output, attributes)
        else:
            raise UnsupportedError(f"{operator} on maps")

    def _plain(self, name: str) -> _Map:
        """Return a map that nothing was put around."""
        found = self.maps[name]
        if found.pads != _INSIDE or found.excess:
            raise UnsupportedError("padding for other things than a convolution")
        return found

    def _full(self, name: str) -> _Map:
        """Return a map with its shuffle, if there is one, done."""
        found = self.maps[name]
        if found.block == 1:
            return found
        key = (found.view, found.block)
        view = self.shuffled.get(key)
        if view is None:
            made = Shuffle(ready(found.view), found.size, found.channels, *key)
            self.nodes.append(made)
            view = self.shuffled[key] = whole(made)
        return replace(found, view=view, block=1)

    def _alike(self, names: list[str]) -> list[_Map]:
        """Return maps of the same size, all shuffled or none."""
        found = [self._plain(name) for name in names]
        if len({part.block for part in found}) > 1:
            found = [self._full(name) for name in names]
        if len({part.size for part in found}) > 1:
            raise UnsupportedError("maps of different sizes together")
        return found

    def _vector_step(
        self, operator: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]
    ) -> None:
        level = max((self.vectors.get(name, 0) for name in inputs), default=0)
        kernels = attributes.get("kernel_shape", [1, 1])
        if (operator != "Split" and operator not in VECTOR_OPERATORS) or list(kernels) != [1, 1]:
            raise UnsupportedError(f"{operator} on vectors")
        if attributes.get("group", 1) != 1 or attributes.get("axis", 1) != 1:
            raise UnsupportedError(f"{operator} on vectors like this")
        if operator == "Split" and len(inputs) > 1:
            raise UnsupportedError("a split of vectors into unequal parts")
        for place, name in enumerate(inputs):
            if name in self.constants:
                value = self.constants[name]
                matrix = operator == "Conv" and place == 1
                self.numbers[name] = value.reshape(len(value), -1) if matrix else _flat(value)
        for name in outputs:
            self.vectors[name] = level
        self.steps.append(VectorStep(level, operator, tuple(inputs), tuple(outputs)))

    def _convolution(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        weight = self.constants[inputs[1]]
        bias = self._bias(inputs, len(weight))
        high, wide = weight.shape[2:]
        found = self.maps[inputs[0]]
        around = (high // 2, wide // 2, high // 2, wide // 2)
        pads = tuple(attributes.get("pads", _INSIDE))
        repeat = pads == _INSIDE and found.pads == around
        if (
            not high % 2 == wide % 2 == 1
            or max(high, wide) > _WIDEST
            or found.excess
            or not (repeat or (pads == around and found.pads == _INSIDE))
            or any(n != 1 for name in ("strides", "dilations") for n in attributes.get(name, ()))
        ):
            raise UnsupportedError(f"a convolution of {high}x{wide} like this")
        groups = int(attributes.get("group", 1))
        if found.block > 1 and (high, wide, groups) == (1, 1, 1):
            self._before_shuffle(found, output, weight, bias)
            return
        found = self._full(inputs[0])
        repeat = repeat and (high, wide) != (1, 1)
        level, size = ready(found.view), found.size
        node = Convolution(level, size, len(weight), found.view, weight, bias, groups, repeat)
        self._node(node, output)

    def _bias(self, inputs: list[str], channels: int) -> Floats:
        return self.constants[inputs[2]] if len(inputs) > 2 else np.zeros(channels, np.float32)

    def _before_shuffle(self, found: _Map, output: str, weight: Floats, bias: Floats) -> None:
        """Let a 1x1 convolution work on each place of a block, in a group of its own."""
        places = found.block**2
        view = tuple(part for place in range(places) for part in found.view[place::places])
        node = Convolution(
            ready(view),
            view[0][0].size,
            places * len(weight),
            view,
            np.tile(weight, (places, 1, 1, 1)),
            np.tile(bias, places),
            places,
        )
        self.nodes.append(node)
        made = whole(node)
        ordered = tuple(
            part for channel in range(len(weight)) for part in made[channel :: len(weight)]
        )
        self.maps[output] = _Map(ordered, found.block)

    def _transposed(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        weight = self.constants[inputs[1]]
        found = self._full(inputs[0])
        side, stride = weight.shape[2], attributes["strides"][0]
        pad, more = attributes.get("pads", _INSIDE)[0], attributes.get("output_padding", (0, 0))[0]
        excess = side - stride - 2 * pad + more
        odd = (
            weight.shape[3] != side
            or found.pads != _INSIDE
            or excess not in (0, 1)
            or attributes.get("group", 1) != 1
            or any(n != stride for n in attributes["strides"])
            or any(n != pad for n in attributes.get("pads", _INSIDE))
            or any(n != more for n in attributes.get("output_padding", (0, 0)))
            or any(n != 1 for n in attributes.get("dilations", ()))
        )
        if odd or stride < 2:
            raise UnsupportedError(f"a transposed convolution of {side}x{side} like this")
        spread = _in_places(weight, stride, pad)
        bias = np.repeat(self._bias(inputs, weight.shape[1]), stride**2)
        node = Convolution(ready(found.view), found.size, len(spread), found.view, spread, bias)
        self._node(node, output)
        self.maps[output] = _Map(whole(node), stride, excess=excess)

    def _pad(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        found = self.maps[inputs[0]]
        sides = self.constants[inputs[1]].tolist()
        pads = (*sides[2:4], *sides[6:8])
        if len(sides) != 8 or any(sides[:2] + sides[4:6]):
            raise UnsupportedError("padding of channels")
        if found.excess and pads == (0, 0, -found.excess, -found.excess):
            self.maps[output] = replace(found, excess=0)
        elif found.pads != _INSIDE or found.excess or min(pads) < 0:
            raise UnsupportedError("padding like this")
        elif any(pads) and attributes.get("mode") != b"edge":
            raise UnsupportedError(f"padding of mode {attributes.get('mode')}")
        else:
            self.maps[output] = replace(found, pads=pads)

    def _mean(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        name = inputs[0]
        axes = self.constants[inputs[1]].tolist() if len(inputs) > 1 else attributes["axes"]
        if sorted(axis % 4 for axis in axes) != [2, 3] or not attributes.get("keepdims", 1):
            raise UnsupportedError("a mean over other axes than height and width")
        of = self.centred.get(name)
        if of is None:
            self._plain(name)
            view = self._full(name).view
            self.means.append(Mean(view, ready(view), output, None))
            self.mean_of[output] = name
            self.vectors[output] = ready(view) + 1
            return
        for i, known in enumerate(self.means):
            if self.mean_of[known.mean] == of:
                self.means[i] = replace(known, variance=output)
                self.vectors[output] = known.level + 1

    def _split(self, inputs: list[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        found = self._plain(inputs[0])
        if attributes.get("axis", 0) != 1:
            raise UnsupportedError("a split along other axes than the channels")
        if len(inputs) > 1:
            sizes = self.constants[inputs[1]].tolist()
        else:
            sizes = [found.channels // len(outputs)] * len(outputs)
        start = 0
        for name, size in zip(outputs, sizes, strict=True):
            self.maps[name] = found.picked(list(range(start, start + size)))
            start += size

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
        names = [name for name in inputs if name in self.maps]
        if any(name in self.vectors for name in inputs):
            for name in names:
                self.maps[name] = self._full(name)
        found = dict(zip(names, self._alike(names), strict=True))
        channels = max(part.channels for part in found.values())
        for name, part in found.items():
            if part.channels not in (1, channels):
                raise UnsupportedError("maps of different channels together")
            if part.channels < channels:
                found[name] = part.picked([0] * channels)
        block = found[names[0]].block
        level = max(
            *(ready(part.view) for part in found.values()),
            *(self.vectors.get(name, 0) for name in inputs),
        )
        maps: list[View] = []
        vectors: list[str] = []
        parts: list[Any] = []
        for name in inputs:
            if name in found:
                parts.append(self._operand(name, found[name], level, maps, vectors))
            else:
                parts.append(("vector", _place(vectors, self._vector(name, block))))
        if operator == "LeakyRelu":
            parts.append(float(attributes.get("alpha", 0.01)))
        size, count = found[names[0]].view[0][0].size, channels * block**2
        node = Arithmetic(level, size, count, (operator, *parts), maps, vectors)
        self._node(node, output)
        self.maps[output] = _Map(whole(node), block)

    def _activated(
        self, operator: str, inputs: list[str], output: str, attributes: dict[str, Any]
    ) -> bool:
        """Let the convolution in front do the activation, if nobody else reads it."""
        found = self._plain(inputs[0])
        node = self._only_reader(inputs[0], found)
        if not isinstance(node, Convolution) or node.activation != "none":
            return False
        if operator == "Relu":
            node.activation = "relu"
        else:
            if operator == "PRelu":
                slopes = _in_blocks(self.constants[inputs[1]], found.block)
            else:
                slopes = np.float32(attributes.get("alpha", 0.01))
            node.activation = "slope"
            node.slopes = np.broadcast_to(slopes, node.channels).astype(np.float32)
        self.maps[output] = found
        return True

    def _vector(self, name: str, block: int) -> str:
        """Return the name of a vector with a number for each channel before the shuffle."""
        if name not in self.constants:
            return name
        value = _in_blocks(self.constants[name], block)
        name = f"{name} in blocks of {block}"
        self.numbers[name] = value
        return name

    def _operand(
        self, name: str, found: _Map, level: int, maps: list[View], vectors: list[str]
    ) -> Expression:
        node = self._only_reader(name, found)
        # What only this one reads is written out here; where that would keep two maps for a
        # later level instead of their sum, it is not.
        if isinstance(node, Arithmetic) and (len(node.maps) == 1 or node.level == level):
            self.nodes.remove(node)
            maps_there = [_place(maps, known) for known in node.maps]
            vectors_there = [_place(vectors, known) for known in node.vectors]
            return _renumbered(node.tree, maps_there, vectors_there)
        return ("map", _place(maps, found.view))

    def _only_reader(self, name: str, found: _Map) -> Node | None:
        """Return the node that makes a map, whole, for one reader."""
        node = found.view[0][0]
        return node if found.view == whole(node) and self.uses[name] == 1 else None

    def _node(self, node: Node, output: str) -> None:
        self.nodes.append(node)
        self.maps[output] = _Map(whole(node))


def _flat(value: NDArray[Any]) -> NDArray[Any]:
    """Return a constant, a number per channel or one for all, as a vector."""
    return value.reshape(-1)


def _in_blocks(value: NDArray[Any], block: int) -> NDArray[Any]:
    """Return a vector for maps before their shuffle."""
    flat = _flat(value)
    return np.repeat(flat, block**2) if flat.size > 1 else flat


def _in_places(weight: Floats, stride: int, pad: int) -> Floats:
    """Return the convolution that makes every place of a block as a transposed one does.

    `weight` is [inputs, outputs, k, k]; the result [outputs * stride^2, inputs, odd, odd]. The
    sample at stride * y + i gets, from the input at y + d, weight i + pad - stride * d.
    """
    inputs, outputs, side, _ = weight.shape
    reach = max((stride - 1 + pad) // stride, (side - 1 - pad) // stride)
    width = 2 * reach + 1
    spread = np.zeros((outputs, stride, stride, inputs, width, width), np.float32)
    taps = [
        (i, d + reach, i + pad - stride * d)
        for i in range(stride)
        for d in range(-reach, reach + 1)
        if 0 <= i + pad - stride * d < side
    ]
    for i, row, from_row in taps:
        for j, column, from_column in taps:
            spread[:, i, j, :, row, column] = weight[:, :, from_row, from_column].T
    return spread.reshape(outputs * stride**2, inputs, width, width)


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


def _keep_needed(graph: Graph) -> None:
    """Drop what nobody reads: the squares behind variances, that is."""
    needed: set[Node] = {graph.picture, graph.result}
    needed |= {node for mean in graph.means for node, _ in mean.source}
    for node in reversed(graph.nodes):
        if node in needed:
            needed |= {part for view in sources(node) for part, _ in view}
    graph.nodes = [node for node in graph.nodes if node in needed]
