"""The CARN authors' checkpoints (nmhkahn/CARN-pytorch, `carn.pth` and `carn_m.pth`).

One file serves all scales: it holds an upsampler for each, of which a network of ours takes its
own. A file with one upsampler alone, in those names or as the authors' code names a single one
("upsample.up."), is read too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.families import Family, Found, Shapes, rename
from lightsr.weights.files import Tensors

_MEAN = (0.4488, 0.4371, 0.4040)
"""As in the network, whose module needs torch and is not imported here."""
_SHIFTS = {"sub_mean.shifter": -1, "add_mean.shifter": 1}
"""Frozen convolutions that take the mean off and add it; constants in our network."""
_STEP = {"conv1": 0, "conv2": 2, "pointwise": 4}


def official_name(ours: str, scale: int) -> str:
    """Return the authors' name for one of our tensors of the network at `scale`."""
    layer, _, kind = ours.rpartition(".")
    # Blocks, and the steps in them, are both called b1 to b3, and their fusions c1 to c3.
    name = re.sub(r"steps\.(\d)\.?", lambda m: f"b{int(m[1]) + 1}.", layer)
    name = re.sub(r"fusions\.(\d)", lambda m: f"c{int(m[1]) + 1}.body.0", name)
    name = re.sub(r"\.(conv1|conv2|pointwise)$", lambda m: f".body.{_STEP[m[1]]}", name)
    name = re.sub(r"upsampler\.(\d)$", lambda m: f"upsample.up{scale}.body.{3 * int(m[1])}", name)
    return f"{name.removeprefix('cascade.')}.{kind}"


def recognise(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    """Tell a CARN or CARN-M checkpoint; the scale is told where it holds one upsampler alone."""
    if "b1.b1.body.0.weight" not in tensors or "b1.c1.body.0.weight" not in tensors:
        return None
    network = "carn-m" if "b1.b1.body.4.weight" in tensors else "carn"
    scales = {int(m[1]) for m in map(_upsampler, tensors) if m and m[1]}
    if any(m and not m[1] for m in map(_upsampler, tensors)):
        scales.add(_scale_of_single(tensors))
    return Found(network, scales.pop() if len(scales) == 1 else None)


def convert(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    """Return the authors' tensors under our names; strict, but for other scales' upsamplers."""
    scale = _scale_of_ours(expected)
    single = f"upsample.up{_scale_of_single(tensors)}."
    kept: Tensors = {}
    for name, tensor in tensors.items():
        renamed = name.replace("upsample.up.", single) if name.startswith("upsample.up.") else name
        other = _upsampler(renamed)
        if other is None or int(other[1]) == scale:
            kept[renamed] = tensor
    _take_shifts(kept, path)
    return rename(kept, expected, path, lambda ours: official_name(ours, scale))


FAMILY = Family("the CARN authors'", ("carn", "carn-m"), recognise, convert)


def _upsampler(name: str) -> re.Match[str] | None:
    return re.fullmatch(r"upsample\.up([234]?)\.body\.[03]\.(?:weight|bias)", name)


def _scale_of_single(tensors: Mapping[str, NDArray[Any]]) -> int:
    first = tensors.get("upsample.up.body.0.bias")
    if first is not None and first.size == 64 * 9:
        return 3
    return 4 if "upsample.up.body.3.bias" in tensors else 2


def _scale_of_ours(expected: Shapes) -> int:
    if expected["upsampler.0.bias"] == (64 * 9,):
        return 3
    return 4 if "upsampler.1.bias" in expected else 2


def _take_shifts(tensors: Tensors, path: Path) -> None:
    """Take the mean shifts out; `WeightsError` where one shifts by something else."""
    for name, sign in _SHIFTS.items():
        weight, bias = (tensors.pop(f"{name}.{kind}", None) for kind in ("weight", "bias"))
        if weight is None or bias is None:
            raise WeightsError(f"{path} does not fit: {name} is missing")
        identity, mean = np.eye(3)[:, :, None, None], sign * np.array(_MEAN)
        fits = weight.shape == identity.shape and bias.shape == mean.shape
        if not fits or not np.allclose(weight, identity) or not np.allclose(bias, mean):
            raise WeightsError(
                f"{path} does not fit: {name} is not the shift by the mean {_MEAN} that this "
                f"network has"
            )
