"""What the OpenAPI document says beyond the routes' own types."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lightsr.server.answers import MEDIA_TYPES
from lightsr.server.intake import Options
from lightsr.server.problems import MEDIA_TYPE, Kind, Problem

ABOUT = """Enlarges pictures with lightweight super-resolution networks.

Send a picture as the body, or as the field `file` of a form, and get it back larger, with its bit
depth, alpha, colour profile and metadata kept. What takes longer than a connection should stay
open goes through jobs. Errors are problem details (RFC 9457), one sentence each.
"""
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}

PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The enlarged picture.",
        "content": {media_type: {"schema": _BINARY} for media_type in MEDIA_TYPES.values()},
        "headers": {
            "Server-Timing": {
                "description": "Milliseconds in the queue and at work.",
                "schema": {"type": "string"},
            },
            "X-Lightsr-Notice": {
                "description": "What is worth knowing about the result, if anything.",
                "schema": {"type": "string"},
            },
        },
    }
}
"""The answer that is a picture."""

TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus's text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An event `job` for every change, with the job as its data; the last is "
        "the one after which nothing changes any more.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the description of answers that are problems."""
    described: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = described.setdefault(
            kind.status, {"description": kind.title, "content": {MEDIA_TYPE: _problem(kind)}}
        )
        if kind.title not in entry["description"]:
            entry["description"] += f"; {kind.title[:1].lower()}{kind.title[1:]}"
            entry["content"][MEDIA_TYPE]["examples"].update(_problem(kind)["examples"])
        if kind is Kind.QUEUE_FULL:
            entry["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return described


def _problem(kind: Kind) -> dict[str, Any]:
    """Return the schema of problems, with one as an example."""
    return {
        "schema": {"$ref": "#/components/schemas/ProblemDocument"},
        "examples": {kind.slug: {"value": Problem(kind, kind.title).document()}},
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application.

    FastAPI would add answers of its own kind to invalid requests; here those are problems too.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        license_info=app.license_info,
        routes=app.routes,
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _form() -> dict[str, Any]:
    properties = Options.model_json_schema()["properties"]
    return {
        "type": "object",
        "required": ["file"],
        "additionalProperties": False,
        "properties": {"file": {**_BINARY, "description": "The picture."}, **properties},
    }


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture: PNG, JPEG, WebP, TIFF, AVIF, BMP or GIF, told by its content.",
        "content": {
            "multipart/form-data": {
                "schema": _form(),
                "encoding": {"file": {"contentType": "image/png, image/jpeg, image/*"}},
            },
            "application/octet-stream": {"schema": _BINARY},
            **{media_type: {"schema": _BINARY} for media_type in ("image/png", "image/jpeg")},
        },
    }
}
"""A request's picture and options."""

ASKED = (
    Kind.BAD_REQUEST,
    Kind.SLOW_UPLOAD,
    Kind.TOO_LARGE,
    Kind.UNREADABLE,
    Kind.UNFIT,
    Kind.QUEUE_FULL,
    Kind.NOT_SERVING,
)
"""What can be wrong with a request that brings a picture."""
WORKED = (
    Kind.CANCELLED,
    Kind.TOO_LARGE,
    Kind.UNREADABLE,
    Kind.UNFIT,
    Kind.WORKER_LOST,
    Kind.NO_MEMORY,
    Kind.TOO_LONG,
)
"""What can go wrong while a worker is at it."""
STRANGER = (Kind.UNAUTHORIZED, Kind.FORBIDDEN)
"""What the guard says."""
