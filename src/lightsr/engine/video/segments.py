"""The work folder beside a video that is being made: encoded segments, kept for another run.

A segment appears whole or not at all, and is of use only to a run on the same source with the same
options; the folder says of which it is. Only one process works in it at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lightsr.engine.video.encoding import Packet
from lightsr.errors import VideoError
from lightsr.images.writing import TEMPORARY_PREFIX
from lightsr.weights.files import write_whole

_LONGEST_NAME = 255
_MAGIC = b"lightsr segment 1\n"
_RECORD = struct.Struct("<QBI")
"""Position, whether it is a key frame, bytes of data."""
_CHECK = struct.Struct("<I")
_OURS = ("*.segment", "*.part", "state.json", "joined.*", "lock")

State = dict[str, Any]
"""What the segments are of; comes and goes as JSON."""


class WorkFolder:
    """Segments by number. Made by `work_folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self) -> State | None:
        """Return what the segments are of; None where there are none."""
        try:
            return json.loads((self.path / "state.json").read_bytes())
        except (OSError, ValueError):
            return None

    def begin(self, state: State) -> None:
        """Throw away what is there, and begin segments of something else."""
        self.clear(but=("lock",))
        write_whole(self.path / "state.json", json.dumps(state).encode(), VideoError)

    def count(self) -> int:
        """Return how many segments are there from the beginning on, whole and undamaged."""
        number = 0
        while self._is_whole(number):
            number += 1
        return number

    def put(self, number: int, packets: Iterable[Packet]) -> None:
        """Keep a segment. Raises `OSError`."""
        partial = self.path / f"{number:06}.part"
        with partial.open("wb") as file:
            check = 0
            for piece in _pieces(packets):
                check = zlib.crc32(piece, check)
                file.write(piece)
            file.write(_CHECK.pack(check))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file(number))

    def packets(self, count: int) -> Iterator[Packet]:
        """Yield the packets of the first `count` segments, in the order of decoding."""
        for number in range(count):
            with self._file(number).open("rb") as file:
                yield from _read(file, with_data=True)

    def positions(self, count: int) -> Iterator[int]:
        """Yield the positions of those packets, without reading the rest."""
        for number in range(count):
            with self._file(number).open("rb") as file:
                yield from (packet.position for packet in _read(file, with_data=False))

    def clear(self, but: tuple[str, ...] = ()) -> None:
        """Take away every file that lightsr put here."""
        for pattern in _OURS:
            for file in self.path.glob(pattern):
                if file.name not in but:
                    file.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Take away what is of no use to another run: everything, where there is no segment."""
        if not any(self.path.glob("*.segment")):
            self.clear(but=("lock",))
        for leftover in (*self.path.glob("*.part"), *self.path.glob("joined.*")):
            leftover.unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06}.segment"

    def _is_whole(self, number: int) -> bool:
        """Return whether a segment is there and its bytes are those that were written."""
        try:
            with self._file(number).open("rb") as file:
                left = os.fstat(file.fileno()).st_size - _CHECK.size
                check = 0
                while left > 0:
                    piece = file.read(min(left, 1 << 20))
                    check = zlib.crc32(piece, check)
                    left -= len(piece)
                return file.read() == _CHECK.pack(check)
        except OSError:
            return False


@contextmanager
def work_folder(target: Path) -> Generator[WorkFolder, None, None]:
    """Hold the work folder of a target, made where there is none.

    Where nothing worth keeping is in it in the end, it is taken away. Raises `VideoError` where
    another process holds it, `OSError` where it cannot be made.
    """
    path = folder_of(target)
    path.mkdir(exist_ok=True)
    work = WorkFolder(path)
    lock = (path / "lock").open("wb")
    try:
        if not _locked(lock):
            raise VideoError(f"{target} is being made by another lightsr; wait for that one")
        try:
            yield work
        finally:
            work.tidy()
            lock.close()  # Windows removes no open file
            _remove_if_empty(path)
    finally:
        lock.close()


def _remove_if_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        if {file.name for file in path.iterdir()} <= {"lock"}:
            (path / "lock").unlink(missing_ok=True)
            path.rmdir()


def folder_of(target: Path) -> Path:
    """Return where the segments of a target lie."""
    name = TEMPORARY_PREFIX + target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = TEMPORARY_PREFIX + hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return target.with_name(name)


def _pieces(packets: Iterable[Packet]) -> Iterator[bytes]:
    yield _MAGIC
    for packet in packets:
        yield _RECORD.pack(packet.position, packet.is_key, len(packet.data))
        yield packet.data


def _read(file: BinaryIO, *, with_data: bool) -> Iterator[Packet]:
    end = os.fstat(file.fileno()).st_size - _CHECK.size
    file.seek(len(_MAGIC))
    while file.tell() < end:
        position, is_key, size = _RECORD.unpack(file.read(_RECORD.size))
        if with_data:
            yield Packet(position, bool(is_key), file.read(size))
        else:
            file.seek(size, os.SEEK_CUR)
            yield Packet(position, bool(is_key), b"")


def _locked(file: BinaryIO) -> bool:
    """Lock a file until it is closed, or the process ends in whatever way; False: another has."""
    try:
        import fcntl
    except ImportError:
        return _locked_by_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _locked_by_windows(file: BinaryIO) -> bool:
    from importlib import import_module

    msvcrt: Any = import_module("msvcrt")
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
