"""What a benchmark found out, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightsr import __version__
from lightsr.evaluation.benchmark.cache import REVISION, number
from lightsr.evaluation.benchmark.contenders import Contender, Skipped
from lightsr.evaluation.benchmark.cost import GaveUp, Measured
from lightsr.evaluation.benchmark.crops import Comparison
from lightsr.evaluation.benchmark.settings import Settings
from lightsr.evaluation.complexity import HD, Complexity, complexity
from lightsr.evaluation.evaluate import ImageScore
from lightsr.metrics import Score


@dataclass(slots=True)
class Row:
    """One row of the table, filled in as it is measured."""

    contender: Contender
    images: dict[str, list[ImageScore]] = field(default_factory=dict[str, list[ImageScore]])
    """By test set, what was measured on each of its pictures; only whole sets."""
    cost: Measured | GaveUp | None = None

    @property
    def complexity(self) -> Complexity | None:
        """Parameters and multi-adds at 1280x720; None for bicubic, which has no weights."""
        if not self.contender.spec.trained:
            return None
        return complexity(self.contender.network, self.contender.scale)

    def measured(self, test_set: str) -> Score | None:
        """Return the mean over a set's pictures, or None where they were not measured."""
        images = self.images.get(test_set)
        if not images:
            return None
        psnr = sum(image.psnr for image in images) / len(images)
        return Score(psnr, sum(image.ssim for image in images) / len(images))

    def published(self, test_set: str) -> Score | None:
        """Return what the paper prints for a set of that name, in any case of letters."""
        table = self.contender.spec.published[self.contender.scale].psnr
        for name, figures in table.items():
            if name.casefold() == test_set.casefold():
                return Score(*figures)
        return None

    @property
    def latency(self) -> float | None:
        """Median seconds for an output of 1280x720."""
        return self.cost.median if isinstance(self.cost, Measured) else None

    @property
    def core_seconds(self) -> float | None:
        """Median of the seconds that all cores together spend on it."""
        return self.cost.core_seconds if isinstance(self.cost, Measured) else None

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory of a process that does nothing else."""
        return self.cost.peak_bytes if isinstance(self.cost, Measured) else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be measured."""

    what: str
    reason: str


@dataclass(slots=True)
class Results:
    """Everything that a benchmark found out."""

    settings: Settings
    machine: Mapping[str, Any]
    rows: list[Row]
    skipped: Sequence[Skipped] = ()
    failures: list[Failure] = field(default_factory=list[Failure])
    pictures: dict[str, int] = field(default_factory=dict[str, int])
    """How many pictures each set has."""
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    damaged: int = 0
    """Cached measurements that were damaged and were made again."""

    @property
    def set_names(self) -> list[str]:
        """Names of the test sets in the order given."""
        return [test_set.name for test_set in self.settings.sets]

    def at(self, scale: int) -> list[Row]:
        """Return the rows of a scale."""
        return [row for row in self.rows if row.contender.scale == scale]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `results.json` holds; what was not measured is null."""
        return {
            "lightsr": __version__,
            "revision": REVISION,
            "size": list(HD),
            "protocol": self.settings.protocol.as_json(),
            "engine": self.settings.engine.as_json(),
            "machine": dict(self.machine),
            "sets": [{"name": name, "pictures": self.pictures[name]} for name in self.set_names],
            "rows": [_row(row, self.set_names) for row in self.rows],
            "skipped": [{"file": one.file, "reason": one.reason} for one in self.skipped],
            "failures": [{"what": one.what, "reason": one.reason} for one in self.failures],
        }


def _row(row: Row, sets: Sequence[str]) -> dict[str, Any]:
    contender = row.contender
    held = contender.weights
    return {
        "network": contender.network,
        "title": contender.title,
        "scale": contender.scale,
        "weights": None
        if held is None
        else {"label": held.label, "shipped": held.shipped, "sha256": held.sha256},
        **_counts(row.complexity),
        "quality": {name: _quality(row, name) for name in sets},
        "latency": _latency(row),
        "peak_bytes": row.peak_bytes,
    }


def _counts(counted: Complexity | None) -> dict[str, Any]:
    if counted is None:
        return {"parameters": None, "multi_adds": None}
    told = counted.as_json()
    return {
        name: {
            "true": told[name],
            "published_accounting": told["published_accounting"][name],
            "published": told["published"]["printed"][name],
        }
        for name in ("parameters", "multi_adds")
    } | {"rule": told["published_accounting"]["rule"]}


def _quality(row: Row, name: str) -> dict[str, Any]:
    measured, published = row.measured(name), row.published(name)
    difference = None
    if measured is not None and published is not None:
        difference = Score(measured.psnr - published.psnr, measured.ssim - published.ssim)
    return {
        "measured": _figures(measured),
        "published": _figures(published),
        "difference": _figures(difference),
        "images": [
            {"name": image.name, "psnr": number(image.psnr), "ssim": image.ssim}
            for image in row.images.get(name, [])
        ],
    }


def _figures(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else {"psnr": number(score.psnr), "ssim": score.ssim}


def _latency(row: Row) -> dict[str, Any] | None:
    if isinstance(row.cost, GaveUp):
        return {"seconds": None, "why": row.cost.reason}
    if row.cost is None:
        return None
    return {
        "seconds": row.cost.median,
        "core_seconds": row.cost.core_seconds,
        "runs": list(row.cost.seconds),
    }
