"""Many clients at once, and many pictures that are none."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import httpx
import pytest
from images.test_bad_pictures import SMALL
from server.serving import Server, opened, picture

from lightsr.engine.upscaler import Upscaler
from lightsr.errors import PictureError
from lightsr.images.reading import read_picture
from lightsr.images.writing import write_picture

_CLIENTS = 32


@cache
def _upscaler() -> Upscaler:
    return Upscaler("fdiwn", 2)


def _alone(content: bytes) -> bytes:
    """Return what a single user gets for a picture."""
    given = read_picture(content)
    size = (2 * given.height, 2 * given.width)
    written = write_picture(_upscaler().upscale_picture(given), size, given, None)
    assert written is not None
    return written


def _distinct(seed: int) -> bytes:
    format = ("PNG", "JPEG", "WEBP", "TIFF")[seed % 4]
    return picture(6 + seed % 13, 5 + seed % 7, seed, format)


def _many_at_once(server: Server, count: int) -> None:
    pictures = [_distinct(seed) for seed in range(count)]
    with (
        server.client(limits=httpx.Limits(max_connections=_CLIENTS)) as client,
        ThreadPoolExecutor(_CLIENTS) as clients,
    ):

        def ask(content: bytes) -> bytes:
            answer = client.post("/v1/upscale?scale=2&model=fdiwn", content=content)
            assert answer.status_code == 200, answer.text
            return answer.content

        answers = list(clients.map(ask, pictures))
    for given, answer in zip(pictures, answers, strict=True):
        assert answer == _alone(given)
    assert server.files() == []


def test_everybody_gets_what_a_single_user_gets(server: Server) -> None:
    _many_at_once(server, 100)


@pytest.mark.slow
def test_a_thousand_requests(server: Server) -> None:
    _many_at_once(server, 1000)


def _damaged(count: int) -> Iterator[bytes]:
    """Yield files that no longer are pictures, mutated from every format."""
    chance = random.Random(count)
    kinds = sorted(SMALL)
    made = 0
    while made < count:
        data = bytearray(SMALL[kinds[made % len(kinds)]])
        match chance.randrange(5):
            case 0:
                del data[chance.randrange(len(data)) :]
            case 1:
                for _ in range(chance.randrange(1, 9)):
                    data[int(chance.random() ** 3 * len(data))] = chance.randrange(256)
            case 2:
                start = int(chance.random() ** 2 * len(data))
                data[start : start + chance.randrange(1, 64)] = bytes(chance.randrange(64))
            case 3:
                place = chance.randrange(len(data))
                data[place:place] = chance.randbytes(chance.randrange(1, 32))
            case _:
                other = SMALL[chance.choice(kinds)]
                data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]
        if _is_refused(bytes(data)):
            made += 1
            yield bytes(data)


def _is_refused(data: bytes) -> bool:
    try:
        read_picture(io.BytesIO(data).getvalue(), max_pixels=25_000_000)
    except PictureError:
        return True
    return False


def _refuses_all(server: Server, count: int) -> None:
    lost = server.metric("lightsr_workers_lost_total")
    with (
        server.client(limits=httpx.Limits(max_connections=8)) as client,
        ThreadPoolExecutor(8) as clients,
    ):
        answers = clients.map(
            lambda data: client.post("/v1/upscale?scale=2", content=data), _damaged(count)
        )
        kinds = [answer.json()["type"].rpartition(":")[2] for answer in answers]
        assert len(kinds) == count
        assert set(kinds) <= {"unreadable-picture", "too-large"}
        good = client.post("/v1/upscale?scale=2", content=picture())
    assert opened(good.content).size == (24, 18)
    assert server.metric("lightsr_workers_lost_total") == lost
    assert server.files() == []


def test_what_is_no_picture_is_refused_and_does_no_harm(server: Server) -> None:
    _refuses_all(server, 150)


@pytest.mark.slow
def test_thousands_of_damaged_pictures(server: Server) -> None:
    _refuses_all(server, 2100)
