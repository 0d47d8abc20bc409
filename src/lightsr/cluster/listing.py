"""From a listing and the records of earlier runs to bundles of tasks, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightsr.cluster.places import Found, Place
from lightsr.cluster.records import Record, Records
from lightsr.cluster.tasks import Bundle, Task, bundle_limit, weight
from lightsr.engine.jobs import enlarged_name
from lightsr.engine.shard import Shard


@dataclass(frozen=True, slots=True)
class Listing:
    """What one pass goes through."""

    source: Place
    output: Place
    format: str | None
    shard: Shard | None
    records: Records
    generations: list[str]
    """Those to find finished pictures in."""
    workers: int

    def found(self) -> Iterator[Found]:
        """Yield the pictures of this part. Raises `UserError` where they cannot be listed."""
        for found in self.source.pictures(self.output):
            if self.shard is None or self.shard.takes(Path(found.name)):
                yield found

    def tasks(self) -> Iterator[Task]:
        """Yield a task for each, holding no more of them than those of one name's beginning."""
        recorded = _Beside(self.records.read(self.generations), self.output)
        clashes = _Clashes(self.source)
        for position, found in enumerate(self.found()):
            target = enlarged_name(Path(found.name), self.format).as_posix()
            refused = clashes.refusal(found.name, target)
            size = recorded.result(found)
            yield Task(position, *found, target, size, refused)

    def bundles(self) -> Iterator[Bundle]:
        """Yield the tasks in bundles, small ones first."""
        tasks: list[Task] = []
        number, listed = 0, 0.0
        for task in self.tasks():
            tasks.append(task)
            if weight(tasks) >= bundle_limit(listed, self.workers):
                yield Bundle(number, tasks)
                number += 1
                listed += weight(tasks)
                tasks = []
        if tasks:
            yield Bundle(number, tasks)


class _Beside:
    """Records that are read in step with a listing in the same order."""

    def __init__(self, records: Iterator[Record], place: Place) -> None:
        self._records, self._order = records, place.order
        self._next = next(records, None)

    def result(self, found: Found) -> int | None:
        """Return the bytes of a picture's result, if it is recorded and its source unchanged."""
        wanted = self._order(found.name)
        while self._next is not None and self._order(self._next.name) < wanted:
            self._next = next(self._records, None)
        record = self._next
        if record is None or record[:3] != (found.name, found.size, found.stamp):
            return None
        return record.result


class _Clashes:
    """Finds pictures whose results would have one name.

    Such pictures have the same beginning up to the extension's dot, and everything that is listed
    between them has that beginning too.
    """

    def __init__(self, source: Place) -> None:
        self._source = source
        self._near: list[tuple[str, str, str]] = []

    def refusal(self, name: str, target: str) -> str | None:
        """Return why a picture cannot be done, if another one before it has its target."""
        self._near = [one for one in self._near if name.startswith(one[0])]
        for _, other, taken in self._near:
            if taken == target:
                first, second = self._source.said(other), self._source.said(name)
                return f"{first} and {second} would both be written to {target}"
        self._near.append((name[: name.rindex(".") + 1], name, target))
        return None
