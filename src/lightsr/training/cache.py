"""Decoded pictures and their LR on disk, as memory-mapped arrays that can be trusted.

One file an array: a header of 512 bytes (JSON, padded) and the samples. The header holds the
shape, the size and time of the source, and a CRC-32 over all of it, which is checked whenever a
file is opened. Files are written beside and renamed, so that none is ever half there, and only by
the process that holds the folder's lock.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import uuid
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from lightsr.errors import UserError
from lightsr.training.pictures import Pixels

log = logging.getLogger(__name__)

_FORMAT = 1
_HEADER = 512
_PART = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_array(path: Path, pixels: Pixels, source: str) -> None:
    """Write uint8 samples [h, w, c] made from `source`, whole or not at all.

    Raises `UserError` if the disk is full or the folder cannot be written.
    """
    samples = np.ascontiguousarray(pixels)
    about = {"format": _FORMAT, "shape": list(samples.shape), "source": source}
    header = json.dumps({**about, "crc32": _checksum(about, samples)}).encode().ljust(_HEADER)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{_PART}")
    try:
        with beside.open("wb") as file:
            file.write(header)
            _write_samples(file, samples)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    finally:
        beside.unlink(missing_ok=True)


def read_array(path: Path, source: str) -> Pixels | None:
    """Return the samples of a file, memory-mapped; None unless it is whole and of `source`."""
    try:
        with path.open("rb") as file:
            about = cast("dict[str, Any]", json.loads(file.read(_HEADER)))
        checksum = about.pop("crc32")
        if about.get("source") != source or about.get("format") != _FORMAT:
            return None
        shape = tuple(int(side) for side in about["shape"])
        samples = np.asarray(np.memmap(path, np.uint8, "r", _HEADER, shape))
        if path.stat().st_size == _HEADER + samples.size and _checksum(about, samples) == checksum:
            return samples
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # whatever is wrong with it, it is made again
    return None


@contextmanager
def filling(folder: Path) -> Generator[None]:
    """Hold the folder's lock: other processes wait here until this one has filled the cache.

    Raises `UserError` if the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        if _locked(file, folder):
            # What a killed process left: nobody else writes while the lock is held.
            for part in folder.glob(f"*{_PART}"):
                part.unlink(missing_ok=True)
        yield


def _locked(file: BinaryIO, folder: Path) -> bool:
    """Lock a file until it is closed or the process ends, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may do the same work twice, and no harm
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s: waiting for another process that fills it", folder)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return False
    return True


def _checksum(about: dict[str, Any], samples: Pixels) -> int:
    return zlib.crc32(samples.data, zlib.crc32(json.dumps(about).encode()))


def _write_samples(file: BinaryIO, samples: Pixels) -> None:
    file.write(samples.data)


def _unwritable(folder: Path, error: OSError) -> UserError:
    if error.errno in _FULL:
        return UserError(
            f"{folder}: no room left for the decoded training pictures (about 3 bytes a pixel); "
            "make some, or set data.cache to a folder on another disk"
        )
    return UserError(
        f"{folder}: cannot be written: {error.strerror or error}; set data.cache to another folder"
    )
