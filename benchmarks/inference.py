"""How fast, how exact and how large networks are on each backend, the variants alternating.

    python benchmarks/inference.py [--network fdiwn] [--scale 4] [--size 1280x720] [--rounds 5]
                                   [--weights FILE] [--threads N] [--json FILE]
                                   [--variant "fused bf16"] [--no-memory]

For every network and scale, the network as it is trained and its deploy form in eager torch, the
deploy form on ONNX Runtime, and the fused backend in float32 and, where the processor has it,
bfloat16. Printed are medians over the rounds of the time and of the processor time that one picture
takes, what both are of the network as it is trained and of ONNX Runtime, PSNR against the network
as it is trained on the pictures in `samples/`, the peak memory of a fresh process that enlarges one
picture, and how much of the machine is used: true multiply-adds against those of a large matrix
product in the same precision, and for the fused backend bytes of whole maps against a large copy.

With `--variant`, only those and the network as it is trained are measured. Processor time is the
measure on a machine that does other things as well, with `--threads 1`. Needs torch; sizes are
those of the enlarged picture. Linux only for `--threads` and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Run = Callable[[Picture], Picture]

TRAINED, DEPLOYED = "torch, as trained", "torch, deploy form"
ONNX = "onnxruntime"
VARIANTS = (TRAINED, DEPLOYED, ONNX, "fused fp32", "fused bf16")
SAMPLES = sorted((Path(__file__).resolve().parents[1] / "samples").glob("*.png"))


@dataclass(frozen=True, slots=True)
class Case:
    """A network to be measured."""

    network: str
    scale: int
    height: int
    width: int
    """Of the LR picture."""
    weights: str | None
    """A file, "default", or None: random."""
    graph: str
    """The deploy form as an ONNX graph."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a variant; medians."""

    network: str
    scale: int
    size: str
    backend: str
    seconds: float
    cpu_seconds: float
    to_eager: float
    """Times as fast as the network as it is trained in eager torch, by processor time."""
    to_eager_wall: float
    to_onnxruntime: float | None
    to_onnxruntime_wall: float | None
    psnr: float | None
    peak_memory: int | None
    gemm_share: float
    copy_share: float | None


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--network", action="append")
    parser.add_argument("--scale", action="append", type=int)
    parser.add_argument("--size", default="1280x720", help="enlarged width x height")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", type=Path, help="file of weights; else those shipped")
    parser.add_argument("--threads", type=int, help="cores to use; all if left out")
    parser.add_argument("--variant", action="append", choices=VARIANTS[1:], help="all if left out")
    parser.add_argument("--no-memory", action="store_true", help="measure no peak of memory")
    parser.add_argument("--json", type=Path, help="write the rows and the machine to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    if options.one:
        _take_one(**json.loads(options.one))
        return
    width, height = (int(side) for side in options.size.split("x"))
    ceilings = measure_ceilings()
    about = {**machine(), **{name: round(value / 1e9, 1) for name, value in ceilings.items()}}
    print(json.dumps(about))
    rows: list[Row] = []
    for network in options.network or ["fdiwn"]:
        for scale in options.scale or [4]:
            with tempfile.TemporaryDirectory() as folder:
                lr = (max(1, height // scale), max(1, width // scale))
                case = prepare(network, scale, lr, options.weights, Path(folder))
                variants = (TRAINED, *(options.variant or VARIANTS[1:]))
                found = measure(
                    case, variants, options.rounds, ceilings, memory=not options.no_memory
                )
            rows += found
            _print(found)
    if options.json:
        content = {"machine": about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


def prepare(
    network: str, scale: int, lr: tuple[int, int], weights: Path | None, folder: Path
) -> Case:
    """Write the graph of a network, and say what is to be measured."""
    from lightsr.export.onnx import onnx_model
    from lightsr.weights.catalogue import shipped

    there = any((entry.network, entry.scale) == (network, scale) for entry in shipped())
    chosen = str(weights) if weights is not None else "default" if there else None
    case = Case(network, scale, *lr, chosen, str(folder / "graph.onnx"))
    deployed = cast("Any", _trained(case)).deploy().eval()
    model = onnx_model(deployed, name=network, scale=scale)
    Path(case.graph).write_bytes(model.SerializeToString())
    return case


def measure(
    case: Case,
    variants: Sequence[str],
    rounds: int,
    ceilings: dict[str, float],
    *,
    memory: bool,
) -> list[Row]:
    """Return a row for each of the variants, the trained one among them, that can be run here."""
    from lightsr.engine.backends.fused.graph import UnsupportedError
    from lightsr.evaluation.complexity import complexity

    runs: dict[str, Run] = {}
    for name in variants:
        try:
            runs[name] = load(case, name)
        except UnsupportedError as error:
            print(f"{case.network} x{case.scale}: {name} left out: {error}")
    psnr = _psnr(runs) if case.weights is not None else {}
    lr = np.random.default_rng(0).random((1, 3, case.height, case.width), np.float32)
    wall: dict[str, list[float]] = {name: [] for name in runs}
    used: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + rounds * [True]:
        for name, run in runs.items():
            start, cpu = time.perf_counter(), time.process_time()
            run(lr)
            if counted:
                wall[name].append(time.perf_counter() - start)
                used[name].append(time.process_time() - cpu)
    seconds = {name: statistics.median(values) for name, values in wall.items()}
    cpu_seconds = {name: statistics.median(values) for name, values in used.items()}
    hr = (case.width * case.scale, case.height * case.scale)
    onnx = cpu_seconds.get(ONNX), seconds.get(ONNX)
    work = 2 * complexity(case.network, case.scale, hr).multi_adds
    rows: list[Row] = []
    for name in runs:
        precision = "bf16" if "bf16" in name else "fp32"
        traffic = _traffic(case, precision) if "fused" in name else None
        rows.append(
            Row(
                case.network,
                case.scale,
                f"{hr[0]}x{hr[1]}",
                name,
                seconds[name],
                cpu_seconds[name],
                cpu_seconds[TRAINED] / cpu_seconds[name],
                seconds[TRAINED] / seconds[name],
                onnx[0] and onnx[0] / cpu_seconds[name],
                onnx[1] and onnx[1] / seconds[name],
                psnr.get(name),
                _peak_memory(case, name) if memory else None,
                work / cpu_seconds[name] / ceilings[f"gemm {precision} FLOP/s"],
                traffic and traffic / cpu_seconds[name] / ceilings["copy B/s"],
            )
        )
    return rows


def load(case: Case, name: str) -> Run:
    """Return the pass of a variant. Raises `UnsupportedError` where there is none."""
    if name in (TRAINED, DEPLOYED):
        import torch

        module: Any = _trained(case)
        if name == DEPLOYED:
            module = module.deploy()
        module.eval()

        def eager(lr: Picture) -> Picture:
            with torch.inference_mode():
                return module(torch.from_numpy(lr)).numpy()

        return eager
    path = Path(case.graph)
    if name == ONNX:
        from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(path, case.network, case.scale, trusted=True).run
    from lightsr.engine.backends.fused.backend import FusedBackend

    return FusedBackend(path, case.network, case.scale, name.split()[1]).run


def _trained(case: Case) -> object:
    if case.weights is None:
        import torch

        from lightsr.networks.build import create_network as create_random

        torch.manual_seed(0)
        return create_random(case.network, case.scale)
    from lightsr.weights.create import create_network

    weights = case.weights if case.weights == "default" else Path(case.weights)
    return create_network(case.network, case.scale, weights=weights)


def _psnr(runs: dict[str, Run]) -> dict[str, float]:
    """Return PSNR against the network as it is trained, in dB, the mean over the samples."""
    from lightsr.engine.backends.precision import psnr
    from lightsr.engine.samples import to_float
    from lightsr.images.reading import read_picture

    values: dict[str, list[float]] = {name: [] for name in runs if name != TRAINED}
    for path in SAMPLES:
        pixels = to_float(np.asarray(read_picture(path).samples))
        lr = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
        reference = runs[TRAINED](lr)
        for name, found in values.items():
            found.append(psnr(runs[name](lr), reference))
    return {name: statistics.mean(found) for name, found in values.items()}


def _traffic(case: Case, precision: str) -> int:
    """Return the bytes of whole maps that the fused backend writes and reads for a picture."""
    from lightsr.engine.backends.fused.backend import planned
    from lightsr.engine.backends.fused.graph import sources

    _, plan = planned(Path(case.graph), precision)
    per_pixel = 0
    for level in plan.levels:
        read = {
            (node, channel)
            for work in level.work
            for view in (sources(work.node) if work.node else [])
            for node, channel in view
            if node not in level.places
        }
        per_pixel += sum(node.size**2 for node, _ in read)
        per_pixel += sum(node.channels * node.size**2 for node in level.made)
    return 4 * case.height * case.width * (per_pixel + 3 * case.scale**2)


def _peak_memory(case: Case, name: str) -> int | None:
    """Return the peak of a fresh process that loads a variant and enlarges one picture."""
    if sys.platform != "linux":
        return None
    what = json.dumps({"case": asdict(case), "name": name})
    command = [sys.executable, __file__, "--one", what]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(result.stdout.splitlines()[-1])


def _take_one(case: dict[str, Any], name: str) -> None:
    known = Case(**case)
    load(known, name)(np.zeros((1, 3, known.height, known.width), np.float32))
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    print(int(found.group(1)) * 1024)


def measure_ceilings() -> dict[str, float]:
    """Return the best of some large matrix products and copies, per second of processor time."""
    import torch

    best: dict[str, float] = {}
    side = 1536
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        matrix = torch.rand(side, side).to(kind)
        seconds = min(_cpu_seconds(lambda m=matrix: m @ m) for _ in range(6))
        best[f"gemm {name} FLOP/s"] = 2 * side**3 / seconds
    source, target = np.ones(2**26, np.uint8), np.empty(2**26, np.uint8)
    seconds = min(_cpu_seconds(lambda: np.copyto(target, source)) for _ in range(6))
    return {**best, "copy B/s": 2 * source.nbytes / seconds}


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
    import torch

    from lightsr.engine.backends.fused.code import about_machine, host_features
    from lightsr.engine.machine import available_cores

    known = host_features()
    wide = ("avx2", "avx512f", "avx512bf16", "amx-bf16", "neon")
    return {
        "processor": about_machine()[3],
        "system": platform.platform(),
        "features": [name for name in wide if name in known],
        "cores used": available_cores(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "llvmlite": about_machine()[2],
    }


def _print(rows: list[Row]) -> None:
    print(f"\n{rows[0].network} x{rows[0].scale} to {rows[0].size}\n")
    print("| variant | s | CPU s | x eager (CPU) | x ORT (CPU) | x eager | x ORT | dB | MB | "
          "of GEMM | of copy |")  # fmt: skip
    print("| --- |" + " --- |" * 10)
    for row in rows:
        cells = [
            row.backend,
            f"{row.seconds:.3f}",
            f"{row.cpu_seconds:.3f}",
            f"{row.to_eager:.2f}",
            _of(row.to_onnxruntime),
            f"{row.to_eager_wall:.2f}",
            _of(row.to_onnxruntime_wall),
            "" if row.psnr is None else f"{row.psnr:.1f}",
            "" if row.peak_memory is None else f"{row.peak_memory / 2**20:.0f}",
            f"{row.gemm_share:.0%}",
            "" if row.copy_share is None else f"{row.copy_share:.0%}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _of(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


if __name__ == "__main__":
    main()
