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

_BOUNDS = {
    "onnxruntime": MemoryModel(10_000_000, 2_600),
    # From run to run, what the system's allocator makes of torch's requests differs by a fifth.
    "torch": MemoryModel(25_000_000, 4_000),
}
"""What none of the networks measured under a backend exceeds."""


def footprint(backend: str, network: str, scale: int) -> MemoryModel:
    """Return the memory model of a network at a scale under a backend.

    One that was never measured is taken to need what the hungriest measured one does.
    """
    return _MEASURED.get((backend, network, scale), _BOUNDS[backend])
