"""How fast a network runs on each backend, the variants alternating in one run.

    python benchmarks/inference.py [--network fdiwn] [--scale 4] [--size 320x180] [--rounds 5]

Prints the median time of a picture of that LR size, and its ratio to the network as it is trained,
in eager torch. Needs torch. Whole pictures, float32, as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend
from lightsr.export.onnx import export_onnx
from lightsr.networks.fdiwn import FDIWN
from lightsr.weights.create import create_network

Run = Callable[[], object]


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="fdiwn")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--size", default="320x180", help="LR width x height")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))

    variants = prepare(options.network, options.scale, height, width)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for counted in [False] + options.rounds * [True]:
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if counted:
                times[name].append(time.perf_counter() - start)
    base = statistics.median(times["torch, as trained"])
    threads = torch.get_num_threads()
    print(f"{options.network} x{options.scale}, {width}x{height} LR, {threads} threads")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:24} {median:7.3f} s   {base / median:5.2f} times as fast")


def prepare(name: str, scale: int, height: int, width: int) -> dict[str, Run]:
    """Return what to run, by name."""
    network = create_network(name, scale)
    assert isinstance(network, FDIWN)
    deployed = network.deploy()
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.onnx"
        export_onnx(network, graph, name=name, scale=scale)
        backend = OnnxRuntimeBackend(graph, name, scale, trusted=True)
    lr = torch.rand(1, 3, height, width)
    pixels = lr.numpy().astype(np.float32)

    def eager(module: torch.nn.Module) -> Run:
        def run() -> object:
            with torch.inference_mode():
                return module(lr)

        return run

    return {
        "torch, as trained": eager(network),
        "torch, deploy form": eager(deployed),
        "ONNX Runtime, deploy form": lambda: backend.run(pixels),
    }


if __name__ == "__main__":
    main()
