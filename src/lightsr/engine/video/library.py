"""PyAV, which is an optional part of the installation."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightsr.errors import VideoError

HINT = "pip install 'lightsr[video]'"


def has_av() -> bool:
    """Return whether PyAV is installed."""
    try:
        return find_spec("av") is not None
    except ValueError:  # a module put in its place that has no spec
        return False


def import_av(path: Path) -> Any:
    """Return the module `av`. Raises `VideoError`, naming the video at `path`, without it."""
    try:
        import av
    except ImportError as error:
        raise VideoError(
            f"{path} is a video; videos need PyAV, which is not installed: {HINT}"
        ) from error
    return av


def reason(error: BaseException) -> str:
    """Return in a few words what FFmpeg says, without its numbers and names."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).split("\n")[0]
