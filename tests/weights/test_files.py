"""Weights on disk: what is written comes back, and what does not belong together is told apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lightsr.errors import WeightsError
from lightsr.weights.files import load_tensors, load_weights_of, save_tensors

TENSORS = {
    "conv.weight": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv.bias": np.array([0.5, -0.5], np.float32),
    "steps": np.array([7], np.int64),
}
METADATA = {"network": "fdiwn", "scale": "4"}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "gewichte ü.safetensors"
    strided = {**TENSORS, "conv.weight": TENSORS["conv.weight"].transpose(1, 0, 2, 3)}
    save_tensors(path, strided, {**METADATA, "source": "tests"})
    tensors, metadata = load_tensors(path)
    assert metadata == {
        **METADATA,
        "source": "tests",
        "format": "lightsr",
        "format_version": "1",
    }
    assert set(tensors) == set(strided)
    for name, tensor in strided.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor)


def test_saving_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, TENSORS, METADATA)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WeightsError, match=r"w\.safetensors cannot be written: No space left"):
        save_tensors(path, {}, METADATA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_saving_under_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be written"):
        save_tensors(tmp_path / "file" / "w.safetensors", TENSORS, METADATA)


def test_weights_go_to_their_own_network_only(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, TENSORS, METADATA)
    assert set(load_weights_of(path, "fdiwn", 4)) == set(TENSORS)
    for network, scale in (("fdiwn", 2), ("fdiwn-m", 4)):
        with pytest.raises(WeightsError, match=f"of fdiwn x4, not of {network} x{scale}"):
            load_weights_of(path, network, scale)


def test_files_that_say_nothing_or_another_version_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path)
    with pytest.raises(WeightsError, match="lightsr convert"):
        load_weights_of(path, "fdiwn", 4)
    save_file(TENSORS, path, metadata={**METADATA, "format": "lightsr", "format_version": "2"})
    with pytest.raises(WeightsError, match=r"format 2.*newer lightsr"):
        load_weights_of(path, "fdiwn", 4)


def test_values_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"good": np.ones(2), "bad": np.array([1.0, np.nan, np.inf])}, METADATA)
    with pytest.raises(WeightsError, match="2 of the 3 values of tensor 'bad'"):
        load_tensors(path)
