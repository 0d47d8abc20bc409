"""ONNX Runtime on the processor: the default, needing neither torch nor a GPU.

It runs a network's deploy form as an ONNX graph: one input "lr", float32 [n, 3, h, w] in [0, 1],
one output "sr", [n, 3, scale*h, scale*w], all sizes free, and the metadata `lightsr.network` and
`lightsr.scale`. A quantised graph (`tools/quantise.py`) says `lightsr.precision` beside.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from lightsr.engine.backends.base import Batch, Run
from lightsr.engine.backends.footprints import footprint
from lightsr.engine.backends.onnx_statistics import variants
from lightsr.engine.machine import available_cores
from lightsr.errors import BackendError, LightsrError, WeightsError
from lightsr.networks.registry import list_networks, network_spec

_T = TypeVar("_T")
# Some builds keep a session file for telemetry unless they are told not to before they load.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
_ort: Any = import_module("onnxruntime")  # It has no types.
_ONLY_FATAL = 4
"""Log level: an error arrives as an exception, and need not be printed by the runtime as well."""


class OnnxRuntimeBackend:
    """A network as an ONNX graph, run by ONNX Runtime."""

    name = "onnxruntime"
    device = "cpu"

    def __init__(
        self, path: Path, network: str | None, scale: int | None, *, trusted: bool
    ) -> None:
        """Load the graph in `path`, which must be of `network` at `scale` (None: of any).

        A file that is not `trusted` is tried on a tiny picture. Raises `WeightsError` naming the
        file where it is damaged, of another network or scale, or gives no numbers.
        """
        self._session = _load(path)
        self.network, self.scale = _require_fit(self._session, path, network, scale)
        self.radius = network_spec(self.network).receptive_radius
        self.precision = _metadata(self._session).get("lightsr.precision", "fp32")
        self._memory = footprint(self.name, self.network, self.scale)
        # Kept, because the file may be another one when tiles are asked for.
        self._content = path.read_bytes() if self.radius is None else b""
        self._tuning: _Tuning | None = None
        self._lock = threading.Lock()
        if not trusted:
            _try_out(self, path)

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        return self._stoppable(lambda options: self._run(batch, options))

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """See `Tunable.tuned_to`."""
        with self._lock:
            if self._tuning is None:
                self._tuning = _Tuning(self._content)
        tuning = self._tuning
        if not tuning.names:
            return None
        pooled = [
            self._stoppable(lambda options, sample=sample: tuning.pool(sample, options))
            for sample in samples
        ]
        statistics = {name: np.mean([one[name] for one in pooled], 0) for name in tuning.names}

        def run(batch: Batch) -> Batch:
            return self._stoppable(lambda options: tuning.run(batch, statistics, options))

        return run

    def _stoppable(self, work: Callable[[Any], _T]) -> _T:
        """Do work with options that make Ctrl-C end it."""
        options = _ort.RunOptions()
        options.log_severity_level = _ONLY_FATAL
        # Memory goes back to the system between pictures.
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        if threading.current_thread() is not threading.main_thread():
            return work(options)
        # A run cannot hear Ctrl-C. In a thread of its own it can be told to stop by this one.
        pool = ThreadPoolExecutor(1)
        try:
            running = pool.submit(work, options)
            # A signal that comes just before a wait does not end it, so none is long.
            while not wait([running], timeout=0.5).done:
                pass
            return running.result()
        except BaseException:
            options.terminate = True
            raise
        finally:
            pool.shutdown()

    def _run(self, batch: Batch, options: Any) -> Batch:
        return _computed(self._session, ["sr"], {"lr": batch}, options)[0]

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`."""
        return self._memory.bytes(batch, height, width)

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        return None


