"""Enlarging a picture piece by piece, from top to bottom, with as little as possible in memory.

The picture is cut into a grid of overlapping tiles. Of each enlarged tile the outermost `margin`
is thrown away where the picture goes on behind it, because the network saw a border there that
the picture does not have. What the rest of two neighbours shares is blended by a linear ramp.

A "local" network needs a margin of its receptive radius and no ramp: every sample that is kept is
the one that the whole picture would have given. A "global" one should be told the same statistics
for all tiles (`lightsr.engine.pieces`); the ramp hides what step may be left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from lightsr.engine.backends.base import Pixels
from lightsr.errors import UserError

_MARGIN = 8
_RAMP = 24
"""LR pixels, for networks with global statistics and tiles of at least eight times as many."""
_SMALLEST = 16

Run = Callable[[Pixels], Pixels]
"""Enlarges one tile: float32 [h, w, c] to [s*h, s*w, c]."""
Progress = Callable[[int, int], None]
"""Called as progress(tiles done, tiles altogether)."""
GiveWay = Callable[[int], "Plan"]
"""Returns the plan for the rows from the given one on, when memory did not suffice for them."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One tile along one axis, in LR pixels: [start, stop) is read, [first, last) is kept."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a picture is cut: every row cut crossed with every column cut is a tile."""

    rows: tuple[Cut, ...]
    columns: tuple[Cut, ...]

    @property
    def tiles(self) -> int:
        """The number of tiles; 1 is the whole picture at once."""
        return len(self.rows) * len(self.columns)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Height and width of the tiles, which are all of the same size."""
        return (
            self.rows[0].stop - self.rows[0].start,
            self.columns[0].stop - self.columns[0].start,
        )


def plan_from(data: Mapping[str, Sequence[Mapping[str, int]]]) -> Plan:
    """Return a plan from what `dataclasses.asdict` made of it."""
    rows, columns = (tuple(Cut(**cut) for cut in data[axis]) for axis in ("rows", "columns"))
    return Plan(rows, columns)


def plan_tiles(height: int, width: int, tile: int, radius: int | None) -> Plan:
    """Cut a picture of `height` x `width` into tiles of at most `tile` x `tile` LR pixels.

    `radius` is the network's receptive radius, None where its statistics are global. Raises
    `UserError` for tiles too small to keep anything of.
    """
    smallest = smallest_tile(radius)
    if tile < smallest:
        raise UserError(
            f"tiles of {tile}x{tile} pixels are too small for this network: give at least "
            f"{smallest}"
        )
    margin, ramp = _margin_and_ramp(tile, radius)
    return Plan(cut_axis(height, tile, margin, ramp), cut_axis(width, tile, margin, ramp))


def plan_rest(height: int, width: int, tile: int, radius: int | None, first: int) -> Plan:
    """Cut what is left of a picture as `plan_tiles` does, when its rows before `first` are done."""
    margin, ramp = _margin_and_ramp(tile, radius)
    top = max(0, first - margin)
    rows = [
        Cut(cut.start + top, cut.stop + top, cut.first + top, cut.last + top)
        for cut in cut_axis(height - top, tile, margin, ramp)
    ]
    rows[0] = replace(rows[0], first=first)
    return Plan(tuple(rows), cut_axis(width, tile, margin, ramp))


