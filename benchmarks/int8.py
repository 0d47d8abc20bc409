"""How fast and how exact int8 graphs are beside float32 and bfloat16, the variants alternating.

    pip install openvino
    python benchmarks/int8.py INT8.onnx ... [--data DIR] [--size 1280x720] [--rounds 5]
                              [--json FILE]

Each graph is one that `tools/quantise.py` made, of a network whose weights are shipped, or whose
float32 graph is given as FLOAT.onnx:INT8.onnx. Printed for one thread: medians of processor time
and of elapsed time, how many times as fast as the fused backend in bfloat16 (by processor time),
and PSNR in dB on the originals in `--data`, LR by the bicubic with replicate border. OpenVINO is
left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Batch = NDArray[np.float32]
Run = Callable[[Batch], Batch]
NEXT_BEST = "fused bf16"


def main() -> None:
    """Measure the graphs that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("graphs", nargs="+")
    parser.add_argument("--data", type=Path, help="a folder of originals")
    parser.add_argument("--size", default="1280x720", help="enlarged width x height")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    width, height = (int(side) for side in options.size.split("x"))
    rows: list[dict[str, Any]] = []
    print("| network | variant | CPU s | x fused bf16 | elapsed s | dB |\n" + "| --- " * 6 + "|")
    for names in options.graphs:
        exact, _, quantised = names.rpartition(":")
        for row in measure(exact, quantised, (height, width), options.rounds, options.data):
            rows.append(row)
            cells = [f"{row['CPU s']:.3f}", f"{row['x fused bf16']:.2f}", f"{row['s']:.3f}"]
            psnr = "" if row["dB"] is None else f"{row['dB']:.2f}"
            print("|", " | ".join([row["network"], row["variant"], *cells, psnr]), "|", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(
    exact: str, quantised: str, size: tuple[int, int], rounds: int, data: Path | None
) -> list[dict[str, Any]]:
    """Return a row for each variant; `size` is height and width of the enlarged picture."""
    from lightsr.evaluation.forward import checked_pass
    from lightsr.evaluation.measure import common, eight_bit
    from lightsr.evaluation.pairs import find_pairs

    name, scale, runs = _variants(exact, Path(quantised))
    lr = np.random.default_rng(0).random((1, 3, size[0] // scale, size[1] // scale), np.float32)
    wall: dict[str, list[float]] = {variant: [] for variant in runs}
    used: dict[str, list[float]] = {variant: [] for variant in runs}
    for counted in [False] + rounds * [True]:
        for variant, run in runs.items():
            start, cpu = time.perf_counter(), time.process_time()
            run(lr)
            if counted:
                wall[variant].append(time.perf_counter() - start)
                used[variant].append(time.process_time() - cpu)
    seconds = {variant: statistics.median(values) for variant, values in used.items()}
    pairs = [] if data is None else find_pairs(data, scale)
    rows: list[dict[str, Any]] = []
    for variant, run in runs.items():
        score = common(eight_bit(checked_pass(run, scale, "whole")), scale, "replicate")
        rows.append(
            {
                "network": f"{name} x{scale}",
                "variant": variant,
                "CPU s": seconds[variant],
                "x fused bf16": seconds[NEXT_BEST] / seconds[variant],
                "s": statistics.median(wall[variant]),
                "dB": statistics.mean(score(pair).score.psnr for pair in pairs) if pairs else None,
            }
        )
    return rows


def _variants(exact: str, quantised: Path) -> tuple[str, int, dict[str, Run]]:
    from lightsr.engine.backends.fused.backend import FusedBackend
    from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend
    from lightsr.weights.catalogue import find

    int8 = OnnxRuntimeBackend(quantised, None, None, trusted=False)
    name, scale = int8.network, int8.scale
    path = Path(exact) if exact else find(name, scale).verified("onnx")
    runs: dict[str, Run] = {
        "fused fp32": FusedBackend(path, name, scale, "fp32", 1).run,
        NEXT_BEST: FusedBackend(path, name, scale, "bf16", 1).run,
        "onnxruntime fp32": OnnxRuntimeBackend(path, name, scale, trusted=True).run,
        "onnxruntime int8": int8.run,
    }
    if find_spec("openvino") is not None:
        runs["openvino fp32"] = _openvino(path, "f32")
        runs["openvino bf16"] = _openvino(path, "bf16")
        runs["openvino int8"] = _openvino(quantised, "f32")
    return name, scale, runs


def _openvino(path: Path, precision: str) -> Run:
    import openvino  # pyright: ignore[reportMissingImports]

    core: Any = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    request: Any = core.compile_model(str(path), "CPU", hints).create_infer_request()
    return lambda batch: np.array(request.infer({"lr": batch})["sr"])


if __name__ == "__main__":
    main()
