"""One timed run of one network, in a process of its own: `python -m` this, with JSON as argument.

Prints a JSON object: the seconds of the run, those that processor cores spent on it together (which
hardly depend on what else the machine does), and the most memory that the process (or, where the
network runs on a CUDA device, that device) held, in bytes, null where the system does not tell.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lightsr.engine.machine import peak_memory
from lightsr.evaluation.evaluate import BICUBIC, bicubic

_SMALL = 32
"""Side of the LR picture that is enlarged first, so that nothing is set up while time is taken."""


def main() -> None:
    """Run what the argument names and print what was measured."""
    json.dump(sample(**json.loads(sys.argv[1])), sys.stdout)


def sample(
    network: str, scale: int, height: int, width: int, weights: str, **engine: str
) -> dict[str, Any]:
    """Enlarge one LR picture of `height` x `width` noise, and return what was measured."""
    run, device = _opened(network, scale, weights, engine)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    run(noise[:_SMALL, :_SMALL])
    if device == "cuda":
        run(noise)  # kernels are chosen for a size when it is first seen
    start, worked = time.perf_counter(), time.process_time()
    run(noise)
    return {
        "seconds": time.perf_counter() - start,
        "core_seconds": time.process_time() - worked,
        "peak_bytes": _peak(device),
        "device": device,
    }


def _opened(
    network: str, scale: int, weights: str, engine: dict[str, str]
) -> tuple[Callable[[Any], Any], str]:
    if network == BICUBIC:
        return bicubic(scale, "symmetric"), "cpu"
    from lightsr.engine.backends.choose import Choice, open_backend

    backend = open_backend(Choice(network, Path(weights), **engine), scale)

    def run(lr: Any) -> Any:
        pixels = lr.astype(np.float32).transpose(2, 0, 1)[np.newaxis] / np.float32(255)
        return backend.run(np.ascontiguousarray(pixels))

    return run, backend.device


def _peak(device: str) -> int | None:
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    return peak_memory()


if __name__ == "__main__":
    main()
