"""The precision that "auto" stands for: the fastest that stays close to float32 on this machine.

That is measured on a small natural sample, once for a network on a machine, and kept.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np

from lightsr.cache import Cache
from lightsr.engine.backends.base import Backend, Batch
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.samples import to_float
from lightsr.images.reading import read_picture

log = logging.getLogger("lightsr")

LEAST_PSNR = 55.0
"""dB against float32, at peak 1."""
_MEASURED = Cache("precision", most=512)
_SAMPLE = Path(__file__).with_name("sample.png")
"""Three natural pictures side by side; see `samples/README.md` for the rights."""


def fastest_precision(
    reduced: Iterable[Backend], exact: Callable[[], Backend], *depends: str
) -> Backend:
    """Return the first of `reduced`, fastest first, that stays within `LEAST_PSNR` of float32.

    It gives way to what `exact` loads where its samples are not finite, and at once if none is
    close enough. What was measured holds for as long as `depends` says the same.
    """
    fp32: Backend | None = None
    for backend in reduced:
        key = (backend.precision, *depends)
        known = _known(key)
        if known is None:
            fp32 = fp32 or exact()
            known = psnr(backend.run(_sample()), fp32.run(_sample()))
            _MEASURED.keep(f"{known:.2f}".encode(), *key)
        if known >= LEAST_PSNR:
            return FallbackBackend(backend, exact)
        log.info(
            "%s x%d: %s is at %.1f dB of float32, which does not suffice",
            *(backend.network, backend.scale, backend.precision, known),
        )
    return fp32 or exact()


def psnr(batch: Batch, reference: Batch) -> float:
    """Return the PSNR of two results in dB, at peak 1, both clipped to [0, 1]."""
    clipped = [np.clip(one.astype(np.float64), 0, 1) for one in (batch, reference)]
    error = float(np.mean((clipped[0] - clipped[1]) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def _known(key: tuple[str, ...]) -> float | None:
    content = _MEASURED.find(*key)
    try:
        return None if content is None else float(content)
    except ValueError:
        return None


@cache
def _sample() -> Batch:
    """Return the sample, [1, 3, h, w]."""
    pixels = to_float(np.asarray(read_picture(_SAMPLE).samples))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
