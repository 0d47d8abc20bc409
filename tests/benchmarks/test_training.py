"""What the training benchmark compares is the same network, trained to the same losses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from networks.tester import noise, perturbed

from lightsr.networks.build import create_network

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def naive_fdiwn(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import naive_fdiwn  # type: ignore[import-not-found]

    return naive_fdiwn


@pytest.mark.parametrize("scale", [2, 4])
def test_naive_network_is_equal(scale: int, naive_fdiwn: Any) -> None:
    torch.manual_seed(0)
    network = create_network("fdiwn", scale)
    cast(Any, network).start_at_bicubic()
    network, x = perturbed(network), noise(2, 3, 9, 7)
    with torch.no_grad():
        got, wanted = naive_fdiwn.naive_like(network, scale)(x), network(x)
        assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.slow
def test_benchmark_runs() -> None:
    command = [sys.executable, str(BENCHMARKS / "training.py"), "--rounds", "2", "--workers", "1"]
    small = ["--batch", "2", "--patch", "12", "--threads", "1", "--profile"]
    result = subprocess.run([*command, *small], capture_output=True, text=True, check=True)
    for line in ("plain loop, fp32", "ours, fp32", "ours, bf16", "aten::mkldnn_convolution"):
        assert line in result.stdout
