"""Placing labels beside points so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_DISTANCES = (4.0, 10.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 112.0, 140.0)
_DIRECTIONS = 16
_LEADER = 12.0
"""From this distance on, a line leads from the point to its label."""


class Box(NamedTuple):
    """A rectangle, in whatever unit the caller draws in."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Return the area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0


class Label(NamedTuple):
    """What is to be placed: the point it belongs to, and its text's size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a label goes."""

    box: Box
    leader: bool
    """Whether it is so far from its point that a line must lead there."""


def place(
    labels: Sequence[Label], inside: Box, markers: Sequence[Box], lines: Sequence[Box] = ()
) -> list[Placed]:
    """Return a place for each label, all `inside` a box.

    Each goes as near to its point as it can without covering a label placed before or one of the
    `markers`, and away from `lines` where that takes it little farther. Where there is no free
    place, it goes where it covers least.
    """
    taken = list(markers)
    placed: list[Placed] = []
    for label in labels:
        best = min(
            _candidates(label, inside), key=lambda one: _badness(one[0], one[1], taken, lines)
        )
        taken.append(best[0])
        placed.append(Placed(best[0], best[1] >= _LEADER))
    return placed


def _candidates(label: Label, inside: Box) -> Iterator[tuple[Box, float]]:
    """Yield boxes around the point with their distance from it, pushed inside where they stick out.

    In each direction, the box touches the circle of that distance.
    """
    for distance in _DISTANCES:
        for step in range(_DIRECTIONS):
            angle = 2 * math.pi * step / _DIRECTIONS
            across, up = math.cos(angle), math.sin(angle)
            x = label.x + across * (distance + label.width / 2)
            y = label.y + up * (distance + label.height / 2)
            left = _within(x - label.width / 2, inside.left, inside.right - label.width)
            bottom = _within(y - label.height / 2, inside.bottom, inside.top - label.height)
            yield Box(left, bottom, left + label.width, bottom + label.height), distance


def _within(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))


def _badness(
    box: Box, distance: float, taken: Sequence[Box], lines: Sequence[Box]
) -> tuple[float, float]:
    covered = sum(box.overlap(other) for other in taken)
    crossed = sum(1 for line in lines if box.overlap(line) > 0)
    return covered, distance + 6 * crossed
