"""Training pictures as memory-mapped arrays, and the patches cut from them.

Each picture is decoded once, its LR made with the exact bicubic, and both are kept as uint8
arrays in the cache folder. The patches of iteration i depend on the seed, on i and on the set of
pictures alone, so a run that is stopped and resumed sees the same patches as one that was not.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from lightsr.errors import PictureError, UserError
from lightsr.images.bicubic import Border
from lightsr.images.files import picture_files
from lightsr.images.resize import degrade, mod_crop
from lightsr.training.cache import filling, read_array, write_array
from lightsr.training.degradations import Degrader
from lightsr.training.drawing import Drawing, Draws
from lightsr.training.pictures import Pixels, read_rgb
from lightsr.training.recipe import Data

log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds between lines that say how far the cache is."""
_NAMED = 5
"""Pictures made again that are named; the rest is counted, as when a folder was copied anew."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A training picture: HR and LR, uint8 [h, w, 3], memory-mapped."""

    hr: Pixels
    lr: Pixels
    path: Path
    version: str
    """Size and time of the file, as a string that changes when the picture does."""


def load_pairs(data: Data, scale: int) -> list[Pair]:
    """Return the pairs of every usable picture in the folders, in the order of their names.

    What the cache holds is checked, and what it lacks is made, by as many threads as there are
    cores. Pictures that cannot be read, or are smaller than a patch, are named in the log and left
    out. Raises `UserError` if a folder is missing, nothing is left, or the cache cannot be written.
    """
    shelf = _Shelf(data, scale)
    files = _files(data)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        pairs = list(threads.map(shelf.find, files))
        missing = [i for i, pair in enumerate(pairs) if pair is None]
        if missing:
            _tell_why([files[i] for i in missing if shelf.held(files[i])])
            with filling(shelf.folder):
                made = threads.map(shelf.make, [files[i] for i in missing])
                for i, pair in zip(missing, _told(made, len(missing)), strict=True):
                    pairs[i] = pair
    usable = [pair for pair in pairs if pair is not None and _is_large_enough(pair, data)]
    if not usable:
        names = ", ".join(str(folder) for folder in data.folders)
        raise UserError(f"{names}: no usable training pictures; name others in data.folders")
    return usable


