"""The containers of videos, as data: which files are taken for videos, and what can be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightsr.errors import VideoError


@dataclass(frozen=True, slots=True)
class Container:
    """A container that lightsr writes."""

    name: str
    """As given to `--format`, and the extension of its files: "mp4"."""
    muxer: str
    """FFmpeg's name of it."""
    codecs: tuple[str, ...] = ("h264", "av1", "mpeg4")
    """Families of codecs to take, best first."""
    deep_codecs: tuple[str, ...] = ("hevc", "av1", "h264", "ffv1")
    """The same for more than 8 bits."""
    variable: bool = True
    """Whether every frame may have a time of its own."""
    reorders: bool = True
    """Whether frames may be stored in another order than they are shown in."""


CONTAINERS: dict[str, Container] = {
    one.name: one
    for one in (
        Container("mp4", "mp4"),
        Container("m4v", "mp4"),
        Container("mov", "mov"),
        Container("mkv", "matroska"),
        Container("webm", "webm", ("vp9", "av1"), ("av1", "vp9")),
        # Not H.264: AVI has no times of showing, and readers guess them a frame or two late.
        Container("avi", "avi", ("mpeg4",), ("ffv1",), variable=False, reorders=False),
    )
}
_ELSE = "mkv"
"""Written for inputs whose own container is not: it holds nearly everything."""

_READ_ONLY = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "asf", "divx", "dv", "f4v", "flv", "ivf", "m1v", "m2t", "m2ts", "m2v"),
        *("mjpeg", "mk3d", "mpe", "mpeg", "mpg", "mpv", "mts", "mxf", "nut", "ogm", "ogv", "qt"),
        *("rm", "rmvb", "vob", "wmv", "wtv", "y4m", "264", "265", "h264", "h265", "hevc", "obu"),
    )
)
SEARCHED_EXTENSIONS = _READ_ONLY | {f".{name}" for name in CONTAINERS}
"""What is taken for a video in a folder. Not .ts, which is mostly TypeScript there."""
_EXTENSIONS = SEARCHED_EXTENSIONS | {".ts"}

_SIGNS = ((0, b"\x1a\x45\xdf\xa3"), (4, b"ftyp"), (4, b"moov"), (8, b"AVI "), (0, b"FLV\x01"))
"""Where which bytes stand in a video without an extension, once it is known to be no picture."""


def is_video(path: Path) -> bool:
    """Return whether a file is to be read as a video: by its extension, or else its content."""
    extension = path.suffix.lower()
    if extension in _EXTENSIONS:
        return True
    return not extension and _begins_like_a_video(path)


def _begins_like_a_video(path: Path) -> bool:
    from lightsr.images.formats import sniff

    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return False
    return sniff(head) is None and any(head[at:].startswith(sign) for at, sign in _SIGNS)


def container_for(target: Path | None, name: str | None, source: Path | None = None) -> Container:
    """Return the container to write: the one called `name`, else of `target`, else of `source`.

    A source whose container is not written becomes Matroska. Raises `VideoError` where what was
    asked for cannot be written.
    """
    if name is not None or (target is not None and target.suffix):
        asked = name if name is not None else str(target and target.suffix)
        found = CONTAINERS.get(asked.lower().lstrip("."))
        if found is None:
            what = f"{target}: cannot write videos" if name is None else "cannot write videos"
            raise VideoError(f"{what} as {asked!r}; choose one of: {', '.join(CONTAINERS)}")
        return found
    own = "" if source is None else source.suffix.lower().lstrip(".")
    return CONTAINERS.get(own, CONTAINERS[_ELSE])
