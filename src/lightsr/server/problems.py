"""What can go wrong, as clients hear of it: RFC 9457's problem details, a sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

MEDIA_TYPE = "application/problem+json"


class Kind(Enum):
    """The kinds of problem: the name that programs tell them apart by, the status, the title."""

    BAD_REQUEST = ("bad-request", 400, "The request is malformed")
    UNAUTHORIZED = ("unauthorized", 401, "The token is missing or wrong")
    FORBIDDEN = ("forbidden", 403, "The request comes from somewhere else")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    METHOD = ("method-not-allowed", 405, "The method does not exist here")
    SLOW_UPLOAD = ("slow-upload", 408, "The request took too long to arrive")
    NOT_READY = ("not-ready", 409, "The result is not there yet")
    CANCELLED = ("cancelled", 410, "The job was cancelled")
    TOO_LARGE = ("too-large", 413, "The picture is too large")
    UNREADABLE = ("unreadable-picture", 422, "The picture cannot be read")
    UNFIT = ("unfit-options", 422, "The options do not fit")
    QUEUE_FULL = ("queue-full", 429, "Too many pictures are waiting")
    INTERNAL = ("internal-error", 500, "Something is wrong with the server")
    WORKER_LOST = ("worker-lost", 500, "The process that worked on the picture ended")
    NO_MEMORY = ("out-of-memory", 503, "Memory does not suffice")
    NOT_SERVING = ("not-serving", 503, "The server is starting or stopping")
    TOO_LONG = ("took-too-long", 504, "The picture took too long")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """A problem, raised where it is found and sent as the answer."""

    kind: Kind
    detail: str
    """One sentence: what was wrong with what, and what to do."""
    retry_after: int | None = None
    """Seconds after which it may be worth to try again."""

    def __str__(self) -> str:
        return self.detail

    def document(self) -> dict[str, Any]:
        """Return the object that clients get."""
        return {
            "type": f"urn:lightsr:problem:{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.kind is Kind.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def kind_for(status: int) -> Kind:
    """Return the kind of problem that best says what an HTTP status does."""
    known = {400: Kind.BAD_REQUEST, 404: Kind.NOT_FOUND, 405: Kind.METHOD, 413: Kind.TOO_LARGE}
    return known.get(status, Kind.BAD_REQUEST if status < 500 else Kind.INTERNAL)
