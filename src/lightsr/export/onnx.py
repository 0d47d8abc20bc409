"""ONNX graphs of networks in their deploy form: "lr" [n, 3, h, w] -> "sr" [n, 3, s * h, s * w].

Both are float32 RGB in [0, 1], `sr` not clipped; n, h and w are free. The graph is written from a
trace of the network, operator by operator, each lowered to the ONNX operators that run fastest on
ONNX Runtime: torch's own exporter needs minutes for FDIWN and leaves five times as many nodes.
`export_onnx` checks every graph that it writes against the network.
"""

# onnx and onnxruntime are annotated in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.nn import functional as F

from lightsr.errors import LightsrError
from lightsr.networks.layers import (
    ONE_STEP,
    crop_to_multiple,
    extend_to,
    mirror,
    resize_bilinear,
    resize_nearest,
    spatial_statistics,
)
from lightsr.weights.files import write_whole

OPSET = 18
TOLERANCE = 1e-4
"""Largest difference from the network that an exported graph may show, relative to its range."""


def export_onnx(network: nn.Module, path: Path, *, name: str, scale: int) -> None:
    """Write the graph of `network.deploy()` to `path`, whole or not at all.

    `name` and `scale` are written into the file's metadata, as "lightsr.network" and
    "lightsr.scale". Raises `LightsrError` if the network holds an operator that this exporter
    does not know, or if the graph computes something else than the network does.
    """
    deploy = cast("Callable[[], nn.Module]", getattr(network, "deploy", lambda: network))
    deployed = deploy().float().cpu().eval()
    model = onnx_model(deployed, name=name, scale=scale)
    content = model.SerializeToString()
    _check(content, deployed, path)
    write_whole(path, content)


def onnx_model(network: nn.Module, *, name: str, scale: int) -> onnx.ModelProto:
    """Return the ONNX model of a network that torch.fx can trace."""
    tracer = fx.Tracer(autowrap_functions=ONE_STEP)
    traced = fx.GraphModule(network, tracer.trace(network))
    graph = _Lowering(traced).graph(name)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lightsr"
    )
    # The oldest format that holds this opset, for the sake of older runtimes.
    model.ir_version = 8
    helper.set_model_props(model, {"lightsr.network": name, "lightsr.scale": str(scale)})
    onnx.checker.check_model(model)
    return model


