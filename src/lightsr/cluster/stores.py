"""Object stores, through fsspec: S3, Google Cloud Storage, Azure."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lightsr.errors import BackendError, PictureError, UserError

Listed = tuple[str, int, str]
"""Name below the prefix, bytes, and what changes with the content."""

PAGE = 1000
"""Objects that S3 is asked for at a time, which is as many as it gives."""

_PACKAGES = {
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "az": ("adlfs", "az"),
    "abfs": ("adlfs", "az"),
}
"""By protocol: the package that fsspec needs, and the extra that brings it."""

_STAMPS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "updated")
"""Where stores say what changes with the content, the surest first."""


def split_url(text: str) -> tuple[str | None, str]:
    """Return protocol and path; None where `text` is no URL of an object store.

    Raises `UserError` for a protocol that lightsr does not know.
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", text, re.DOTALL)
    if match is None or match[1].lower() == "file":
        return None, text
    protocol = match[1].lower()
    if protocol not in _PACKAGES:
        raise UserError(
            f"{text}: {protocol}:// is not known; name a folder, or {', '.join(_PACKAGES)}://"
        )
    return protocol, match[2]


@dataclass(frozen=True, slots=True)
class Objects:
    """What lies below a prefix. Workers open it by themselves."""

    protocol: str
    root: str
    """Bucket and prefix, without a slash at the end."""

    @classmethod
    def at(cls, url: str) -> Objects:
        """Return what lies at a URL. Raises `BackendError` where the package for it is missing."""
        protocol, path = split_url(url)
        assert protocol is not None
        package, extra = _PACKAGES[protocol]
        if find_spec("fsspec") is None or find_spec(package) is None:
            raise BackendError(
                f"{protocol}:// needs {package}, which is not installed: pip install"
                f" 'lightsr[cluster,{extra}]'"
            )
        if not path.strip("/"):
            raise UserError(f"{url} names no bucket")
        return cls(protocol, path.strip("/"))

    def __str__(self) -> str:
        return f"{self.protocol}://{self.root}"

    @property
    def _system(self) -> Any:
        fsspec: Any = import_module("fsspec")  # it says no types
        # It keeps one for each protocol and process.
        return fsspec.filesystem(self.protocol, use_listings_cache=False)

    def order(self, name: str) -> tuple[str, ...]:
        """Return what `listed` sorts by: S3 by the whole name, others folder by folder."""
        return (name,) if self.protocol == "s3" else tuple(name.split("/"))

    def listed(self) -> Iterator[Listed]:
        """Yield all objects in `order`: of S3 a thousand at a time are held, of others a folder.

        Raises `UserError` where the store cannot be reached, or has no such bucket.
        """
        with self._told():
            yield from self._pages() if self.protocol == "s3" else self._walk(self.root)

    def _pages(self) -> Iterator[Listed]:
        bucket, _, prefix = self.root.partition("/")
        prefix = f"{prefix}/" if prefix else ""
        system, more = self._system, dict[str, str]()
        while True:
            page = system.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **more
            )
            for entry in page.get("Contents", ()):
                yield entry["Key"][len(prefix) :], int(entry["Size"]), _stamp(entry)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _walk(self, folder: str) -> Iterator[Listed]:
        entries = self._system.ls(folder, detail=True)
        for entry in sorted(entries, key=lambda entry: entry["name"].rstrip("/")):
            path = entry["name"].strip("/")
            if entry["type"] == "directory" and path != folder:
                yield from self._walk(path)
            elif entry["type"] == "file":
                yield path[len(self.root) + 1 :], int(entry["size"]), _stamp(entry)

    def get(self, name: str) -> bytes:
        """Return an object's bytes. Raises `FileNotFoundError` and other kinds of `OSError`."""
        return self._system.cat_file(self._path(name))

    def put(self, name: str, content: bytes) -> None:
        """Put an object, over what there was."""
        self._system.pipe_file(self._path(name), content)

    def size(self, name: str) -> int | None:
        """Return an object's bytes; None where there is none."""
        try:
            return int(self._system.info(self._path(name))["size"])
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies directly in a folder, sorted."""
        try:
            entries = self._system.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in entries)

    def remove(self, folder: str) -> None:
        """Remove all objects in a folder."""
        if self.names(folder):
            self._system.rm(self._path(folder), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    @contextmanager
    def _told(self) -> Generator[None]:
        """Say in one sentence what a store does not do."""
        try:
            yield
        except FileNotFoundError:
            raise PictureError(f"{self} does not exist; is the bucket's name right?") from None
        except PermissionError as error:
            raise PictureError(f"{self} may not be used: {error}") from error
        except Exception as error:
            # Each store has errors of its own for missing credentials and unreachable hosts.
            raise PictureError(f"{self} cannot be used: {error}") from error


def _stamp(entry: dict[str, Any]) -> str:
    return next((str(entry[key]).strip('"') for key in _STAMPS if entry.get(key)), "")
