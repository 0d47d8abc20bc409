"""What a run is told: what to make of each picture, and how the work is shared out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lightsr.engine.backends.choose import Choice
from lightsr.engine.fit import Fit
from lightsr.engine.machine import parse_memory
from lightsr.engine.run import WriteSettings
from lightsr.engine.shard import Shard
from lightsr.engine.upscaler import Tile
from lightsr.errors import UserError
from lightsr.images.formats import output_format
from lightsr.weights.catalogue import shipped
from lightsr.weights.files import read_bytes


@dataclass(frozen=True, slots=True)
class Enlarging:
    """What is made of every picture: the options of `lightsr upscale`, called the same."""

    scale: int | None = None
    width: int | None = None
    height: int | None = None
    model: str | None = None
    weights: str = "default"
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    tile: Tile = "auto"
    ensemble: bool = False
    format: str | None = None
    quality: int | None = None

    def check(self) -> None:
        """Raise `UserError` and its kinds for what no worker could do."""
        choice = self._choice()
        choice.check()
        if self.format is not None:
            output_format(None, self.format, "png")
        _ = self.writing
        if self.device not in ("cuda", "mps"):  # which this machine need not have
            self.fit(None)

    @property
    def writing(self) -> WriteSettings:
        """How results are written."""
        return WriteSettings(self.format, self.quality, overwrite=True)

    def fit(self, memory: int | None) -> Fit:
        """Load the network. `memory` is what the process may take altogether, in bytes."""
        return Fit(
            self.scale,
            self.width,
            self.height,
            {
                "model": self.model,
                "weights": self.weights,
                "backend": self.backend,
                "device": self.device,
                "precision": self.precision,
                "tile": self.tile,
                "ensemble": self.ensemble,
                "memory": memory,
            },
        )

    def fingerprint(self) -> str:
        """Return what changes with everything that the bytes of results depend on."""
        choice = self._choice()
        if choice.file is None:
            weights = sorted(
                one.sha256["onnx"] for one in shipped() if choice.model in (None, one.network)
            )
        else:
            weights = [hashlib.sha256(read_bytes(choice.file)).hexdigest()]
        told = json.dumps([asdict(self), weights], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def _choice(self) -> Choice:
        return Choice(self.model, self.weights, self.backend, self.device, self.precision)


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the work is shared out. Raises `UserError` for what cannot be."""

    address: str | None = None
    """Of a Ray cluster, as "auto" or "HOST:PORT"; None starts Ray on this machine."""
    workers: int = 0
    """0: as many as there are cores, or GPUs, for."""
    threads: int = 1
    """Of each worker."""
    memory: str | None = None
    """What each worker may take, like "2G"; None shares half of what is free on its machine."""
    shard: Shard | None = None
    overwrite: bool = False
    """Make everything anew, whatever was done before, and whoever's the output is."""
    report: Path | None = None
    """Where failures are told; None: beside the records, in the output."""
    verbose: bool = False
    """Let Ray say what it wants to."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UserError(f"--workers must be at least 1, not {self.workers}")
        if self.threads < 1:
            raise UserError(f"--threads must be at least 1, not {self.threads}")
        if self.memory is not None:
            parse_memory(self.memory)
        if self.address is not None and self.address.startswith("ray://"):
            raise UserError(
                f"{self.address} is the address of a Ray client; run lightsr on a machine of the"
                f" cluster, with --address auto"
            )
