"""PyTorch, where it is installed: any weights lightsr can read, on the processor or a GPU."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from lightsr.engine.backends.base import Backend, Batch, Run
from lightsr.engine.backends.fallback import FallbackBackend
from lightsr.engine.backends.footprints import footprint
from lightsr.engine.backends.precision import fastest_precision
from lightsr.engine.backends.torch_graphs import Graphs, Network, recorded
from lightsr.engine.backends.torch_halves import HALVES, reduce_precision
from lightsr.engine.backends.torch_statistics import Pooling, Told, traced
from lightsr.errors import BackendError
from lightsr.networks.registry import network_spec
from lightsr.weights.create import create_network

_OUT_OF_MEMORY = ("can't allocate memory", "could not create a primitive", "bad_alloc")
"""What torch's allocator, oneDNN and the system say on the processor."""
_FASTEST = {"cuda": ("fp16", "bf16")}
"""What "auto" tries on a device before float32, the fastest first."""


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
        `create_network` raises. On CUDA, float32 is float32 from here on and not TF32, in the whole
        process; maps lie channels-last, and shapes that come again are recorded as graphs.
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
        self._layout = torch.contiguous_format
        if self.device == "cuda":
            torch.backends.cudnn.allow_tf32 = False
            self._layout = torch.channels_last
            cast("Any", self._module).to(memory_format=self._layout)
        self._network = self._fast(self._module)

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        return self._computed(self._network, batch)

    def weights_and_machine(self) -> tuple[str, ...]:
        """Return what its precision depends on: the weights, and what computes with them."""
        weights = hashlib.sha256()
        for tensor in self._module.state_dict().values():
            weights.update(tensor.cpu().numpy().tobytes())
        processor = torch.cuda.get_device_name() if self.device == "cuda" else self.device
        return weights.hexdigest(), self.network, torch.__version__, processor

    def _fast(self, network: Network) -> Network:
        return Graphs(network, recorded) if self.device == "cuda" else network

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """See `Tunable.tuned_to`."""
        module = self._traced
        if module is None:
            return None
        pooling = Pooling(module)
        for sample in samples:
            self._computed(pooling.run, sample)
        statistics = pooling.mean()
        told = self._fast(Told(module, statistics).run)
        return lambda batch: self._computed(told, batch)

    @cached_property
    def _traced(self) -> torch.fx.GraphModule | None:
        return traced(self._module)

    def _computed(self, network: Network, batch: Batch) -> Batch:
        try:
            with torch.inference_mode():
                moved = torch.as_tensor(batch).to(self.device, memory_format=self._layout)
                enlarged = network(moved).contiguous().cpu()
                return enlarged.numpy().astype(np.float32, copy=False)
        except torch.OutOfMemoryError as error:
            for one in (network, self._network):
                if isinstance(one, Graphs):
                    one.clear()
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
    """Return the backend in a precision; halves give way to float32 if they fail.

    "auto" is fp32 on processors, and on GPUs the fastest that is close enough to it. Raises what
    `TorchBackend` does, and `BackendError` for a precision that it does not have.
    """
    if precision not in ("auto", "fp32", *HALVES):
        raise BackendError(
            f"the torch backend computes in fp32, bf16 and fp16, not in {precision}; "
            f"use --precision fp32"
        )

    def exact() -> TorchBackend:
        return TorchBackend(network, scale, weights, device)

    def reduced(half: str) -> TorchBackend:
        return TorchBackend(network, scale, weights, device, half)

    if precision == "fp32":
        return exact()
    if precision != "auto":
        return FallbackBackend(reduced(precision), exact)
    halves = _FASTEST.get(_device(device))
    if halves is None:
        return exact()
    fastest = reduced(halves[0])
    others = map(reduced, halves[1:])  # Loaded if it does not suffice.
    return fastest_precision(chain([fastest], others), exact, *fastest.weights_and_machine())


def _device(wanted: str) -> str:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        names = ", ".join(name for name, found in there.items() if found)
        raise BackendError(f"torch finds no {wanted} device here; there are: {names}")
    return wanted
