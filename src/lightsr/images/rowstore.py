"""A picture's rows as they arrive, in memory while they are few and on disk beyond that."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 256 << 20
"""Bytes of samples that are kept in memory; a 40-megapixel picture of 8 bits takes 120 MB."""


def kept_in_memory(memory: int | None) -> int:
    """Return the bytes of samples to keep in memory when so many may be taken; None: plenty."""
    return IN_MEMORY if memory is None else min(IN_MEMORY, memory // 4)


def scratch_folder() -> Path:
    """Return the folder for temporary files of many megabytes.

    That is TMPDIR where it is set; else /var/tmp, because /tmp is memory on many systems.
    """
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK | os.X_OK):
        return Path("/var/tmp")
    return Path(tempfile.gettempdir())


class RowStore:
    """Collects `height` rows of shape `row` = (width, channels), top to bottom.

    More than `most` bytes lie on disk.

    On disk they lie in a temporary file in `folder` that has no name (on Windows: one that goes
    when it is closed), so that nothing is left behind however the process ends. Writing there
    raises `OSError`, as when the disk is full.
    """

    def __init__(
        self,
        height: int,
        row: tuple[int, int],
        dtype: np.dtype[Any],
        folder: Path | None = None,
        *,
        most: int = IN_MEMORY,
    ) -> None:
        self.shape = (height, *row)
        self.dtype = dtype
        self._filled = 0
        self._array: NDArray[Any] | None = None
        self._file: IO[bytes] | None = None
        self._mapping: mmap.mmap | None = None
        if height * row[0] * row[1] * dtype.itemsize <= most:
            self._array = np.empty(self.shape, dtype)
        else:
            where = folder or scratch_folder()
            self._file = tempfile.TemporaryFile(dir=where)  # noqa: SIM115 - __exit__ closes it

    def append(self, rows: NDArray[Any]) -> None:
        """Add the next rows, which must have the store's width, channels and type.

        Raises `ValueError` for others, or for more than fit.
        """
        end = self._filled + len(rows)
        if rows.shape[1:] != self.shape[1:] or rows.dtype != self.dtype or end > self.shape[0]:
            raise ValueError(
                f"rows of shape {rows.shape} and type {rows.dtype} do not continue a picture of"
                f" shape {self.shape} and type {self.dtype} that has {self._filled} rows"
            )
        if self._array is not None:
            self._array[self._filled : end] = rows
        elif self._file is not None:
            self._file.write(np.ascontiguousarray(rows).data)
        self._filled = end

    def samples(self) -> NDArray[Any]:
        """Return all rows, which must have come, as a read-only array.

        It stays valid when the store is closed; rows on disk are mapped, not read.
        """
        self._require_all()
        if self._array is not None:
            view = self._array.view()
            view.flags.writeable = False
            return view
        assert self._file is not None
        self._file.flush()
        self._mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(self._mapping, self.dtype).reshape(self.shape)

    def forget(self, rows: int | None = None) -> None:
        """Say that the first rows, or all, have been used: their memory is free, they stay on disk.

        They may be used again.
        """
        if self._mapping is not None and hasattr(self._mapping, "madvise"):
            used = (
                (self.shape[0] if rows is None else rows)
                * self.shape[1]
                * self.shape[2]
                * self.dtype.itemsize
            )
            whole = used // mmap.PAGESIZE * mmap.PAGESIZE
            if whole:
                self._mapping.madvise(mmap.MADV_DONTNEED, 0, whole)

    def _require_all(self) -> None:
        if self._filled != self.shape[0]:
            raise ValueError(f"{self._filled} of {self.shape[0]} rows of the picture have come")

    def __enter__(self) -> RowStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
