"""Which backend and precision is taken, and what is remembered of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from graphs import Graph

from lightsr.engine.backends.choose import at_hand

if "fused" not in at_hand():
    pytest.skip("the fused backend cannot be had here", allow_module_level=True)

from lightsr.engine.backends import choose, precision
from lightsr.engine.backends.base import Backend, Batch
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.backends.fused import code
from lightsr.engine.backends.fused.backend import FusedBackend
from lightsr.engine.backends.fused.program import host_machine
from lightsr.engine.backends.fused.writer import Machine
from lightsr.errors import BackendError

needs_bf16 = pytest.mark.skipif(
    not host_machine().bf16, reason="the processor does not multiply bfloat16"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _picture() -> Any:
    return np.random.default_rng(0).random((1, 3, 9, 20)).astype(np.float32)


def test_auto_is_fused_where_it_can_be(graph: Graph) -> None:
    assert open_backend(Choice(weights=graph(2)), 2).name == "fused"
    assert open_backend(Choice(weights=graph(2, kind="nan")), 2).name == "onnxruntime"
    assert open_backend(Choice(weights=graph(2), backend="onnxruntime"), 2).name == "onnxruntime"


@pytest.mark.parametrize("missing", ["llvmlite", "onnx"])
def test_without_its_packages(graph: Graph, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: None if name == missing else "there")
    assert open_backend(Choice(weights=graph(2)), 2).name == "onnxruntime"
    for choice in (Choice(weights=graph(2), backend="fused"), Choice(precision="bf16")):
        with pytest.raises(
            BackendError, match=rf"{missing} not installed: pip install 'lightsr\[f"
        ):
            open_backend(choice, 2)


def test_backends_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    there = choose.at_hand()
    assert next(iter(there)) == "fused"
    assert ("bf16" in there["fused"]) == host_machine().bf16
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    assert choose.at_hand() == {"onnxruntime": ("fp32",)}


def test_without_wide_vectors(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine.of(frozenset({"sse2", "avx", "avx2"})) is None
    from lightsr.engine.backends.fused import program

    monkeypatch.setattr(program, "host_features", lambda: frozenset({"sse2"}))
    assert open_backend(Choice(weights=graph(2)), 2).name == "onnxruntime"
    with pytest.raises(BackendError, match="AVX2, AVX-512 and NEON"):
        open_backend(Choice(weights=graph(2), backend="fused"), 2)


def test_what_it_cannot_do_is_said(graph: Graph) -> None:
    with pytest.raises(BackendError, match="fused backend cannot be had for fdiwn x2: Slice"):
        open_backend(Choice(weights=graph(2, kind="nan"), backend="fused"), 2)
    for one in ("fp16", "int8"):
        with pytest.raises(BackendError, match=f"fused backend .*{one}; use"):
            open_backend(Choice(backend="fused", precision=one), 2)
    with pytest.raises(BackendError, match="runs on the cpu, not on cuda"):
        open_backend(Choice(backend="fused", device="cuda"), 2)


@needs_bf16
def test_precision_auto_is_measured_once(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    measured: list[float] = []

    def counted(one: Batch, other: Batch) -> float:
        measured.append(real(one, other))
        return measured[-1]

    real = precision.psnr
    monkeypatch.setattr(precision, "psnr", counted)
    choice = Choice(weights=graph(2))
    for _ in range(2):
        assert open_backend(choice, 2).precision == "bf16"
    assert len(measured) == 1
    (kept,) = (own_cache / "precision").iterdir()
    kept.write_bytes(b"damaged")
    assert open_backend(choice, 2).precision == "bf16"
    assert len(measured) == 2
    monkeypatch.setattr(precision, "LEAST_PSNR", 1e6)
    assert open_backend(choice, 2).precision == ("fp32" if np.isfinite(measured[0]) else "bf16")
    assert open_backend(Choice(weights=graph(2), precision="bf16"), 2).precision == "bf16"


@needs_bf16
def test_a_network_that_loses_too_much_stays_in_float32(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "psnr", lambda one, other: 54.9)
    for _ in range(2):  # measured, and remembered
        assert open_backend(Choice(weights=graph(2)), 2).precision == "fp32"
        monkeypatch.setattr(precision, "psnr", lambda one, other: pytest.fail("measured again"))


@pytest.mark.parametrize("damage", [b"", b"not code", None])
def test_damaged_code_is_made_again(graph: Graph, own_cache: Path, damage: bytes | None) -> None:
    path = graph(2)
    expected = FusedBackend(path, "fdiwn", 2, "fp32").run(_picture())
    (kept,) = (own_cache / "fused").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-7] + b"garbage" if damage is None else damage)
    np.testing.assert_array_equal(FusedBackend(path, "fdiwn", 2, "fp32").run(_picture()), expected)
    assert kept.stat().st_size == len(whole)


def test_kept_code_is_not_compiled_again(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    FusedBackend(graph(2), "fdiwn", 2, "fp32")
    monkeypatch.setattr(code, "_compiled", lambda source: pytest.fail("compiled again"))
    FusedBackend(graph(2), "fdiwn", 2, "fp32").run(_picture())


def test_processes_begin_together(graph: Graph, own_cache: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path;"
        "from lightsr.engine.backends.fused.backend import FusedBackend;"
        "b = FusedBackend(Path(sys.argv[1]), 'fdiwn', 2, 'fp32');"
        "print(float(b.run(np.full((1, 3, 5, 9), 0.5, np.float32)).sum()))"
    )
    command = [sys.executable, "-c", program, str(graph(2))]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(2)
    ]
    results = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(results) == 1
    assert len(list((own_cache / "fused").iterdir())) == 1


class _Given:
    """A backend that gives a certain value everywhere."""

    name, network, scale, device = "given", "fdiwn", 2, "cpu"
    radius: int | None = 1

    def __init__(self, value: float, precision: str) -> None:
        self.value, self.precision = value, precision

    def run(self, batch: Batch) -> Batch:
        return np.full((1, 3, 2, 2), self.value, np.float32)

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        return int(self.precision[2:])

    def free_bytes(self) -> None:
        return None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_bring_float32(
    bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    reduced, exact = _Given(0.25, "bf16"), _Given(0.5, "fp32")
    backend: Backend = FallbackBackend(reduced, lambda: cast("Backend", exact))
    assert backend.run(_picture())[0, 0, 0, 0] == 0.25
    assert (backend.precision, backend.peak_bytes(1, 1, 1)) == ("bf16", 16)
    reduced.value = bad
    with caplog.at_level(logging.WARNING, "lightsr"):
        assert backend.run(_picture())[0, 0, 0, 0] == 0.5
        assert backend.run(_picture())[0, 0, 0, 0] == 0.5
    assert (backend.precision, backend.peak_bytes(1, 1, 1)) == ("fp32", 32)
    (record,) = caplog.records
    assert record.getMessage() == (
        "fdiwn x2 gave samples that are not finite in bf16; fp32 is used from here on"
    )
