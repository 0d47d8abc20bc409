"""Doing things at the same time: making what comes next ahead, and putting away behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 0.2
"""Seconds of a wait; short, so that Ctrl-C and the other side's end are noticed."""


class _End:
    """Put into a queue after the last item."""


class Ahead(Generic[T]):
    """Takes items from an iterator in a thread of its own, a bounded number ahead.

    A context manager, to be iterated once. What the iterator raises is raised where its item
    would have come. Leaving the block stops the thread after the item it is at and closes the
    iterator.
    """

    def __init__(self, items: Iterator[T], most: int) -> None:
        self._items = items
        self._queue: Queue[T | _End] = Queue(most)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._offer(item):
                    break
                del item
        except BaseException as error:
            self._error = error
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            self._offer(_End())

    def _offer(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False

    def _taken(self) -> Iterator[T]:
        while True:
            try:
                item = self._queue.get(timeout=_PATIENCE)
            except Empty:
                continue
            if isinstance(item, _End):
                break
            yield item
            del item
        if self._error is not None:
            raise self._error


class Behind(Generic[T]):
    """Hands items to a function in a thread of its own, a bounded number behind.

    A context manager. What the function raises is raised by the next `put`, or on leaving the
    block. Leaving it waits for the items put; leaving it by an exception drops them.
    """

    def __init__(self, consume: Callable[[T], None], most: int) -> None:
        self._consume = consume
        self._queue: Queue[T | _End] = Queue(most)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stop.set()
        else:
            self._offer(_End())
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Hand over an item; wait while there are too many."""
        self._offer(item)
        if self._error is not None:
            raise self._error

    def _offer(self, item: T | _End) -> None:
        while self._error is None:
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    item = self._queue.get(timeout=_PATIENCE)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                self._consume(item)
                del item
        except BaseException as error:
            self._error = error
