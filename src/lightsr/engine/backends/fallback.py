"""Reduced precision that gives way to float32 where its samples are not finite."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np

from lightsr.engine.backends.base import Backend, Batch, Run, Tunable

log = logging.getLogger("lightsr")


class FallbackBackend:
    """A backend of reduced precision, until it fails; from then on one of float32."""

    def __init__(self, reduced: Backend, exact: Callable[[], Backend]) -> None:
        """Begin with `reduced`; `exact` loads the same network in float32, should it be needed."""
        self._active = reduced
        self._exact = exact
        self._lock = threading.Lock()
        self.name, self.device = reduced.name, reduced.device
        self.network, self.scale, self.radius = reduced.network, reduced.scale, reduced.radius
        self.precision = reduced.precision

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`; samples that are not finite are made again in float32."""
        active = self._active
        enlarged = active.run(batch)
        if active.precision == "fp32" or not enlarged.size or _is_finite(enlarged):
            return enlarged
        del enlarged
        self._give_up(active)
        return self._active.run(batch)

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """See `Tunable.tuned_to`; the run gives way to float32 as `run` does."""
        active = self._active
        tuned = active.tuned_to(samples) if isinstance(active, Tunable) else None
        if tuned is None or active.precision == "fp32":
            return tuned
        again: list[Run | None] = []

        def run(batch: Batch) -> Batch:
            if not again:
                enlarged = tuned(batch)
                if not enlarged.size or _is_finite(enlarged):
                    return enlarged
                del enlarged
                self._give_up(active)
                again.append(self.tuned_to(samples))
            return (again[0] or self._active.run)(batch)

        return run

    def _give_up(self, active: Backend) -> None:
        with self._lock:
            if self._active is active:
                log.warning(
                    "%s x%d gave samples that are not finite in %s; fp32 is used from here on",
                    *(self.network, self.scale, active.precision),
                )
                self._active = self._exact()
                self.precision = self._active.precision

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`."""
        return self._active.peak_bytes(batch, height, width)

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        return self._active.free_bytes()


def _is_finite(samples: Batch) -> bool:
    return bool(np.isfinite(float(samples.min()) + float(samples.max())))
