"""Which parts of which pictures the visual comparison shows, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError, unknown_name
from lightsr.evaluation.benchmark.contenders import Contender
from lightsr.evaluation.benchmark.quality import Picture, Step
from lightsr.evaluation.benchmark.settings import SMALLEST_CROP, Crop, Settings
from lightsr.evaluation.pairs import Picture8
from lightsr.images.color import rgb_to_luma
from lightsr.metrics import Score, compare

CHOSEN = 3
"""How many pictures are shown where no crops were asked for."""

_SIDE = 96
"""Width and height of a part that is chosen by itself, in pixels of the original."""

Named = tuple[str, str]
"""A picture by its set's name and its own."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One contender's view of a part."""

    contender: Contender
    samples: Picture8
    score: Score
    """Against the original, on this part alone."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A part of a picture as the original and every contender of a scale have it."""

    scale: int
    set: str
    crop: Crop
    original: Picture8
    tiles: Sequence[Tile]


def shown(settings: Settings, everything: Sequence[Picture]) -> list[tuple[Named, Crop | None]]:
    """Return the pictures to show, with the part where it was asked for.

    Where none was, these are the pictures of most detail. Raises `UserError` for a crop of a
    picture that is not there, or that reaches beyond it.
    """
    if not settings.visual:
        return []
    by_name = {(one.set.name, one.pair.name): one for one in everything}
    if settings.crops is not None:
        return [(_find(crop, by_name, max(settings.scales)), crop) for crop in settings.crops]
    detail = {name: _detail(one) for name, one in by_name.items() if min(one.size) >= _SIDE}
    return [(name, None) for name in sorted(detail, key=lambda n: -detail[n])[:CHOSEN]]


def compare_visually(
    steps: Sequence[Step], crop: Crop | None, enlarged: Callable[[Step], Picture8]
) -> Comparison:
    """Return one picture as all contenders of a scale see it; `steps` are these on the picture.

    Without a `crop`, the part is the one where the contenders differ most.
    """
    picture = steps[0].picture
    _, original = picture.pair.load(picture.scale, "symmetric")
    results = [enlarged(step) for step in steps]
    if crop is None:
        crop = _most_different(picture.pair.name, original, results)
    rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
    part = original[rows, columns]
    tiles = [
        Tile(step.contender, sr[rows, columns], compare(sr[rows, columns], part, border=0))
        for step, sr in zip(steps, results, strict=True)
    ]
    return Comparison(picture.scale, picture.set.name, crop, part, tiles)


def _find(crop: Crop, by_name: dict[Named, Picture], scale: int) -> Named:
    for name, picture in by_name.items():
        if crop.name in (name[1], "/".join(name)):
            height, width = (side // scale * scale for side in picture.size)
            if crop.x + crop.width > width or crop.y + crop.height > height:
                raise UserError(
                    f"the crop {crop.name}:{crop.x},{crop.y},{crop.width},{crop.height} reaches "
                    f"beyond the picture, which has {width}x{height} pixels at x{scale}"
                )
            return name
    raise unknown_name("picture", crop.name, [name for _, name in by_name])


def _detail(picture: Picture) -> float:
    """Return how much changes from pixel to pixel: the mean second difference of luma."""
    _, original = picture.pair.load(1, "symmetric")
    luma = rgb_to_luma(original)
    return sum(float(np.abs(np.diff(luma, 2, axis)).mean()) for axis in (0, 1))


def _most_different(name: str, original: Picture8, results: Sequence[Picture8]) -> Crop:
    """Return the part where results differ most among each other, or the original is richest."""
    height, width = (max(SMALLEST_CROP, min(_SIDE, side)) for side in original.shape[:2])
    lumas = np.stack([rgb_to_luma(result) for result in results])
    spread = lumas.var(axis=0)
    if not spread.any():
        luma = rgb_to_luma(original)
        spread = np.zeros_like(luma)
        spread[1:-1] += np.abs(np.diff(luma, 2, 0))
        spread[:, 1:-1] += np.abs(np.diff(luma, 2, 1))
    sums = _window_sums(spread, height, width)
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return Crop(name, int(x), int(y), width, height)


def _window_sums(values: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    down = total[height:] - total[:-height]
    return down[:, width:] - down[:, :-width]
