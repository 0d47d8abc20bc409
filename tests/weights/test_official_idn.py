"""Checkpoints of IDN and of DRCN's reduced network, in the layouts that they are found in."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lightsr.errors import WeightsError
from lightsr.evaluation.own import score_own
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, expected_shapes, identify
from lightsr.weights.create import create_network
from lightsr.weights.families import Found
from lightsr.weights.files import Tensors
from lightsr.weights.official_idn import caffe_name, tensorflow_name
from lightsr.weights.ported import drcn_name, pytorch_vdsr_name

FILES = [
    ("idn", 2, "idn/IDN_x2.safetensors"),
    ("idn", 4, "idn/IDN_x4.safetensors"),
    ("drcn-f96d9", 2, "drcn/jiny2001_model_F96_D9.safetensors"),
]


def checkpoint(assets: Path, file: str) -> Path:
    path = assets / "checkpoints" / file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def made_up(network: str, scale: int) -> Tensors:
    """Fill tensors of ours at random."""
    random = np.random.default_rng(0)
    shapes = expected_shapes(network, scale)
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


def hwio(tensor: NDArray[Any]) -> NDArray[Any]:
    """Turn a filter into TensorFlow's order; anything else stays."""
    return np.ascontiguousarray(tensor.transpose(2, 3, 1, 0)) if tensor.ndim == 4 else tensor


def assert_converts(
    theirs: Tensors, found: Found, network: str, scale: int, ours: Tensors, path: Path
) -> None:
    save_file(theirs, path)
    assert identify(read_checkpoint(path)) == found
    converted = convert(path, network, scale)
    assert converted.keys() == ours.keys()
    assert all(np.array_equal(converted[name], ours[name]) for name in ours)


@pytest.mark.parametrize(("network", "scale", "file"), FILES)
def test_the_files_at_hand_convert(network: str, scale: int, file: str, assets: Path) -> None:
    path = checkpoint(assets, file)
    assert identify(read_checkpoint(path)) in (Found(network, scale), Found(network, None))
    values = sum(tensor.size for tensor in convert(path, network, scale).values())
    assert values == {"idn": 552_769, "drcn-f96d9": 250_963}[network]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("psnr", "ssim", "name", "scale", "file"),
    [(37.827, 0.9600, *FILES[0]), (31.809, 0.8902, *FILES[1]), (37.346, 0.9577, *FILES[2])],
)
def test_they_measure_as_they_should(
    psnr: float, ssim: float, name: str, scale: int, file: str, assets: Path
) -> None:
    """IDN's paper prints 37.83 and 31.82; of the reduced DRCN nothing is printed."""
    network: Any = create_network(name, scale, checkpoint(assets, file))
    deployed = network.deploy()

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return deployed(torch.from_numpy(batch)).numpy()

    border, tolerance = ("symmetric", 0.001) if name == "idn" else ("replicate", 0.01)
    scores = score_own(run, name, scale, assets / "data/test/Set5/HR", border).values()
    assert mean(score.psnr for score in scores) == pytest.approx(psnr, abs=tolerance)
    assert mean(score.ssim for score in scores) == pytest.approx(ssim, abs=0.0002)


@pytest.mark.parametrize("network", ["idn", "idn-rgb"])
def test_idn_from_caffe(network: str, tmp_path: Path) -> None:
    ours = made_up(network, 3)
    theirs = {caffe_name(name): tensor for name, tensor in ours.items()}
    body = "body." if network == "idn" else ""
    known = {
        "features.1.weight": "conv2.weight",
        "blocks.0.enhancement.0.bias": "conv3_1.bias",
        "blocks.3.further.2.weight": "conv6_6.weight",
        "blocks.2.compression.weight": "down3.weight",
        "head.deconvolution.weight": "upsample.weight",
    }
    assert {name: caffe_name(f"{body}{name}") for name in known} == known
    found = Found(network, None)
    assert_converts(theirs, found, network, 3, ours, tmp_path / "w.safetensors")
    other = {"idn": "idn-rgb", "idn-rgb": "idn"}[network]
    with pytest.raises(WeightsError, match=f"holds {network}, not {other} x3"):
        convert(tmp_path / "w.safetensors", other, 3)
    del theirs["down3.bias"]
    save_file(theirs, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"1 of 62 tensors are missing: down3\.bias"):
        convert(tmp_path / "w.safetensors", network, 3)


