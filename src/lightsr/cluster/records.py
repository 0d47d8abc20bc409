"""Which pictures are done: records by shards, in the order of the listing.

A generation is what one pass over the input has recorded. It consists of shards, gzipped lines of
JSON, for a thousand places of the listing each; a shard is put whole again and again while its
pictures are in work, so that a run that dies loses seconds of records. Pictures without a record
are done once more, into the same place. A later pass reads all generations in step with its
listing, holding a shard of each, and writes what it finds still true into its own; where it comes
to the end, the others are removed.
"""

from __future__ import annotations

import gzip
import heapq
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from lightsr.cluster.places import STATE, Place
from lightsr.cluster.tasks import Outcome

SHARD = 1000
_OPTIONS = "options"


class Record(NamedTuple):
    """A picture that is done: its source as it was then, and the bytes of the result."""

    name: str
    size: int
    stamp: str
    result: int


class Records:
    """The records of one part of an input, in an output."""

    def __init__(self, output: Place, part: str, fingerprint: str) -> None:
        """`part` names the part; `fingerprint` changes with the options."""
        self._output = output
        self._folder = f"{STATE}/records/{part}"
        self._fingerprint = fingerprint

    def usable(self) -> list[str]:
        """Return the generations made with the same options, oldest first; remove the others."""
        kept: list[str] = []
        for generation in self._output.names(self._folder):
            if self._fits(generation):
                kept.append(generation)
            else:
                self._output.remove(f"{self._folder}/{generation}")
        return kept

    def clear(self) -> None:
        """Forget everything."""
        self._output.remove(self._folder)

    def begin(self, before: list[str]) -> Generation:
        """Begin a generation after others."""
        last = int(before[-1].partition("-")[0]) if before else 0
        name = f"{last + 1:08}-{secrets.token_hex(4)}"
        folder = f"{self._folder}/{name}"
        self._output.put(f"{folder}/{_OPTIONS}", self._fingerprint.encode())
        return Generation(self._output, folder)

    def remove(self, generations: list[str]) -> None:
        """Remove generations that a later one replaces."""
        for generation in generations:
            self._output.remove(f"{self._folder}/{generation}")

    def read(self, generations: list[str]) -> Iterator[Record]:
        """Yield the records of all generations in the listing's order, the newest of each name."""
        streams = [self._stream(generation, -age) for age, generation in enumerate(generations)]
        merged = heapq.merge(*streams)
        for _, same in groupby(merged, key=lambda entry: entry[0]):
            yield next(same)[2]

    def _stream(self, generation: str, rank: int) -> Iterator[tuple[tuple[str, ...], int, Record]]:
        folder = f"{self._folder}/{generation}"
        for shard in self._output.names(folder):
            if shard != _OPTIONS:
                for record in _loaded(self._output.read(f"{folder}/{shard}")):
                    yield self._output.order(record.name), rank, record

    def _fits(self, generation: str) -> bool:
        try:
            told = self._output.read(f"{self._folder}/{generation}/{_OPTIONS}")
        except FileNotFoundError:
            return False
        return told.decode() == self._fingerprint


@dataclass(slots=True)
class _Shard:
    records: dict[int, Record] = field(default_factory=dict[int, Record])
    accounted: int = 0
    """Pictures of which it is known what became of them."""
    changed: bool = False


class Generation:
    """The records that a pass makes. Held are those of shards with pictures still in work."""

    def __init__(self, output: Place, folder: str) -> None:
        self._output = output
        self._folder = folder
        self._open: dict[int, _Shard] = {}

    @property
    def name(self) -> str:
        """What it is called among generations."""
        return self._folder.rpartition("/")[2]

    def account(self, outcome: Outcome) -> None:
        """Take note of what became of a picture, exactly once for each."""
        task = outcome.task
        number = task.position // SHARD
        shard = self._open.setdefault(number, _Shard())
        shard.accounted += 1
        if outcome.state in ("done", "kept"):
            record = Record(task.name, task.size, task.stamp, outcome.size)
            shard.records[task.position] = record
            shard.changed = True
        if shard.accounted == SHARD:
            self._put(number)
            del self._open[number]

    def flush(self) -> None:
        """Put what is not yet put."""
        for number in self._open:
            self._put(number)

    def _put(self, number: int) -> None:
        shard = self._open[number]
        if shard.changed:
            records = [record for _, record in sorted(shard.records.items())]
            self._output.put(f"{self._folder}/{number:010}.jsonl.gz", _dumped(records))
            shard.changed = False


def _dumped(records: list[Record]) -> bytes:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    return gzip.compress(lines.encode(), 5, mtime=0)


def _loaded(content: bytes) -> list[Record]:
    return [Record(*json.loads(line)) for line in gzip.decompress(content).splitlines()]
