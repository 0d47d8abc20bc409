from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightsr.networks import kernels
from lightsr.networks.kernels import load_kernels

compiled = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="no C++ compiler",
)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of compiled libraries."""
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path))
    load_kernels.cache_clear()
    yield tmp_path / "kernels"
    load_kernels.cache_clear()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a library that is compiled at once in place of the kernels."""
    source = tmp_path / "small.cpp"
    source.write_text('extern "C" int answer() { return 42; }')
    monkeypatch.setattr(kernels, "SOURCE", source)
    return source


@compiled
def test_a_library_is_compiled_once(
    small: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _answer() == 42
    run = subprocess.run
    commands: list[list[str]] = []

    def listen(command: list[str], **how: Any) -> Any:
        commands.append(command)
        return run(command, **how)

    monkeypatch.setattr(subprocess, "run", listen)
    assert _answer() == 42
    assert [command[1:] for command in commands] == [["--version"]]
    small.write_text('extern "C" int answer() { return 43; }')
    assert _answer() == 43
    assert len(list(kept.iterdir())) == 2


@compiled
@pytest.mark.usefixtures("small")
def test_a_damaged_library_is_compiled_anew(kept: Path) -> None:
    assert _answer() == 42
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert _answer() == 42
    assert len(file.read_bytes()) == len(whole)


def _answer() -> int:
    load_kernels.cache_clear()
    loaded = load_kernels()
    assert loaded is not None
    return loaded.library.answer()


def test_without_a_compiler_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.INFO, "lightsr"):
        assert load_kernels() is None
        assert load_kernels() is None
    assert len(caplog.messages) == 1
    assert "no C++ compiler" in caplog.text


@compiled
def test_a_compiler_that_fails_is_named_and_leaves_nothing(
    small: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small.write_text("no program")
    assert load_kernels() is None
    assert len(caplog.messages) == 1
    assert "could not compile" in caplog.text
    assert list(kept.iterdir()) == []


@compiled
@pytest.mark.usefixtures("small")
def test_a_cache_that_cannot_be_written_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path / "file"))
    assert _answer() == 42
