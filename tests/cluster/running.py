"""Making pictures, and running `lightsr cluster upscale` in a process of its own."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image


def make_pictures(folder: Path, count: int, side: int = 16, inner: str = "") -> list[Path]:
    """Write small pictures that differ."""
    place = folder / inner
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"p{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        samples = np.random.default_rng(number).integers(0, 256, (side, side + 4, 3), np.uint8)
        Image.fromarray(samples).save(path)
    return paths


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "lightsr", "cluster", "upscale", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def finish(process: subprocess.Popen[str], timeout: float = 400) -> tuple[int, str]:
    """Wait for it; return its status and what it said on standard error."""
    try:
        _, said = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, said


def until(condition: Callable[[], bool], timeout: float = 300) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(of: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the actors that a run has on this machine."""
    found: list[psutil.Process] = []
    for process in psutil.Process(of.pid).children(recursive=True):
        try:
            if "MapWorker" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def results(output: Path) -> dict[str, bytes]:
    """Return the results in a folder by name, and nothing of the run's own."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and ".lightsr" not in path.parts
    }


def recorded(output: Path) -> list[str]:
    """Return the names in all records, generation by generation."""
    return [
        json.loads(line)[0]
        for shard in sorted((output / ".lightsr" / "records").rglob("*.jsonl.gz"))
        for line in gzip.decompress(shard.read_bytes()).splitlines()
    ]


def failures(report: Path) -> dict[str, str]:
    """Return the names and reasons in a report."""
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    return {line["name"]: line["reason"] for line in lines}
