"""What was measured is found again, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation.pictures import noise, write

from lightsr.errors import UserError
from lightsr.evaluation.benchmark import cache as module
from lightsr.evaluation.benchmark.cache import Cache
from lightsr.evaluation.evaluate import bicubic, score

KEY = {"kind": "score", "network": "fdiwn", "scale": 4, "hr": "ab", "lr": None}
VALUE = {"psnr": 31.2345678901234, "ssim": 0.9, "ran": {"backend": "torch"}}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache")
    assert cache.get(KEY) is None
    cache.put(KEY, VALUE)
    return cache


def test_values_come_back_under_their_key_alone(cache: Cache) -> None:
    assert cache.get(dict(reversed(KEY.items()))) == VALUE
    for name in KEY:
        assert cache.get({**KEY, name: "other"}) is None
    assert cache.damaged == 0
    cache.put(KEY, {"psnr": "inf"})
    assert cache.get(KEY) == {"psnr": "inf"}


def test_a_new_revision_starts_afresh(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REVISION", -1)
    assert cache.get(KEY) is None
    assert cache.damaged == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"sha256": "x"}', b"\xff", b"[" * 9999]
)
def test_files_of_something_else_are_as_good_as_none(cache: Cache, content: bytes) -> None:
    cache.path(KEY).write_bytes(content)
    assert cache.get(KEY) is None
    assert cache.damaged == 1


def test_every_changed_byte_is_noticed(cache: Cache) -> None:
    path = cache.path(KEY)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert cache.get(KEY) in (None, VALUE)  # white space may change
        path.write_bytes(content[:place])
        assert cache.get(KEY) is None
    assert json.loads(content)["value"] == VALUE


def test_a_kept_value_of_another_key_is_not_taken(cache: Cache) -> None:
    other = {**KEY, "scale": 2}
    cache.path(other).parent.mkdir(exist_ok=True)
    cache.path(other).write_bytes(cache.path(KEY).read_bytes())
    assert cache.get(other) is None


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(UserError, match="cannot be"):
        Cache(tmp_path / "cache").put(KEY, VALUE)


def test_figures_have_not_moved_since_the_revision(tmp_path: Path) -> None:
    """Where this fails because measuring has changed on purpose, raise REVISION."""
    assert module.REVISION == 1
    write(tmp_path / "noise.png", noise(48, 60, 3))
    measured = score(bicubic(3, "replicate"), 3, tmp_path, border="replicate")[0]
    assert (measured.psnr, measured.ssim) == pytest.approx((16.132974825, 0.112810469), abs=1e-6)
