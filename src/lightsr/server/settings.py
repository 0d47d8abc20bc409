"""What a server may be told: where it listens, what runs the network, and its limits."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from pathlib import Path

from lightsr.engine.machine import available_cores, available_memory, parse_memory
from lightsr.errors import UserError

LEAST_MEMORY = 768 << 20
"""Bytes for a worker: the process itself, its networks, and a tile of a useful size."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A server's settings, checked when they are made. Raises `UserError` for what cannot be."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any that is free."""

    model: str | None = None
    """The network where a request names none; None: the shipped one that measured best."""
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    workers: int = 0
    """Processes that enlarge, a picture each at a time; 0: two, or one on a single core."""
    threads: int = 0
    """Threads of each of them; 0 shares the cores out."""
    memory: str | None = None
    """What each worker may take, like "2G"; None shares half of what is free at the start."""

    queue: int = 64
    """Pictures that may wait; one more is refused with 429."""
    upload_bytes: int = 64 << 20
    upload_seconds: float = 60
    """A request must have arrived by then."""
    input_pixels: int = 25_000_000
    output_pixels: int = 100_000_000
    job_seconds: float = 600
    """A picture may be worked on for so long."""
    keep_seconds: float = 600
    """Results of jobs are kept for so long."""
    keep_bytes: int = 2 << 30
    """All kept results together; the oldest go first."""
    grace_seconds: float = 30
    """When the server is told to stop, what it works on may go on for so long."""

    token: str | None = field(default=None, repr=False)
    """What clients must send as `Authorization: Bearer TOKEN`; None: nothing."""
    origins: tuple[str, ...] = ()
    """Origins whose pages may use the API from a browser."""
    hosts: tuple[str, ...] = ()
    """Names by which the server may be addressed; none: any, but on loopback only its own."""
    folder: Path | None = None
    """Where the folder for temporary files is made; None: the system's place for large ones."""
    access_log: bool = False

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise UserError(f"{_said(name)} must be a number, at least {least}")
        if self.port > 65535:
            raise UserError("the port must be at most 65535")
        if self.memory is not None and parse_memory(self.memory) < LEAST_MEMORY:
            raise UserError(
                f"{self.memory} of memory is too little for a worker; give 768M or more"
            )
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise UserError("the token must consist of printable ASCII characters")
        if self.token is not None and len(self.token) < 16:
            raise UserError("the token is too short to be safe; give 16 characters or more")
        for origin in self.origins:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise UserError(f"{origin!r} is no origin; write it like https://example.org")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names to be addressed by; () means any."""
        if self.hosts or not self.on_loopback:
            return self.hosts
        # A page of somebody else's whose name is made to point here would pass for our own.
        return ("localhost", "127.0.0.1", "::1", self.host)

    def share(self) -> Share:
        """Share this machine out among the workers."""
        cores = available_cores()
        workers = self.workers or min(2, cores)
        if self.memory is not None:
            memory = parse_memory(self.memory)
        else:
            memory = max(LEAST_MEMORY, available_memory() // 2 // workers)
        return Share(workers, self.threads or max(1, cores // workers), memory)


@dataclass(frozen=True, slots=True)
class Share:
    """How many workers there are, and what each of them gets."""

    workers: int
    threads: int
    memory: int
    """In bytes."""


_LEAST = {
    "port": 0,
    "workers": 0,
    "threads": 0,
    "queue": 1,
    "upload_bytes": 1,
    "upload_seconds": 1,
    "input_pixels": 1,
    "output_pixels": 1,
    "job_seconds": 1,
    "keep_seconds": 1,
    "keep_bytes": 1,
    "grace_seconds": 0,
}


def _said(name: str) -> str:
    return f"--{name.replace('_', '-')}"
