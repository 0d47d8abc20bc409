from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from errors import one_line
from numpy.typing import NDArray
from training.making import data_of, folder_of

from lightsr.errors import UserError
from lightsr.training import cache
from lightsr.training.cache import filling, read_array, write_array
from lightsr.training.data import load_pairs

LOAD = """
import logging, sys, zlib
from pathlib import Path
from lightsr.training.data import load_pairs
from lightsr.training.recipe import Data
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
data = Data(folders=(Path(sys.argv[1]),), cache=Path(sys.argv[2]), patch=8)
for pair in load_pairs(data, 2):
    print(pair.path.name, zlib.crc32(pair.hr.tobytes()), zlib.crc32(pair.lr.tobytes()))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "pictures", (41, 50), (64, 33))


def pixels(height: int = 9, width: int = 7) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def test_an_array_comes_back(tmp_path: Path) -> None:
    write_array(tmp_path / "a", pixels(), "one")
    back = read_array(tmp_path / "a", "one")
    assert back is not None
    np.testing.assert_array_equal(back, pixels())
    assert read_array(tmp_path / "a", "another") is None
    assert read_array(tmp_path / "b", "one") is None
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("place", [0, 20, 60, 100, 600, -1])
def test_a_flipped_byte_is_found(place: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_array(path, pixels(), "one")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert read_array(path, "one") is None


@pytest.mark.parametrize("length", [0, 100, 512, 600])
def test_a_truncated_file_is_found(length: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_array(path, pixels(), "one")
    os.truncate(path, length)
    assert read_array(path, "one") is None
    path.write_bytes(path.read_bytes().ljust(1000, b"\0"))
    assert read_array(path, "one") is None


@pytest.mark.parametrize("suffix", ["hr", "lr"])
def test_a_damaged_cache_is_made_again(
    suffix: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = data_of(folder)
    before = [(pair.hr.copy(), pair.lr.copy()) for pair in load_pairs(data, 2)]
    damaged = sorted(data.cache.glob(f"*.{suffix}"))[0]
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 64
    damaged.write_bytes(content)
    with caplog.at_level(logging.INFO):
        after = load_pairs(data, 2)
    assert sum("damaged" in message for message in caplog.messages) == 1
    for pair, (hr, lr) in zip(after, before, strict=True):
        np.testing.assert_array_equal(pair.hr, hr)
        np.testing.assert_array_equal(pair.lr, lr)
    caplog.clear()
    load_pairs(data, 2)
    assert not caplog.messages


def test_a_folder_copied_anew_is_told_of_in_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = folder_of(tmp_path / "photos", *[(24, 30)] * 8)
    data = data_of(photos)
    load_pairs(data, 2)
    for path in photos.iterdir():
        os.utime(path, (0, 0))
    with caplog.at_level(logging.INFO):
        load_pairs(data, 2)
    named = [message for message in caplog.messages if "has changed" in message]
    assert [Path(message.split(":")[0]).name for message in named] == [f"{i}.png" for i in range(5)]
    assert "3 more have changed or are damaged; decoded again" in caplog.messages


def test_two_processes_fill_one_cache(folder: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "cache"
    command = [sys.executable, "-c", LOAD, str(folder), str(shelf)]
    with filling(shelf):  # both have to wait for this one, and then meet
        left = shelf / "x.hr.abcd.part"
        left.touch()
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in both:
            assert process.stderr is not None
            while "waiting for another process" not in process.stderr.readline():
                assert process.poll() is None
    outcomes = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0].splitlines()) == 2
    assert not list(shelf.glob("*.part"))
    assert len(list(shelf.glob("*.hr"))) == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_leaves_nothing_half(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(file: BinaryIO, samples: NDArray[np.uint8]) -> None:
        file.write(samples.tobytes()[:100])
        raise OSError(number, os.strerror(number))

    data = data_of(folder)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_write_samples", half)
        with one_line(UserError, match=r"cache: no room left.*data\.cache"):
            load_pairs(data, 2)
    assert [path.name for path in data.cache.iterdir()] == [".lock"]
    assert len(load_pairs(data, 2)) == 2


def test_a_real_write_that_fails(folder: Path, tmp_path: Path) -> None:
    resource: Any = pytest.importorskip("resource")
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)){LOAD}"
    done = subprocess.run(
        [sys.executable, "-c", limited, str(folder), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
    )
    assert resource is not None
    assert "UserError" in done.stderr
    assert "no room left" in done.stderr
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_made_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.*cannot be written.*data\.cache"):
        load_pairs(data_of(folder, cache=tmp_path / "file"), 2)
