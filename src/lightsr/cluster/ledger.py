"""What workers have told of bundles in work: nothing is done twice when one of them dies."""

from __future__ import annotations

from collections import Counter, deque

from lightsr.cluster.tasks import Outcome

_ATTEMPTS = 3
"""A picture at which as many workers died is not tried again."""
_REMEMBERED = 10_000
"""Finished bundles that are known as such, should one be handed out again."""


class Ledger:
    """Runs as an actor beside the driver. Holds only what is in work, and not yet taken."""

    def __init__(self) -> None:
        self._fresh: list[Outcome] = []
        self._finished: dict[int, set[int]] = {}
        self._begun: dict[int, Counter[int]] = {}
        self._ended: deque[int] = deque(maxlen=_REMEMBERED)

    def begin(self, bundle: int) -> tuple[set[int], set[int]] | None:
        """Return positions in a bundle that are finished, and those that workers die of.

        None: all of it is finished.
        """
        if bundle in self._ended:
            return None
        begun = self._begun.setdefault(bundle, Counter())
        finished = self._finished.setdefault(bundle, set())
        deadly = {one for one, times in begun.items() if times >= _ATTEMPTS}
        return set(finished), deadly - finished

    def started(self, bundle: int, position: int) -> None:
        """Take note that a worker has begun a picture."""
        self._begun[bundle][position] += 1

    def finished(self, bundle: int, outcome: Outcome) -> None:
        """Take note of what became of a picture, once."""
        done = self._finished[bundle]
        if outcome.task.position not in done:
            done.add(outcome.task.position)
            self._fresh.append(outcome)

    def end(self, bundle: int) -> None:
        """Forget a bundle, all of which is finished."""
        self._begun.pop(bundle, None)
        self._finished.pop(bundle, None)
        self._ended.append(bundle)

    def take(self) -> list[Outcome]:
        """Return what became of pictures since this was last asked."""
        fresh, self._fresh = self._fresh, []
        return fresh
