"""Jobs: their life, as clients see it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from server.serving import SLOW, SLOW_OPTIONS, Server, opened, picture, problem

from lightsr.server.jobs import Job, State
from lightsr.server.orders import Done, Plan
from lightsr.server.pool import Pace
from lightsr.server.problems import Kind, Problem


def _events(client: httpx.Client, id: str) -> list[dict[str, Any]]:
    with client.stream("GET", f"/v1/jobs/{id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line.startswith("data:")]
    return [json.loads(line.removeprefix("data:")) for line in lines]


def test_a_job_from_beginning_to_end(server: Server, client: httpx.Client) -> None:
    answer = client.post(
        "/v1/jobs", files={"file": picture(40, 30)}, data={"scale": "2", "model": "fdiwn"}
    )
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] in ("queued", "running")

    told = _events(client, job["id"])
    assert told[-1]["state"] == "done"
    assert [one["progress"] for one in told] == sorted(one["progress"] for one in told)
    assert told[-1] == client.get(f"/v1/jobs/{job['id']}").json()
    assert (told[-1]["progress"], told[-1]["seconds_left"]) == (1, 0)
    assert told[-1]["input"] == {"width": 40, "height": 30}
    assert told[-1]["output"] == {"width": 80, "height": 60}
    assert (told[-1]["model"], told[-1]["scale"], told[-1]["format"]) == ("fdiwn", 2, "png")

    result = client.get(f"/v1/jobs/{job['id']}/result")
    assert opened(result.content).size == (80, 60)
    assert len(result.content) == told[-1]["bytes"]
    assert result.content == client.get(f"/v1/jobs/{job['id']}/result").content
    assert server.files() == [f"{job['id']}.out"]

    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    for gone in ("", "/result", "/events"):
        problem(client.get(f"/v1/jobs/{job['id']}{gone}"), 404, "not-found")
    problem(client.delete(f"/v1/jobs/{job['id']}"), 404, "not-found")
    assert server.files() == []


def test_a_job_that_fails_says_why(server: Server, client: httpx.Client) -> None:
    id = client.post("/v1/jobs", content=b"no picture").json()["id"]
    (*_, last) = _events(client, id)
    assert last["state"] == "failed"
    assert last["problem"]["status"] == 422
    said = problem(client.get(f"/v1/jobs/{id}/result"), 422, "unreadable-picture")
    assert said == last["problem"]["detail"]
    client.delete(f"/v1/jobs/{id}")


def test_a_running_job_can_be_cancelled(server: Server, client: httpx.Client) -> None:
    lost = server.metric("lightsr_workers_lost_total")
    id = client.post("/v1/jobs", params=SLOW_OPTIONS, content=SLOW).json()["id"]
    while (job := client.get(f"/v1/jobs/{id}").json())["input"] is None:
        time.sleep(0.05)
    assert job["seconds_left"] > 0
    problem(client.get(f"/v1/jobs/{id}/result"), 409, "not-ready")
    begun = time.monotonic()
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    while server.metric("lightsr_running") > 0:
        assert time.monotonic() - begun < 30
        time.sleep(0.05)
    assert server.files() == []
    # The worker has left the job by itself, with its networks still loaded.
    assert server.metric("lightsr_workers_lost_total") == lost


PLAN = Plan((10, 20), (40, 80), "fdiwn", 4, "png")


def test_networks_that_nobody_used_yet_are_expected_to_take_their_share(tmp_path: Path) -> None:
    pace = Pace()
    pace.begin(1e-9)
    small = Plan((100, 200), (400, 800), "fsrcnn", 4, "png")
    large = Plan((100, 200), (400, 800), "fdiwn", 4, "png")
    job = Job(tmp_path)
    expected = pace.expected(job, large)
    # Multi-adds at 1280x720 are those of 320x180 pixels; what is strided is a little less of it.
    assert expected == pytest.approx(1e-9 * 71.21e9 * 20_000 / (320 * 180), rel=0.02)
    assert expected > 50 * pace.expected(job, small)
    job.understand(large, expected)
    pace.learn(job, Done(5, 2 * expected, []))
    assert 1.05 * expected < pace.expected(job, large) < 2 * expected


def test_progress_counts_tiles_and_guesses_between(tmp_path: Path) -> None:
    async def check() -> None:
        job = Job(tmp_path)
        assert (job.progress, job.seconds_left) == (0, None)
        job.begin()
        job.understand(PLAN, 100.0)
        job.began -= 50
        job.advance(0, 1)
        assert 0.49 < job.progress < 0.52
        assert 49 < (job.seconds_left or 0) < 51
        job.advance(1, 10)  # slower than it was expected
        assert 0.1 <= job.progress < 0.2
        assert 440 < (job.seconds_left or 0) < 460
        job.advance(8, 10)
        assert 0.8 <= job.progress < 0.9
        job.advance(10, 10)
        assert job.progress < 1
        job.finish(Done(5, 1.0, []))
        assert (job.progress, job.seconds_left, job.state) == (1, 0, State.DONE)

    anyio.run(check)


def test_only_the_first_end_counts_and_files_go(tmp_path: Path) -> None:
    async def check() -> None:
        ended: list[State] = []
        job = Job(tmp_path, when_over=lambda job: ended.append(job.state))
        job.source.write_bytes(b"in")
        job.result.write_bytes(b"half")
        job.finish(Problem(Kind.CANCELLED, "the job was cancelled"))
        job.finish(Done(5, 1.0, []))
        assert ended == [State.CANCELLED]
        assert list(tmp_path.iterdir()) == []

    anyio.run(check)
