"""Where pictures come from and results go to: a local folder, or a prefix of an object store.

Both are told the same things. Names are paths inside of the place, with slashes. Places travel to
workers, which open them by themselves with the credentials that their machine has.
"""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lightsr.cluster.stores import Objects, split_url
from lightsr.errors import PictureError, UserError
from lightsr.images.files import PictureFile, picture_files, walk_pictures
from lightsr.images.formats import READABLE_EXTENSIONS
from lightsr.images.writing import put_in_place

STATE = ".lightsr"
"""Folder in the output that holds a run's records, report and unfinished files."""


class Found(NamedTuple):
    """A picture as a listing tells of it."""

    name: str
    size: int
    stamp: str
    """Changes with the content: a checksum in object stores, the time of change on disks."""


class Place(ABC):
    """A folder or a prefix."""

    @abstractmethod
    def pictures(self, leave_out: Place) -> Iterator[Found]:
        """Yield the pictures in `order`, without those in another place that lies in this one."""

    @abstractmethod
    def order(self, name: str) -> tuple[str, ...]:
        """Return what names are listed in the order of."""

    @abstractmethod
    def said(self, name: str) -> str:
        """Return what a picture is called in messages."""

    @abstractmethod
    def content(self, name: str) -> Path | bytes:
        """Return a file to read a picture from, or its bytes. Raises `PictureError`."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the bytes of what is there under a name; None: nothing is."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return what is there under a name. Raises `FileNotFoundError`."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Put something there, whole or not at all, over what there was."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of what lies directly in a folder, sorted; [] where there is none."""

    @abstractmethod
    def remove(self, folder: str) -> None:
        """Remove a folder with everything in it, if there is one."""

    @abstractmethod
    def holds_anything(self) -> bool:
        """Whether there is anything. Raises `UserError` where the place cannot be used."""


