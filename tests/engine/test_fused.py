"""The fused backend on whole networks, against ONNX Runtime."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import onnx
import pytest
from graphs import Graph
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.engine.backends.choose import Choice, at_hand, open_backend

if "fused" not in at_hand():
    pytest.skip("the fused backend cannot be had here", allow_module_level=True)

from lightsr.engine.backends.fused.backend import FusedBackend
from lightsr.engine.backends.fused.frame import Frame
from lightsr.engine.backends.fused.graph import UnsupportedError
from lightsr.engine.backends.fused.program import host_machine
from lightsr.engine.backends.fused.reading import read_graph
from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend
from lightsr.engine.machine import keep_to_one_core
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights.catalogue import shipped

SIZES = ((1, 1), (1, 40), (6, 5), (13, 70), (20, 33))
FAST = (
    ("ecbsr-m4c16", 3),
    ("fsrcnn-s", 4),
    ("srcnn", 2),
    ("imdn", 2),
    ("carn-m", 3),
    ("lapsrn", 4),
)
UNSUPPORTED = {
    (name, scale)
    for name in ("drcn", "drcn-f96d9", "e-rfdn", "lapar-a", "madnet", "maffsrn")
    for scale in (2, 3, 4)
}
UNSUPPORTED |= {("idn", 3), ("idn", 4), ("idn-rgb", 3), ("idn-rgb", 4), ("lapsrn", 3)}
"""They pool, shrink, weigh or unfold in ways that are left to ONNX Runtime."""

Network = Callable[[str, int], Path]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Write the graph of a network with random weights."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("networks")

    def make(name: str, scale: int) -> Path:
        from lightsr.export.onnx import onnx_model
        from lightsr.networks.build import create_network

        path = folder / f"{name}-{scale}.onnx"
        if not path.exists():
            torch.manual_seed(0)
            deployed = cast("Any", create_network(name, scale)).deploy().eval()
            model = onnx_model(deployed, name=name, scale=scale)
            path.write_bytes(model.SerializeToString())
        return path

    return make


def _picture(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).random(shape).astype(np.float32)


def _error(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max() / max(1e-6, np.abs(other).max()))


def _agrees_with_onnxruntime(path: Path, name: str, scale: int) -> None:
    reference = OnnxRuntimeBackend(path, name, scale, trusted=True)
    fused = FusedBackend(path, name, scale, "fp32", threads=2)
    assert (fused.name, fused.scale, fused.radius) == ("fused", scale, reference.radius)
    for height, width in SIZES:
        batch = _picture(2, 3, height, width)
        assert _error(fused.run(batch), reference.run(batch)) < 2e-4, (height, width)


@pytest.mark.parametrize(("name", "scale"), FAST)
def test_networks(network: Network, name: str, scale: int) -> None:
    _agrees_with_onnxruntime(network(name, scale), name, scale)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale"), [(n, s) for n in list_networks() for s in network_spec(n).scales]
)
def test_all_networks(network: Network, name: str, scale: int) -> None:
    path = network(name, scale)
    if (name, scale) in UNSUPPORTED:
        with pytest.raises(UnsupportedError):
            FusedBackend(path, name, scale, "fp32")
    else:
        _agrees_with_onnxruntime(path, name, scale)


@pytest.mark.parametrize("entry", shipped()[-1:], ids=lambda entry: entry.name)
def test_shipped_weights(entry: Any) -> None:
    _agrees_with_onnxruntime(entry.onnx, entry.network, entry.scale)


@pytest.mark.parametrize("kind", ["local", "nearest", "global"])
def test_other_graphs(graph: Graph, kind: str) -> None:
    """Means of the picture itself, and arithmetic after the shuffle."""
    _agrees_with_onnxruntime(graph(3, kind=kind), "fdiwn", 3)


def test_graphs_that_are_left_to_others(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="Slice"):
        FusedBackend(graph(2, kind="nan"), "fdiwn", 2, "fp32")
    with pytest.raises(UnsupportedError, match="enlarges by 2"):
        FusedBackend(graph(2), "fdiwn", 4, "fp32")


def test_operators_that_cannot_be_written_are_met_when_a_graph_is_read(
    graph: Graph, tmp_path: Path
) -> None:
    model = onnx.load(str(graph(2)))
    (shuffle,) = (node for node in model.graph.node if node.op_type == "DepthToSpace")
    wanted = shuffle.output[0]
    shuffle.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Tanh", ["before"], [wanted]))
    path = tmp_path / "tanh.onnx"
    onnx.save(model, str(path))
    with pytest.raises(UnsupportedError, match="Tanh on maps"):
        read_graph(path)
    assert open_backend(Choice(weights=path)).name == "onnxruntime"


@lru_cache
def _backends(path: Path) -> tuple[OnnxRuntimeBackend, FusedBackend, FusedBackend]:
    return (
        OnnxRuntimeBackend(path, "ecbsr-m4c8", 2, trusted=True),
        FusedBackend(path, "ecbsr-m4c8", 2, "fp32", threads=1),
        FusedBackend(path, "ecbsr-m4c8", 2, "fp32", threads=3),
    )


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 150))
def test_any_size(network: Network, height: int, width: int) -> None:
    """And any number of bands gives the same samples to the last bit."""
    reference, alone, in_bands = _backends(network("ecbsr-m4c8", 2))
    batch = _picture(1, 3, height, width)
    result = alone.run(batch)
    assert _error(result, reference.run(batch)) < 1e-4
    np.testing.assert_array_equal(in_bands.run(batch), result)


def test_bands_of_a_network_with_global_statistics(network: Network) -> None:
    path = network("imdn", 2)
    batch = _picture(1, 3, 37, 50)
    alone = FusedBackend(path, "imdn", 2, "fp32", threads=1).run(batch)
    for threads in (2, 5):
        in_bands = FusedBackend(path, "imdn", 2, "fp32", threads=threads).run(batch)
        assert _error(in_bands, alone) < 1e-6


def test_a_thread_keeps_to_one_core(network: Network) -> None:
    backend = FusedBackend(network("ecbsr-m4c8", 2), "ecbsr-m4c8", 2, "fp32", threads=2)
    picture = _picture(1, 3, 33, 40)
    expected = backend.run(picture)
    with (
        ThreadPoolExecutor(1, initializer=keep_to_one_core) as pool,
        patch.object(Frame, "__init__", autospec=True, side_effect=Frame.__init__) as made,
    ):
        np.testing.assert_array_equal(pool.submit(backend.run, picture).result(), expected)
        np.testing.assert_array_equal(backend.run(picture), expected)
    assert [call.args[4] for call in made.call_args_list] == [1, 2]


def test_threads_share_a_backend(network: Network) -> None:
    backend = FusedBackend(network("ecbsr-m4c8", 2), "ecbsr-m4c8", 2, "fp32", threads=2)
    pictures = [_picture(1, 3, 8 + i % 5, 60 + i) for i in range(48)]
    alone = [backend.run(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(backend.run, pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_picture_at_all(graph: Graph) -> None:
    backend = FusedBackend(graph(2), "fdiwn", 2, "fp32")
    assert backend.run(np.zeros((0, 3, 4, 4), np.float32)).shape == (0, 3, 8, 8)


@pytest.mark.skipif(host_machine().bf16, reason="this processor multiplies bfloat16")
def test_without_bfloat16_it_is_refused(graph: Graph) -> None:
    with pytest.raises(UnsupportedError, match="bfloat16"):
        FusedBackend(graph(2), "fdiwn", 2, "bf16")


_PEAK = """
import re, sys
from pathlib import Path
import numpy as np
import onnx
from lightsr.engine.backends.fused.backend import FusedBackend

