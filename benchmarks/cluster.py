"""What Ray costs: pictures a second over a cluster of one machine, against the command line.

    python benchmarks/cluster.py [--pictures 48] [--size 160x120] [--scale 4] [--rounds 3]

In each round, one after the other: a folder run of `lightsr upscale`, a run of `lightsr cluster
upscale` with one worker, and one with two, all with `--threads` threads. The command line does two
small pictures at a time even with one thread, so it is two workers that have as many cores. A run's
own start-up, by what a single tiny picture takes, is taken off. Overhead is what a picture takes
longer with one worker than in the command line, and so an upper bound of Ray's part; with `--model
bicubic` and small pictures hardly anything else is left.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pictures import make_pictures


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--size", default="160x120", help="width x height of the originals")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--model", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    print(f"{options.pictures} pictures of {width}x{height}, x{options.scale} {options.model}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_pictures(folder / "tiny", 1, 8, 8)
        make_pictures(folder / "many", options.pictures, width, height)
        seconds: dict[str, list[float]] = {name: [] for name in ("line", "one", "two")}
        for _ in range(options.rounds):
            for name, times in seconds.items():
                start_up = timed(name, folder / "tiny", folder, options)
                taken = timed(name, folder / "many", folder, options) - start_up
                times.append(max(taken, 1e-6) / options.pictures)
                print(f"  {name:4} {1 / times[-1]:8.2f}/s after {start_up:5.1f} s", flush=True)
    show(seconds)


def timed(name: str, pictures: Path, place: Path, options: argparse.Namespace) -> float:
    """Return the seconds of a run: "line" is the command line, "one" and "two" the workers."""
    threads = str(options.threads)
    enlarging = ["--scale", str(options.scale), "--overwrite", "--quiet"]
    enlarging += ["--model", options.model] if options.model else []
    if name == "line":
        command = ["upscale", str(pictures), "-o", f"{place}/line/", *enlarging]
    else:
        workers = {"one": "1", "two": "2"}[name]
        command = ["cluster", "upscale", str(pictures), str(place / name), *enlarging]
        command += ["--workers", workers, "--threads", threads]
    environment = {**os.environ, "LIGHTSR_THREADS": threads, "OMP_NUM_THREADS": threads}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lightsr", *command], check=True, env=environment)
    return time.perf_counter() - start


def show(seconds: dict[str, list[float]]) -> None:
    """Print the ratios of throughput, by the median of the rounds, and Ray's overhead."""
    rounds = list(zip(*seconds.values(), strict=True))
    one = statistics.median(line / first for line, first, _ in rounds)
    two = statistics.median(line / second for line, _, second in rounds)
    overhead = statistics.median(first - line for line, first, _ in rounds)
    print(f"one worker against the command line: {one:.2f}")
    print(f"two workers against the command line: {two:.2f}")
    print(f"one worker's overhead for a picture: {1000 * overhead:.1f} ms")


if __name__ == "__main__":
    main()
