"""The server's private folder: pictures on their way, gone with the server however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lightsr.errors import UserError
from lightsr.images.rowstore import scratch_folder

PREFIX = "lightsr-serve-"


@contextmanager
def private_folder(parent: Path | None) -> Generator[Path]:
    """Make a folder in `parent` that only this user may enter, and remove it in the end.

    A lock that the system takes away with the process tells whether its server lives; folders
    there that dead ones left are removed first. Raises `UserError` where none can be made.
    """
    place = parent or scratch_folder()
    try:
        for left in place.glob(f"{PREFIX}*"):
            _remove_if_dead(left)
        folder, lock = _locked(place)
    except OSError as error:
        raise UserError(f"no folder can be made in {place}: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(place: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        lock = _lock(folder)
        # Another server that starts just now may have taken it for one that was left.
        if lock is not None and folder.exists():
            return folder, lock


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder's lock; None where another process does."""
    try:
        import fcntl
    except ImportError:  # Windows: an open file cannot be removed, which is lock enough.
        try:
            (folder / ".lock").unlink(missing_ok=True)
        except OSError:
            return None
        return os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder unless its server lives, or it is none of ours."""
    with contextlib.suppress(OSError):
        about = folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or (
            hasattr(os, "getuid") and about.st_uid != os.getuid()
        ):
            return
        lock = _lock(folder)
        if lock is not None:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
