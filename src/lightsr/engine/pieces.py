"""The tiles of one picture: one set of statistics for all, and smaller ones if memory runs out."""

from __future__ import annotations

import logging
from math import ceil, isqrt, sqrt

import numpy as np

from lightsr.engine import tiles
from lightsr.engine.backends.base import Pixels
from lightsr.engine.forward import Forward
from lightsr.engine.samples import to_float
from lightsr.errors import LightsrError
from lightsr.images.alpha import fill_transparent
from lightsr.images.picture import Picture

log = logging.getLogger("lightsr")

HALVINGS = 4
"""How often tiles are halved when memory runs out, before it is given up."""
PATCH = 64
"""LR pixels: the side of the parts of a picture that statistics are read from."""
SHARE = 4
"""What part of a picture they make up, one in so many."""
LEAST_PATCHES, MOST_PATCHES = 64, 256
"""A picture with fewer places for them is read wholly."""


class Pieces:
    """Enlarges the tiles of one picture, for `tiles.enlarge`."""

    def __init__(self, forward: Forward, picture: Picture, plan: tiles.Plan, sampled: int) -> None:
        """Take what enlarges, a picture, and the plan to begin with.

        Statistics are read from at most `sampled` LR pixels at a time; more is more exact.
        """
        self._forward, self._plan, self._sampled = forward, plan, sampled
        self._samples, self._forget = filled(picture), picture.forget
        self._source = picture.source
        self._halvings = 0
        self._tuned: Forward | None = None

    def rows(self, top: int, bottom: int) -> Pixels:
        """Return rows of the picture as the network takes them."""
        rows = to_float(self._samples[top:bottom])
        self._forget()
        return rows

    def run(self, tile: Pixels) -> Pixels:
        """Enlarge a tile, or the whole picture where that is one."""
        try:
            return self._for_tiles()(tile[np.newaxis])[0]
        except LightsrError as error:
            raise LightsrError(f"{self._source}: {error}") from error

    def give_way(self, first: int) -> tiles.Plan:
        """Return the plan for the rows from `first` on, in tiles of half the size.

        Raises `LightsrError` when that was done a few times already.
        """
        radius = self._forward.backend.radius
        before = max(self._plan.tile_size)
        side = max(before // 2, tiles.smallest_sensible_tile(radius))
        self._halvings += 1
        if self._halvings > HALVINGS or side >= before:
            high, wide = self._plan.tile_size
            raise LightsrError(
                f"{self._source}: memory ran out, even in tiles of {wide}x{high}; close what else "
                f"takes memory, or give a smaller --memory"
            )
        height, width = self._samples.shape[:2]
        self._sampled = min(self._sampled, side * side)
        self._plan = tiles.plan_rest(height, width, side, radius, first)
        log.warning(
            "%s: memory ran out; it goes on in tiles of at most %dx%d",
            *(self._source, side, side),
        )
        return self._plan

    def _for_tiles(self) -> Forward:
        """Return what enlarges tiles: with statistics of all the picture, if they are global.

        What was read once stays, whatever the tiles become.
        """
        if self._tuned is None:
            if self._plan.tiles == 1 or self._forward.backend.radius is not None:
                return self._forward
            self._tuned = self._forward.tuned_to(sample(self._samples, self._sampled))
        return self._tuned


def filled(picture: Picture) -> Pixels:
    """Return the picture's samples, with harmless colour where nothing is seen."""
    return fill_transparent(picture.samples) if picture.has_alpha else picture.samples


def sample(samples: Pixels, most: int) -> list[Pixels]:
    """Return parts of a picture, spread evenly, as floats [n, h, w, c] of at most `most` pixels.

    What belongs into one of them comes from all over the picture. A picture that is no larger than
    `most` is its own sample: patches have borders that the picture does not have.
    """
    height, width = samples.shape[:2]
    if height * width <= most:
        return [to_float(samples)[np.newaxis]]
    side = min(PATCH, isqrt(most))
    high, wide = min(side, height), min(side, width)
    wanted = height * width // (SHARE * high * wide)
    wanted = min(max(wanted, LEAST_PATCHES), MOST_PATCHES)
    # As many a row and a column as make the gaps between them alike.
    down = min(max(1, round(sqrt(wanted * height / width))), wanted, ceil(height / high))
    across = min(ceil(wanted / down), ceil(width / wide))
    places = [
        (top, left)
        for top in _spread(height - high, down)
        for left in _spread(width - wide, across)
    ]
    count = ceil(len(places) / (most // (high * wide)))
    return [
        np.stack([to_float(samples[y : y + high, x : x + wide]) for y, x in places[first::count]])
        for first in range(count)
    ]


def _spread(last: int, count: int) -> list[int]:
    """Return `count` whole numbers spread evenly over 0..`last`, or its middle."""
    if count == 1:
        return [last // 2]
    return [place * last // (count - 1) for place in range(count)]
