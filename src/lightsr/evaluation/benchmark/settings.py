"""What a benchmark is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightsr.errors import UserError
from lightsr.evaluation.evaluate import dataset_name
from lightsr.evaluation.forward import Forward
from lightsr.evaluation.pairs import Pair, find_pairs
from lightsr.images.resize import Border


@dataclass(frozen=True, slots=True)
class DataSet:
    """A named folder of originals."""

    name: str
    hr: Path
    lr: Path | None = None
    """A folder with an LR picture of each original per scale, in sub-folders x2, x3, x4; None:
    they are made from the originals."""

    def pairs(self, scale: int) -> list[Pair]:
        """Return the pictures to measure at a scale; raises what `find_pairs` does."""
        return find_pairs(self.hr, scale, None if self.lr is None else self.lr / f"x{scale}")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How pictures are measured; everything here is part of what a cached score is kept under."""

    name: Literal["common"] = "common"
    border: Border = "symmetric"
    forward: Forward = "whole"

    def as_json(self) -> dict[str, Any]:
        """Return it for cache keys and results."""
        return {"name": self.name, "border": self.border, "forward": self.forward}


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the networks, by the names that `lightsr upscale` takes."""

    backend: str = "auto"
    device: str = "auto"
    precision: str = "fp32"

    def as_json(self) -> dict[str, str]:
        """Return it for cache keys and results."""
        return {"backend": self.backend, "device": self.device, "precision": self.precision}


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of an original: its picture's name, and left, top, width and height in pixels."""

    name: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a benchmark is asked for."""

    output: Path
    sets: tuple[DataSet, ...]
    scales: tuple[int, ...] = (2, 3, 4)
    networks: tuple[str, ...] | None = None
    """None: all that lightsr knows."""
    weights_dir: Path | None = None
    protocol: Protocol = field(default_factory=Protocol)
    engine: Engine = field(default_factory=Engine)
    repeats: int = 3
    """Timed runs per network and scale, each in a fresh process; 0 leaves latency and memory
    out."""
    time_limit: float = 60.0
    """Seconds after which a timed run is given up."""
    crops: tuple[Crop, ...] | None = None
    """What the visual comparison shows; None: chosen by itself."""
    visual: bool = True
    plots: bool = True


def parse_test_set(text: str) -> DataSet:
    """Return the test set that NAME=FOLDER or FOLDER names.

    A folder with a sub-folder HR stands for that one. Raises `UserError` where it is no folder.
    """
    name, folder = split_named(text)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder" if folder.exists() else f"{folder} does not exist")
    hr = folder / "HR" if (folder / "HR").is_dir() else folder
    return DataSet(name or dataset_name(hr), hr)


def split_named(text: str) -> tuple[str, Path]:
    """Return name (or "") and folder of NAME=FOLDER or FOLDER; a folder that is there wins."""
    name, equals, folder = text.partition("=")
    if not equals or Path(text).exists():
        return "", Path(text)
    if not name or not folder:
        raise UserError(f"{text!r} must be FOLDER or NAME=FOLDER")
    return name, Path(folder)


def parse_crop(text: str) -> Crop:
    """Return the crop that NAME:x,y,w,h names; raises `UserError` for anything else."""
    name, _, numbers = text.rpartition(":")
    try:
        x, y, width, height = (int(number) for number in numbers.split(","))
    except ValueError:
        raise UserError(f"{text!r} is no crop; write it like butterfly:20,40,96,64") from None
    if not name or min(x, y) < 0 or min(width, height) < SMALLEST_CROP:
        raise UserError(
            f"{text!r} is no crop: it needs a picture's name, x and y of at least 0, and at least "
            f"{SMALLEST_CROP}x{SMALLEST_CROP} pixels"
        )
    return Crop(name, x, y, width, height)


SMALLEST_CROP = 16
"""Pixels per side; SSIM's window has 11."""
