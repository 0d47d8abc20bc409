"""What a server withstands: crashes, full queues, clients that vanish, being stopped or killed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from server.serving import SLOW, SLOW_OPTIONS, Server, picture, problem, serving

from lightsr.server.folder import PREFIX


def _until(condition: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _kill_in_the_middle(server: Server, times: int) -> None:
    """Kill one of two workers that both are in the middle of a picture."""
    lost = server.metric("lightsr_workers_lost_total")
    with server.client() as client, ThreadPoolExecutor(1) as pool:

        def begin(seed: int) -> str:
            content = picture(192, 192, seed)
            return client.post("/v1/jobs", params=SLOW_OPTIONS, content=content).json()["id"]

        def state(id: str) -> str:
            job = client.get(f"/v1/jobs/{id}").json()
            return "begun" if job["state"] == "running" and job["input"] else job["state"]

        def begin_both() -> list[str]:
            """Begin two; again where one is done before the other's worker has its network."""
            for _ in range(5):
                jobs = [begin(1), begin(2)]
                _until(lambda jobs=jobs: {state(id) for id in jobs} <= {"begun", "done"})
                if {state(id) for id in jobs} == {"begun"}:
                    return jobs
                forget(jobs)
            raise AssertionError("the two were never begun at the same time")

        def forget(jobs: list[str]) -> None:
            for id in jobs:
                client.delete(f"/v1/jobs/{id}")
            _until(lambda: server.metric("lightsr_running") == 0)

        for round in range(1, times + 1):
            _until(lambda: server.metric("lightsr_workers") == 2)
            jobs = begin_both()
            waiting = pool.submit(client.post, "/v1/upscale?scale=2", content=picture())
            server.workers()[round % 2].kill()
            _until(lambda jobs=jobs: {state(id) for id in jobs} == {"done", "failed"})
            doomed = max(jobs, key=lambda id: state(id) == "failed")
            told = problem(client.get(f"/v1/jobs/{doomed}/result"), 500, "worker-lost")
            assert "ended unexpectedly" in told
            assert waiting.result().status_code == 200
            assert server.metric("lightsr_workers_lost_total") == lost + round
            forget(jobs)
    assert server.files() == []


def test_a_killed_worker_loses_its_own_job_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        _kill_in_the_middle(server, 1)


@pytest.mark.slow
def test_workers_killed_again_and_again(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        _kill_in_the_middle(server, 10)


def test_limits_and_clients_that_vanish(tmp_path: Path) -> None:
    options = ("--workers", 1, "--queue", 1, "--upload-bytes", "300K", "--upload-seconds", 2)
    options += ("--input-pixels", 70_000, "--job-seconds", 3, "--keep-seconds", 1)
    with serving(tmp_path, *options) as server, server.client() as client:
        _check_sizes(client)
        _check_slow_upload(server)
        _check_full_queue_and_disconnects(server)
        _check_time(client)
        _check_results_go(server, client)
        assert client.post("/v1/upscale?scale=2", content=picture()).status_code == 200


def _check_sizes(client: httpx.Client) -> None:
    too_many = picture(265, 265)
    assert "70,000" in problem(client.post("/v1/upscale", content=too_many), 413, "too-large")
    # A header that lies about its size is refused before anything is decoded.
    forged = bytearray(picture())
    forged[16:24] = bytes.fromhex("7fffffff7fffffff")
    assert client.post("/v1/upscale", content=bytes(forged)).status_code in (413, 422)
    large = bytes(400 << 10)
    assert "307,200 bytes" in problem(client.post("/v1/upscale", content=large), 413, "too-large")
    form = client.post("/v1/upscale", files={"file": large})
    problem(form, 413, "too-large")

    def unannounced() -> object:
        for _ in range(100):
            yield bytes(8 << 10)

    streamed = client.post("/v1/upscale", content=unannounced())  # type: ignore[arg-type]
    problem(streamed, 413, "too-large")


def _check_slow_upload(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nslow"
        )
        assert b" 408 " in connection.recv(4096).split(b"\r\n")[0]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nleft"
        )
        _until(lambda: server.metric("lightsr_places_taken") == 1)
    _until(lambda: server.metric("lightsr_places_taken") == 0)
    assert server.files() == []


def _check_full_queue_and_disconnects(server: Server) -> None:
    leaving = threading.Event()

    def vanish() -> None:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST /v1/upscale?model=fdiwn&ensemble=true HTTP/1.1\r\nHost: {host}\r\n"
            connection.sendall(f"{head}Content-Length: {len(SLOW)}\r\n\r\n".encode() + SLOW)
            leaving.wait(30)

    clients = [threading.Thread(target=vanish) for _ in range(2)]
    for one in clients:
        one.start()
    _until(lambda: server.metric("lightsr_places_taken") == 2)
    with server.client() as client:
        refused = client.post("/v1/upscale", content=picture())
        assert "2 pictures" in problem(refused, 429, "queue-full")
        assert int(refused.headers["retry-after"]) >= 1
        leaving.set()
        for one in clients:
            one.join()
        _until(lambda: server.metric("lightsr_places_taken") == 0)
        assert server.files() == []
        assert client.post("/v1/upscale?scale=2", content=picture()).status_code == 200


def _check_time(client: httpx.Client) -> None:
    slow = client.post("/v1/upscale", params=SLOW_OPTIONS, content=SLOW)
    assert "longer than the 3 seconds" in problem(slow, 504, "took-too-long")


def _check_results_go(server: Server, client: httpx.Client) -> None:
    id = client.post("/v1/jobs?scale=2", content=picture()).json()["id"]
    _until(lambda: client.get(f"/v1/jobs/{id}").status_code == 404)
    assert server.files() == []


def test_killed_then_started_again_then_stopped(tmp_path: Path) -> None:
    _kill_the_server(tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PREFIX)
    with (
        serving(tmp_path, "--workers", 1) as server,
        server.client() as client,
        ThreadPoolExecutor(2) as pool,
    ):
        assert not left.exists()
        # What runs is finished, what waits is returned.
        small = picture(64, 64)
        running = pool.submit(client.post, "/v1/upscale", params=SLOW_OPTIONS, content=small)
        _until(lambda: server.metric("lightsr_running") == 1)
        waiting = pool.submit(client.post, "/v1/upscale", content=picture())
        _until(lambda: server.metric("lightsr_waiting") == 1)
        assert server.stop() == 0
        assert running.result().status_code == 200
        problem(waiting.result(), 503, "not-serving")
    assert list(tmp_path.iterdir()) == []


def _kill_the_server(folder: Path) -> None:
    with serving(folder, "--workers", 1) as server, server.client() as client:
        client.post("/v1/jobs", params=SLOW_OPTIONS, content=SLOW)
        (worker,) = server.workers()
        server.process.kill()
        server.process.wait()
        psutil.wait_procs([worker], timeout=30)
        assert not worker.is_running()


@pytest.mark.slow
def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--workers", 1, "--grace-seconds", 0) as server,
        server.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(client.post, "/v1/upscale", params=SLOW_OPTIONS, content=SLOW)
        _until(lambda: server.metric("lightsr_running") == 1)
        assert server.stop() == 0
        problem(running.result(), 503, "not-serving")
    assert list(tmp_path.iterdir()) == []
