"""What each ingredient of a recipe brings: the recipe with and without it, for the same time.

    python benchmarks/ingredients.py RECIPE -o FOLDER --seconds 120 --set key=value ...
        --without "NAME: key=value key=value" ... [--seeds 2]

Every variant is first timed for a few iterations and then runs for as many as fit into `seconds`
of processor time, so that a busy machine changes nothing but the wait, and schedules end where the
run ends. Printed is the PSNR on the validation sets of the recipe at the end.
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from pathlib import Path

from lightsr.training.library import find_recipe
from lightsr.training.recipe import read_recipe
from lightsr.training.run import train

TIMED = 12
"""Iterations that tell how long one takes."""


def main() -> None:
    """Run the variants that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--without", action="append", default=[], metavar="NAME: KEY=VALUE ...")
    options = parser.parse_args()
    logging.getLogger("lightsr").setLevel(logging.ERROR)
    variants: dict[str, list[str]] = {"all": []}
    for given in options.without:
        name, changes = given.split(":", 1)
        variants[name] = changes.split()
    for seed in range(options.seeds):
        for name, changes in variants.items():
            settings = [*options.set, *changes, f"seed={seed}"]
            folder = options.output / f"{name}-{seed}".replace(" ", "-")
            print(
                f"{name:24} seed {seed}  {run(options.recipe, settings, folder, options.seconds)}"
            )


def run(recipe: str, settings: list[str], folder: Path, seconds: float) -> str:
    """Train for `seconds` of processor time; return the iterations and what was measured."""
    path = find_recipe(recipe)
    quiet = ["validation.every=1000000", "checkpoint_every=1000000", "tensorboard=false"]

    def spent(name: str, iterations: int, *more: str) -> float:
        since = time.process_time()
        changes = [*settings, *quiet, *more, f"iterations={iterations}"]
        train(read_recipe(path, changes), folder / name)
        return time.process_time() - since

    unmeasured = "validation.folders={}"
    spent("first", 1, unmeasured)  # Makes what is made but once: kernels, cached pictures.
    started = spent("start", TIMED, unmeasured)
    cost = (spent("timing", 4 * TIMED, unmeasured) - started) / (3 * TIMED)
    iterations = max(TIMED, round(seconds / cost))
    spent("run", iterations)
    with (folder / "run" / "log.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    scores = {key: value for key, value in last.items() if key not in {"iteration", "seconds"}}
    told = "  ".join(f"{key} {value}" for key, value in scores.items())
    return f"{iterations:6d} iterations at {cost:.3f} s  {told}"


if __name__ == "__main__":
    main()
