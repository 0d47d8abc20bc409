"""PyTorch, where it is installed: any weights lightsr can read, on the processor or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from lightsr.engine.backends.base import Backend, Batch, Run
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.backends.footprints import footprint
from lightsr.engine.backends.torch_halves import HALVES, reduce_precision
from lightsr.engine.backends.torch_statistics import Pooling, Told, traced
from lightsr.errors import BackendError
from lightsr.networks.registry import network_spec
from lightsr.weights.create import create_network

_OUT_OF_MEMORY = ("can't allocate memory", "could not create a primitive", "bad_alloc")
"""What torch's allocator, oneDNN and the system say on the processor."""


class TorchBackend:
    """A network's deploy form, run by torch."""

    name = "torch"

    def __init__(
        self,
        network: str,
        scale: int,
        weights: str | Path,
        device: str,
        precision: str = "fp32",
    ) -> None:
        """Build the network with the weights of a tag or file on "auto", "cpu", "cuda" or "mps".

        `precision` is "fp32", "bf16" or "fp16"; either of the latter for what is within the
        network (`torch_halves`). Raises `BackendError` for a device that is not there, and what
        `create_network` raises.
        """
        self.device = _device(device)
        self.precision = precision
        self.network = network
        self.scale = scale
        self.radius = network_spec(network).receptive_radius
        self._memory = footprint(self.name, network, scale)
        if precision != "fp32":
            # What goes in and out is there twice; measured on FDIWN x4 in fp16, 1.36 times as much.
            per_pixel = self._memory.per_pixel * 3 // 2
            self._memory = replace(self._memory, per_pixel=per_pixel)
        trained: Any = create_network(network, scale, weights)
        self._module: torch.nn.Module = trained.deploy().eval().to(self.device)
        if precision != "fp32":
            reduce_precision(self._module, scale, precision, self.device)

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        return self._computed(self._module, batch)

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """See `Tunable.tuned_to`."""
        module = self._traced
        if module is None:
            return None
        pooling = Pooling(module)
        for sample in samples:
            self._computed(pooling.run, sample)
        statistics = pooling.mean()
        return lambda batch: self._computed(Told(module, statistics).run, batch)

    @cached_property
    def _traced(self) -> torch.fx.GraphModule | None:
        return traced(self._module)

    def _computed(self, network: Callable[[torch.Tensor], Any], batch: Batch) -> Batch:
        try:
            with torch.inference_mode():
                enlarged = network(torch.as_tensor(batch).to(self.device))
                return cast("Batch", enlarged.cpu().numpy().astype(np.float32, copy=False))
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"torch: out of memory on {self.device}") from error
        except RuntimeError as error:
            if any(words in str(error) for words in _OUT_OF_MEMORY):
                raise MemoryError("torch: out of memory") from error
            raise

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`."""
        return self._memory.bytes(batch, height, width)

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        if self.device == "cuda":
            return torch.cuda.mem_get_info()[0]
        return None


def open_torch(
    network: str, scale: int, weights: str | Path, device: str, precision: str
) -> Backend:
    """Return the backend in a precision, "auto" being fp32; halves give way to it if they fail.

    Raises what `TorchBackend` does, and `BackendError` for a precision that it does not have.
    """
    if precision not in ("auto", "fp32", *HALVES):
        raise BackendError(
            f"the torch backend computes in fp32, bf16 and fp16, not in {precision}; "
            f"use --precision fp32"
        )

    def exact() -> TorchBackend:
        return TorchBackend(network, scale, weights, device)

    if precision in ("auto", "fp32"):
        return exact()
    return FallbackBackend(TorchBackend(network, scale, weights, device, precision), exact)


def _device(wanted: str) -> str:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        names = ", ".join(name for name, found in there.items() if found)
        raise BackendError(f"torch finds no {wanted} device here; there are: {names}")
    return wanted
