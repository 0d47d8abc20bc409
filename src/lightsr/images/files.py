"""From what a user names to the pictures meant: files, folders, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lightsr.errors import PictureError
from lightsr.images.formats import READABLE_EXTENSIONS


class PictureFile(NamedTuple):
    """A picture to work on."""

    path: Path
    relative: Path
    """Its path inside the folder or pattern that was named, to be mirrored into an output
    folder; the bare name for a file that was named itself."""


def picture_files(
    inputs: Iterable[Path | str],
    *,
    exclude: Path | None = None,
    also: frozenset[str] = frozenset(),
) -> list[PictureFile]:
    """Return the pictures that files, folders and patterns name, each once.

    Folders are searched to the bottom, in the order of their names, links to folders included
    (every folder once, so that loops end); they and patterns give files with the extension of a
    format that lightsr reads, in any case, and nothing whose name begins with a dot. A file that
    is named itself is taken whatever it is called. An input that does not exist is a pattern if
    it holds `*`, `?` or `[`; `**` stands for any folders. `exclude` is a folder to leave out, as
    the output folder when it lies in an input. `also` are extensions of other files to find, in
    lower case with the dot.

    Raises `PictureError` for an input that does not exist, a folder that cannot be read, and a
    folder or pattern without pictures.
    """
    left_out = None if exclude is None else os.path.realpath(exclude)
    found: dict[str, PictureFile] = {}
    for given in inputs:
        for picture in _named_by(Path(given), left_out, READABLE_EXTENSIONS | also):
            found.setdefault(str(picture.path.absolute()), picture)
    return list(found.values())


def walk_pictures(folder: Path, *, exclude: Path | None = None) -> Iterator[PictureFile]:
    """Yield the pictures that `picture_files` returns for a folder, one after the other.

    No more is held than the names in the folders between `folder` and the picture. Raises
    `PictureError` for a folder that cannot be read; none at all is no error here.
    """
    left_out = None if exclude is None else os.path.realpath(exclude)
    yield from _inside(folder, Path(), left_out, set(), READABLE_EXTENSIONS)


def _named_by(given: Path, left_out: str | None, extensions: frozenset[str]) -> list[PictureFile]:
    try:
        is_folder, exists = given.is_dir(), given.exists()
    except (OSError, ValueError) as error:
        raise PictureError(f"{given} cannot be read: {_why(error)}") from error
    if is_folder:
        pictures = sorted(
            _inside(given, Path(), left_out, set(), extensions), key=lambda p: p.relative.parts
        )
        if not pictures:
            raise PictureError(f"{given} holds no pictures")
        return pictures
    if exists:
        return [PictureFile(given, Path(given.name))]
    if glob.has_magic(str(given)):
        pictures = _matching(given, left_out, extensions)
        if not pictures:
            raise PictureError(f"no picture matches {given}")
        return pictures
    raise PictureError(f"{given} does not exist")


def _inside(
    folder: Path,
    relative: Path,
    left_out: str | None,
    seen: set[tuple[int, int]],
    extensions: frozenset[str],
) -> Iterator[PictureFile]:
    if os.path.realpath(folder) == left_out:
        return
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PictureError(f"{folder} cannot be read: {_why(error)}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inner = (folder / entry.name, relative / entry.name)
            yield from _inside(*inner, left_out, seen, extensions)
        elif _has_extension(entry.name, extensions) and entry.is_file():
            yield PictureFile(folder / entry.name, relative / entry.name)


def _matching(pattern: Path, left_out: str | None, extensions: frozenset[str]) -> list[PictureFile]:
    """Return the pictures that a pattern names, relative to the part of it that is no pattern."""
    plain = list(pattern.parts)
    first = next(i for i, part in enumerate(plain) if glob.has_magic(part))
    base = Path(*plain[:first])
    # Not Path.glob: it takes no absolute patterns, and does not follow links to folders.
    names = glob.iglob(str(pattern), recursive=True)  # noqa: PTH207 - as the line above says
    matches = sorted(Path(name) for name in names)
    return [
        PictureFile(path, path.relative_to(base))
        for path in matches
        if _has_extension(path.name, extensions)
        and not path.name.startswith(".")
        and path.is_file()
        and not _lies_in(path, left_out)
    ]


def _has_extension(name: str, extensions: frozenset[str]) -> bool:
    return Path(name).suffix.lower() in extensions


def _lies_in(path: Path, folder: str | None) -> bool:
    return folder is not None and Path(folder) in Path(os.path.realpath(path)).parents


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
