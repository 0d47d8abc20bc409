"""From a graph to a fused backend in the precision that suits it on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lightsr.engine.backends.base import Backend
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.backends.fused.backend import FusedBackend
from lightsr.engine.backends.fused.code import about_machine
from lightsr.engine.backends.fused.program import host_machine
from lightsr.engine.backends.precision import fastest_precision


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
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        return fastest_precision([reduced], exact, content, *about_machine())
    return FallbackBackend(reduced, exact)
