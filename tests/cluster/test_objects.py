"""Prefixes of an object store, against a server of S3's kind on the loopback address."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from lightsr.cluster.places import Prefix, input_place, output_place
from lightsr.cluster.records import Records
from lightsr.cluster.tasks import Outcome, Task
from lightsr.errors import UserError

pytest.importorskip("moto.server", reason="needs moto's server, of the extra dev")
pytest.importorskip("s3fs", reason="needs the extra s3")


@pytest.fixture(scope="module")
def bucket() -> Generator[Any]:
    from cluster.s3serving import s3_server

    with s3_server() as system:
        system.mkdir("pictures")
        for number in range(13):
            system.pipe_file(f"pictures/in/{number:04}.png", b"abc")
        for name in (
            "in/deep/a.JPG",
            "in/.hidden.png",
            "in/notes.txt",
            "in/out/z.png",
            "into/x.png",
        ):
            system.pipe_file(f"pictures/{name}", b"12345")
        yield system


def test_all_pages_of_a_listing_are_read_in_order(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightsr.cluster.stores.PAGE", 4)
    source = input_place("s3://pictures/in/")
    names = [found.name for found in source.pictures(output_place("s3://pictures/in/out", "all"))]
    assert len(names) == 14
    assert "deep/a.JPG" in names
    assert names == sorted(names, key=source.order)


def test_patterns_and_stamps(bucket: Any) -> None:
    source = input_place("s3://pictures/in/000*.png")
    nowhere = output_place("s3://pictures/none", "all")
    found = list(source.pictures(nowhere))
    assert [one.name for one in found] == [f"000{digit}.png" for digit in range(10)]
    assert found[0].size == 3
    assert found[0].stamp == "900150983cd24fb0d6963f7d28e17f72"
    bucket.pipe_file("pictures/in/0000.png", b"abd")
    assert next(iter(source.pictures(nowhere))).stamp != found[0].stamp
    deep = input_place("s3://pictures/**/a.JPG")
    assert [one.name for one in deep.pictures(nowhere)] == ["in/deep/a.JPG"]


def test_records_and_results(bucket: Any) -> None:
    output = output_place("s3://pictures/results", "all")
    assert isinstance(output, Prefix)
    assert not output.holds_anything()
    assert output.size("a.png") is None
    output.put("a.png", b"xy")
    assert output.size("a.png") == 2
    assert output.content("a.png") == b"xy"
    records = Records(output, "all", "options")
    new = records.begin(records.usable())
    new.account(Outcome(Task(0, "a.png", 1, "s", "a.png"), "done", 2))
    new.flush()
    assert [record.name for record in records.read(records.usable())] == ["a.png"]
    records.clear()
    assert records.usable() == []
    assert output.holds_anything()


def test_a_missing_bucket_is_said_in_one_sentence(bucket: Any) -> None:
    with pytest.raises(UserError, match="s3://no-such-bucket does not exist"):
        output_place("s3://no-such-bucket", "all").holds_anything()