@dataclass(frozen=True, slots=True)
class Folder(Place):
    """A local folder, or what a pattern in it names. Every machine must have it at its path."""

    root: Path
    pattern: str | None = None
    parts: str = "parts"
    """Folder, in that of the state, for unfinished files."""

    def __str__(self) -> str:
        return self.pattern or str(self.root)

    def pictures(self, leave_out: Place) -> Iterator[Found]:
        """Yield them as `lightsr upscale` finds them."""
        exclude = leave_out.root if isinstance(leave_out, Folder) else None
        for path, relative in self._files(exclude):
            with suppress(FileNotFoundError):  # gone meanwhile
                about = path.stat()
                yield Found(relative.as_posix(), about.st_size, str(about.st_mtime_ns))

    def _files(self, exclude: Path | None) -> Iterator[PictureFile]:
        if self.pattern is None:
            return walk_pictures(self.root, exclude=exclude)
        return iter(picture_files([self.pattern], exclude=exclude))

    def order(self, name: str) -> tuple[str, ...]:
        """Folder by folder."""
        return tuple(name.split("/"))

    def said(self, name: str) -> str:
        """Return its path."""
        return str(self.root / name)

    def content(self, name: str) -> Path:
        """Return its path."""
        return self.root / name

    def size(self, name: str) -> int | None:
        """Ask the file system."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, name: str) -> bytes:
        """Read the file."""
        return (self.root / name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        """Write beside, then rename."""
        part = self.part(Path(name).name)
        part.write_bytes(content)
        self.finish(part, name)

    def part(self, name: str) -> Path:
        """Return a path for an unfinished file; the folder is there."""
        folder = self.root / STATE / self.parts / secrets.token_hex(8)
        folder.mkdir(parents=True)
        return folder / name

    def finish(self, part: Path, name: str) -> None:
        """Give a finished file its name, over what has it."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(part, target, overwrite=True)
        part.parent.rmdir()

    def names(self, folder: str) -> list[str]:
        """List the folder."""
        try:
            return sorted(path.name for path in (self.root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, folder: str) -> None:
        """Remove it."""
        shutil.rmtree(self.root / folder, ignore_errors=True)

    def holds_anything(self) -> bool:
        """Look into the folder."""
        try:
            with os.scandir(self.root) as entries:
                return any(True for _ in entries)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise PictureError(f"{self.root} cannot be used: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Prefix(Place):
    """A prefix of an object store, or what a pattern below it names."""

    objects: Objects
    pattern: str | None = None

    def __str__(self) -> str:
        return self.pattern or str(self.objects)

    def pictures(self, leave_out: Place) -> Iterator[Found]:
        """Yield them by the same rules as those of folders."""
        matching = None if self.pattern is None else _matcher(split_url(self.pattern)[1])
        without = None
        if isinstance(leave_out, Prefix) and leave_out.objects.protocol == self.objects.protocol:
            without = leave_out.objects.root + "/"
        for name, size, stamp in self.objects.listed():
            path = f"{self.objects.root}/{name}"
            named = matching is None or matching.fullmatch(path)
            if _is_picture(name) and named and not (without and path.startswith(without)):
                yield Found(name, size, stamp)

    def order(self, name: str) -> tuple[str, ...]:
        """Return what the store sorts by."""
        return self.objects.order(name)

    def said(self, name: str) -> str:
        """Return its URL."""
        return f"{self.objects}/{name}"

    def content(self, name: str) -> bytes:
        """Fetch it."""
        try:
            return self.objects.get(name)
        except FileNotFoundError:
            raise PictureError(f"{self.said(name)} does not exist") from None
        except OSError as error:
            raise PictureError(f"{self.said(name)} cannot be read: {error}") from error

    def size(self, name: str) -> int | None:
        """Ask the store."""
        return self.objects.size(name)

    def read(self, name: str) -> bytes:
        """Fetch it."""
        return self.objects.get(name)

    def put(self, name: str, content: bytes) -> None:
        """Put it, which stores do whole."""
        self.objects.put(name, content)

    def names(self, folder: str) -> list[str]:
        """List what is below the prefix."""
        return self.objects.names(folder)

    def remove(self, folder: str) -> None:
        """Remove what is below the prefix."""
        self.objects.remove(folder)

    def holds_anything(self) -> bool:
        """Ask for one object."""
        return any(True for _ in self.objects.listed())


def input_place(text: str) -> Place:
    """Return where a folder, pattern or URL of pictures is. Raises `UserError` where it is not."""
    _refuse_empty(text)
    if split_url(text)[0] is not None:
        plain = _plain_part(text) if glob.has_magic(text) else text
        return Prefix(Objects.at(plain), text if glob.has_magic(text) else None)
    given = Path(text.removeprefix("file://"))
    if given.is_dir():
        return Folder(given.absolute())
    if given.exists():
        return Folder(given.absolute().parent, str(given.absolute()))
    if not glob.has_magic(str(given)):
        raise PictureError(f"{given} does not exist")
    return Folder(Path(_plain_part(str(given.absolute()))), str(given.absolute()))


def output_place(text: str, part: str) -> Place:
    """Return the folder or prefix for the results of a part of an input.

    Raises `UserError` for what cannot be one.
    """
    _refuse_empty(text)
    if split_url(text)[0] is not None:
        return Prefix(Objects.at(text))
    root = Path(text.removeprefix("file://")).absolute()
    if root.exists() and not root.is_dir():
        raise PictureError(f"{root} is a file; name a folder for the results")
    return Folder(root, parts=f"parts/{part}")


def require_apart(source: Place, output: Place) -> None:
    """Raise `PictureError` where results could be written over originals."""
    kept, made = _path(source), _path(output)
    if type(source) is not type(output):
        return
    if kept == made:
        raise PictureError(f"{output} is the input folder itself; choose another output")
    if kept.startswith(made.rstrip("/") + "/"):
        raise PictureError(f"{source} lies in the output {output}; choose another output")


def _path(place: Place) -> str:
    if isinstance(place, Folder):
        return os.path.realpath(place.root)
    assert isinstance(place, Prefix)
    return str(place.objects)


def _refuse_empty(text: str) -> None:
    if not text:
        raise UserError("an input or output has an empty name")


def _plain_part(text: str) -> str:
    """Return the folders of a pattern up to the first that is no plain name."""
    parts = text.split("/")
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:first]) or "/"


def _is_picture(name: str) -> bool:
    hidden = name.startswith(".") or "/." in name
    return not hidden and PurePosixPath(name).suffix.lower() in READABLE_EXTENSIONS


def _matcher(pattern: str) -> re.Pattern[str]:
    utils: Any = import_module("fsspec.utils")  # it says no types
    return re.compile(utils.glob_translate(pattern))
