"""What is compared: bicubic, and every network with the weights at hand for it, or without any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightsr.errors import UserError, WeightsError
from lightsr.evaluation.benchmark.cache import file_digest
from lightsr.evaluation.benchmark.settings import Settings
from lightsr.evaluation.evaluate import BICUBIC
from lightsr.networks.registry import list_networks, network_spec
from lightsr.networks.spec import NetworkSpec
from lightsr.weights.catalogue import shipped
from lightsr.weights.files import FORMAT

_SILENT_ABOUT_SCALE = {"srcnn", "fsrcnn", "fsrcnn-s", "drcn", "idn", "idn-rgb"}
"""Networks whose published files for each scale are alike: only the file's name tells it. Where
the tensors of another network do not tell, they serve every scale that they fit."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights at hand."""

    label: str
    """What a table calls them: a shipped name, or a path in the folder of weights."""
    source: str | Path
    """The tag or file that `open_backend` takes."""
    sha256: str

    @property
    def shipped(self) -> bool:
        """Whether they come with lightsr."""
        return isinstance(self.source, str)


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the table: a network at a scale, with or without weights."""

    network: str
    scale: int
    weights: Weights | None
    """None: none are at hand, or, as for bicubic, none are needed."""

    @property
    def measurable(self) -> bool:
        """Whether there is something to enlarge pictures with."""
        return self.weights is not None or not self.spec.trained

    @property
    def spec(self) -> NetworkSpec:
        """What can be said of the network."""
        return network_spec(self.network)

    @property
    def title(self) -> str:
        """The network's name as people read it."""
        return self.spec.title

    @property
    def name(self) -> str:
        """One line for messages."""
        held = f" ({self.weights.label})" if self.weights is not None else ""
        return f"{self.title} x{self.scale}{held}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not used, and why."""

    file: str
    reason: str


def contenders(settings: Settings) -> tuple[list[Contender], list[Skipped]]:
    """Return the rows of the table, by scale, year of the network and weights, and unused files.

    Bicubic comes first at every scale. Raises `UserError` for unknown networks, and a folder of
    weights that is not there.
    """
    names = {BICUBIC: None, **dict.fromkeys(settings.networks or list_networks())}
    specs = sorted(map(network_spec, names), key=lambda spec: (spec.trained, spec.year))
    found, skipped = _at_hand(settings)
    rows: list[Contender] = []
    for scale in settings.scales:
        for spec in specs:
            if scale in spec.scales:
                weights = found.get((spec.name, scale), [])
                rows += [Contender(spec.name, scale, held) for held in weights or [None]]
    return rows, skipped


def _at_hand(
    settings: Settings,
) -> tuple[dict[tuple[str, int], list[Weights]], list[Skipped]]:
    found: dict[tuple[str, int], list[Weights]] = {}
    kind = "safetensors" if settings.engine.backend == "torch" else "onnx"
    for entry in shipped():
        held = Weights(f"shipped, {entry.name}", entry.tag, entry.sha256[kind])
        found.setdefault((entry.network, entry.scale), []).append(held)
    skipped: list[Skipped] = []
    if settings.weights_dir is not None:
        first: dict[str, str] = {}
        for path in _files(settings.weights_dir):
            label = path.relative_to(settings.weights_dir).as_posix()
            try:
                sha256 = file_digest(path)
                if sha256 in first:
                    raise WeightsError(f"{path} is the same as {first[sha256]}")
                first[sha256] = label
                for held in identify_file(path):
                    found.setdefault(held, []).append(Weights(label, path, sha256))
            except UserError as error:
                skipped.append(Skipped(label, _without(path, str(error))))
    return found, skipped


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder" if folder.exists() else f"{folder} does not exist")
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(top) / name for name in sorted(files) if not name.startswith("."))


def identify_file(path: Path) -> list[tuple[str, int]]:
    """Return the networks and scales that a file of weights serves.

    An ONNX graph is asked for its metadata, other files are known by metadata, or names and shapes
    of tensors, and by their name ("x2", "2x") where only that tells the scale. Every one fits its
    network exactly. Raises `WeightsError` saying why a file serves none; `BackendError` where
    reading it needs torch.
    """
    if path.suffix == ".onnx":
        from lightsr.engine.backends.onnxruntime import OnnxRuntimeBackend

        backend = OnnxRuntimeBackend(path, None, None, trusted=False)
        return [(backend.network, backend.scale)]
    from lightsr.weights.checkpoints import read_checkpoint

    read = read_checkpoint(path)
    try:
        from lightsr.weights.detect import candidates

        held = candidates(read, path)
    except ImportError:
        if read.metadata.get("format") == FORMAT:
            raise WeightsError(f"{path} is run by torch, which is not installed") from None
        raise WeightsError(f"{path} needs torch to be converted, which is not installed") from None
    if len(held) > 1 and {one.network for one in held} & _SILENT_ABOUT_SCALE:
        told = _scale_by_name(path, held[0].network)
        held = [one for one in held if one.scale == told]
        if not held:
            raise WeightsError(f"{path} does not fit a network at x{told}, which its name says")
    return [(one.network, one.scale) for one in held]


def _scale_by_name(path: Path, network: str) -> int:
    told = {int(a or b) for a, b in re.findall(r"(?i)x([2348])(?!\d)|(?<!\d)([2348])x", path.stem)}
    if len(told) != 1:
        raise WeightsError(
            f"{path} holds {network}, but neither its tensors nor its name tell for which scale; "
            f"put x2, x3 or x4 into its name"
        )
    return told.pop()


def _without(path: Path, message: str) -> str:
    """Take the file's name off the front of a message that is shown beside it."""
    return message.removeprefix(str(path)).strip(" :")
