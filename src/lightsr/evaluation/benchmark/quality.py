"""PSNR and SSIM of every contender on every picture, measured once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightsr.engine.backends.base import Backend
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.errors import LightsrError
from lightsr.evaluation.benchmark.cache import Cache, Value, file_digest, number
from lightsr.evaluation.benchmark.contenders import Contender
from lightsr.evaluation.benchmark.settings import DataSet, Engine, Protocol, Settings
from lightsr.evaluation.evaluate import (
    Enlarge,
    ImageScore,
    bicubic,
    network,
    save_image,
    score_pair,
)
from lightsr.evaluation.pairs import Pair, Picture8
from lightsr.images.reading import read_picture

_PER_PIXEL = 20_000
"""What reading, degrading and measuring take per LR pixel at x1, in multiply-adds' time."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a test set at a scale."""

    set: DataSet
    scale: int
    pair: Pair
    digests: tuple[str, str | None]
    """SHA-256 of the original's file, and of the LR picture's if there is one."""
    size: tuple[int, int]
    """Height and width of the original, not yet cropped to a multiple of the scale."""


@dataclass(frozen=True, slots=True)
class Step:
    """A contender and a picture of its scale."""

    contender: Contender
    picture: Picture

    def key(self, protocol: Protocol, engine: Engine) -> Mapping[str, Any]:
        """Return everything that the score depends on."""
        held = self.contender.weights
        hr, lr = self.picture.digests
        return {
            "kind": "score",
            "network": self.contender.network,
            "weights": held.sha256 if held is not None else None,
            "scale": self.contender.scale,
            "hr": hr,
            "lr": lr,
            "protocol": protocol.as_json(),
            "engine": engine.as_json() if held is not None else None,
        }

    @property
    def work(self) -> float:
        """About how long it takes, in multiply-adds."""
        (height, width), scale = self.picture.size, self.contender.scale
        enlarging = self.contender.spec.cost[scale].multi_adds(height // scale, width // scale)
        return _PER_PIXEL * height * width + enlarging


def pictures(settings: Settings) -> list[Picture]:
    """Return every picture of every set at every scale; raises what `find_pairs` does."""
    digests: dict[Path, str] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    found: list[Picture] = []
    for test_set in settings.sets:
        for scale in settings.scales:
            for pair in test_set.pairs(scale):
                for path in filter(None, (pair.hr, pair.lr)):
                    if path not in digests:
                        digests[path] = file_digest(path)
                if pair.hr not in sizes:
                    opened = read_picture(pair.hr)
                    sizes[pair.hr] = opened.height, opened.width
                both = digests[pair.hr], digests[pair.lr] if pair.lr is not None else None
                found.append(Picture(test_set, scale, pair, both, sizes[pair.hr]))
    return found


class Measurer:
    """Measures steps, asking the cache first."""

    def __init__(self, settings: Settings, cache: Cache) -> None:
        self._settings = settings
        self._cache = cache
        self._open: tuple[Contender, Enlarge, Mapping[str, str]] | None = None

    def kept(self, step: Step, *, with_picture: bool) -> ImageScore | None:
        """Return the score that the cache holds, if it does, and the enlarged picture if asked."""
        key = self._key(step)
        value = self._cache.get(key)
        if value is None or (with_picture and not self._cache.path(key, ".png").exists()):
            return None
        return _score(step, value)

    def measure(self, step: Step, *, keep_picture: bool) -> ImageScore:
        """Measure and keep the score; and the enlarged picture, if asked to.

        Raises `UserError` for weights and pictures that are unfit, `LightsrError` and
        `MemoryError` where the network fails.
        """
        return self._measure(step, keep_picture)[0]

    def enlarged(self, step: Step) -> Picture8:
        """Return the enlarged picture, kept or made again; raises what `measure` does."""
        path = self._cache.path(self._key(step), ".png")
        value = self._cache.get(self._key(step))
        if value is not None and path.exists():
            try:
                samples = read_picture(path).pixels()
            except LightsrError:
                self._cache.damaged += 1
            else:
                if _digest(samples) == value.get("picture"):
                    return samples
                self._cache.damaged += 1
        return self._measure(step, keep_picture=True)[1]

    def _measure(self, step: Step, keep_picture: bool) -> tuple[ImageScore, Picture8]:
        enlarge, ran = self._enlarge(step.contender)
        pair, border = step.picture.pair, self._settings.protocol.border
        score, sr = score_pair(enlarge, step.contender.scale, pair, border)
        key = self._key(step)
        if keep_picture:
            path = self._cache.path(key, ".png")
            save_image(sr, path.parent, path.stem)
        value: Value = {
            "psnr": number(score.psnr),
            "ssim": score.ssim,
            "seconds": score.seconds,
            "picture": _digest(sr),
            "ran": dict(ran),
        }
        self._cache.put(key, value)
        return score, sr

    def _key(self, step: Step) -> Mapping[str, Any]:
        return step.key(self._settings.protocol, self._settings.engine)

    def _enlarge(self, contender: Contender) -> tuple[Enlarge, Mapping[str, str]]:
        """Return what enlarges; a network stays loaded until another is asked for."""
        if self._open is None or self._open[0] != contender:
            self._open = None  # before the next one is loaded
            self._open = (contender, *self._load(contender))
        return self._open[1], self._open[2]

    def _load(self, contender: Contender) -> tuple[Enlarge, Mapping[str, str]]:
        protocol = self._settings.protocol
        if contender.weights is None:
            return bicubic(contender.scale, protocol.border), {}
        backend = open_contender(contender, self._settings.engine)
        ran = {
            "backend": backend.name,
            "device": backend.device,
            "precision": backend.precision,
        }
        return network(backend.run, contender.scale, protocol.forward), ran


def open_contender(contender: Contender, engine: Engine) -> Backend:
    """Return the loaded network of a contender with weights; raises what `open_backend` does."""
    assert contender.weights is not None
    choice = Choice(
        contender.network,
        contender.weights.source,
        engine.backend,
        engine.device,
        engine.precision,
    )
    return open_backend(choice, contender.scale)


def _score(step: Step, value: Value) -> ImageScore:
    return ImageScore(step.picture.pair.name, float(value["psnr"]), value["ssim"], value["seconds"])


def _digest(samples: Picture8) -> str:
    return hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()
