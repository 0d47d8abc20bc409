"""What every room's tests share."""

from __future__ import annotations

import os
import tempfile

# Tests compute on tiny arrays, where a second thread costs more than it brings. Set before
# anything can start a pool of threads; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What tests make is kept apart from the user's own.
os.environ["LIGHTSR_CACHE"] = tempfile.mkdtemp(prefix="lightsr-tests-")

import atexit
import shutil
import signal
from pathlib import Path

import pytest
from graphs import Graph, write_graph

atexit.register(shutil.rmtree, os.environ["LIGHTSR_CACHE"], ignore_errors=True)

# Run in the background, this process was told to ignore Ctrl-C, and so would be what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of test sets and published checkpoints; tests that need it skip without it."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("LIGHTSR_ASSETS", default))
    if not (folder / "data" / "test").is_dir():
        pytest.skip(f"needs the reference pictures: set LIGHTSR_ASSETS ({folder} has none)")
    return folder


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Make a tiny ONNX graph: `graph(scale, kind=..., ...)` as in `graphs.write_graph`."""
    folder = tmp_path_factory.mktemp("graphs")
    made: dict[object, Path] = {}

    def make(scale: int = 4, **kwargs: object) -> Path:
        key = (scale, *sorted(kwargs.items()))
        if key not in made:
            made[key] = write_graph(folder / f"{len(made)}.onnx", scale, **kwargs)  # type: ignore[arg-type]
        return made[key]

    return make