def _check(content: bytes, network: nn.Module, path: Path) -> None:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    # A size that was not traced, not square, with a batch: what a fixed shape would get wrong.
    lr = torch.rand((2, 3, 13, 18), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = network(lr).numpy()
    got = cast("list[NDArray[np.float32]]", session.run(["sr"], {"lr": lr.numpy()}))[0]
    error = float(np.abs(got - wanted).max() / np.abs(wanted).max())
    if not error <= TOLERANCE:
        raise LightsrError(f"{path}: not written: the ONNX graph differs from torch by {error:.2g}")


class _Lowering:
    """Turns a traced network into an ONNX graph, node by node in order."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.values: dict[fx.Node, Any] = {}
        self.count = 0

    def graph(self, name: str) -> onnx.GraphProto:
        for node in self.traced.graph.nodes:
            self.values[node] = self.lower(node)
        return helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "sh", "sw"])],
            list(self.constants.values()),
        )

    def lower(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return "lr"
        if node.op == "get_attr":
            return self.parameter(str(node.target))
        arguments = [self.resolve(argument) for argument in node.args]
        if node.op == "output":
            return self.emit("Identity", arguments[0], output="sr")
        if node.op == "call_module":
            return self.module(self.traced.get_submodule(str(node.target)), node, arguments)
        lowered = _OPERATORS.get(node.target)
        if lowered is None:
            raise LightsrError(f"the ONNX exporter does not know the operator {node.target}")
        return lowered(self, arguments, dict(node.kwargs))

    def resolve(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, tuple | list):
            return [self.resolve(part) for part in cast("list[Any]", argument)]
        return argument

    def emit(
        self, operator: str, *inputs: Any, output: str | None = None, **attributes: Any
    ) -> str:
        self.count += 1
        output = output or f"t{self.count}"
        names = [self.name(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def name(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        array = np.asarray(value, np.float32) if isinstance(value, float | int) else value
        name = f"c_{value}" if isinstance(value, float | int) else f"c{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def parameter(self, target: str) -> str:
        if target not in self.constants:
            value: Any = operator.attrgetter(target)(self.traced)
            array = cast("Tensor", value).detach().cpu().numpy()
            self.constants[target] = numpy_helper.from_array(array, target)
        return target

    def module(self, module: nn.Module, node: fx.Node, arguments: list[Any]) -> str:
        target = str(node.target)
        if isinstance(module, nn.Conv2d):
            inputs = [arguments[0], self.parameter(f"{target}.weight")]
            if module.bias is not None:
                inputs.append(self.parameter(f"{target}.bias"))
            padding = cast("tuple[int, int]", module.padding)
            if module.padding_mode == "replicate":
                inputs[0] = self.pad(arguments[0], [padding[1]] * 2 + [padding[0]] * 2, "replicate")
                padding = (0, 0)
            return self.emit(
                "Conv",
                *inputs,
                kernel_shape=list(module.kernel_size),
                strides=list(module.stride),
                dilations=list(module.dilation),
                pads=[*padding, *padding],
                group=module.groups,
            )
        if isinstance(module, nn.ConvTranspose2d):
            inputs = [arguments[0], self.parameter(f"{target}.weight")]
            if module.bias is not None:
                inputs.append(self.parameter(f"{target}.bias"))
            padding = cast("tuple[int, int]", module.padding)
            return self.emit(
                "ConvTranspose",
                *inputs,
                kernel_shape=list(module.kernel_size),
                strides=list(module.stride),
                dilations=list(module.dilation),
                pads=[*padding, *padding],
                output_padding=list(module.output_padding),
                group=module.groups,
            )
        if isinstance(module, nn.PReLU) and module.num_parameters == 1:
            return self.emit("PRelu", arguments[0], self.parameter(f"{target}.weight"))
        if isinstance(module, nn.PixelShuffle):
            return self.emit(
                "DepthToSpace", arguments[0], blocksize=module.upscale_factor, mode="CRD"
            )
        if isinstance(module, nn.PReLU) and module.num_parameters > 1:
            slopes = module.weight.detach().cpu().numpy()[:, np.newaxis, np.newaxis]
            return self.emit("PRelu", arguments[0], slopes)
        if isinstance(module, nn.MaxPool2d):
            kernel, stride = (_pair(size) for size in (module.kernel_size, module.stride))
            return self.emit("MaxPool", arguments[0], kernel_shape=kernel, strides=stride)
        raise LightsrError(f"the ONNX exporter does not know the layer {type(module).__name__}")

    def pad(self, x: str, sides: list[int], mode: str, value: float | None = None) -> str:
        """Pad, or cut where `sides` (left, right, top, bottom, as in torch) are negative."""
        known = {"replicate": "edge", "constant": "constant"}
        if mode not in known or value:
            raise LightsrError(f"the ONNX exporter does not know padding of mode {mode}, {value}")
        left, right, top, bottom = sides
        pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        return self.emit("Pad", x, pads, mode=known[mode])

    def statistics(self, x: str) -> tuple[str, str]:
        """Mean, then the mean square of what is left: E[x^2] - mean^2 would lose the digits."""
        axes = np.array([2, 3], np.int64)
        mean = self.emit("ReduceMean", x, axes, keepdims=1)
        centred = self.emit("Sub", x, mean)
        squares = self.emit("Mul", centred, centred)
        return mean, self.emit("ReduceMean", squares, axes, keepdims=1)

    def size(self, x: str) -> str:
        """Height and width of a value, as a value."""
        return self.emit("Shape", x, start=2)

    def extend(self, x: str, least: int) -> str:
        zeros, wanted = np.zeros(6, np.int64), np.array([least] * 2, np.int64)
        missing = self.emit("Sub", self.emit("Max", self.size(x), wanted), self.size(x))
        return self.emit("Pad", x, self.emit("Concat", zeros, missing, axis=0), mode="edge")

    def crop(self, x: str, like: str, scale: int) -> str:
        ends = self.emit("Mul", self.size(like), np.array([scale] * 2, np.int64))
        axes = np.array([2, 3], np.int64)
        return self.emit("Slice", x, np.zeros(2, np.int64), ends, axes)

    def resize(self, x: str, like: str) -> str:
        size = self.emit("Concat", self.emit("Shape", x, end=2), self.size(like), axis=0)
        return self.emit(
            "Resize", x, "", "", size, mode="linear", coordinate_transformation_mode="half_pixel"
        )

    def resize_nearest(self, x: str, like: str) -> str:
        """Gather what torch takes: Resize rounds otherwise, and takes neighbours at some sizes."""
        for axis in (2, 3):
            old, new = self.length(x, axis), self.length(like, axis)
            step = self.emit("Div", self.cast(old, "FLOAT"), self.cast(new, "FLOAT"))
            positions = self.cast(self.emit("Range", _int(0), new, _int(1)), "FLOAT")
            below = self.emit("Floor", self.emit("Mul", positions, step))
            indices = self.emit("Min", self.cast(below, "INT64"), self.emit("Sub", old, _int(1)))
            x = self.emit("Gather", x, indices, axis=axis)
        return x

    def mirror(self, x: str, axis: int, margin: int, *, twice: bool) -> str:
        length = self.length(x, axis)
        period = self.emit("Add", length, length)
        if not twice:
            period = self.emit("Sub", period, _int(2))
        end = self.emit("Add", length, _int(margin))
        indices = self.emit("Mod", self.emit("Range", _int(-margin), end, _int(1)), period)
        turned = self.emit("Sub", self.emit("Sub", period, _int(int(twice))), indices)
        return self.emit("Gather", x, self.emit("Min", indices, turned), axis=axis)

    def length(self, x: str, axis: int) -> str:
        """Length of an axis, as a value without axes."""
        return self.emit("Squeeze", self.emit("Shape", x, start=axis, end=axis + 1))

    def cast(self, x: str, to: str) -> str:
        return self.emit("Cast", x, to=TensorProto.DataType.Value(to))

    def item(self, x: Any, which: Any) -> Any:
        """One of several values, an entry along the first axis, or a part along each axis."""
        if isinstance(which, int):
            if not isinstance(x, str):
                return x[which]
            return self.emit("Gather", x, np.array(which, np.int64), axis=0)
        cuts = [(axis, cut) for axis, cut in enumerate(which) if cut != slice(None)]
        starts, ends, axes = (
            np.array(values, np.int64)
            for values in zip(
                *(
                    (cut.start or 0, _END if cut.stop is None else cut.stop, axis)
                    for axis, cut in cuts
                ),
                strict=True,
            )
        )
        return self.emit("Slice", x, starts, ends, axes)

    def split(self, x: str, parts: int, axis: int) -> list[str]:
        self.count += 1
        outputs = [f"t{self.count}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], outputs, axis=axis, num_outputs=parts))
        return outputs

    def split_sizes(self, x: str, sizes: list[int], axis: int) -> list[str]:
        self.count += 1
        outputs = [f"t{self.count}_{part}" for part in range(len(sizes))]
        inputs = [x, self.name(np.array(sizes, np.int64))]
        self.nodes.append(helper.make_node("Split", inputs, outputs, axis=axis))
        return outputs


_Rule = Callable[[_Lowering, list[Any], dict[str, Any]], Any]
"""How an operator is lowered, from its positional and its keyword arguments."""


def _named(name: str) -> _Rule:
    return lambda lowering, arguments, _: lowering.emit(name, *arguments)


def _int(value: int) -> NDArray[np.int64]:
    return np.array(value, np.int64)


_END = np.iinfo(np.int64).max
"""As the end of a slice: all that follows."""


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


_OPERATORS: dict[Any, _Rule] = {
    operator.add: _named("Add"),
    operator.sub: _named("Sub"),
    operator.mul: _named("Mul"),
    operator.truediv: _named("Div"),
    operator.getitem: lambda g, a, _: g.item(a[0], a[1]),
    torch.sigmoid: _named("Sigmoid"),
    torch.sqrt: _named("Sqrt"),
    torch.rsqrt: lambda g, a, _: g.emit("Reciprocal", g.emit("Sqrt", a[0])),
    F.relu: lambda g, a, _: g.emit("Relu", a[0]),
    F.leaky_relu: lambda g, a, k: g.emit("LeakyRelu", a[0], alpha=k["negative_slope"]),
    # Fixed kernels; what is around them is padded by itself.
    F.conv2d: lambda g, a, k: g.emit(
        "Conv", *a, group=k.get("groups", 1), strides=list(k.get("stride", (1, 1)))
    ),
    F.pad: lambda g, a, k: g.pad(a[0], a[1], **k),
    torch.cat: lambda g, a, _: g.emit("Concat", *a[0], axis=a[1]),
    spatial_statistics: lambda g, a, _: g.statistics(a[0]),
    extend_to: lambda g, a, _: g.extend(a[0], a[1]),
    crop_to_multiple: lambda g, a, _: g.crop(a[0], a[1], a[2]),
    resize_bilinear: lambda g, a, _: g.resize(a[0], a[1]),
    resize_nearest: lambda g, a, _: g.resize_nearest(a[0], a[1]),
    mirror: lambda g, a, k: g.mirror(a[0], a[1], a[2], twice=k["twice"]),
    "mean": lambda g, a, k: g.emit(
        "ReduceMean", a[0], np.array(a[1], np.int64), keepdims=int(k["keepdim"])
    ),
    "chunk": lambda g, a, _: g.split(a[0], a[1], a[2]),
    "split": lambda g, a, _: g.split_sizes(a[0], a[1], a[2]),
    "sum": lambda g, a, _: g.emit("ReduceSum", a[0], keepdims=0),
    "index_select": lambda g, a, _: g.emit("Gather", a[0], a[2], axis=a[1]),
}