class _Tuning:
    """A graph's variants in which statistics are pooled, and told; both for any thread."""

    def __init__(self, content: bytes) -> None:
        found = variants(content) if content else None
        self.names = found.statistics if found is not None else ()
        if found is not None:
            self._pooling, self._told = _session(found.pooling), _session(found.told)

    def pool(self, sample: Batch, options: Any) -> dict[str, Batch]:
        """Return the statistics of parts of a picture together."""
        values = _computed(self._pooling, list(self.names), {"lr": sample}, options)
        return dict(zip(self.names, values, strict=True))

    def run(self, batch: Batch, statistics: dict[str, Batch], options: Any) -> Batch:
        """Enlarge a batch with given statistics."""
        return _computed(self._told, ["sr"], {"lr": batch, **statistics}, options)[0]


def _computed(
    session: Any, outputs: list[str], inputs: dict[str, Batch], options: Any
) -> list[Batch]:
    try:
        return session.run(outputs, inputs, options)
    except Exception as error:
        if "alloc" in str(error).lower():
            raise MemoryError(f"ONNX Runtime: {_first_line(error)}") from error
        raise LightsrError(f"ONNX Runtime failed: {_first_line(error)}") from error


def require_supported(device: str, precision: str) -> None:
    """Raise `BackendError` for a device or precision that this backend does not have."""
    if device not in ("auto", "cpu"):
        raise BackendError(
            f"the onnxruntime backend runs on the cpu, not on {device}; use --backend torch"
        )
    if precision not in ("auto", "fp32", "int8"):
        raise BackendError(
            f"the onnxruntime backend computes in fp32 and int8, not in {precision}; "
            f"use --precision fp32"
        )


def _load(path: Path) -> Any:
    try:
        return _session(str(path))
    except Exception as error:
        raise WeightsError(
            f"{path} is no ONNX graph that ONNX Runtime can load: {_first_line(error)}"
        ) from error


def _session(graph: str | bytes) -> Any:
    """Return a session for a graph in a file, or in memory."""
    options = _ort.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ONLY_FATAL
    # A plan of the memory is worth it for pictures of one size only; measured on FDIWN, it takes
    # half as much again, and doing without the arena takes four times as much.
    options.enable_mem_pattern = False
    # Waiting threads that spin take the cores from whatever else the machine does; with two
    # other processes at work, a run took five times as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return _ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _require_fit(
    session: Any, path: Path, network: str | None, scale: int | None
) -> tuple[str, int]:
    """Return network and scale that the graph's metadata names, if they are what was asked for."""
    metadata = _metadata(session)
    held, at = metadata.get("lightsr.network"), metadata.get("lightsr.scale", "")
    if held is None or not at.isdecimal():
        raise WeightsError(
            f"{path} does not say which network it is; use a graph made by `lightsr export`"
        )
    if held not in list_networks():
        raise WeightsError(f"{path} holds a network named {held!r}, which this lightsr lacks")
    asked = (network or held, scale or int(at))
    if asked != (held, int(at)):
        raise WeightsError(
            f"{path} holds {held} x{at}, not {asked[0]} x{asked[1]}; ask for that network and "
            f"scale or give other weights"
        )
    inputs = [node.name for node in session.get_inputs()]
    outputs = [node.name for node in session.get_outputs()]
    if (inputs, outputs) != (["lr"], ["sr"]):
        raise WeightsError(f"{path} must have one input 'lr' and one output 'sr'")
    return held, int(at)


def _metadata(session: Any) -> dict[str, str]:
    return cast("dict[str, str]", session.get_modelmeta().custom_metadata_map)


def _try_out(backend: OnnxRuntimeBackend, path: Path) -> None:
    """Raise `WeightsError` unless the graph makes finite samples of the right number."""
    grey = np.full((1, 3, 6, 8), 0.5, np.float32)
    try:
        enlarged = backend.run(grey)
    except LightsrError as error:
        raise WeightsError(f"{path} cannot be run: {error}") from error
    expected = (1, 3, 6 * backend.scale, 8 * backend.scale)
    if enlarged.shape != expected or enlarged.dtype != np.float32:
        raise WeightsError(
            f"{path} makes {enlarged.dtype} samples of shape {enlarged.shape} from a picture of "
            f"8x6, not float32 of {expected}"
        )
    if not np.isfinite(enlarged).all():
        raise WeightsError(f"{path} is no use: it gives values that are not finite")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
