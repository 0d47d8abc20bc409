"""Shapes that come again are recorded; what records is CUDA's, and stood in for without one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lightsr.engine.backends import torch as backend_module
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.backends.torch import TorchBackend
from lightsr.engine.backends.torch_graphs import Graphs, Network

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


class _Recorder:
    """Records by taking down what was asked for."""

    def __init__(self) -> None:
        self.made: Counter[tuple[int, ...]] = Counter()
        self.replayed: Counter[tuple[int, ...]] = Counter()

    def __call__(self, network: Network, like: Tensor) -> Network:
        shape = tuple(like.shape)
        self.made[shape] += 1

        def replay(x: Tensor) -> Tensor:
            assert tuple(x.shape) == shape
            self.replayed[shape] += 1
            return network(x)

        return replay


def _double(x: Tensor) -> Tensor:
    return 2 * x


def _shape(side: int) -> tuple[int, ...]:
    return (1, 3, side, side)


def _run(graphs: Graphs, side: int) -> None:
    x = torch.rand(_shape(side))
    assert torch.equal(graphs(x), 2 * x)


def test_a_shape_is_recorded_when_it_has_come_three_times() -> None:
    recorder = _Recorder()
    graphs = Graphs(_double, recorder)
    for expected in (0, 0, 1, 2, 3):
        _run(graphs, 5)
        assert recorder.replayed[_shape(5)] == expected
    _run(graphs, 6)
    assert recorder.made == {_shape(5): 1}


def test_the_shape_that_was_not_seen_for_longest_makes_room() -> None:
    recorder = _Recorder()
    graphs = Graphs(_double, recorder)
    for side in (1, 2, 3, 4, 1, 5):
        for _ in range(3):
            _run(graphs, side)
    for side in (1, 3, 4, 5):
        _run(graphs, side)
    assert set(recorder.made.values()) == {1}
    for _ in range(3):
        _run(graphs, 2)
    assert recorder.made[_shape(2)] == 2


def test_what_cannot_be_recorded_runs_as_it_is() -> None:
    tries: list[int] = []

    def fail(network: Network, like: Tensor) -> Network:
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = Graphs(_double, fail)
    for side in (4, 7):
        for _ in range(5):
            _run(graphs, side)
    assert len(tries) == 1


def test_nothing_is_recorded_once_memory_ran_out() -> None:
    recorder = _Recorder()
    graphs = Graphs(_double, recorder)
    for _ in range(3):
        _run(graphs, 4)
    graphs.clear()
    for side in (4, 4, 4, 4, 9, 9, 9):
        _run(graphs, side)
    assert recorder.replayed[_shape(4)] == 1


def test_threads_do_not_mix_what_a_graph_holds() -> None:
    def record(network: Network, like: Tensor) -> Network:
        fixed = like.clone()

        def replay(x: Tensor) -> Tensor:
            fixed.copy_(x)
            threading.Event().wait(0.001)
            return network(fixed).clone()

        return replay

    graphs = Graphs(_double, record)
    for _ in range(3):
        _run(graphs, 3)
    wrong: list[int] = []

    def work(value: int) -> None:
        x = torch.full(_shape(3), float(value))
        wrong.extend(value for _ in range(20) if not torch.equal(graphs(x), 2 * x))

    threads = [threading.Thread(target=work, args=(value,)) for value in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("psnrs", "expected"), [((60,), "fp16"), ((50, 56), "bf16"), ((50, 54), "fp32")]
)
def test_auto_is_the_fastest_that_is_close_enough(
    psnrs: tuple[float, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As on a GPU; on a processor "auto" tries none of the halves."""
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path))
    assert open_backend(Choice("ecbsr-m4c8", backend="torch", device="cpu"), 4).precision == "fp32"
    monkeypatch.setitem(backend_module._FASTEST, "cpu", ("fp16", "bf16"))
    choice = Choice("ecbsr-m4c8", backend="torch", device="cpu")
    left = list(psnrs)
    monkeypatch.setattr("lightsr.engine.backends.precision.psnr", lambda *_: left.pop(0))
    assert open_backend(choice, 4).precision == expected
    assert left == []
    backend = open_backend(choice, 4)  # What was measured is remembered.
    assert backend.precision == expected
    picture = np.random.default_rng(0).random((1, 3, 8, 9), np.float32)
    assert backend.run(picture).shape == (1, 3, 32, 36)


@needs_cuda
def test_recorded_runs_equal_those_that_are_not() -> None:
    backend = TorchBackend("fdiwn", 4, "default", "cuda")
    plain: Callable[[Tensor], Tensor] = backend._module
    for seed in range(5):
        batch = np.random.default_rng(seed).random((2, 3, 40, 33), np.float32)
        with torch.inference_mode():
            expected = plain(torch.from_numpy(batch).cuda()).cpu().numpy()
        np.testing.assert_allclose(backend.run(batch), expected, atol=1e-5)
    assert isinstance(backend._network, Graphs)
