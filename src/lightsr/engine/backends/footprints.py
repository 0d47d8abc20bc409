"""The memory that runs take, measured by `benchmarks/memory.py`; a slow test repeats it."""

from __future__ import annotations

from lightsr.engine.backends.base import MemoryModel

_MEASURED: dict[tuple[str, str, int], MemoryModel] = {
    ("onnxruntime", "fdiwn", 2): MemoryModel(2_000_000, 2_498),
    ("onnxruntime", "fdiwn", 3): MemoryModel(1_000_000, 2_548),
    ("onnxruntime", "fdiwn", 4): MemoryModel(5_000_000, 2_403),
    ("onnxruntime", "fdiwn-m", 2): MemoryModel(4_000_000, 2_235),
    ("onnxruntime", "fdiwn-m", 3): MemoryModel(3_000_000, 2_509),
    ("onnxruntime", "fdiwn-m", 4): MemoryModel(7_000_000, 2_303),
}


def footprint(backend: str, network: str, scale: int) -> MemoryModel:
    """Return the memory model of a network at a scale under a backend.

    One that was never measured is taken to need what the hungriest measured one does.
    """
    known = _MEASURED.get((backend, network, scale))
    if known is not None:
        return known
    return MemoryModel(
        max(model.constant for model in _MEASURED.values()),
        max(model.per_pixel for model in _MEASURED.values()),
    )
