"""The IDN authors' checkpoints: Caffe's (Zheng222/IDN-Caffe) and TensorFlow's (IDN-tensorflow).

Caffe's layers lie as torch's do. Its files hold the network for luma; a network trained like it on
three channels is told by its first layer. TensorFlow's version is the one that ends in sub-pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lightsr.weights.families import Family, Found, Shapes, from_hwio, rename
from lightsr.weights.files import Tensors
from lightsr.weights.tensorflow import weights_alone

_INSIDE = {"enhancement": 1, "further": 4}
"""The number of a block's first layer in each of its two parts."""


def caffe_name(ours: str) -> str:
    """Return the name in the authors' Caffe models for one of our tensors."""
    layer, _, kind = ours.removeprefix("body.").rpartition(".")
    name = re.sub(r"features\.(\d)", lambda m: f"conv{int(m[1]) + 1}", layer)
    name = re.sub(
        r"blocks\.(\d)\.(enhancement|further)\.(\d)",
        lambda m: f"conv{int(m[1]) + 3}_{_INSIDE[m[2]] + int(m[3])}",
        name,
    )
    name = re.sub(r"blocks\.(\d)\.compression", lambda m: f"down{int(m[1]) + 1}", name)
    return f"{'upsample' if name == 'head.deconvolution' else name}.{kind}"


def _recognise_caffe(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    first = tensors.get("conv1.weight")
    if first is None or not {"conv3_1.weight", "down1.weight", "upsample.weight"} <= tensors.keys():
        return None
    # Their files for every scale are alike.
    return Found("idn-rgb" if first.shape[1:2] == (3,) else "idn", None)


def _convert_caffe(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    return rename(tensors, expected, path, caffe_name)


CAFFE = Family("the IDN authors'", ("idn", "idn-rgb"), _recognise_caffe, _convert_caffe)


def tensorflow_name(ours: str, scale: int) -> str:
    """Return the name in the authors' TensorFlow checkpoints for one of our tensors.

    Slashes are full stops here, as `weights_alone` makes them.
    """
    layer, _, kind = ours.rpartition(".")
    grouped = layer.endswith(("enhancement.1", "further.1"))
    kinds = {"weight": "W", "bias": "b"} if grouped else {"weight": "kernel", "bias": "bias"}
    name = re.sub(r"features\.(\d)", lambda m: f"conv{int(m[1]) + 1}", layer)
    name = name.replace("blocks.", "distill.").replace("compression", "conv7")
    name = re.sub(
        r"(enhancement|further)\.(\d)", lambda m: f"conv{_INSIDE[m[1]] + int(m[2])}", name
    )
    name = {"head.0": f"{scale}.conv2d", "head.1": f"{scale}.conv2d_1"}.get(name, name)
    return f"IDN.{name}.{kinds[kind]}"


def _recognise_tensorflow(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    names = {name.replace("/", ".") for name in tensors}
    if not {"IDN.conv1.kernel", "IDN.distill.0.conv1.kernel"} <= names:
        return None
    scales = [scale for scale in (2, 3, 4) if f"IDN.{scale}.conv2d.kernel" in names]
    return Found("idn-tf", scales[0] if len(scales) == 1 else None)


def _convert_tensorflow(
    tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path
) -> Tensors:
    outputs = expected["head.1.bias"][0]
    scale = round((outputs / 3) ** 0.5)

    def their_name(ours: str) -> str:
        return tensorflow_name(ours, scale)

    return from_hwio(weights_alone(tensors), expected, path, their_name)


TENSORFLOW = Family("the IDN authors'", ("idn-tf",), _recognise_tensorflow, _convert_tensorflow)

FAMILIES = (CAFFE, TENSORFLOW)
