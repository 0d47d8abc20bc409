"""Training pictures as memory-mapped arrays, and the patches cut from them.

Each picture is decoded once, its LR made with the exact bicubic, and both are kept as uint8
arrays in the cache folder. The patches of iteration i depend on the seed and on i alone, so a
run that is stopped and resumed sees the same patches as one that was not.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import IterableDataset

from lightsr.errors import UserError
from lightsr.images.resize import degrade, mod_crop
from lightsr.training.recipe import Data

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """A training picture: HR and LR, uint8 [h, w, 3], memory-mapped."""

    hr: Pixels
    lr: Pixels


def load_pairs(data: Data, scale: int) -> list[Pair]:
    """Return the pairs of every usable picture in the folders, in the order of their names.

    Pictures that cannot be read, or are smaller than a patch, are named in the log and left out.
    Raises `UserError` if a folder is missing or nothing is left.
    """
    pairs: list[Pair] = []
    for folder in data.folders:
        root = folder.expanduser()
        if not root.is_dir():
            raise UserError(f"{folder}: no such folder of training pictures")
        for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES):
            pair = _cached_pair(path, data, scale)
            if pair is None:
                log.warning("%s: not a readable picture, left out", path)
            elif min(pair.lr.shape[:2]) < data.patch:
                log.warning("%s: smaller than a patch, left out", path)
            else:
                pairs.append(pair)
    if not pairs:
        names = ", ".join(str(folder) for folder in data.folders)
        raise UserError(f"{names}: no usable training pictures")
    return pairs


class Patches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of (LR, HR) patches, RGB in [0, 1], from iteration `first` on without end."""

    def __init__(self, pairs: list[Pair], data: Data, scale: int, seed: int, first: int) -> None:
        super().__init__()
        self.pairs, self.data, self.scale = pairs, data, scale
        self.seed, self.first = seed, first
        areas = np.array([pair.lr.shape[0] * pair.lr.shape[1] for pair in pairs], np.float64)
        self.share = np.cumsum(areas / areas.sum())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of iterations first, first + 1, ..."""
        iteration = self.first
        while True:
            yield self.batch(iteration)
            iteration += 1

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the batch of one iteration: [b, 3, p, p] and [b, 3, s * p, s * p]."""
        random = np.random.default_rng((self.seed, iteration))
        cut = [self._patch(random) for _ in range(self.data.batch)]
        lr, hr = (np.stack(side).transpose(0, 3, 1, 2) for side in zip(*cut, strict=True))
        return (
            torch.from_numpy(np.ascontiguousarray(lr)).float() / 255,
            torch.from_numpy(np.ascontiguousarray(hr)).float() / 255,
        )

    def _patch(self, random: np.random.Generator) -> tuple[Pixels, Pixels]:
        # Large pictures are drawn more often, so that every pixel is as likely as any other.
        drawn = int(np.searchsorted(self.share, random.random(), side="right"))
        pair = self.pairs[min(drawn, len(self.pairs) - 1)]
        p, s = self.data.patch, self.scale
        y = int(random.integers(pair.lr.shape[0] - p + 1))
        x = int(random.integers(pair.lr.shape[1] - p + 1))
        lr = pair.lr[y : y + p, x : x + p]
        hr = pair.hr[s * y : s * (y + p), s * x : s * (x + p)]
        flip_rows, flip_columns, transpose = random.integers(2, size=3)
        if flip_rows:
            lr, hr = lr[::-1], hr[::-1]
        if flip_columns:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        if transpose:
            lr, hr = lr.transpose(1, 0, 2), hr.transpose(1, 0, 2)
        return lr, hr


_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def _cached_pair(path: Path, data: Data, scale: int) -> Pair | None:
    status = path.stat()
    identity = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} x{scale} {data.border}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    folder = data.cache.expanduser()
    hr_path, lr_path = folder / f"{key}.hr.npy", folder / f"{key}.lr.npy"
    if not (hr_path.exists() and lr_path.exists()):
        try:
            with Image.open(path) as picture:
                hr = mod_crop(np.asarray(picture.convert("RGB")), scale)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            return None
        if min(hr.shape[:2]) < scale:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        _save(lr_path, degrade(hr, scale, data.border))
        _save(hr_path, hr)
    return Pair(hr=np.load(hr_path, mmap_mode="r"), lr=np.load(lr_path, mmap_mode="r"))


def _save(path: Path, pixels: Pixels) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            np.save(file, pixels)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
