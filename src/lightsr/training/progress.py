"""What a run tells about itself while it goes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is."""

    iteration: int
    iterations: int
    loss: float
    """Mean since the last row of the log."""
    per_second: float
    """Iterations a second."""
    psnr: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last measurement of each set, in dB."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the end at this speed."""
        return (self.iterations - self.iteration) / self.per_second if self.per_second else 0.0

    def line(self) -> str:
        """Return it in one line."""
        measured = "".join(f"  {name} {psnr:.3f} dB" for name, psnr in self.psnr.items())
        return (
            f"{self.iteration:6d}  loss {self.loss:.4f}  {self.per_second:.2f} it/s"
            f"  {duration(self.seconds_left)} left{measured}"
        )


class Progress(Protocol):
    """Shows a run's progress."""

    def step(self, status: Status) -> None:
        """Show an iteration, called after every one that was looked at."""
        ...

    def row(self, status: Status) -> None:
        """Show what was written to the log."""
        ...


class LoggedProgress:
    """Logs a line for every row and nothing in between."""

    def step(self, status: Status) -> None:
        """Say nothing."""

    def row(self, status: Status) -> None:
        """Log it."""
        log.info("%s", status.line())


def duration(seconds: float) -> str:
    """Return 4 h 03 min, 12 min 30 s or 8 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole} s"
