"""How long `lightsr upscale` takes from the start of the process to the written file.

    python benchmarks/start.py [--model fdiwn] [--scale 4] [--rounds 3] [--threads 1] [--json FILE]

For every network whose weights are shipped, or those named, a picture of 256x256: the command with
an empty cache (machine code is made, the precision is measured), then with what that kept, and the
network alone in a process where it is loaded. Printed are medians of elapsed and of processor
time, and how much of "1.5 times the network alone, plus 1 s" each takes, by processor time: the
measure on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIDE = 256
SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.png"


class Taken(NamedTuple):
    """Seconds."""

    elapsed: float
    processor: float


def main() -> None:
    """Measure what the arguments name."""
    from lightsr.weights.catalogue import shipped

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--model", action="append")
    parser.add_argument("--scale", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="cores to use; all if left out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    rows: list[dict[str, Any]] = []
    print("| network | | elapsed s | CPU s | of the bound |\n" + "| --- " * 5 + "|")
    for entry in shipped():
        wanted = options.model is None or entry.network in options.model
        if wanted and entry.scale in (options.scale or [entry.scale]):
            for row in measure(entry.network, entry.scale, options.rounds):
                rows.append(row)
                cells = [f"{row['elapsed']:.2f}", f"{row['processor']:.2f}", f"{row['share']:.0%}"]
                name = f"{row['network']} x{row['scale']}"
                print("|", " | ".join([name, row["what"], *cells]), "|", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(network: str, scale: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row each for the network alone, and the command with and without what is kept."""
    found: dict[str, list[Taken]] = {"network alone": [], "first time": [], "later": []}
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "in.png"
        _write(picture)
        for number in range(rounds):
            cache = Path(folder) / f"cache{number}"
            for what in ("first time", "later"):
                found[what].append(_command(network, scale, picture, cache))
            found["network alone"].append(_alone(network, scale))
    medians = {
        what: Taken(*(statistics.median(values) for values in zip(*taken, strict=True)))
        for what, taken in found.items()
    }
    bound = 1.5 * medians["network alone"].processor + 1
    return [
        {"network": network, "scale": scale, "what": what, "share": taken.processor / bound}
        | taken._asdict()
        for what, taken in medians.items()
    ]


def _write(path: Path) -> None:
    from PIL import Image

    Image.open(SAMPLE).convert("RGB").resize((SIDE, SIDE)).save(path)


def _command(network: str, scale: int, picture: Path, cache: Path) -> Taken:
    """Return what the command takes; other processes of this one must have ended."""
    command = [sys.executable, "-m", "lightsr", "upscale", str(picture), "--overwrite", "--quiet"]
    command += ["-o", str(picture.with_name("out.png")), "--model", network, "--scale", str(scale)]
    start, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, env={**os.environ, "LIGHTSR_CACHE": str(cache)})
    after = os.times()
    processor = after.children_user + after.children_system
    processor -= before.children_user + before.children_system
    return Taken(time.perf_counter() - start, processor)


def _alone(network: str, scale: int) -> Taken:
    from lightsr.engine.backends.choose import Choice, open_backend

    backend = open_backend(Choice(network), scale)
    lr = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    backend.run(lr)
    start, cpu = time.perf_counter(), time.process_time()
    backend.run(lr)
    return Taken(time.perf_counter() - start, time.process_time() - cpu)


if __name__ == "__main__":
    main()
