"""What every backend offers the engine, whichever library does the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy import dtype, float32
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""Samples of pictures, rows first and channels last."""
Batch = NDArray[float32]
Run: TypeAlias = Callable[[Batch], Batch]
"""Enlarges a batch, as `Backend.run` does."""


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """What one run takes beyond the loaded network: `constant + per_pixel` x LR pixels, in bytes.

    The numbers are measured (`benchmarks/memory.py`), input and output of the run included.
    """

    constant: int
    per_pixel: int

    def bytes(self, batch: int, height: int, width: int) -> int:
        """Return the bytes of one run on `batch` LR pictures of `height` x `width` pixels."""
        return self.constant + self.per_pixel * batch * height * width


class Backend(Protocol):
    """A loaded network that enlarges batches of LR pictures. Any number of threads may share it."""

    name: str
    """The backend's own name: "onnxruntime"."""
    network: str
    scale: int
    device: str
    """What it runs on: "cpu", "cuda", "mps"."""
    precision: str
    """What it computes in: "fp32"."""
    radius: int | None
    """LR pixels that an output pixel looks around itself; None: the whole picture has a say."""

    def run(self, batch: Batch) -> Batch:
        """Return [n, 3, scale*h, scale*w] for RGB [n, 3, h, w] in [0, 1], float32, not clipped.

        Raises `MemoryError` where the device's memory does not suffice.
        """
        ...

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """Return the most memory that one run takes while it lasts, from a measured model."""
        ...

    def free_bytes(self) -> int | None:
        """Return the free memory of a device that has its own; None: it works in main memory."""
        ...


@runtime_checkable
class Rounding(Protocol):
    """What a backend may offer beside, whose arithmetic on stored samples rounds on its way."""

    def for_samples(self, dtype: dtype[Any]) -> Backend:
        """Return what enlarges samples that are stored as `dtype`, given as floats in [0, 1]."""
        ...


@runtime_checkable
class Tunable(Protocol):
    """What a backend may offer beside, for networks whose statistics are global."""

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """Return a `run` that takes the statistics of `samples` for those of every picture.

        Each sample is parts of one picture, [n, 3, h, w]. At every level of the network their
        statistics are pooled before they are used, as if they lay in one picture; what several
        samples give is averaged. None: this network has no statistics that could be shared.
        Raises `MemoryError` as `run` does.
        """
        ...
