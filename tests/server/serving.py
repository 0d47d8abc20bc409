"""Servers in processes of their own, and pictures to send to them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image


@dataclass
class Server:
    """A running `lightsr serve`."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path
    """Where its private folder lies."""
    forgotten: frozenset[str] = frozenset()
    """Jobs whose files do not count."""

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, **options)

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "lightsr.server.worker" in child.cmdline()]

    def files(self) -> list[str]:
        """Return the names of pictures in the private folder, but those of forgotten jobs."""
        found = self.folder.glob("lightsr-serve-*/*")
        names = sorted(path.name for path in found if path.is_file())
        return [name for name in names if _job(name) not in self.forgotten]

    def forget(self) -> None:
        """Count no more what lies there now, and what will come of it."""
        self.forgotten |= set(map(_job, self.files()))

    def clean(self) -> None:
        """Delete the jobs whose files count."""
        for job in set(map(_job, self.files())):
            httpx.delete(f"{self.url}/v1/jobs/{job}", timeout=60)

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        lines = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].split()[1]) if lines else 0.0

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _job(file: str) -> str:
    return file.partition(".")[0]


@contextmanager
def serving(folder: Path, *options: object, **variables: str) -> Generator[Server]:
    """Run a server for as long as the block lasts."""
    command = [sys.executable, "-m", "lightsr", "serve", "--port", "0", "--folder", str(folder)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LIGHTSR_SERVE")}
    process = subprocess.Popen(
        [*command, "--memory", "1G", *map(str, options)],
        stdout=subprocess.PIPE,
        env={**clean, **variables},
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        assert said.startswith("lightsr serves at http://"), said
        yield Server(process, said.split()[3], folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def picture(width: int = 12, height: int = 9, seed: int = 0, format: str = "PNG") -> bytes:
    """Return a file of noise, a different one for each seed."""
    samples = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, format)
    return buffer.getvalue()


SLOW = picture(256, 256)
"""With `SLOW_OPTIONS`, this takes many seconds."""
SLOW_OPTIONS: dict[str, str | int] = {
    "model": "fdiwn",
    "scale": 4,
    "ensemble": "true",
}


def opened(content: bytes) -> Image.Image:
    """Return a decoded picture."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """Check that an answer is a problem of a kind, and return its sentence."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), response.text
    told = response.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert (told["type"], told["status"]) == (f"urn:lightsr:problem:{kind}", status)
    assert "\n" not in told["detail"]
    assert 5 < len(told["detail"]) < 300
    return told["detail"]
