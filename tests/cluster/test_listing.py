from __future__ import annotations

import os
from pathlib import Path

import pytest
from cluster.running import make_pictures

from lightsr.cluster.listing import Listing
from lightsr.cluster.places import Folder, input_place, output_place, require_apart
from lightsr.cluster.records import Records
from lightsr.cluster.tasks import Bundle, Outcome, Task, bundle_limit, weight
from lightsr.engine.jobs import plan_jobs
from lightsr.engine.shard import Shard
from lightsr.errors import LightsrError, PictureError, UserError


def _listing(
    source: str | Path, out: Path, format: str | None = None, shard: Shard | None = None
) -> Listing:
    output = output_place(str(out), "all")
    records = Records(output, "all", "options")
    place = input_place(str(source))
    return Listing(place, output, format, shard, records, records.usable(), workers=2)


def _record(listing: Listing, tasks: list[Task]) -> None:
    new = listing.records.begin([])
    for task in tasks:
        new.account(Outcome(task, "done", 99))
    new.flush()


def test_pictures_and_targets_are_those_of_upscale(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    make_pictures(source, 3)
    make_pictures(source, 2, inner="b.d/é")
    (source / ".hidden.png").write_bytes(b"")
    (source / "notes.txt").write_bytes(b"")
    tasks = list(_listing(source, out, format="jpg").tasks())
    jobs = plan_jobs([str(source)], f"{out}/", suffix="", format="jpg", overwrite=False).todo
    assert [out / task.target for task in tasks] == [job.target for job in jobs]
    assert [task.refused for task in tasks] == [None] * 5


def test_clashes_that_upscale_refuses_are_refused_one_by_one(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 1)
    for name in ("p000.bmp", "p000.k.png", "p000x.png"):
        (tmp_path / "in" / name).write_bytes(b"")
    tasks = {task.name: task for task in _listing(tmp_path / "in", tmp_path / "out").tasks()}
    assert tasks["p000.bmp"].target == tasks["p000.png"].target == "p000.png"
    assert "would both be written to p000.png" in str(tasks["p000.png"].refused)
    assert [task.refused for name, task in tasks.items() if name != "p000.png"] == [None] * 3


def test_a_record_counts_while_the_source_is_as_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    paths = make_pictures(source, 5)
    _record(_listing(source, out), list(_listing(source, out).tasks()))
    paths[0].write_bytes(paths[1].read_bytes())
    os.utime(paths[2], ns=(1, 1))
    paths[3].unlink()
    (source / "new.png").write_bytes(b"new")
    recorded = {task.name: task.recorded for task in _listing(source, out).tasks()}
    assert recorded == {
        "new.png": None,
        "p000.png": None,
        "p001.png": 99,
        "p002.png": None,
        "p004.png": 99,
    }


def test_shards_part_the_input_as_those_of_upscale(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 9)
    everything: list[str] = []
    for number in (1, 2):
        found = _listing(tmp_path / "in", tmp_path / "out", shard=Shard(number, 2)).found()
        names = [one.name for one in found]
        assert all(Shard(number, 2).takes(Path(name)) for name in names)
        everything += names
    assert len(set(everything)) == len(everything) == 9


def test_bundles_hold_every_task_once_and_begin_small(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 70, side=2)
    listing = _listing(tmp_path / "in", tmp_path / "out")
    bundles = list(listing.bundles())
    tasks = [task for bundle in bundles for task in bundle.tasks]
    assert [task.position for task in tasks] == list(range(70))
    assert len(bundles[0].tasks) == 1 < len(bundles[-2].tasks)
    assert [Bundle.loaded(bundle.dumped()) for bundle in bundles] == bundles
    assert bundle_limit(10**9, 2) == 32
    _record(listing, tasks)
    again = list(_listing(tmp_path / "in", tmp_path / "out").bundles())
    assert len(again) < 4
    assert weight(tasks) == 70


def test_patterns_name_what_they_name_for_upscale(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in", 2)
    make_pictures(tmp_path / "in", 2, inner="deep")
    for pattern in ("in/*.png", "in/**/*.png", "in/d*/p001.png"):
        source = str(tmp_path / pattern)
        found = _listing(source, tmp_path / "out").tasks()
        jobs = plan_jobs([source], f"{tmp_path}/out/", suffix="", format=None, overwrite=False)
        expected = [job.target for job in jobs.todo]
        assert [tmp_path / "out" / task.target for task in found] == expected


def test_the_output_in_the_input_is_left_out_and_the_other_way_round_refused(
    tmp_path: Path,
) -> None:
    make_pictures(tmp_path, 1)
    make_pictures(tmp_path, 1, inner="out")
    assert [task.name for task in _listing(tmp_path, tmp_path / "out").tasks()] == ["p000.png"]
    for place, inside in ((tmp_path, tmp_path), (tmp_path / "out", tmp_path)):
        with pytest.raises(PictureError, match="choose another output"):
            require_apart(Folder(place), Folder(inside))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty name"),
        ("http://host/a", "http:// is not known"),
        ("s3://", "no bucket"),
        ("/no/such/folder", "does not exist"),
    ],
)
def test_inputs_that_cannot_be_are_refused(text: str, said: str) -> None:
    if text.startswith("s3"):
        pytest.importorskip("s3fs", reason="needs the extra s3")
    with pytest.raises(UserError, match=said) as caught:
        input_place(text)
    assert isinstance(caught.value, LightsrError)
