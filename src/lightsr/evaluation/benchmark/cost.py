"""Latency and peak memory for an output of 1280x720, every run in a fresh process."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lightsr.engine.backends.choose import at_hand
from lightsr.engine.machine import available_cores, processor_name
from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.benchmark.cache import Cache
from lightsr.evaluation.benchmark.settings import Engine, Settings
from lightsr.evaluation.complexity import HD
from lightsr.networks.registry import network_spec
from lightsr.weights.catalogue import shipped

MakeGraph = Callable[[str, int, Path], None]
"""Writes the ONNX graph of a network at a scale, with random weights, to a path. Raises
`LightsrError` where it cannot."""

STARTING = 5e10
"""What starting a process takes, in multiply-adds' time."""
_GRACE = 60.0
"""Seconds that starting a process and loading a network may take beside the run."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed: a network at a scale. Its weights do not matter."""

    network: str
    scale: int

    @property
    def lr_size(self) -> tuple[int, int]:
        """Height and width of the LR picture; at x3 the output is 1278x720."""
        return HD[1] // self.scale, HD[0] // self.scale

    @property
    def work(self) -> float:
        """About how long one run takes, in multiply-adds."""
        return STARTING + network_spec(self.network).cost[self.scale].multi_adds(*self.lr_size)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a subject."""

    seconds: tuple[float, ...]
    """Of every run, in the order of the rounds."""
    core_seconds: float
    """What all cores together spent on a run, the median over the runs."""
    peak_bytes: int | None
    """The median over the runs; None where the system does not tell."""

    @property
    def median(self) -> float:
        """The latency, in seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A subject whose run was given up."""

    reason: str


class Timer:
    """Times subjects, asking the cache first."""

    def __init__(self, settings: Settings, cache: Cache, make_graph: MakeGraph) -> None:
        self._settings = settings
        self._cache = cache
        self._make_graph = make_graph
        self.machine = machine(settings.engine)

    def kept(self, subject: Subject, round_: int) -> Mapping[str, Any] | None:
        """Return what the cache holds of a round; a run given up sooner than now counts not."""
        value = self._cache.get(self._key(subject, round_))
        if value is not None and value.get("gave_up", self._settings.time_limit) < (
            self._settings.time_limit
        ):
            return None
        return value

    def time(self, subject: Subject, round_: int, folder: Path) -> Mapping[str, Any]:
        """Time one run and keep it. Graphs that are needed for it are made in `folder`.

        The result holds "seconds", "core_seconds" and "peak_bytes", or "gave_up" where the time
        limit was passed. Raises `LightsrError` where the run fails.
        """
        value = self._run(subject, folder)
        self._cache.put(self._key(subject, round_), dict(value))
        return value

    def outcome(self, values: list[Mapping[str, Any]]) -> Measured | GaveUp | None:
        """Return what the rounds of a subject come to."""
        if not values:
            return None
        for value in values:
            if "gave_up" in value:
                return GaveUp(f"a run takes more than {value['gave_up']:g} s")
        peaks = [value["peak_bytes"] for value in values if value["peak_bytes"] is not None]
        peak = int(statistics.median(peaks)) if peaks else None
        seconds = tuple(value["seconds"] for value in values)
        cores = statistics.median(value["core_seconds"] for value in values)
        return Measured(seconds, cores, peak)

    def _key(self, subject: Subject, round_: int) -> Mapping[str, Any]:
        return {
            "kind": "cost",
            "network": subject.network,
            "scale": subject.scale,
            "size": list(HD),
            "engine": self._settings.engine.as_json(),
            "machine": self.machine,
            "round": round_,
        }

    def _run(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        height, width = subject.lr_size
        what = {
            **self._settings.engine.as_json(),
            "network": subject.network,
            "scale": subject.scale,
            "height": height,
            "width": width,
            "weights": str(self._weights(subject, folder)),
        }
        command = [sys.executable, "-m", "lightsr.evaluation.benchmark.sample", json.dumps(what)]
        limit = self._settings.time_limit
        try:
            done = subprocess.run(
                command, capture_output=True, encoding="utf-8", timeout=limit + _GRACE, check=False
            )
        except subprocess.TimeoutExpired:
            return {"gave_up": limit}
        if done.returncode != 0:
            said = done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"
            raise LightsrError(f"{subject.network} x{subject.scale} could not be timed: {said}")
        value = json.loads(done.stdout)
        return {"gave_up": limit} if value["seconds"] > limit else value

    def _weights(self, subject: Subject, folder: Path) -> Path:
        """Return weights for the backend: shipped ones, random ones, which run as fast, or none."""
        if not network_spec(subject.network).trained:
            return Path()
        engine = self._settings.engine
        kind = "safetensors" if _by_torch(engine) else "onnx"
        for entry in shipped():
            if (entry.network, entry.scale) == (subject.network, subject.scale):
                return entry.verified(kind)
        path = folder / f"{subject.network}-x{subject.scale}.{kind}"
        if not path.exists():
            if kind == "onnx":
                self._make_graph(subject.network, subject.scale, path)
            else:
                _save_random(subject, path)
        return path


def machine(engine: Engine) -> dict[str, Any]:
    """Return what a latency depends on beside the network: processor, cores, libraries."""
    libraries = ["torch"] if _by_torch(engine) else ["onnxruntime"]
    if engine.backend == "fused" or (engine.backend == "auto" and "fused" in at_hand()):
        libraries = ["llvmlite", *libraries]
    return {
        "processor": processor_name(),
        "cores": available_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "system": f"{platform.system()} {platform.machine()}",
        "library": ", ".join(f"{library} {_version(library)}" for library in libraries),
    }


def _by_torch(engine: Engine) -> bool:
    return engine.backend == "torch" or engine.device in ("cuda", "mps")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _save_random(subject: Subject, path: Path) -> None:
    try:
        from lightsr.networks.build import create_network
    except ImportError as error:
        raise UserError("timing networks under torch needs torch, which is missing") from error
    from lightsr.weights.files import save_tensors

    state = create_network(subject.network, subject.scale).state_dict()
    tensors = {name: tensor.numpy() for name, tensor in state.items()}
    save_tensors(path, tensors, {"network": subject.network, "scale": str(subject.scale)})
