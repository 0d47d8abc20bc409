"""The report: a line of JSON for each picture that failed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from lightsr.cluster.places import STATE, Folder, Place
from lightsr.errors import UserError


def report_name(part: str) -> str:
    """Return the name of a part's report in the output."""
    return f"{STATE}/failures-{part}.jsonl"


class Report:
    """A context manager. The report of one pass takes the place of the one before."""

    def __init__(self, output: Place, part: str, path: Path | None) -> None:
        """`path` is where it goes; None: to the output, beside its records."""
        if path is None and isinstance(output, Folder):
            path = output.root / report_name(part)
        self._output, self._part, self._path = output, part, path
        self._file: IO[str] | None = None

    def __enter__(self) -> Report:
        if self._path is None:
            # Objects cannot be added to, so it is put when the pass is over.
            self._file = tempfile.TemporaryFile("w+", encoding="ascii")
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="ascii", buffering=1)
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}") from error
        return self

    def add(self, name: str, reason: str) -> None:
        """Add a picture."""
        assert self._file is not None
        self._file.write(json.dumps({"name": name, "reason": reason}) + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        with self._file as file:
            if self._path is None:
                file.seek(0)
                self._output.put(report_name(self._part), file.read().encode())
