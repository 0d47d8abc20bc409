"""Bicubic enlargement on the processor, by numpy: the baseline, which needs no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightsr.engine.backends.base import Batch, MemoryModel
from lightsr.engine.samples import from_float
from lightsr.errors import BackendError
from lightsr.images.resize import imresize
from lightsr.networks.registry import network_spec

NAME = "numpy"
_FLOAT = np.dtype(np.float32)


class BicubicBackend:
    """MATLAB's bicubic, as `images.resize.imresize` does it on samples of a type."""

    name = NAME
    device = "cpu"
    precision = "fp32"

    def __init__(self, network: str, scale: int, samples: np.dtype[Any] = _FLOAT) -> None:
        """Take the name that the baseline has in the registry, the scale, and a type.

        Integers are rounded and clipped after each of the two passes, floats not at all.
        """
        self.network = network
        self.scale = scale
        self._samples = samples
        self.radius = network_spec(network, scale).receptive_radius
        # All channels of the result and one more; the sums are made in blocks of a fixed size.
        self._memory = MemoryModel(30_000_000, (3 + 1) * _FLOAT.itemsize * scale**2)

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        n, channels, height, width = batch.shape
        enlarged = np.empty((n, channels, height * self.scale, width * self.scale), np.float32)
        largest = 1 if self._samples == _FLOAT else np.iinfo(self._samples).max
        for picture, result in zip(batch, enlarged, strict=True):
            for plane, target in zip(picture, result, strict=True):
                stored = plane if self._samples == _FLOAT else from_float(plane, self._samples)
                resized = imresize(stored, scale=self.scale)
                np.divide(resized, np.float32(largest), out=target)
        return enlarged

    def for_samples(self, dtype: np.dtype[Any]) -> BicubicBackend:
        """See `Rounding.for_samples`."""
        integers = np.issubdtype(dtype, np.integer)
        return BicubicBackend(self.network, self.scale, dtype if integers else _FLOAT)

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`."""
        return self._memory.bytes(batch, height, width)

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        return None


def require_supported(backend: str, precision: str) -> None:
    """Raise `BackendError` for a backend or precision that the baseline does not come in."""
    if backend == "onnxruntime":
        raise BackendError(
            "bicubic enlargement is done by numpy or torch; use --backend auto or torch"
        )
    if precision not in ("auto", "fp32"):
        raise BackendError(
            f"bicubic enlargement is computed in fp32, not in {precision}; use --precision fp32"
        )