class Patches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of (LR, HR) patches, RGB in [0, 1], from iteration `first` on without end.

    Process `rank` of `world` gets its share of every batch. Workers of a loader take turns.
    """

    def __init__(
        self,
        pairs: list[Pair],
        data: Data,
        scale: int,
        seed: int,
        first: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        self.pairs, self.data, self.scale = pairs, data, scale
        self.seed, self.first = seed, first
        self.drawing = Drawing([pair.lr.shape[:2] for pair in pairs], data, seed, rank, world)
        self.degrader = Degrader(data, scale) if data.degradations else None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of iterations first, first + 1, ..."""
        worker = get_worker_info()
        iteration = self.first + (worker.id if worker else 0)
        while True:
            yield self.batch(iteration)
            iteration += worker.num_workers if worker else 1

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the batch of one iteration: [b, 3, p, p] and [b, 3, s * p, s * p]."""
        patch, _ = self.data.sizes(iteration)
        draws = self.drawing.draw(iteration)
        cut = [self._cut(draw, patch, iteration, index) for index, draw in enumerate(draws)]
        lr, hr = (np.stack(side).transpose(0, 3, 1, 2) for side in zip(*cut, strict=True))
        return (
            torch.from_numpy(np.ascontiguousarray(lr)).float() / 255,
            torch.from_numpy(np.ascontiguousarray(hr)).float() / 255,
        )

    def _cut(self, draw: Draws, p: int, iteration: int, index: int) -> tuple[Pixels, Pixels]:
        picture, y, x, flip_rows, flip_columns, swap = (int(value) for value in draw)
        pair, s = self.pairs[picture], self.scale
        hr = pair.hr[s * y : s * (y + p), s * x : s * (x + p)]
        if self.degrader is None:
            lr = pair.lr[y : y + p, x : x + p]
        else:
            place = self.drawing.rank + index * self.drawing.world
            random = np.random.default_rng((self.seed, iteration, place))
            lr = self.degrader.patch(pair.hr, y, x, p, random)
        if flip_rows:
            lr, hr = lr[::-1], hr[::-1]
        if flip_columns:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        if swap:
            lr, hr = lr.transpose(1, 0, 2), hr.transpose(1, 0, 2)
        return lr, hr


class _Shelf:
    """The place of every picture in the cache folder."""

    def __init__(self, data: Data, scale: int) -> None:
        self.folder = data.cache.expanduser()
        self.scale = scale
        self.border: Border = data.border

    def find(self, path: Path) -> Pair | None:
        """Return a picture's pair if the cache holds it."""
        hr_path, lr_path, version = self._place(path)
        hr = read_array(hr_path, version)
        lr = None if hr is None else read_array(lr_path, version)
        return None if hr is None or lr is None else self._pair(hr, lr, path, version)

    def held(self, path: Path) -> bool:
        """Whether the cache has files of a picture, of whatever version and state."""
        hr_path, lr_path, _ = self._place(path)
        return hr_path.exists() and lr_path.exists()

    def make(self, path: Path) -> Pair | None:
        """Decode a picture and make its LR, unless another process did; None if it is unusable."""
        found = self.find(path)
        if found is not None:
            return found
        hr_path, lr_path, version = self._place(path)
        hr = read_array(hr_path, version)  # there if the LR was made for another scale
        if hr is None:
            try:
                hr = read_rgb(path)
            except PictureError as error:
                log.warning("%s; left out", error)
                return None
            write_array(hr_path, hr, version)
        if min(hr.shape[:2]) < self.scale:
            log.warning("%s: smaller than a patch, left out", path)
            return None
        write_array(lr_path, degrade(hr, self.scale, self.border), version)
        return self.find(path)

    def _pair(self, hr: Pixels, lr: Pixels, path: Path, version: str) -> Pair:
        return Pair(mod_crop(hr, self.scale), lr, path, version)

    def _place(self, path: Path) -> tuple[Path, Path, str]:
        """Return the cache's two files for a picture, and what tells its version."""
        status = path.stat()
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
        lr_name = f"{key}.x{self.scale}-{self.border}.lr"
        version = f"{status.st_size} bytes, {status.st_mtime_ns} ns"
        return self.folder / f"{key}.hr", self.folder / lr_name, version


def _tell_why(stale: list[Path]) -> None:
    """Log the pictures that the cache held but does not hold any more."""
    for path in stale[:_NAMED]:
        log.info("%s: has changed, or its copy in the cache is damaged; decoded again", path)
    if len(stale) > _NAMED:
        log.info("%d more have changed or are damaged; decoded again", len(stale) - _NAMED)


def _files(data: Data) -> list[Path]:
    files: list[Path] = []
    for folder in data.folders:
        root = folder.expanduser()
        if not root.is_dir():
            raise UserError(
                f"{folder}: no such folder of training pictures; name yours, as in "
                "--set data.folders=FOLDER"
            )
        try:
            files += [file.path for file in picture_files([root], exclude=data.cache.expanduser())]
        except PictureError as error:
            log.warning("%s", error)
    return list(dict.fromkeys(files))


def _told(made: Iterator[Pair | None], count: int) -> Iterator[Pair | None]:
    """Pass pairs on, and say now and then how many there are."""
    log.info("decoding %d pictures into the cache", count)
    told = time.monotonic()
    for done, pair in enumerate(made, start=1):
        if time.monotonic() - told > _PATIENCE:
            log.info("%d of %d pictures decoded", done, count)
            told = time.monotonic()
        yield pair


def _is_large_enough(pair: Pair, data: Data) -> bool:
    enough = min(pair.lr.shape[:2]) >= data.largest_patch
    if not enough:
        log.warning("%s: smaller than a patch, left out", pair.path)
    return enough
