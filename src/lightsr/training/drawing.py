"""Which patches an iteration sees: a function of the seed, the iteration and the set of pictures.

Nothing is remembered from one iteration to the next, so a run that is stopped and resumed sees the
patches that one sees that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError
from lightsr.training.recipe import Data

Draws = NDArray[np.int64]
"""[batch, 6]: picture, top and left in LR pixels, then 0 or 1 each for rows flipped, columns
flipped, and rows and columns swapped, which are done in this order."""


class Drawing:
    """Draws the patches of every iteration, or one process's share of them.

    `sizes` are the heights and widths of the LR pictures. Process `rank` of `world` gets every
    `world`-th patch, so that together they see what one process would. Raises `UserError` if they
    cannot share a batch evenly.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], data: Data, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.sizes = np.array(sizes, np.int64)
        self.data, self.seed = data, seed
        self.rank, self.world = rank, world
        for batch in (data.batch, *(stage.batch for stage in data.stages)):
            if batch % world:
                raise UserError(f"data.batch: {world} processes cannot share {batch} evenly")
        # Large pictures are drawn more often, so that every pixel is as likely as any other.
        areas = self.sizes.prod(axis=1).astype(np.float64)
        self.shares = np.cumsum(areas / areas.sum())

    def draw(self, iteration: int) -> Draws:
        """Return this process's patches of an iteration."""
        patch, batch = self.data.sizes(iteration)
        random = np.random.default_rng((self.seed, iteration))
        which, *where = random.random((3, batch))
        turns = random.integers(2 if self.data.augment else 1, size=(batch, 3))
        # The last share may be just below 1, so it is left out.
        pictures = (which[:, None] >= self.shares[None, :-1]).sum(axis=1)
        rooms = self.sizes[pictures] - patch + 1
        corners = (np.stack(where, axis=1) * rooms).astype(np.int64)
        draws = np.concatenate([pictures[:, None], corners, turns], axis=1)
        return draws[self.rank :: self.world]
