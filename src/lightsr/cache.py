"""Where lightsr keeps what it can make again: `LIGHTSR_CACHE`, or the user's cache folder.

A file is its content behind the content's SHA-256, written beside and renamed, so that processes
do not disturb each other; one that is damaged counts as missing. What lies here is believed, so
the folder must belong to the user and be closed to writing by others; where it is not, or cannot
be written, nothing is kept and nothing is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

_CHECKSUM = 32


def cache_folder() -> Path:
    """Return the folder, which need not be there yet."""
    named = os.environ.get("LIGHTSR_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lightsr"


@dataclass(frozen=True, slots=True)
class Cache:
    """Files of one kind, named by what they depend on; the oldest go."""

    name: str
    """Of the folder."""
    most: int
    """Files that are kept."""

    def find(self, *depends: str) -> bytes | None:
        """Return the content for what it depends on; None: it has to be made."""
        folder = self._folder()
        if folder is None:
            return None
        try:
            whole = (folder / _file(depends)).read_bytes()
        except OSError:
            return None
        checksum, content = whole[:_CHECKSUM], whole[_CHECKSUM:]
        return content if hashlib.sha256(content).digest() == checksum else None

    def keep(self, content: bytes, *depends: str) -> None:
        """Keep a content, if that can be done."""
        folder = self._folder()
        if folder is None:
            return
        path = folder / _file(depends)
        beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
        # A cache that cannot be written is no reason to fail.
        with contextlib.suppress(OSError):
            try:
                beside.write_bytes(hashlib.sha256(content).digest() + content)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            kept = sorted(folder.glob("*.kept"), key=lambda file: file.stat().st_mtime)
            for old in kept[: -self.most]:
                old.unlink(missing_ok=True)

    def _folder(self) -> Path | None:
        """Return the folder, or None where it cannot be had or others could write it."""
        folder = cache_folder() / self.name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            about = folder.stat()
        except OSError:
            return None
        if os.name == "posix":
            open_to_others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if about.st_uid != os.getuid() or open_to_others:
                return None
        return folder


def _file(depends: tuple[str, ...]) -> str:
    return f"{hashlib.sha256(chr(0).join(depends).encode()).hexdigest()}.kept"
