"""Measurements kept on disk, so that nothing is measured twice.

One small file each, written whole, named by the digest of what it was measured under. A file that
does not hold exactly what was written is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

from lightsr.errors import UserError
from lightsr.weights.files import write_whole

REVISION = 1
"""To be raised with every change to the library that moves a measured figure: then everything
kept from before is measured again. A test pins a few figures to tell when."""

Key = Mapping[str, Any]
Value = dict[str, Any]


class CacheError(UserError):
    """What was measured cannot be kept, so that measuring on would be for nothing."""


class Cache:
    """Values by key, both of what JSON can say, in the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged = 0
        """How many files were found that do not hold what was written."""

    def get(self, key: Key) -> Value | None:
        """Return what was kept under `key`, or None where nothing or nothing sound was."""
        try:
            content = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{self.path(key)} cannot be read: {error.strerror}") from error
        value = _sound(content, key)
        if value is None:
            self.damaged += 1
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep `value` under `key`; it is there whole or not at all. Raises `CacheError`."""
        kept = {"key": _full(key), "value": value}
        text = json.dumps({**kept, "sha256": digest(kept)}, indent=1, ensure_ascii=False)
        write_whole(self.path(key), text.encode(), CacheError)

    def require_writable(self) -> None:
        """Raise `CacheError` unless values can be kept."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise CacheError(f"{self.folder} cannot be written: {error.strerror}") from error

    def path(self, key: Key, suffix: str = ".json") -> Path:
        """Return the file for a key; other suffixes serve for what belongs to the value."""
        name = digest(_full(key))
        return self.folder / name[:2] / f"{name[2:40]}{suffix}"


def digest(value: Any) -> str:
    """Return the SHA-256 of what JSON says of a value, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content; raises `UserError` naming an unreadable one."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def number(value: float) -> float | str:
    """Return a number as JSON can say it: an infinite one (PSNR of equal pictures) is "inf"."""
    return value if math.isfinite(value) else "inf"


def _full(key: Key) -> dict[str, Any]:
    return {"revision": REVISION, **key}


def _sound(content: bytes, key: Key) -> Value | None:
    try:
        kept: Any = json.loads(content)
        told = kept.pop("sha256")
        if told != digest(kept) or digest(kept["key"]) != digest(_full(key)):
            return None
        return cast("Value", kept["value"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
