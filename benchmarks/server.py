"""How the server does under load, and against the command line on the same pictures.

    python benchmarks/server.py [--pictures 24] [--size 160x120] [--scale 4] [--clients 8]

Throughput: the same pictures by `clients` at once through `lightsr serve`, and in a folder run of
`lightsr upscale`, alternating; a run's own start-up is taken off by what one tiny picture takes.
Latency: p50 and p95 of the requests of those runs, and of a single client. Queue: what becomes of
twice as many clients as a short queue has places.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from pictures import make_pictures

Command = list[str]


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--size", default="160x120", help="width x height of the originals")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", default="", help="further options of `lightsr serve`")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tiny, many = folder / "tiny", folder / "many"
        make_pictures(tiny, 1, 8, 8)
        make_pictures(many, options.pictures, width, height)
        print(f"{options.pictures} pictures of {width}x{height}, x{options.scale}")
        with serving(options.serve.split()) as url:
            compare(url, many, tiny, folder / "out", options)
            alone = request_all(url, many, options.scale, 1)[1]
            print(f"one client: {latencies(alone)}")
        with serving([*options.serve.split(), "--queue", str(options.clients)]) as url:
            show_queue(url, many, options.scale, 2 * options.clients)


@contextmanager
def serving(options: Command) -> Generator[str]:
    """Run a server; gives its address."""
    command = [sys.executable, "-m", "lightsr", "serve", "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        said = server.stdout.readline()
        print(said.strip())
        yield said.split()[3]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def compare(url: str, many: Path, tiny: Path, out: Path, options: argparse.Namespace) -> None:
    """Print the throughput of both ways, run in turn."""
    request_all(url, many, options.scale, options.clients)
    ratios: list[float] = []
    taken: list[float] = []
    for _ in range(options.rounds):
        start_up = folder_run(tiny, out, options.scale)
        line = folder_run(many, out, options.scale) - start_up
        served, times = request_all(url, many, options.scale, options.clients)
        taken += times
        ratios.append(line / served)
        count = options.pictures
        print(
            f"command line {count / line:6.2f}/s (and {start_up:.1f} s to start), "
            f"server {count / served:6.2f}/s, ratio {line / served:.2f}"
        )
    print(f"server's throughput against the command line's: {statistics.median(ratios):.2f}")
    print(f"{options.clients} clients: {latencies(taken)}")


def folder_run(folder: Path, out: Path, scale: int) -> float:
    """Return the seconds of a run of the command line."""
    command = ["upscale", str(folder), "-o", f"{out}/", "--scale", str(scale), "--overwrite", "-q"]
    environment = {**os.environ}
    environment.pop("OMP_NUM_THREADS", None)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lightsr", *command], check=True, env=environment)
    return time.perf_counter() - start


def request_all(url: str, folder: Path, scale: int, clients: int) -> tuple[float, list[float]]:
    """Return the seconds that all pictures took together, and each of them."""
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    with httpx.Client(base_url=url, timeout=600) as client, ThreadPoolExecutor(clients) as pool:

        def ask(content: bytes) -> float:
            start = time.perf_counter()
            client.post("/v1/upscale", params={"scale": scale}, content=content).raise_for_status()
            return time.perf_counter() - start

        start = time.perf_counter()
        times = list(pool.map(ask, contents))
        return time.perf_counter() - start, times


def show_queue(url: str, folder: Path, scale: int, clients: int) -> None:
    """Print what becomes of more clients than there are places, and how deep the queue gets."""
    content = next(iter(sorted(folder.iterdir()))).read_bytes()
    waits: list[int] = []

    def ask(_: int) -> int:
        with httpx.Client(base_url=url, timeout=600) as client:
            answer = client.post("/v1/upscale", params={"scale": scale}, content=content)
        with contextlib.suppress(KeyError):
            waits.append(int(answer.headers["retry-after"]))
        return answer.status_code

    with ThreadPoolExecutor(clients) as pool:
        answers = pool.map(ask, range(clients))
        time.sleep(0.5)
        metrics = httpx.get(f"{url}/metrics", timeout=60).text
        counted = Counter(answers)
    depth = next(line for line in metrics.splitlines() if line.startswith("lightsr_waiting "))
    print(f"{clients} clients at once, a queue of {clients // 2}: {dict(counted)}, {depth}")
    if waits:
        print(f"asked to come back after {min(waits)} to {max(waits)} s")


def latencies(times: list[float]) -> str:
    """Return p50 and p95 in words."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.2f} s, p95 {p95:.2f} s"


if __name__ == "__main__":
    main()
