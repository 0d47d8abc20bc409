"""Checkpoints of other people's forms of DRCN, VDSR and LapSRN."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.families import Family, Found, Shapes, from_hwio, rename
from lightsr.weights.files import Tensors
from lightsr.weights.tensorflow import weights_alone

_DRCN = {
    "embedding.0.weight": "W-1_conv.conv_W_1",
    "embedding.0.bias": "W-1_conv.conv_B",
    "embedding.1.weight": "W0_conv.conv_W_1",
    "embedding.1.bias": "W0_conv.conv_B",
    "recursion.weight": "W_conv",
    "recursion.bias": "B",
    "reconstruction.0.weight": "WD1_conv_1",
    "reconstruction.0.bias": "BD1",
    "reconstruction.1.weight": "WD2_conv_1",
    "reconstruction.1.bias": "BD2",
    "ensemble": "LayerWeights",
}


def drcn_name(ours: str) -> str:
    """Return the name in J. Yamanaka's checkpoint for one of our tensors."""
    return _DRCN[ours.removeprefix("body.")]


def _recognise_drcn(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    weights = weights_alone(tensors)
    shapes = {name: weights[name].shape for name in ("W_conv", "LayerWeights") if name in weights}
    if shapes != {"W_conv": (3, 3, 96, 96), "LayerWeights": (9,)} or "WD2_conv_1" not in weights:
        return None
    return Found("drcn-f96d9", 2)


def _convert_drcn(tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path) -> Tensors:
    return from_hwio(weights_alone(tensors), expected, path, drcn_name)


DRCN = Family("J. Yamanaka's", ("drcn-f96d9",), _recognise_drcn, _convert_drcn)


def pytorch_vdsr_name(ours: str) -> str:
    """Return the name in twtygqyy/pytorch-vdsr for one of our weights."""
    number = int(ours.split(".")[2])
    inner = {0: "input.weight", 19: "output.weight"}
    return inner.get(number, f"residual_layer.{number - 1}.conv.weight")


def _recognise_pytorch_vdsr(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    known = {"input.weight", "residual_layer.0.conv.weight", "output.weight"} <= tensors.keys()
    # One set of weights for every scale.
    return Found("vdsr", None) if known else None


def _convert_pytorch_vdsr(
    tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path
) -> Tensors:
    weights = {name: shape for name, shape in expected.items() if name.endswith(".weight")}
    # The port has no biases.
    biases = {name: np.zeros(expected[name], np.float32) for name in expected.keys() - weights}
    return {**rename(tensors, weights, path, pytorch_vdsr_name), **biases}


PYTORCH_VDSR = Family("pytorch-vdsr's", ("vdsr",), _recognise_pytorch_vdsr, _convert_pytorch_vdsr)


def caffe_vdsr_name(ours: str) -> str:
    """Return the name in huangzehao/caffe-vdsr's Caffe model for one of our tensors."""
    _, _, number, kind = ours.split(".")
    return f"conv{int(number) + 1}.{kind}"


def _recognise_caffe_vdsr(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    known = {f"conv{number}.weight" for number in range(1, 21)} <= tensors.keys()
    return Found("vdsr", None) if known and "conv21.weight" not in tensors else None


def _convert_caffe_vdsr(
    tensors: Mapping[str, NDArray[Any]], expected: Shapes, path: Path
) -> Tensors:
    ours = rename(tensors, expected, path, caffe_vdsr_name)
    # It was trained on pictures from MATLAB, whose columns Caffe takes for rows.
    return {
        name: np.ascontiguousarray(tensor.swapaxes(-1, -2)) if tensor.ndim == 4 else tensor
        for name, tensor in ours.items()
    }


CAFFE_VDSR = Family("caffe-vdsr's", ("vdsr",), _recognise_caffe_vdsr, _convert_caffe_vdsr)


def _recognise_pytorch_lapsrn(tensors: Mapping[str, NDArray[Any]]) -> Found | None:
    known = {"conv_input.weight", "convt_F1.0.cov_block.20.weight"} <= tensors.keys()
    return Found("lapsrn", None) if known else None


def _refuse_pytorch_lapsrn(tensors: Mapping[str, NDArray[Any]], _: Shapes, path: Path) -> Tensors:
    size = "x".join(map(str, tensors["convt_F1.0.cov_block.20.weight"].shape[2:]))
    raise WeightsError(
        f"{path} is pytorch-LapSRN's, another network than its authors' LapSRN: it upsamples "
        f"features with kernels of {size} instead of 3x3; give the authors' .mat"
    )


PYTORCH_LAPSRN = Family(
    "pytorch-LapSRN's", ("lapsrn",), _recognise_pytorch_lapsrn, _refuse_pytorch_lapsrn
)

FAMILIES = (DRCN, PYTORCH_VDSR, CAFFE_VDSR, PYTORCH_LAPSRN)
