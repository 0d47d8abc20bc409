"""From names (model, weights, backend, device, precision) to a backend that is ready to run.

Nothing is imported for a backend that is not used, and every name is checked before any file is
opened.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lightsr.engine.backends.base import Backend
from lightsr.errors import BackendError, UserError, WeightsError, unknown_name
from lightsr.networks.registry import known_scales, network_spec
from lightsr.weights.catalogue import best, find, require_no_weights, shipped
from lightsr.weights.tensorflow import index_of

if TYPE_CHECKING:
    from lightsr.engine.backends.bicubic import BicubicBackend

log = logging.getLogger("lightsr")

BACKENDS = ("auto", "fused", "onnxruntime", "torch")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
DEFAULT_SCALE = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for, by name; the command line's options are called the same."""

    model: str | None = None
    """None: the shipped network that measured best on Set5 at the scale."""
    weights: str | Path = "default"
    """The tag of shipped weights, or a file: an .onnx graph, or tensors, which need torch."""
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"

    def check(self) -> None:
        """Raise `UserError` for a name that does not exist or that this version lacks."""
        if self.backend == "openvino":
            raise BackendError("the openvino backend is not in this version; use onnxruntime")
        _require("backend", self.backend, BACKENDS)
        _require("device", self.device, DEVICES)
        _require("precision", self.precision, PRECISIONS)
        if self.model is not None:
            network_spec(self.model)
        if self.weights == "":
            raise WeightsError("the weights have an empty name; give a tag or a file")
        if self.needs_no_weights:
            require_no_weights(str(self.model), self.weights)

    @property
    def needs_no_weights(self) -> bool:
        """Whether a network is named that has nothing to learn."""
        return self.model is not None and not network_spec(self.model).trained

    @property
    def file(self) -> Path | None:
        """The file that `weights` names; None where it is a tag.

        A `Path`, and a string that looks like one (it has a folder or a suffix, or is there), is
        a file.
        """
        path = index_of(Path(self.weights))
        looks_like_one = path.name != self.weights or path.suffix or path.exists()
        return path if isinstance(self.weights, Path) or looks_like_one else None

    def shipped_scales(self) -> tuple[int, ...]:
        """Return the scales, ascending, at which weights for this choice are at hand."""
        if self.model is not None and self.needs_no_weights:
            return network_spec(self.model).scales
        there = {
            entry.scale
            for entry in shipped()
            if self.model in (None, entry.network) and self.weights in ("default", entry.tag)
        }
        return tuple(sorted(there))


def open_backend(choice: Choice, scale: int | None = None) -> Backend:
    """Return the backend for a choice at a scale, with its network loaded.

    What is no more than a reconstruction is said to be one in the log.

    `scale` None means the one that a file of weights was made for, and 4 for shipped weights.
    "auto" is, on the processor, the fused backend where it can run the network and ONNX Runtime
    elsewhere, unless the device, the weights or fp16 need torch. Raises
    `UserError` and its kinds for names, weights and devices that are not there or do not go
    together.
    """
    backend = _open(choice, scale)
    spec = network_spec(backend.network)
    if spec.reconstruction is not None:
        log.warning("%s is %s", spec.label, spec.reconstruction)
    return backend


def _open(choice: Choice, scale: int | None) -> Backend:
    choice.check()
    if choice.model is not None:
        network_spec(choice.model, scale)
    elif scale is not None and scale not in known_scales():
        known = ", ".join(f"x{s}" for s in known_scales())
        raise UserError(f"there is no scale x{scale}; networks enlarge by {known}")
    if choice.file is not None and not choice.file.exists():
        raise WeightsError(f"{choice.file} does not exist")
    if choice.needs_no_weights and choice.backend != "torch" and choice.device in ("auto", "cpu"):
        return _open_bicubic(choice, scale)
    is_graph = choice.file is None or choice.file.suffix == ".onnx"
    backend = choice.backend
    in_graph = choice.file is not None and is_graph
    in_half = choice.precision == "fp16" and not in_graph
    if backend == "auto" and (choice.device in ("cuda", "mps") or in_half or not is_graph):
        backend = "torch"
    if backend == "torch":
        return _open_torch(choice, scale)
    return _open_graph(choice, scale, backend)


def at_hand() -> dict[str, tuple[str, ...]]:
    """Return the backends that work here, the preferred one first, and what they compute in."""
    found: dict[str, tuple[str, ...]] = {}
    if _lacking() is None:
        from lightsr.engine.backends.fused.graph import UnsupportedError
        from lightsr.engine.backends.fused.program import host_machine

        with suppress(UnsupportedError):
            found["fused"] = ("fp32", "bf16") if host_machine().bf16 else ("fp32",)
    found["onnxruntime"] = ("fp32",)
    if find_spec("torch") is not None:
        found["torch"] = ("fp32", "bf16", "fp16")
    return found


