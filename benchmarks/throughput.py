"""Compare a folder of small pictures done by `lightsr upscale` with one picture after the other.

    python benchmarks/throughput.py [--pictures 200] [--size 128] [--network fdiwn] [--scale 4]

The naive loop reads, enlarges and writes with the same network on the same backend. The two take
turns with ten pictures at a time, so that whatever else the machine does meets both alike; the
results are compared byte by byte. Pictures are cut from those in `samples`, or in --data.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from lightsr.engine.crew import run_jobs
from lightsr.engine.fit import Fit
from lightsr.engine.jobs import Job
from lightsr.engine.run import Done, WriteSettings, run_job

TURN = 10
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--size", type=int, default=128, help="sides in pixels")
    parser.add_argument("--network", default="fdiwn")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--data", type=Path, default=SAMPLES, help="a folder of pictures")
    options = parser.parse_args()
    fit = Fit(options.scale, None, None, {"model": options.network, "weights": options.weights})
    with tempfile.TemporaryDirectory() as made:
        sources = cut_pictures(options.data, Path(made) / "in", options.pictures, options.size)
        naive, crew = Path(made) / "naive", Path(made) / "crew"
        seconds = [0.0, 0.0]
        one_by_one(sources[:2], made_in(Path(made) / "warm"), fit)
        for start in range(0, len(sources), TURN):
            some = sources[start : start + TURN]
            seconds[0] += one_by_one(some, made_in(naive), fit)
            seconds[1] += side_by_side(some, made_in(crew), fit)
        for source in sources:
            assert (naive / source.name).read_bytes() == (crew / source.name).read_bytes()
    each = [1000 * total / len(sources) for total in seconds]
    print(f"{len(sources)} pictures of {options.size}x{options.size}, x{options.scale}:")
    print(f"one after the other {each[0]:.0f} ms a picture")
    print(f"lightsr upscale     {each[1]:.0f} ms a picture, {each[0] / each[1]:.2f} times as fast")


def one_by_one(sources: Sequence[Path], folder: Path, fit: Fit) -> float:
    """Return the seconds that a loop takes."""
    begun = perf_counter()
    for source in sources:
        run_job(Job(source, folder / source.name), fit, WriteSettings())
    return perf_counter() - begun


def side_by_side(sources: Sequence[Path], folder: Path, fit: Fit) -> float:
    """Return the seconds that `lightsr upscale` takes for the same."""
    jobs = [Job(source, folder / source.name) for source in sources]
    settings = WriteSettings()
    begun = perf_counter()
    for result in run_jobs(jobs, fit, settings, lambda job: run_job(job, fit, settings)):
        assert isinstance(result.outcome, Done), result.outcome
    return perf_counter() - begun


def made_in(folder: Path) -> Path:
    """Return a folder that is there."""
    folder.mkdir(exist_ok=True)
    return folder


def cut_pictures(data: Path, folder: Path, count: int, size: int) -> list[Path]:
    """Cut pictures out of others, at random places and turned at random; return their paths."""
    random = np.random.default_rng(0)
    whole = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(data.glob("*.*g"))]
    whole = [one for one in whole if min(one.shape[:2]) >= size]
    paths: list[Path] = []
    for number in range(count):
        one = whole[number % len(whole)]
        top, left = (int(random.integers(one.shape[axis] - size + 1)) for axis in (0, 1))
        cut = np.rot90(one[top : top + size, left : left + size], int(random.integers(4)))
        paths.append(made_in(folder) / f"{number:04}.png")
        Image.fromarray(cut).save(paths[-1])
    return paths


if __name__ == "__main__":
    main()
