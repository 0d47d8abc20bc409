"""From an ONNX graph to the fused backend's own: what can be joined is joined on the way.

A shuffle to larger maps is put off as long as what follows can be done before it as well (sums,
products, 1x1 convolutions), and transposed convolutions become convolutions and a shuffle, so that
most of the work is done on maps of the picture's size.
"""

# onnx is typed only in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from lightsr.engine.backends.fused.arithmetic import OPERATORS
from lightsr.engine.backends.fused.draft import Draft, Map, Operation
from lightsr.engine.backends.fused.graph import (
    Graph,
    Input,
    Node,
    Shuffle,
    UnsupportedError,
    ready,
    sources,
)
from lightsr.engine.backends.fused.read_arithmetic import read_arithmetic
from lightsr.engine.backends.fused.read_convolutions import (
    read_convolution,
    read_padding,
    read_transposed,
)
from lightsr.engine.backends.fused.read_vectors import read_mean, read_vector_step


def read_graph(path: Path) -> Graph:
    """Read the graph in `path`. Raises `UnsupportedError` naming what this backend does not do."""
    try:
        return _read(onnx.load(str(path)).graph)
    except (LookupError, ValueError, TypeError) as error:
        raise UnsupportedError(f"{path} is built in another way: {error}") from error


def _read(source: Any) -> Graph:
    operations = [_operation(node) for node in source.node if node.op_type != "Constant"]
    wanted = source.output[0].name
    uses = Counter(name for operation in operations for name in operation.inputs)
    uses[wanted] += 1
    draft = Draft(_constants(source), uses)
    picture = Input(0, 1, 3)
    draft.add(picture, source.input[0].name)
    for operation in operations:
        if any(name in draft.maps for name in operation.inputs):
            reader = _READERS.get(operation.kind)
            if reader is None:
                raise UnsupportedError(f"{operation.kind} on maps")
            reader(draft, operation)
        else:
            read_vector_step(draft, operation)
    last = draft.plain(wanted)
    if last.channels != 3:
        raise UnsupportedError(f"a result of {last.channels} channels")
    result = Shuffle(ready(last.view), last.size, last.channels, last.view, last.block)
    draft.nodes.append(result)
    graph = Graph(picture, draft.nodes, draft.means, draft.steps, draft.numbers, result)
    _keep_needed(graph)
    return graph


def _operation(node: Any) -> Operation:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return Operation(node.op_type, list(node.input), list(node.output), attributes)


def _constants(source: Any) -> dict[str, Any]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.initializer}
    for node in source.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _read_identity(draft: Draft, operation: Operation) -> None:
    draft.maps[operation.output] = draft.maps[operation.inputs[0]]


def _read_split(draft: Draft, operation: Operation) -> None:
    found = draft.plain(operation.inputs[0])
    if operation.attributes.get("axis", 0) != 1:
        raise UnsupportedError("a split along other axes than the channels")
    if len(operation.inputs) > 1:
        sizes = draft.constants[operation.inputs[1]].tolist()
    else:
        sizes = [found.channels // len(operation.outputs)] * len(operation.outputs)
    start = 0
    for name, size in zip(operation.outputs, sizes, strict=True):
        draft.maps[name] = found.picked(list(range(start, start + size)))
        start += size


def _read_concatenation(draft: Draft, operation: Operation) -> None:
    if operation.attributes["axis"] != 1:
        raise UnsupportedError("maps joined along other axes than the channels")
    parts = draft.alike(operation.inputs)
    view = tuple(channel for part in parts for channel in part.view)
    draft.maps[operation.output] = Map(view, parts[0].block)


def _read_gathering(draft: Draft, operation: Operation) -> None:
    if operation.attributes.get("axis", 0) != 1:
        raise UnsupportedError("a choice along other axes than the channels")
    order = draft.constants[operation.inputs[1]].tolist()
    draft.maps[operation.output] = draft.plain(operation.inputs[0]).picked(order)


def _read_shuffle(draft: Draft, operation: Operation) -> None:
    if operation.attributes.get("mode") != b"CRD":
        raise UnsupportedError("a shuffle of blocks in another order")
    view = draft.full(operation.inputs[0]).view
    draft.maps[operation.output] = Map(view, int(operation.attributes["blocksize"]))


_READERS: Mapping[str, Callable[[Draft, Operation], None]] = {
    "Identity": _read_identity,
    "Conv": read_convolution,
    "ConvTranspose": read_transposed,
    "Pad": read_padding,
    "ReduceMean": read_mean,
    "Split": _read_split,
    "Concat": _read_concatenation,
    "Gather": _read_gathering,
    "DepthToSpace": _read_shuffle,
    **dict.fromkeys(OPERATORS, read_arithmetic),
}
"""What reads each operator on maps."""


def _keep_needed(graph: Graph) -> None:
    """Drop what nobody reads: the squares behind variances, that is."""
    needed: set[Node] = {graph.picture, graph.result}
    needed |= {node for mean in graph.means for node, _ in mean.source}
    for node in reversed(graph.nodes):
        if node in needed:
            needed |= {part for view in sources(node) for part, _ in view}
    graph.nodes = [node for node in graph.nodes if node in needed]
