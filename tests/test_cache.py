from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightsr.cache import Cache, cache_folder

posix = pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
CACHE = Cache("kind", most=3)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kind"


def test_what_is_kept_is_found(folder: Path) -> None:
    assert CACHE.find("a", "b") is None
    CACHE.keep(b"content", "a", "b")
    assert CACHE.find("a", "b") == b"content"
    assert CACHE.find("ab") is None
    assert Cache("other", 3).find("a", "b") is None
    assert [path.suffix for path in folder.iterdir()] == [".kept"]


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 40])
def test_damaged_files_count_as_missing(folder: Path, damage: bytes) -> None:
    CACHE.keep(b"content", "a")
    (path,) = folder.iterdir()
    path.write_bytes(damage)
    assert CACHE.find("a") is None
    CACHE.keep(b"content", "a")
    assert CACHE.find("a") == b"content"


def test_a_cut_off_file_counts_as_missing(folder: Path) -> None:
    CACHE.keep(b"content", "a")
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert CACHE.find("a") is None


def test_the_oldest_files_go(folder: Path) -> None:
    for number in range(5):
        CACHE.keep(b"content", str(number))
        (newest,) = (path for path in folder.iterdir() if path.stat().st_mtime > 10**6)
        os.utime(newest, (number, number))
    assert [CACHE.find(str(number)) is not None for number in range(5)] == [False] * 2 + [True] * 3


@posix
@pytest.mark.parametrize("rights", [0o770, 0o707])
def test_a_folder_open_to_others_is_not_used(folder: Path, rights: int) -> None:
    CACHE.keep(b"content", "a")
    folder.chmod(rights)
    assert CACHE.find("a") is None
    CACHE.keep(b"content", "b")
    folder.chmod(0o700)
    assert CACHE.find("b") is None
    assert CACHE.find("a") == b"content"


@posix
def test_a_folder_of_someone_else_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CACHE.keep(b"content", "a")
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert CACHE.find("a") is None


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path / "file"))
    CACHE.keep(b"content", "a")
    assert CACHE.find("a") is None


def test_writers_do_not_disturb_each_other(folder: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda content: CACHE.keep(content, "a"), contents):
            assert CACHE.find("a") in contents
    assert CACHE.find("a") in contents
    assert len(list(folder.iterdir())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the folder as XDG has it")
def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTSR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/lightsr")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "lightsr"
