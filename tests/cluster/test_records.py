from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.cluster.places import Folder
from lightsr.cluster.records import SHARD, Record, Records
from lightsr.cluster.tasks import Outcome, State, Task


def _outcome(position: int, name: str, state: State = "done", stamp: str = "1") -> Outcome:
    return Outcome(Task(position, name, 10, stamp, name), state, 40)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(Folder(tmp_path), "all", "options")


def _names(records: Records) -> list[str]:
    return [record.name for record in records.read(records.usable())]


def test_what_was_done_or_kept_is_recorded_in_the_order_of_the_listing(records: Records) -> None:
    new = records.begin([])
    new.account(_outcome(2, "c", "done"))
    new.account(_outcome(0, "a", "kept"))
    new.account(_outcome(1, "b", "failed"))
    new.flush()
    assert list(records.read(records.usable())) == [
        Record("a", 10, "1", 40),
        Record("c", 10, "1", 40),
    ]


def test_a_full_shard_is_put_at_once_and_no_longer_held(records: Records, tmp_path: Path) -> None:
    new = records.begin([])
    for position in range(SHARD):
        new.account(_outcome(position, f"{position:05}"))
    assert len(_names(records)) == SHARD
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.gz")}
    new.flush()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.gz")} == before


def test_the_newest_record_of_a_name_counts_and_older_ones_fill_its_gaps(records: Records) -> None:
    first = records.begin([])
    for position, name in enumerate("abcd"):
        first.account(_outcome(position, name))
    first.flush()
    second = records.begin(records.usable())
    second.account(_outcome(1, "b", stamp="2"))
    second.flush()
    stamps = {record.name: record.stamp for record in records.read(records.usable())}
    assert stamps == {"a": "1", "b": "2", "c": "1", "d": "1"}


def test_records_made_with_other_options_are_removed(records: Records, tmp_path: Path) -> None:
    new = records.begin([])
    new.account(_outcome(0, "a"))
    new.flush()
    assert _names(Records(Folder(tmp_path), "all", "others")) == []
    assert _names(records) == []


def test_parts_have_records_of_their_own(records: Records, tmp_path: Path) -> None:
    new = records.begin([])
    new.account(_outcome(0, "a"))
    new.flush()
    assert _names(Records(Folder(tmp_path), "1-of-2", "options")) == []
    assert _names(records) == ["a"]


@settings(deadline=None, max_examples=40)  # files are written
@given(st.lists(st.text("ab.-/é\udc80", min_size=1), unique=True, max_size=12))
def test_any_names_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, names: list[str]):
    place = Folder(tmp_path_factory.mktemp("place"))
    records = Records(place, "all", "options")
    new = records.begin([])
    ordered = sorted(names, key=place.order)
    for position, name in reversed(list(enumerate(ordered))):
        new.account(_outcome(position, name))
    new.flush()
    assert _names(records) == ordered
