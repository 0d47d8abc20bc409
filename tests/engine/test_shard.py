"""Shards: parts of a list that are the same everywhere, and together are all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightsr.engine.jobs import Jobs, plan_jobs
from lightsr.engine.shard import Shard
from lightsr.errors import UserError

NAMES = [Path(f"{index % 7}/grüße-{index}.png") for index in range(4000)]
EXPECTED = ["1/grüße-1.png", "1/grüße-8.png", "2/grüße-9.png"]


def test_each_input_is_in_one_shard_and_shards_are_of_about_the_same_size() -> None:
    parts = [{name for name in NAMES if Shard(n, 16).takes(name)} for n in range(1, 17)]
    assert sum(map(len, parts)) == len(NAMES)
    assert set().union(*parts) == set(NAMES)
    assert all(190 < len(part) < 310 for part in parts)


def test_what_a_shard_takes_does_not_change_between_versions() -> None:
    taken = [name for name in NAMES[:40] if Shard(3, 16).takes(name)]
    assert [name.as_posix() for name in taken] == EXPECTED


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1/4/2", "", "1.0/2"])
def test_other_ways_of_writing_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="write it like 3/16"):
        Shard.parse(text)


def test_jobs_are_the_same_wherever_the_folder_lies_and_whatever_is_done(tmp_path: Path) -> None:
    for place in ("here", "there/deep"):
        for name in NAMES[:30]:
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def planned(place: str, shard: str) -> list[str]:
        jobs = _plan(tmp_path / place, tmp_path / "out", shard)
        assert jobs.done + len(jobs.todo) + jobs.elsewhere == 30
        assert not jobs.single
        targets = [job.target for job in jobs.todo if job.target is not None]
        return [target.relative_to(tmp_path / "out").as_posix() for target in targets]

    parts = [planned("here", f"{n}/3") for n in (1, 2, 3)]
    assert parts == [planned("there/deep", f"{n}/3") for n in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == sorted(
        name.as_posix() for name in NAMES[:30]
    )
    done = tmp_path / "out" / parts[0][0]
    done.parent.mkdir(parents=True)
    done.touch()
    assert planned("here", "1/3") == parts[0][1:]
    assert planned("here", "2/3") == parts[1]


def test_a_pipe_has_no_shards() -> None:
    for inputs, output in ((["-"], None), (["a.png"], "-")):
        with pytest.raises(UserError, match="leave --shard out"):
            plan_jobs(inputs, output, suffix="", format=None, overwrite=False, shard=Shard(1, 2))


def _plan(folder: Path, out: Path, shard: str) -> Jobs:
    return plan_jobs(
        [str(folder)],
        str(out),
        suffix="_x2",
        format=None,
        overwrite=False,
        shard=Shard.parse(shard),
    )
