"""From a graph to a fused backend in the precision that suits it on this machine.

"auto" is bfloat16 where the processor multiplies it and the network's result stays within 55 dB of
float32. That is measured on a small natural sample, once for a graph on a machine, and kept.
"""

from __future__ import annotations

import hashlib
import logging
import math
from functools import cache
from pathlib import Path

import numpy as np

from lightsr.cache import Cache
from lightsr.engine.backends.base import Backend, Batch
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.backends.fused.backend import FusedBackend
from lightsr.engine.backends.fused.code import about_machine
from lightsr.engine.backends.fused.program import host_machine
from lightsr.engine.samples import to_float
from lightsr.images.reading import read_picture

log = logging.getLogger("lightsr")

LEAST_PSNR = 55.0
"""dB against float32, at peak 1."""
_MEASURED = Cache("precision", most=512)
_SAMPLE = Path(__file__).with_name("sample.png")
"""Three natural pictures side by side; see `samples/README.md` for the rights."""


def open_fused(path: Path, network: str, scale: int, precision: str) -> Backend:
    """Return the backend for the graph in `path`, in "auto", "fp32" or "bf16".

    Raises `UnsupportedError` where graph, processor or precision are not for it.
    """

    def exact() -> FusedBackend:
        return FusedBackend(path, network, scale, "fp32")

    if precision == "fp32" or (precision == "auto" and not host_machine().bf16):
        return exact()
    reduced = FusedBackend(path, network, scale, "bf16")
    if precision == "auto":
        known = _known(path)
        fp32 = None
        if known is None:
            fp32 = exact()
            known = psnr(reduced.run(_sample()), fp32.run(_sample()))
            _MEASURED.keep(f"{known:.2f}".encode(), *_depends(path))
        if not known >= LEAST_PSNR:
            log.info("%s x%d: bf16 is at %.1f dB, fp32 is taken", network, scale, known)
            return fp32 or exact()
    return FallbackBackend(reduced, exact)


def psnr(batch: Batch, reference: Batch) -> float:
    """Return the PSNR of two results in dB, at peak 1, both clipped to [0, 1]."""
    clipped = [np.clip(one.astype(np.float64), 0, 1) for one in (batch, reference)]
    error = float(np.mean((clipped[0] - clipped[1]) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def _known(path: Path) -> float | None:
    content = _MEASURED.find(*_depends(path))
    try:
        return None if content is None else float(content)
    except ValueError:
        return None


def _depends(path: Path) -> tuple[str, ...]:
    return (hashlib.sha256(path.read_bytes()).hexdigest(), *about_machine())


@cache
def _sample() -> Batch:
    """Return the sample, [1, 3, h, w]."""
    pixels = to_float(np.asarray(read_picture(_SAMPLE).samples))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
