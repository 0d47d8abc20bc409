from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from errors import one_line
from graphs import Graph

from lightsr.engine.backends import choose
from lightsr.engine.backends.base import MemoryModel
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend
from lightsr.errors import BackendError, LightsrError, UserError, WeightsError


def _lr(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(5).random(shape).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_graph_runs_at_any_size(graph: Graph, scale: int) -> None:
    choice = Choice(weights=graph(scale, kind="nearest"), backend="onnxruntime")
    backend = open_backend(choice, scale)
    assert (backend.name, backend.network, backend.scale) == ("onnxruntime", "fdiwn", scale)
    assert (backend.device, backend.precision, backend.free_bytes()) == ("cpu", "fp32", None)
    for shape in [(1, 3, 1, 1), (2, 3, 5, 7), (1, 3, 1, 30)]:
        lr = _lr(*shape)
        np.testing.assert_array_equal(backend.run(lr), lr.repeat(scale, 2).repeat(scale, 3))


def test_a_file_says_itself_which_scale_it_is_for(graph: Graph) -> None:
    assert open_backend(Choice(weights=str(graph(3)))).scale == 3


def test_threads_share_a_backend(graph: Graph) -> None:
    backend = open_backend(Choice(weights=graph(2, kind="global"), backend="onnxruntime"), 2)
    pictures = [_lr(1, 3, 8 + i, 9) for i in range(16)]
    alone = [backend.run(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(backend.run, pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "scale", "message"),
    [
        ({"scale": 2}, 4, "holds fdiwn x2, not fdiwn x4"),
        ({"network": "fdiwn-m"}, 4, "holds fdiwn-m x4, not fdiwn x4"),
        ({"network": "resnet"}, 4, "named 'resnet'"),
        ({"network": None}, 4, "does not say which network"),
        ({"scale": 2, "at": 4}, 4, r"shape \(1, 3, 12, 16\)"),
        ({"kind": "nan weights"}, 4, "not finite"),
        ({"outputs": ("sr", "local")}, 4, "one output 'sr'"),
    ],
)
def test_unfit_graphs_are_refused(
    graph: Graph, make: dict[str, object], scale: int, message: str
) -> None:
    path = graph(**make)
    with one_line(WeightsError, match=message) as caught:
        open_backend(Choice("fdiwn", path), scale)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08\x12\x04tiny", bytes(3000)])
def test_files_that_are_no_graph_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(content)
    with one_line(WeightsError, match=r"weights\.onnx is no ONNX graph"):
        open_backend(Choice(weights=path), 4)


def test_a_failing_run_is_one_line(graph: Graph) -> None:
    backend = open_backend(Choice(weights=graph(2), backend="onnxruntime"), 2)
    with one_line(LightsrError, match="ONNX Runtime failed"):
        backend.run(_lr(1, 4, 5, 5))


def test_a_long_run_can_be_stopped(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the runtime computes: the run is told to stop, and does."""
    backend = open_backend(Choice(weights=graph(2), backend="onnxruntime"), 2)
    assert isinstance(backend, OnnxRuntimeBackend)
    started, stopped = threading.Event(), threading.Event()

    def endless(_batch: object, options: object) -> None:
        started.set()
        deadline = time.monotonic() + 20
        while not options.terminate and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        stopped.set()

    monkeypatch.setattr(backend, "_run", endless)

    def interrupt() -> None:
        started.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        backend.run(_lr(1, 3, 2, 2))
    assert stopped.wait(10)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (Choice(backend="onnx"), UserError, "did you mean 'onnxruntime'"),
        (Choice(device="gpu"), UserError, "no device is named 'gpu'"),
        (Choice(precision="fp61"), UserError, "did you mean 'fp16'"),
        (Choice("fdiwm"), UserError, "did you mean 'fdiwn"),
        (Choice(weights="no/such.onnx"), WeightsError, "no/such.onnx does not exist"),
        (Choice(weights="no/such.pth"), WeightsError, "no/such.pth does not exist"),
        (Choice(backend="openvino"), BackendError, "use onnxruntime"),
        (Choice(backend="onnxruntime", device="cuda"), BackendError, "--backend torch"),
        (Choice(backend="onnxruntime", precision="bf16"), BackendError, "fp32"),
        (Choice(precision="int8"), BackendError, r"shipped cannot be run in int8.*performance\.md"),
        (Choice(backend="torch", precision="int8"), BackendError, "fp32, bf16 and fp16, not in"),
    ],
)
def test_choices_that_cannot_be_had(choice: Choice, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_backend(choice, 4)


@pytest.mark.parametrize("scale", [0, 1, 5, -4])
def test_scales_that_do_not_exist(scale: int) -> None:
    with pytest.raises(UserError, match="x2, x3, x4, x8"):
        open_backend(Choice(), scale)


def test_files_go_to_the_backend_that_can_run_them(graph: Graph, tmp_path: Path) -> None:
    tensors = tmp_path / "weights.safetensors"
    tensors.write_bytes(b"something")
    with pytest.raises(BackendError, match="needs --backend torch"):
        open_backend(Choice(weights=tensors, backend="onnxruntime"), 4)
    with pytest.raises(BackendError, match="use --backend onnxruntime"):
        open_backend(Choice(weights=graph(4), backend="torch"), 4)


def test_without_torch_there_is_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = tmp_path / "weights.pth"
    tensors.write_bytes(b"something")
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"weights\.pth needs torch.*pip install"):
        open_backend(Choice("fdiwn", tensors), 4)
    with pytest.raises(BackendError, match="pip install"):
        open_backend(Choice("fdiwn", backend="torch"), 4)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS may have such a device")
def test_torch_says_which_devices_there_are(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BackendError, match="no cuda device here; there are: cpu"):
        open_backend(Choice("fdiwn", backend="torch", device="cuda"), 4)


def test_memory_models_are_linear() -> None:
    model = MemoryModel(1000, 7)
    assert model.bytes(1, 10, 10) == 1700
    assert model.bytes(3, 10, 10) == 3100
