"""The records of a run: log.csv, and curves and pictures for TensorBoard."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)


class CsvLog:
    """log.csv: iteration, loss, seconds an iteration, and the PSNR of each set when measured."""

    def __init__(self, path: Path, sets: list[str]) -> None:
        self.path = path
        self.fields = ["iteration", "loss", "seconds", *sets]

    def forget_after(self, iteration: int) -> None:
        """Take away the rows after an iteration, which a resumed run will write again.

        A line that a killed process wrote only in part goes too.
        """
        if not self.path.exists():
            return
        with self.path.open(newline="", encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        rows = [row for row in csv.DictReader(lines) if int(row["iteration"]) <= iteration]
        if rows:
            self.fields = list(rows[0])
        beside = self.path.with_name(f"{self.path.name}.part")
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.fields)
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def write(self, values: Mapping[str, float]) -> None:
        """Append a row."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.fields, extrasaction="ignore")
        if not self.path.exists():
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" for key, value in values.items()})
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(text.getvalue())


class TensorBoardLog:
    """Curves and pictures in the run folder's `tensorboard`, if TensorBoard is installed."""

    def __init__(self, folder: Path, first: int, *, wanted: bool) -> None:
        self._writer: Any = None
        if not wanted:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("no curves for TensorBoard: pip install tensorboard, or set tensorboard: no")
            return
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)

    def curves(self, iteration: int, values: Mapping[str, float]) -> None:
        """Write a point of each curve."""
        for name, value in values.items():
            if self._writer is not None:
                self._writer.add_scalar(name, value, iteration)

    def picture(self, iteration: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Write a picture, uint8 [h, w, 3]."""
        if self._writer is not None:
            self._writer.add_image(name, pixels, iteration, dataformats="HWC")

    def flush(self) -> None:
        """Have what was written on the disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
