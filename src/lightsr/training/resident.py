"""The whole training set in the memory of the device, and patches cut there.

Nothing but the draws, 48 bytes a patch, goes to the device while training, so the loader never
limits: patches are gathered, flipped and turned by index arithmetic from one array of all pixels.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from lightsr.errors import UserError
from lightsr.training.data import Pair, Patches
from lightsr.training.drawing import Drawing
from lightsr.training.pictures import Pixels
from lightsr.training.recipe import Data

log = logging.getLogger(__name__)

_AHEAD = 64
"""Iterations whose draws are sent at a time."""

_ROOM = 0.5
"""Part of the device's free memory that the set may take, where that is for us to choose."""


def choose_patches(
    pairs: list[Pair],
    data: Data,
    scale: int,
    seed: int,
    first: int,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> Patches | ResidentPatches:
    """Return the batches from iteration `first` on, held on the device if the recipe says so.

    They are the same patches either way. Raises `UserError` if the set has to be held there and
    does not fit.
    """
    if data.resident == "yes" or (data.resident == "auto" and _should_hold(pairs, data, device)):
        try:
            return ResidentPatches(pairs, data, scale, seed, first, device, rank, world)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"data.resident: {held_bytes(pairs) / 1e9:.1f} GB of pictures do not fit into the "
                f"memory of {device}; set it to no"
            ) from error
    return Patches(pairs, data, scale, seed, first, rank, world)


def held_bytes(pairs: list[Pair]) -> int:
    """Return the memory that a set takes on the device."""
    return sum(pair.hr.size + pair.lr.size for pair in pairs)


class ResidentPatches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of (LR, HR) patches on the device, equal to those of `Patches`."""

    def __init__(
        self,
        pairs: list[Pair],
        data: Data,
        scale: int,
        seed: int,
        first: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        self.data, self.first, self.device = data, first, device
        self.drawing = Drawing([pair.lr.shape[:2] for pair in pairs], data, seed, rank, world)
        self.lr = _Pixels([pair.lr for pair in pairs], 1, device)
        self.hr = _Pixels([pair.hr for pair in pairs], scale, device)
        self._sent: dict[int, Tensor] = {}
        log.info("%.2f GB of pictures held on %s", held_bytes(pairs) / 1e9, device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of iterations first, first + 1, ..."""
        iteration = self.first
        while True:
            yield self.batch(iteration)
            iteration += 1

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the batch of one iteration: [b, 3, p, p] and [b, 3, s * p, s * p]."""
        patch, _ = self.data.sizes(iteration)
        return self.cut(self.draws(iteration), patch)

    def draws(self, iteration: int) -> Tensor:
        """Return the draws of an iteration, int64 [b, 6], on the device."""
        if iteration not in self._sent:
            coming = range(iteration, iteration + _AHEAD)
            drawn = [self.drawing.draw(i) for i in coming]
            sent = torch.from_numpy(np.concatenate(drawn)).to(self.device)
            parts = sent.split([len(draws) for draws in drawn])
            self._sent = dict(zip(coming, parts, strict=True))
        return self._sent[iteration]

    def cut(self, draws: Tensor, patch: int) -> tuple[Tensor, Tensor]:
        """Return the patches of draws [b, 6]; fixed shapes, so that it can be captured."""
        return self.lr.cut(draws, patch), self.hr.cut(draws, patch)


class _Pixels:
    """All pictures one after the other, uint8 [pixels, 3]; `scale` times the size of the draws."""

    def __init__(self, pictures: list[Pixels], scale: int, device: torch.device) -> None:
        counts = np.array([picture.shape[0] * picture.shape[1] for picture in pictures], np.int64)
        starts = np.cumsum(counts) - counts
        self.scale = scale
        self.samples = torch.empty((int(counts.sum()), 3), dtype=torch.uint8, device=device)
        for picture, start, count in zip(pictures, starts, counts, strict=True):
            whole = torch.from_numpy(np.array(picture).reshape(-1, 3))
            self.samples[int(start) : int(start + count)].copy_(whole)
        self.starts = torch.from_numpy(starts).to(device)
        widths = np.array([picture.shape[1] for picture in pictures], np.int64)
        self.widths = torch.from_numpy(widths).to(device)

    def cut(self, draws: Tensor, patch: int) -> Tensor:
        """Return the patches [b, 3, p, p] of draws [b, 6], RGB in [0, 1]."""
        picture, top, left, flip_rows, flip_columns, swap = draws[:, :, None, None].unbind(1)
        side = self.scale * patch
        steps = torch.arange(side, device=draws.device)
        down, across = steps[None, :, None], steps[None, None, :]
        # Row and column of the picture that each pixel of the turned patch comes from.
        row = torch.where(swap == 1, across, down)
        column = torch.where(swap == 1, down, across)
        row = torch.where(flip_rows == 1, side - 1 - row, row) + self.scale * top
        column = torch.where(flip_columns == 1, side - 1 - column, column) + self.scale * left
        index = self.starts[picture] + row * self.widths[picture] + column
        return self.samples[index].permute(0, 3, 1, 2).contiguous().float() / 255


def _should_hold(pairs: list[Pair], data: Data, device: torch.device) -> bool:
    if device.type != "cuda" or data.degradations:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return held_bytes(pairs) < _ROOM * free