def _margin_and_ramp(tile: int, radius: int | None) -> tuple[int, int]:
    if radius is None:
        return min(_MARGIN, tile // 8), min(_RAMP, tile // 8)
    return max(1, radius), 0  # 1: alpha looks at its neighbours


def smallest_tile(radius: int | None) -> int:
    """Return the least side of a tile, in LR pixels, that leaves something to keep."""
    return _SMALLEST if radius is None else max(_SMALLEST, 2 * radius + 1)


def smallest_sensible_tile(radius: int | None) -> int:
    """Return the least side of a tile that does not spend nearly all its work on margins."""
    return max(2 * _SMALLEST, 4 * (radius or 0))


def largest_tile(
    height: int,
    width: int,
    radius: int | None,
    peak_bytes: Callable[[int, int], int],
    budget: int,
) -> int | None:
    """Return the largest side of a tile with `peak_bytes(tile height, tile width) <= budget`.

    None where not even the smallest sensible tile would fit.
    """

    def fits(tile: int) -> bool:
        return peak_bytes(min(tile, height), min(tile, width)) <= budget

    low, high = smallest_sensible_tile(radius), max(height, width)
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def cut_axis(size: int, tile: int, margin: int, ramp: int) -> tuple[Cut, ...]:
    """Cut an axis of `size` pixels into the fewest cuts of equal length, at most `tile`.

    Neighbours keep at least `ramp` pixels in common, each at least `margin` away from its end.
    """
    if tile >= size:
        return (Cut(0, size, 0, size),)
    overlap = 2 * margin + ramp
    count = ceil((size - overlap) / (tile - overlap))
    length = ceil((size + (count - 1) * overlap) / count)
    starts = [i * (size - length) // (count - 1) for i in range(count)]
    return tuple(
        Cut(
            start,
            start + length,
            start + margin if start > 0 else 0,
            start + length - margin if start + length < size else size,
        )
        for start in starts
    )


def whole(height: int, width: int) -> Plan:
    """Return the plan that takes a picture at once."""
    return Plan((Cut(0, height, 0, height),), (Cut(0, width, 0, width),))


def enlarge(
    rows: Callable[[int, int], Pixels],
    plan: Plan,
    scale: int,
    run: Run,
    progress: Progress | None = None,
    give_way: GiveWay | None = None,
) -> Iterator[Pixels]:
    """Enlarge a picture tile by tile; yield the result in bands of full rows, top to bottom.

    `rows(top, bottom)` gives LR rows as float32 [bottom - top, width, c] and is asked for every
    row of tiles in turn. `run` must treat all channels alike. In memory are one row of tiles and
    the rows it shares with the next. `progress(done, tiles)` is called after every tile.

    Where a row of tiles raises `MemoryError`, it and what follows are done as `give_way` says,
    with the bands before kept; without it the error is raised.
    """
    done, count = 0, plan.tiles
    above: Pixels | None = None  # rows of the strip before, that this one has too
    cuts, columns = plan.rows, plan.columns
    while cuts:
        cut = cuts[0]

        strip: Pixels | None = None  # lets go of the strip before
        try:
            strip = _strip(
                rows(cut.start, cut.stop), cut, columns, scale, run, _telling(progress, done, count)
            )
        except MemoryError:
            if give_way is None:
                raise
        if strip is None:  # now that the error is gone, and with it the arrays its traceback held
            assert give_way is not None
            rest = give_way(cut.first)
            cuts, columns, count = rest.rows, rest.columns, done + rest.tiles
            continue
        done += len(columns)
        if above is not None:
            shared = min(len(above), len(strip))
            blend(above[:shared], strip[:shared], axis=0)
        cuts = cuts[1:]
        if not cuts:
            yield strip
        else:
            ready = (cuts[0].first - cut.first) * scale
            above = strip[ready:].copy()
            yield strip[:ready]


def _telling(progress: Progress | None, done: int, count: int) -> Callable[[int], None]:
    """Return what tells of the tiles of a strip as of those of the picture."""
    return lambda tiles: None if progress is None else progress(done + tiles, count)


def _strip(
    band: Pixels,
    cut: Cut,
    columns: tuple[Cut, ...],
    scale: int,
    run: Run,
    tell: Callable[[int], None],
) -> Pixels:
    """Return what is kept of a row of tiles, enlarged and joined; `tell` hears of every tile."""
    strip: Pixels | None = None
    for where, column in enumerate(columns):
        tile = run(np.ascontiguousarray(band[:, column.start : column.stop]))
        kept = tile[(cut.first - cut.start) * scale : (cut.last - cut.start) * scale]
        strip = _put_beside(strip, kept, columns, where, scale)
        del tile, kept
        tell(where + 1)
    assert strip is not None
    return strip


def blend(earlier: Pixels, later: Pixels, axis: int) -> None:
    """Turn `later` into the ramp that leads from `earlier` to it along `axis`, in place.

    The weights of the two sum to 1 at every sample, and where both are equal nothing changes.
    """
    length = later.shape[axis]
    shape = [1] * later.ndim
    shape[axis] = length
    weights = ((np.arange(length, dtype=np.float32) + 0.5) / max(length, 1)).reshape(shape)
    later -= earlier
    later *= weights
    later += earlier


def _put_beside(
    strip: Pixels | None, tile: Pixels, columns: tuple[Cut, ...], where: int, scale: int
) -> Pixels:
    """Put an enlarged tile at its place in the strip of its row, blended with the one before."""
    if len(columns) == 1:
        return tile
    column = columns[where]
    if strip is None:
        strip = np.empty((len(tile), columns[-1].last * scale, tile.shape[2]), tile.dtype)
    shared = (columns[where - 1].last - column.first) * scale if where else 0
    left = (column.first - column.start) * scale
    right = (column.last - column.start) * scale
    kept = tile[:, left:right]
    place = strip[:, column.first * scale : column.last * scale]
    earlier = place[:, :shared].copy()
    place[:] = kept
    blend(earlier, place[:, :shared], axis=1)
    return strip
