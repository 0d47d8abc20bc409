"""One worker process, as the server sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from lightsr.engine.sizes import Size
from lightsr.errors import LightsrError
from lightsr.server.jobs import Job
from lightsr.server.orders import Done, Plan, Setup, line, message
from lightsr.server.problems import Kind, Problem

_LONGEST_LINE = 1 << 20
_KINDS = {kind.slug: kind for kind in Kind}


class LostError(Exception):
    """The process ended in the middle of something."""


class WorkerProcess:
    """A process that runs `lightsr.server.worker` and is ready for orders."""

    def __init__(
        self, process: Process, inward: ByteSendStream, outward: ByteReceiveStream
    ) -> None:
        self._process = process
        self._inward = inward
        self._outward = BufferedByteReceiveStream(outward)
        self.pace = 0.0
        """Seconds per multi-add that it took for a first, small picture."""

    @classmethod
    async def start(cls, setup: Setup, threads: int, scratch: Path) -> WorkerProcess:
        """Start one, and wait until it is ready. Raises `LightsrError` where it cannot run.

        What it writes beside results lies in the folder `scratch`.
        """
        count = str(threads)
        process = await anyio.open_process(
            [sys.executable, "-m", "lightsr.server.worker", json.dumps(asdict(setup))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            env={
                **{key: value for key, value in os.environ.items() if not _is_ours(key)},
                "LIGHTSR_THREADS": count,
                "OMP_NUM_THREADS": count,
                "VIPS_CONCURRENCY": count,
                # Damaged pictures would fill the log.
                "VIPS_WARNING": "1",
                "TMPDIR": str(scratch),
            },
            # Ctrl-C is for the server, which then ends its workers in good order.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = cls(process, process.stdin, process.stdout)
        try:
            first = await worker._receive()
        except LostError as error:
            raise LightsrError(
                f"a worker ended as soon as it began: {await worker.end()}"
            ) from error
        except BaseException:
            await worker.end()
            raise
        if "unable" in first:
            await worker.end()
            raise LightsrError(first["unable"])
        worker.pace = first["ready"]
        return worker

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    async def until_ended(self) -> None:
        """Wait until it ends by itself."""
        await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def end(self) -> str:
        """End it if it has not, and return how it ended, in words."""
        with anyio.CancelScope(shield=True):
            await self._inward.aclose()
            with anyio.move_on_after(0.5):
                await self._process.wait()
            self.kill()
            await self._process.wait()
            await self._process.aclose()
        status = self._process.returncode or 0
        return f"by signal {-status}" if status < 0 else f"with status {status}"

    async def work(self, job: Job) -> AsyncGenerator[Plan | Done | Problem]:
        """Have a job done. Yields its plan, if it comes to one, and what became of it.

        Raises `LostError` where the process ends; `job.began` tells whether it had taken it.
        """
        await self._send(order=job.order)
        while True:
            told = await self._receive()
            try:
                if "began" in told:
                    job.begin()
                    continue
                if "progress" in told:
                    done, count = told["progress"]
                    job.advance(int(done), int(count))
                    continue
                heard = _heard(told)
            except (KeyError, TypeError, ValueError) as error:
                # Whatever a picture has made of the process, it must not harm the server.
                self.kill()
                raise LostError from error
            yield heard
            if not isinstance(heard, Plan):
                return

    async def cancel(self, job: Job) -> None:
        """Ask it to leave a job; if it does, that is what became of the job."""
        try:
            await self._send(cancel=job.id)
        except LostError:
            return

    async def _send(self, **told: Any) -> None:
        try:
            await self._inward.send(line(**told))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise LostError from error

    async def _receive(self) -> dict[str, Any]:
        try:
            return message(await self._outward.receive_until(b"\n", _LONGEST_LINE))
        except (
            anyio.IncompleteRead,
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            anyio.DelimiterNotFound,
            ValueError,
        ) as error:
            raise LostError from error


def _heard(told: dict[str, Any]) -> Plan | Done | Problem:
    if "plan" in told:
        plan = told["plan"]
        before, after = (_size(plan.pop(name)) for name in ("before", "after"))
        return Plan(before, after, **plan)
    if "done" in told:
        return Done(**told["done"])
    if "refused" in told:
        return Problem(_KINDS[told["refused"]], told["detail"])
    return Problem(Kind.CANCELLED, "the job was cancelled")


def _size(pair: list[int]) -> Size:
    height, width = pair
    return int(height), int(width)


def _is_ours(key: str) -> bool:
    """Whether a variable holds what workers need not know, such as the token."""
    return key.upper().startswith("LIGHTSR_SERVE_")
