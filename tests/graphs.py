"""Tiny ONNX graphs that keep the backends' contract, so that tests of the engine stay fast.

They call themselves by a real network's name, since that is where its properties are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Graph = Callable[..., Path]


def write_graph(
    path: Path,
    scale: int = 4,
    *,
    kind: str = "local",
    network: str | None = "fdiwn",
    at: int | None = None,
    outputs: Sequence[str] = ("sr",),
) -> Path:
    """Write a graph that enlarges by `scale`, and says `network` and `at` in its metadata.

    "local": 3x3 convolution and a shuffle. "nearest": samples repeated. "global": "local" times a
    factor that depends on the mean of the whole picture. "nan": all NaN where a picture has more
    than seven rows. "nan weights": always.
    """
    kernel = _kernel(scale, kind)
    nodes = [
        helper.make_node("Conv", ["lr", "kernel"], ["spread"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["spread"], ["local"], blocksize=scale, mode="CRD"),
    ]
    constants: dict[str, NDArray[Any]] = {"kernel": kernel}
    if kind == "global":
        constants |= {"tenth": np.array([0.1], np.float32), "most": np.array([0.9], np.float32)}
        nodes += [
            helper.make_node("ReduceMean", ["lr"], ["mean"], axes=[2, 3], keepdims=1),
            helper.make_node("Mul", ["mean", "tenth"], ["part"]),
            helper.make_node("Add", ["part", "most"], ["factor"]),
            helper.make_node("Mul", ["local", "factor"], ["sr"]),
        ]
    elif kind == "nan":
        # The root of a negative number, made from the rows that only larger pictures have.
        constants |= {"minus": np.array([-1], np.float32), "axis": np.array([2], np.int64)}
        constants |= {"from": np.array([7], np.int64), "to": np.array([1 << 30], np.int64)}
        nodes += [
            helper.make_node("Slice", ["lr", "from", "to", "axis"], ["rest"]),
            helper.make_node("ReduceSum", ["rest"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "minus"], ["negative"]),
            helper.make_node("Sqrt", ["negative"], ["bad"]),
            helper.make_node("Add", ["local", "bad"], ["sr"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["local"], ["sr"]))
    free: list[Any] = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if network is not None:
        properties = {"lightsr.network": network, "lightsr.scale": str(at or scale)}
        helper.set_model_props(model, properties)
    onnx.save(model, str(path))
    return path


def _kernel(scale: int, kind: str) -> NDArray[np.float32]:
    """Return [3 * scale^2, 3, 3, 3]: per output sample, weights around the input sample."""
    kernel = np.zeros((3 * scale * scale, 3, 3, 3), np.float32)
    if kind == "nan weights":
        kernel[0] = np.nan
    if kind == "nearest":
        for colour in range(3):
            kernel[colour * scale * scale : (colour + 1) * scale * scale, colour, 1, 1] = 1
        return kernel
    random = np.random.default_rng(0)
    weights = random.random((scale * scale, 3, 3)).astype(np.float32)
    weights /= weights.sum((1, 2), keepdims=True)
    for colour in range(3):
        kernel[colour * scale * scale : (colour + 1) * scale * scale, colour] = weights
    return kernel
