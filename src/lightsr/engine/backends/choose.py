"""From names (model, weights, backend, device, precision) to a backend that is ready to run.

Nothing is imported for a backend that is not used, and every name is checked before any file is
opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lightsr.engine.backends.base import Backend
from lightsr.errors import BackendError, UserError, WeightsError, unknown_name
from lightsr.networks.registry import known_scales, network_spec
from lightsr.weights.catalogue import best, find, shipped

if TYPE_CHECKING:
    from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend
    from lightsr.engine.backends.torch import TorchBackend

BACKENDS = ("auto", "onnxruntime", "openvino", "torch")
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
        _require("backend", self.backend, BACKENDS)
        _require("device", self.device, DEVICES)
        _require("precision", self.precision, PRECISIONS)
        if self.model is not None:
            network_spec(self.model)
        if self.weights == "":
            raise WeightsError("the weights have an empty name; give a tag or a file")
        if self.backend == "openvino":
            raise BackendError("the openvino backend is not in this version; use onnxruntime")

    @property
    def file(self) -> Path | None:
        """The file that `weights` names; None where it is a tag.

        A `Path`, and a string that looks like one (it has a folder or a suffix, or is there), is
        a file.
        """
        path = Path(self.weights)
        looks_like_one = path.name != self.weights or path.suffix or path.exists()
        return path if isinstance(self.weights, Path) or looks_like_one else None

    def shipped_scales(self) -> tuple[int, ...]:
        """Return the scales, ascending, at which weights for this choice are shipped."""
        there = {
            entry.scale
            for entry in shipped()
            if self.model in (None, entry.network) and self.weights in ("default", entry.tag)
        }
        return tuple(sorted(there))


def open_backend(choice: Choice, scale: int | None = None) -> Backend:
    """Return the backend for a choice at a scale, with its network loaded.

    `scale` None means the one that a file of weights was made for, and 4 for shipped weights.
    "auto" is ONNX Runtime on the processor, unless the device or the weights need torch. Raises
    `UserError` and its kinds for names, weights and devices that are not there or do not go
    together.
    """
    choice.check()
    if scale is not None and scale not in known_scales():
        known = ", ".join(f"x{s}" for s in known_scales())
        raise UserError(f"there is no scale x{scale}; networks enlarge by {known}")
    if choice.model is not None and scale is not None:
        network_spec(choice.model, scale)
    if choice.file is not None and not choice.file.exists():
        raise WeightsError(f"{choice.file} does not exist")
    is_graph = choice.file is None or choice.file.suffix == ".onnx"
    backend = choice.backend
    if backend == "auto":
        backend = "torch" if choice.device in ("cuda", "mps") or not is_graph else "onnxruntime"
    if backend == "torch":
        return _open_torch(choice, scale)
    return _open_onnxruntime(choice, scale)


def _open_onnxruntime(choice: Choice, scale: int | None) -> OnnxRuntimeBackend:
    from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend, require_supported

    require_supported(choice.device, choice.precision)
    if choice.file is None:
        at = scale or DEFAULT_SCALE
        name, tag = _network(choice, at), str(choice.weights)
        graph = find(name, at, tag).verified("onnx")
        return OnnxRuntimeBackend(graph, name, at, trusted=True)
    if choice.file.suffix != ".onnx":
        raise BackendError(
            f"the onnxruntime backend runs .onnx files; {choice.file} needs --backend torch"
        )
    return OnnxRuntimeBackend(choice.file, choice.model, scale, trusted=False)


def _open_torch(choice: Choice, scale: int | None) -> TorchBackend:
    if choice.file is not None and choice.file.suffix == ".onnx":
        raise BackendError(f"torch cannot run {choice.file}; use --backend onnxruntime")
    if find_spec("torch") is None:
        wanted = choice.file or f"--backend {choice.backend} --device {choice.device}"
        raise BackendError(
            f"{wanted} needs torch, which is not installed: pip install 'lightsr[torch]'"
        )
    from lightsr.engine.backends.torch import TorchBackend, require_supported
    from lightsr.weights.detect import detect

    require_supported(choice.precision)
    if choice.file is None:
        at = scale or DEFAULT_SCALE
        name = _network(choice, at)
    else:
        name, at = detect(choice.file, choice.model, scale)
    return TorchBackend(name, at, choice.weights, choice.device)


def _network(choice: Choice, scale: int) -> str:
    return choice.model if choice.model is not None else best(scale).network


def _require(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise unknown_name(kind, name, known)
