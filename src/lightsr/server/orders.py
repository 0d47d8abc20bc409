"""What the server and its workers say to each other: one line of JSON a message."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from lightsr.engine.sizes import Size


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is started with."""

    model: str | None
    backend: str
    device: str
    precision: str
    memory: int
    input_pixels: int
    output_pixels: int


@dataclass(frozen=True, slots=True)
class Order:
    """One picture to enlarge. The paths are the server's own; none comes from a client."""

    id: str
    source: str
    result: str
    scale: int | None = None
    width: int | None = None
    height: int | None = None
    model: str | None = None
    format: str | None = None
    quality: int | None = None
    ensemble: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an order comes to, known when its picture has been read."""

    before: Size
    after: Size
    model: str
    scale: int
    """That of the network; a size asked for is reached by bicubic from there."""
    format: str


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an order."""

    bytes: int
    """Of the result."""
    seconds: float
    notices: list[str]
    """What the command line would have said beside: tiles, bicubic beyond the scale."""


def line(**message: Any) -> bytes:
    """Return a message as a line; dataclasses become objects."""
    return json.dumps(message, default=asdict).encode() + b"\n"


def message(text: bytes) -> dict[str, Any]:
    """Return the message in a line."""
    return json.loads(text)
