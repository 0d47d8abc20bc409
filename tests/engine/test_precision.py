"""fp16 and bf16 in torch, int8 graphs, and what happens where they fail."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import Graph
from onnx import helper, numpy_helper
from process import mistake

from lightsr.engine.backends import choose
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.backends.precision import psnr
from lightsr.errors import BackendError

torch = pytest.importorskip("torch")


def _lr(height: int = 20, width: int = 27) -> Any:
    rows, columns = np.mgrid[:height, :width] / 20
    waves = [np.sin(rows * 3 + columns * (one + 1)) / 2 + 0.5 for one in range(3)]
    return np.stack(waves)[np.newaxis].astype(np.float32)


def _weights(path: Path, name: str, factor: float = 1.0) -> Path:
    """Write random weights; those inside the network are `factor` times as large."""
    from lightsr.networks.build import create_network
    from lightsr.weights.files import save_tensors

    torch.manual_seed(0)
    tensors = {key: value.numpy() for key, value in create_network(name, 2).state_dict().items()}
    for key, value in tensors.items():
        if "refine1.weight" in key:
            value *= factor
    save_tensors(path, tensors, {"network": name, "scale": "2"})
    return path


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", ["e-rfdn", "imdn", "fsrcnn"])  # 0..255 inside; global; luma alone
def test_halves_stay_near_float32(name: str, precision: str, tmp_path: Path) -> None:
    weights = _weights(tmp_path / "w.safetensors", name)
    reduced = open_backend(Choice(weights=weights, precision=precision))
    exact = open_backend(Choice(weights=weights, precision="fp32"))
    assert (reduced.name, reduced.precision, exact.precision) == ("torch", precision, "fp32")
    difference = psnr(reduced.run(_lr()), exact.run(_lr()))
    assert 50 <= difference < 150  # Not at all changed would be float32.


def test_halves_that_overflow_give_way_to_float32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = _weights(tmp_path / "w.safetensors", "e-rfdn", 1e6)
    reduced = open_backend(Choice(weights=weights, precision="fp16"))
    exact = open_backend(Choice(weights=weights, precision="fp32"))
    with caplog.at_level(logging.WARNING, "lightsr"):
        enlarged = reduced.run(_lr())
    np.testing.assert_array_equal(enlarged, exact.run(_lr()))
    assert reduced.precision == "fp32"
    assert "not finite in fp16; fp32 is used from here on" in caplog.text


def test_statistics_are_shared_in_halves(tmp_path: Path) -> None:
    weights = _weights(tmp_path / "w.safetensors", "imdn")
    backend: Any = open_backend(Choice(weights=weights, precision="fp16"))
    run = backend.tuned_to([_lr()])
    assert psnr(run(_lr()), backend.run(_lr())) > 70


def test_shipped_weights_in_fp16_go_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_backend(Choice("fsrcnn", precision="fp16", device="cpu"), 2)
    assert (backend.name, backend.precision) == ("torch", "fp16")
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"--precision fp16 needs torch, .* not installed"):
        open_backend(Choice("fsrcnn", precision="fp16"), 2)


def test_graphs_cannot_be_run_in_fp16(graph: Graph) -> None:
    with pytest.raises(BackendError, match=r"\.onnx cannot be run in fp16; use"):
        open_backend(Choice(weights=graph(2), precision="fp16"))


@pytest.fixture
def int8(graph: Graph, tmp_path: Path) -> Path:
    """The graph of `graph(2)` with its convolution in 8 bits, as `tools/quantise.py` writes it."""
    model = onnx.load(graph(2))
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name)
        for name, value in {
            "step": np.array(1 / 255, np.float32),
            "zero": np.array(0, np.uint8),
        }.items()
    )
    nodes = list(model.graph.node)
    nodes[0].input[0] = "rounded"
    del model.graph.node[:]
    quantise = helper.make_node("QuantizeLinear", ["lr", "step", "zero"], ["eight"])
    back = helper.make_node("DequantizeLinear", ["eight", "step", "zero"], ["rounded"])
    model.graph.node.extend([quantise, back, *nodes])
    helper.set_model_props(
        model,
        {"lightsr.network": "fdiwn", "lightsr.scale": "2", "lightsr.precision": "int8"},
    )
    onnx.save(model, tmp_path / "int8.onnx")
    return tmp_path / "int8.onnx"


@pytest.mark.parametrize("precision", ["auto", "int8"])
@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_int8_graphs_run(graph: Graph, int8: Path, precision: str, backend: str) -> None:
    opened = open_backend(Choice(weights=int8, precision=precision, backend=backend))
    assert (opened.name, opened.precision, opened.scale) == ("onnxruntime", "int8", 2)
    exact = open_backend(Choice(weights=graph(2), precision="fp32"))
    assert 40 < psnr(opened.run(_lr()), exact.run(_lr())) < 70


def test_precisions_that_a_graph_does_not_have(graph: Graph, int8: Path) -> None:
    for precision in ("fp32", "bf16"):
        with pytest.raises(BackendError, match=f"int8 graph, which cannot be run in {precision}"):
            open_backend(Choice(weights=int8, precision=precision))
    for backend in ("auto", "onnxruntime"):
        with pytest.raises(BackendError, match=r"\.onnx cannot be run in int8; it was slower"):
            open_backend(Choice(weights=graph(2), precision="int8", backend=backend))
    with pytest.raises(BackendError, match="fused backend does not compute in int8"):
        open_backend(Choice(weights=int8, precision="int8", backend="fused"))


def test_int8_without_a_graph_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    said = mistake(capsys, "upscale", tmp_path / "a.png", "--precision", "int8")
    assert "docs/performance.md" in said