def _open_bicubic(choice: Choice, scale: int | None) -> BicubicBackend:
    from lightsr.engine.backends.bicubic import BicubicBackend, require_supported

    require_supported(choice.backend, choice.precision)
    return BicubicBackend(str(choice.model), scale or DEFAULT_SCALE)


def _open_graph(choice: Choice, scale: int | None, backend: str) -> Backend:
    from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend, require_supported

    if backend == "onnxruntime":
        require_supported(choice.device, choice.precision)
    else:
        _require_for_fused(backend, choice)
    checked: Backend | None = None
    if choice.file is None:
        _require_precision(choice, "fp32", "the weights that are shipped")
        at = scale or DEFAULT_SCALE
        name, tag = _network(choice, at), str(choice.weights)
        graph = find(name, at, tag).verified("onnx")
    elif choice.file.suffix == ".onnx":
        # ONNX Runtime says what is wrong with a graph of unknown origin.
        graph = choice.file
        checked = OnnxRuntimeBackend(graph, choice.model, scale, trusted=False)
        name, at = checked.network, checked.scale
        _require_precision(choice, checked.precision, str(graph))
        if checked.precision == "int8" and backend != "fused":
            return checked
    else:
        named = "onnxruntime" if backend == "auto" else backend
        raise BackendError(
            f"the {named} backend runs .onnx files; {choice.file} needs --backend torch"
        )
    if backend != "onnxruntime":
        needed = backend == "fused" or choice.precision == "bf16"
        fused = _fused(graph, name, at, choice.precision, needed=needed)
        if fused is not None:
            return fused
    return checked or OnnxRuntimeBackend(graph, name, at, trusted=True)


def _fused(graph: Path, name: str, scale: int, precision: str, *, needed: bool) -> Backend | None:
    """Return the fused backend, or None where it cannot run a graph here.

    That is an error where it is `needed`.
    """
    reason = _lacking()
    if reason is None:
        from lightsr.engine.backends.fused.graph import UnsupportedError
        from lightsr.engine.backends.fused.opening import open_fused

        try:
            return open_fused(graph, name, scale, precision)
        except UnsupportedError as error:
            reason = str(error)
    if needed:
        wanted = "precision bf16" if precision == "bf16" else "the fused backend"
        raise BackendError(f"{wanted} cannot be had for {name} x{scale}: {reason}")
    return None


def _lacking() -> str | None:
    """Return what the fused backend needs and does not find; None: nothing."""
    missing = [package for package in ("llvmlite", "onnx") if find_spec(package) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} not installed: pip install 'lightsr[fast]'"


def _require_for_fused(backend: str, choice: Choice) -> None:
    if choice.device not in ("auto", "cpu"):
        raise BackendError(
            f"the {backend} backend runs on the cpu, not on {choice.device}; use --backend torch"
        )
    if choice.precision == "fp16":
        raise BackendError(
            f"{choice.file or f'the {backend} backend'} cannot be run in fp16; use --precision "
            f"bf16 or fp32, or --backend torch with weights that are no ONNX graph"
        )
    if choice.precision == "int8" and backend == "fused":
        raise BackendError(
            "the fused backend does not compute in int8; use --backend onnxruntime with an int8 "
            "graph, or --precision bf16 or fp32"
        )


def _require_precision(choice: Choice, held: str, name: str) -> None:
    """Raise `BackendError` where int8 is asked for and not held, or the other way round."""
    if choice.precision == "int8" and held != "int8":
        raise BackendError(
            f"{name} cannot be run in int8; it was slower than bf16 where it was measured, so that "
            f"no int8 weights are shipped; docs/performance.md has the numbers, and says how to "
            f"make an int8 graph for --weights"
        )
    if held == "int8" and choice.precision not in ("auto", "int8"):
        raise BackendError(
            f"{name} holds an int8 graph, which cannot be run in {choice.precision}; "
            f"use --precision int8"
        )


def _open_torch(choice: Choice, scale: int | None) -> Backend:
    if choice.file is not None and choice.file.suffix == ".onnx":
        raise BackendError(f"torch cannot run {choice.file}; use --backend onnxruntime")
    if find_spec("torch") is None:
        asked = {"backend": choice.backend, "device": choice.device, "precision": choice.precision}
        named = " ".join(f"--{name} {value}" for name, value in asked.items() if value != "auto")
        wanted = choice.file or named
        raise BackendError(
            f"{wanted} needs torch, which is not installed: pip install 'lightsr[torch]'"
        )
    from lightsr.engine.backends.torch import open_torch
    from lightsr.weights.detect import detect

    if choice.file is None:
        at = scale or DEFAULT_SCALE
        name = _network(choice, at)
    else:
        name, at = detect(choice.file, choice.model, scale)
    return open_torch(name, at, choice.weights, choice.device, choice.precision)


def _network(choice: Choice, scale: int) -> str:
    return choice.model if choice.model is not None else best(scale).network


def _require(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise unknown_name(kind, name, known)
