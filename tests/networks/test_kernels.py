from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightsr.networks import kernels
from lightsr.networks.kernels import cache_folder, load_kernels


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_kernels.cache_clear()
    yield
    load_kernels.cache_clear()


def test_without_a_compiler_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.INFO, "lightsr"):
        assert load_kernels() is None
        assert load_kernels() is None
    assert len(caplog.messages) == 1
    assert "no C++ compiler" in caplog.text


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_compiler_that_fails_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.cpp"
    broken.write_text("no program")
    monkeypatch.setattr(kernels, "SOURCE", broken)
    assert load_kernels() is None
    assert len(caplog.messages) == 1
    assert "could not compile" in caplog.text
    assert list(cache_folder().iterdir()) == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_cache_that_cannot_be_written_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_kernels() is None
    assert len(caplog.messages) == 1
