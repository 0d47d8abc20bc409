"""What the driver, the lister and the workers say to each other, as JSON that any name fits in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["done", "kept", "failed", "unable"]


@dataclass(frozen=True, slots=True)
class Task:
    """A picture to enlarge, or to find done."""

    position: int
    """Its place in the listing, counted from 0."""
    name: str
    size: int
    stamp: str
    target: str
    recorded: int | None = None
    """Bytes of the result, where a run before recorded it for the same source and options."""
    refused: str | None = None
    """Why it is not to be done."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Tasks that a worker gets at once, since handing over costs as much for one as for many."""

    number: int
    tasks: list[Task]

    def dumped(self) -> str:
        """Return it as text, in ASCII."""
        return json.dumps([self.number, [list(asdict(task).values()) for task in self.tasks]])

    @classmethod
    def loaded(cls, text: str) -> Bundle:
        """Return what was dumped."""
        number, tasks = json.loads(text)
        return cls(number, [Task(*task) for task in tasks])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task."""

    task: Task
    state: State
    """"unable": no worker can do any."""
    size: int = 0
    """Bytes of the result."""
    reason: str = ""
    """Of a failure, in one line."""


def bundle_limit(listed: float, workers: int, most: int = 32) -> int:
    """Return how many pictures go into the next bundle after `listed`: few at first, then more.

    So a short run is shared out evenly, and a long one costs little for each picture.
    """
    return min(most, 1 + int(listed / (8 * workers)))


def weight(tasks: Sequence[Task]) -> float:
    """Return how much work tasks are, in pictures; one that was recorded is only looked at."""
    return sum(1 if task.recorded is None else 1 / 32 for task in tasks)
