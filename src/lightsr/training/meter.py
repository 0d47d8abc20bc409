"""The loss between two rows of the log: summed up, shared between processes, watched."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

_EVERY = 10
"""Iterations between looks at a GPU's losses, each of which it has to be waited for."""


class Meter:
    """Sums losses up. All processes of a run see the same values, and stop together."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.total, self.count = 0.0, 0
        self._waiting: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Take the loss of an iteration."""
        self._waiting.append(loss.detach())

    def is_due(self, iteration: int) -> bool:
        """Whether it is time to look."""
        return self.device.type != "cuda" or iteration % _EVERY == 0

    def look(self, signal_number: int) -> int:
        """Take in the losses since the last look; return the signal that any process heard.

        Processes look at the same iterations, since they wait for each other here.
        """
        if not self._waiting:
            return signal_number
        losses = torch.stack(self._waiting).float()
        heard = signal_number
        if dist.is_initialized() and dist.get_world_size() > 1:
            both = torch.cat((losses, losses.new_tensor([float(signal_number)])))
            gathered = [torch.empty_like(both) for _ in range(dist.get_world_size())]
            dist.all_gather(gathered, both)
            table = torch.stack(gathered)
            losses, heard = table[:, :-1].mean(0), int(table[:, -1].max())
        for value in losses.tolist():
            self.total += value
            self.count += 1
        self._waiting.clear()
        return heard

    @property
    def mean(self) -> float:
        """Mean loss since the last row."""
        return self.total / max(1, self.count)

    def clear(self) -> None:
        """Begin a new row."""
        self.total, self.count = 0.0, 0
