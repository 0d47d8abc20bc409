"""Holding a network against what its paper printed."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from lightsr.evaluation.evaluate import evaluate
from lightsr.networks.registry import network_spec


def as_printed(count: int, like: str) -> set[str]:
    """Return `count` in the unit and with the digits of `like`, rounded and cut off."""
    match = re.fullmatch(r"\d+(?:\.(\d+))?([KG])", like)
    assert match is not None
    digits = Decimal(1).scaleb(-len(match[1] or ""))
    value = Decimal(count) / {"K": 10**3, "G": 10**9}[match[2]]
    return {f"{value.quantize(digits, way)}{match[2]}" for way in (ROUND_HALF_UP, ROUND_DOWN)}


def assert_rule_gives(name: str, scale: int, parameters: str, multi_adds: str) -> None:
    """Hold the spec's published figures, and its rule, against the paper's print."""
    spec = network_spec(name, scale)
    rule, published = spec.published_accounting[scale], spec.published[scale]
    assert (published.parameters, published.multi_adds) == (parameters, multi_adds)
    assert parameters in as_printed(rule.parameters, parameters)
    assert multi_adds in as_printed(rule.multi_adds(1280, 720, scale), multi_adds)


def assert_set5(name: str, scale: int, checkpoint: Path, psnr: float, ssim: float) -> None:
    """Hold published weights, measured on Set5, against a figure with two decimals."""
    if not checkpoint.is_file():
        pytest.skip(f"{checkpoint} is not there")
    set5 = checkpoint.parents[2] / "data" / "test" / "Set5" / "HR"
    measured = evaluate(name, scale, set5, weights=checkpoint)
    assert measured.psnr == pytest.approx(psnr, abs=0.01)
    assert measured.ssim == pytest.approx(ssim, abs=0.0002)
