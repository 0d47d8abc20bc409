from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lightsr.engine.overlap import Ahead, Behind


def test_items_come_in_order_and_no_more_than_asked_are_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    with Ahead(items(), 2) as ahead:
        for number in ahead:
            time.sleep(0.002)
            assert len(made) <= number + 4  # two wait, one is offered, one is being used
    assert made == list(range(20))


def test_what_the_iterator_raises_comes_after_what_it_gave() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen: list[int] = []
    with pytest.raises(ValueError, match="broken"), Ahead(items(), 3) as ahead:
        seen.extend(ahead)
    assert seen == [1]


def test_leaving_early_closes_the_iterator_and_ends_the_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    threads = threading.active_count()
    with Ahead(items(), 1) as ahead:
        assert next(ahead) == 0
    assert closed.is_set()
    assert threading.active_count() == threads


def test_everything_put_is_consumed_in_order() -> None:
    seen: list[int] = []
    with Behind(seen.append, 2) as behind:
        for number in range(50):
            behind.put(number)
    assert seen == list(range(50))


@pytest.mark.parametrize("more", [0, 5])
def test_what_the_consumer_raises_is_raised(more: int) -> None:
    def consume(_: int) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"), Behind(consume, 1) as behind:  # noqa: PT012
        for number in range(1 + more):
            behind.put(number)


def test_an_exception_drops_what_waits() -> None:
    seen: list[int] = []

    def consume(number: int) -> None:
        time.sleep(0.05)
        seen.append(number)

    threads = threading.active_count()
    with pytest.raises(KeyError), Behind(consume, 5) as behind:  # noqa: PT012
        for number in range(4):
            behind.put(number)
        raise KeyError
    assert len(seen) < 4
    assert threading.active_count() == threads
