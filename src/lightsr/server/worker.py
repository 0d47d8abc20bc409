"""A worker: a process that enlarges one picture after another, as the server orders.

    python -m lightsr.server.worker SETUP

Orders and wishes to cancel arrive as lines of JSON on standard input; what becomes of them goes to
standard output in the same way. It ends when standard input does, so that it never outlives its
server. Whatever a picture does to this process, the server goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import IO, Any, NoReturn

import numpy as np

from lightsr.engine.backends.base import Backend
from lightsr.engine.backends.choose import DEFAULT_SCALE, Choice, open_backend
from lightsr.engine.sizes import Size, covering_scale, wanted_size
from lightsr.engine.upscaler import Upscaler
from lightsr.errors import LightsrError, PictureError, TooLargeError, UserError
from lightsr.images.picture import Picture
from lightsr.images.reading import read_picture
from lightsr.images.writing import check_target, write_picture
from lightsr.networks.registry import network_spec
from lightsr.server.orders import Done, Order, Plan, Setup, line, message
from lightsr.server.problems import Kind
from lightsr.weights.catalogue import best

NAME = "the picture"
"""What messages call it; the client's own name for it is never looked at."""
_WARM_UP = 48
"""Side of the picture that is enlarged before the first order."""


class Cancelled(BaseException):
    """Raised inside of an order that the server no longer wants."""