def status(entry):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{entry}:\\s+(\\d+) kB", text, re.MULTILINE).group(1)) * 1024

path, name, scale, precision, threads, height, width = sys.argv[1:]
shape = (1, 3, int(height), int(width))
backend = FusedBackend(Path(path), name, int(scale), precision, int(threads))
backend.run(np.zeros((1, 3, 8, 8), np.float32))
before = status("VmRSS")
lr = np.random.default_rng(0).random(shape, np.float32)
for _ in range(2):
    backend.run(lr)
print(status("VmHWM") - before, backend.peak_bytes(1, *shape[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
@pytest.mark.parametrize(("threads", "precision"), [("1", "fp32"), ("3", "bf16")])
def test_memory_is_foretold(threads: str, precision: str) -> None:
    if precision == "bf16" and not host_machine().bf16:
        pytest.skip("this processor does not multiply bfloat16")
    entry = shipped()[0]
    command = [sys.executable, "-c", _PEAK, str(entry.onnx), entry.network, str(entry.scale)]
    command += [precision, threads, "160", "256"]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    peak, foretold = (int(number) for number in re.findall(r"\d+", result.stdout))
    assert 0.7 * foretold <= peak <= foretold


def test_an_interrupted_run_ends_before_its_memory_does(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightsr.engine.backends.fused import frame

    backend = FusedBackend(graph(2), "fdiwn", 2, "fp32", threads=2)
    running, ended = threading.Event(), threading.Event()

    class Pool:
        """The second band cannot be begun while the first one runs."""

        def __init__(self) -> None:
            self.pool = ThreadPoolExecutor(1)

        def submit(self, function: Any, *arguments: Any) -> Any:
            if running.is_set():
                raise KeyboardInterrupt
            running.set()

            def slowly() -> None:
                threading.Event().wait(0.2)
                function(*arguments)
                ended.set()

            return self.pool.submit(slowly)

    made = frame.Frame(cast("Any", backend)._program, 16, 16, 2)
    with pytest.raises(KeyboardInterrupt):
        made.run(_picture(3, 16, 16), np.zeros((3, 32, 32), np.float32), cast("Any", Pool()))
    assert ended.is_set()