@pytest.mark.parametrize("slash", ["/", "."])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_idn_from_tensorflow(scale: int, slash: str, tmp_path: Path) -> None:
    ours = made_up("idn-tf", scale)
    names = {name: tensorflow_name(name, scale) for name in ours}
    assert names["features.0.bias"] == "IDN.conv1.bias"
    assert names["blocks.2.enhancement.1.weight"] == "IDN.distill.2.conv2.W"
    assert names["blocks.0.further.1.bias"] == "IDN.distill.0.conv5.b"
    assert names["blocks.3.compression.weight"] == "IDN.distill.3.conv7.kernel"
    assert names["head.1.weight"] == f"IDN.{scale}.conv2d_1.kernel"
    theirs = {names[name].replace(".", slash): hwio(tensor) for name, tensor in ours.items()}
    theirs[f"IDN{slash}conv1{slash}kernel{slash}Adam_1"] = np.zeros(3, np.float32)
    found = Found("idn-tf", scale)
    assert_converts(theirs, found, "idn-tf", scale, ours, tmp_path / "w.safetensors")


def test_the_reduced_drcn_from_tensorflow(tmp_path: Path) -> None:
    ours = made_up("drcn-f96d9", 2)
    theirs = {drcn_name(name).replace("conv.", "conv/"): hwio(t) for name, t in ours.items()}
    assert theirs["WD2_conv_1"].shape == (3, 3, 97, 1)
    theirs |= {"B/Adam": np.zeros(96, np.float32), "beta1_power": np.zeros((), np.float32)}
    found = Found("drcn-f96d9", 2)
    assert_converts(theirs, found, "drcn-f96d9", 2, ours, tmp_path / "w.safetensors")


def test_vdsr_without_biases(tmp_path: Path) -> None:
    ours = made_up("vdsr", 4)
    theirs = {pytorch_vdsr_name(n): t for n, t in ours.items() if n.endswith("weight")}
    assert pytorch_vdsr_name("body.layers.1.weight") == "residual_layer.0.conv.weight"
    assert pytorch_vdsr_name("body.layers.18.weight") == "residual_layer.17.conv.weight"
    for name in ours:
        if name.endswith("bias"):
            ours[name][:] = 0
    found = Found("vdsr", None)
    assert_converts(theirs, found, "vdsr", 4, ours, tmp_path / "w.safetensors")
    theirs["input.bias"] = np.zeros(64, np.float32)
    save_file(theirs, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"1 too many: input\.bias"):
        convert(tmp_path / "w.safetensors", "vdsr", 4)


def test_vdsr_from_caffe_has_rows_for_columns(tmp_path: Path) -> None:
    ours = made_up("vdsr", 2)
    theirs = {
        f"conv{int(name.split('.')[2]) + 1}.{name.split('.')[3]}": np.ascontiguousarray(
            tensor.swapaxes(2, 3) if tensor.ndim == 4 else tensor
        )
        for name, tensor in ours.items()
    }
    assert_converts(theirs, Found("vdsr", None), "vdsr", 2, ours, tmp_path / "w.safetensors")


def test_another_form_of_lapsrn_is_refused_with_the_reason(tmp_path: Path) -> None:
    theirs = {
        "conv_input.weight": np.zeros((64, 1, 3, 3), np.float32),
        "convt_F1.0.cov_block.20.weight": np.zeros((64, 64, 4, 4), np.float32),
    }
    save_file(theirs, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="upsamples features with kernels of 4x4 instead of 3x3"):
        convert(tmp_path / "w.safetensors", "lapsrn", 4)
