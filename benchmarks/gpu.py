"""How fast networks are on a GPU, against eager float32, the variants alternating.

    python benchmarks/gpu.py [--network fdiwn] [--scale 4] [--size 1280x720] [--rounds 20]
                             [--batch 1] [--device cuda] [--json FILE]

Measured is a picture's way from main memory to the enlarged one in main memory: through the network
as it is trained in eager torch, in float32, and through the torch backend in float32, bf16 and
fp16, which on CUDA keeps maps channels-last and records graphs. Printed are medians of the time a
picture, the ratio to eager, PSNR against it on the pictures in `samples/`, and how much of the
machine is used: true multiply-adds against those of a large matrix product in the same precision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightsr.engine.backends.precision import psnr
from lightsr.engine.backends.torch import TorchBackend
from lightsr.engine.samples import to_float
from lightsr.evaluation.complexity import complexity
from lightsr.images.reading import read_picture
from lightsr.weights.create import create_network

Batch = NDArray[np.float32]
Run = Callable[[Batch], Batch]
EAGER = "eager, as trained"
KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SAMPLES = sorted((Path(__file__).resolve().parents[1] / "samples").glob("*.png"))


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--network", action="append")
    parser.add_argument("--scale", action="append", type=int)
    parser.add_argument("--size", default="1280x720", help="enlarged width x height")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here")
    torch.backends.cudnn.allow_tf32 = False
    peaks = {name: matrix_product(kind, options.device) for name, kind in KINDS.items()}
    print(
        device_name(options.device), {name: f"{peak / 1e12:.2f}T" for name, peak in peaks.items()}
    )
    rows: list[dict[str, Any]] = []
    for network in options.network or ["fdiwn"]:
        for scale in options.scale or [4]:
            rows += measure(network, scale, options, peaks)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(
    network: str, scale: int, options: argparse.Namespace, peaks: dict[str, float]
) -> list[dict[str, Any]]:
    """Return and print what was measured of a network at a scale."""
    width, height = (int(side) // scale for side in options.size.split("x"))
    runs: dict[str, Run] = {EAGER: eager(network, scale, options.device)}
    for precision in KINDS:
        runs[precision] = TorchBackend(network, scale, "default", options.device, precision).run
    batch = np.random.default_rng(0).random((options.batch, 3, height, width), np.float32)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for counted in 4 * [False] + options.rounds * [True]:
        for name, run in runs.items():
            start = time.perf_counter()
            run(batch)
            if counted:
                taken[name].append((time.perf_counter() - start) / options.batch)
    work = 2 * complexity(network, scale, (width * scale, height * scale)).multi_adds
    print(f"\n{network} x{scale}, {options.batch} of {width}x{height}\n")
    print("| variant | ms a picture | x eager | dB | of GEMM |\n| --- | --- | --- | --- | --- |")
    rows: list[dict[str, Any]] = []
    for name, run in runs.items():
        seconds = statistics.median(taken[name])
        row = {
            "network": network,
            "scale": scale,
            "variant": name,
            "seconds": seconds,
            "to_eager": statistics.median(taken[EAGER]) / seconds,
            "psnr": None if name == EAGER else closeness(run, runs[EAGER]),
            "gemm_share": work / seconds / peaks[name if name in peaks else "fp32"],
        }
        rows.append(row)
        decibels = "" if row["psnr"] is None else f"{row['psnr']:.1f}"
        print(f"| {name} | {1000 * seconds:.2f} | {row['to_eager']:.2f} | {decibels} | "
              f"{row['gemm_share']:.0%} |")  # fmt: skip
    return rows


def eager(network: str, scale: int, device: str) -> Run:
    """Return the network as it is trained."""
    module: Any = create_network(network, scale, "default")
    module.eval().to(device)

    def run(batch: Batch) -> Batch:
        with torch.inference_mode():
            return module(torch.from_numpy(batch).to(device)).cpu().numpy()

    return run


def closeness(run: Run, reference: Run) -> float:
    """Return PSNR against a reference in dB, the mean over the samples."""
    found: list[float] = []
    for path in SAMPLES:
        pixels = to_float(np.asarray(read_picture(path).samples))
        lr = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
        found.append(psnr(run(lr), reference(lr)))
    return statistics.mean(found)


def matrix_product(kind: torch.dtype, device: str) -> float:
    """Return the FLOP/s of a large matrix product, the best of six."""
    side = 8192 if device == "cuda" else 1024
    matrix = torch.rand(side, side, device=device).to(kind)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def device_name(device: str) -> str:
    """Return what the device calls itself."""
    return torch.cuda.get_device_name() if device == "cuda" else device


if __name__ == "__main__":
    main()