class RefusedError(Exception):
    """Why an order is not done, as a kind of problem and a sentence."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Worker:
    """Does orders, one at a time, with networks that are loaded once."""

    def __init__(self, setup: Setup, out: IO[bytes]) -> None:
        self._setup = setup
        self._out = out
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._backends: dict[tuple[str, int], Backend] = {}
        self._current: str | None = None
        self._unwanted: str | None = None

    def run(self, lines: IO[bytes]) -> NoReturn:
        """Do what the lines order, until they end. Must be called in the main thread."""
        signal.signal(signal.SIGINT, self._interrupted)
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()
        self._say(ready=self._warm_up())
        self._load_others()
        while True:
            self._do(self._orders.get())

    def _listen(self, lines: IO[bytes]) -> NoReturn:
        for text in lines:
            told = message(text)
            if "order" in told:
                self._orders.put(Order(**told["order"]))
            else:
                self._unwanted = told["cancel"]
                if self._unwanted == self._current:
                    signal.raise_signal(signal.SIGINT)  # Python handles it in the main thread.
        os._exit(0)

    def _interrupted(self, *_: object) -> None:
        if self._current is not None and self._current == self._unwanted:
            self._current = None
            raise Cancelled

    def _say(self, **told: Any) -> None:
        self._out.write(line(**told))
        self._out.flush()

    def _warm_up(self) -> float:
        """Load the network that requests use unless they say otherwise, and time it.

        Returns seconds per multi-add.
        """
        scales = Choice(self._setup.model).shipped_scales()
        scale = DEFAULT_SCALE if DEFAULT_SCALE in scales else scales[-1]
        network = self._backend(None, scale)
        grey = np.full((1, 3, _WARM_UP, _WARM_UP), 0.5, np.float32)
        network.run(grey)
        start = perf_counter()
        network.run(grey)
        spec = network_spec(self._setup.model or best(scale).network)
        return (perf_counter() - start) / spec.cost[scale].multi_adds(_WARM_UP, _WARM_UP)

    def _load_others(self) -> None:
        """Load it at the other scales too, as long as nobody waits for anything."""
        for scale in Choice(self._setup.model).shipped_scales():
            if self._orders.empty():
                self._backend(None, scale)

    def _backend(self, model: str | None, scale: int) -> Backend:
        setup = self._setup
        name = model or setup.model or best(scale).network
        if (name, scale) not in self._backends:
            choice = Choice(name, "default", setup.backend, setup.device, setup.precision)
            if choice.needs_no_weights:
                choice = Choice(name)  # It runs on nothing but what it always does.
            self._backends[name, scale] = open_backend(choice, scale)
        return self._backends[name, scale]

    def _do(self, order: Order) -> None:
        try:
            self._current = order.id
            if self._unwanted == order.id:
                raise Cancelled
            self._say(began=order.id)
            done = self._enlarge(order)
            self._current = None
            self._say(done=done)
        except Cancelled:
            self._say(cancelled=order.id)
        except RefusedError as refusal:
            self._say(refused=refusal.kind.slug, detail=str(refusal))
        except Exception as error:
            logging.getLogger("lightsr").exception("an order failed")
            self._say(refused=Kind.INTERNAL.slug, detail=f"{NAME} was not enlarged: {_said(error)}")
        finally:
            self._current = None

    def _enlarge(self, order: Order) -> Done:
        start = perf_counter()
        with _client_is_told(Kind.UNREADABLE):
            limit = self._setup.input_pixels
            picture = read_picture(Path(order.source), NAME, max_pixels=limit)
        with _client_is_told(Kind.UNFIT):
            plan, size = self._planned(order, picture)
        self._say(plan=plan)
        with _we_are_told(), _notices() as notices:
            backend = self._backend(order.model, plan.scale)
            upscaler = Upscaler(backend=backend, ensemble=order.ensemble, memory=self._setup.memory)
            content = write_picture(
                upscaler.upscale_picture(picture, size, self._progressed),
                plan.after,
                picture,
                None,
                format=order.format,
                quality=order.quality,
            )
            assert content is not None
            Path(order.result).write_bytes(content)
        return Done(len(content), perf_counter() - start, notices)

    def _progressed(self, done: int, count: int) -> None:
        self._say(progress=[done, count])

    def _planned(self, order: Order, picture: Picture) -> tuple[Plan, Size | None]:
        """Return what an order comes to, checked before any work, and the size to ask for."""
        before = (picture.height, picture.width)
        size = wanted_size(before, order.width, order.height, NAME)
        scale = order.scale or DEFAULT_SCALE
        if size is not None:
            scales = Choice(order.model or self._setup.model).shipped_scales()
            scale = covering_scale(before, size, scales)
        after = size or (before[0] * scale, before[1] * scale)
        if after[0] * after[1] > self._setup.output_pixels:
            raise TooLargeError(
                f"the result would have {after[1]} x {after[0]} pixels, more than the limit of "
                f"{self._setup.output_pixels:,}"
            )
        kind = check_target(None, order.format, after, picture)
        network = self._backend(order.model, scale).network
        return Plan(before, after, network, scale, kind.name), size


@contextmanager
def _client_is_told(kind: Kind) -> Generator[None]:
    """Turn what is wrong with a picture, or with what was asked of it, into a refusal."""
    try:
        yield
    except TooLargeError as error:
        raise RefusedError(Kind.TOO_LARGE, str(error)) from error
    except UserError as error:
        raise RefusedError(kind, str(error)) from error


@contextmanager
def _we_are_told() -> Generator[None]:
    """Tell apart what is wrong with a picture and what is wrong with us."""
    try:
        yield
    except MemoryError as error:
        raise RefusedError(Kind.NO_MEMORY, f"memory does not suffice for {NAME}") from error
    except LightsrError as error:
        if isinstance(error.__cause__, MemoryError):
            raise RefusedError(Kind.NO_MEMORY, f"memory does not suffice for {NAME}") from error
        if isinstance(error, PictureError) and not isinstance(error.__cause__, OSError):
            raise RefusedError(Kind.UNREADABLE, str(error)) from error
        raise


@contextmanager
def _notices() -> Generator[list[str]]:
    """Collect what the package logs, which the command line would show."""
    heard: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    log, handler = logging.getLogger("lightsr"), Handler(logging.WARNING)
    log.addHandler(handler)
    propagated, log.propagate = log.propagate, False
    try:
        yield heard
    finally:
        log.removeHandler(handler)
        log.propagate = propagated


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, LightsrError) else type(error).__name__


def _first_to_go() -> None:
    """Have the system end this process, and not the server, where memory runs out; no dumps."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> NoReturn:
    """Run a worker on this process's standard streams."""
    _first_to_go()
    # What a library prints must not come between the lines of the conversation.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = Worker(Setup(**message(sys.argv[1].encode())), out)
    try:
        worker.run(sys.stdin.buffer)
    except LightsrError as error:
        out.write(line(unable=str(error)))
        out.flush()
        sys.exit(1)


if __name__ == "__main__":
    main()
