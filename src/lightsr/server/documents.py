"""The JSON objects that the API answers with, as its OpenAPI document describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProblemDocument(_Document):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:lightsr:problem:queue-full"])
    """Tells programs one kind of problem from another."""
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    """One sentence for people."""


class Area(_Document):
    """The size of a picture in pixels."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)


_JOB: dict[str, Any] = {
    "id": "ByY3nzgR56gkD-ZdU4Wyvw",
    "state": "running",
    "progress": 0.35,
    "seconds_left": 1.1,
    "ahead": None,
    "seconds": 0.6,
    "created": "2026-01-31T12:00:00Z",
    "input": {"width": 320, "height": 180},
    "output": {"width": 1280, "height": 720},
    "model": "fdiwn",
    "scale": 4,
    "format": "png",
    "bytes": None,
    "notices": [],
    "problem": None,
}


class JobDocument(_Document):
    """A job and how far along it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _JOB})

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    seconds_left: float | None = Field(description="About; null where that cannot be told.")
    ahead: int | None = Field(description="Jobs that will be taken first, while it waits.")
    seconds: float = Field(ge=0, description="Spent on it so far.")
    created: datetime
    input: Area | None
    output: Area | None
    model: str | None
    scale: int | None = Field(
        description="The network's; a size that was asked for is reached by bicubic from there."
    )
    format: str | None
    bytes: int | None = Field(description="Size of the result.")
    notices: list[str] = Field(description="What is worth knowing about the result.")
    problem: ProblemDocument | None = Field(description="Why it failed or was cancelled.")


class Weights(_Document):
    """What there is of a network at one scale."""

    scale: int
    psnr: dict[str, float] = Field(description="Measured PSNR in dB, by test set.")
    licence: str | None = Field(description="Of the weights; null where there are none.")
    default: bool = Field(description="Whether they are taken where no model is named.")


class Model(_Document):
    """A network that may be asked for."""

    name: str
    title: str
    paper: str
    trained: bool = Field(description="False for a baseline, which has nothing to learn.")
    scales: list[Weights]


class Limits(_Document):
    """What this server takes at most."""

    upload_bytes: int
    input_pixels: int
    output_pixels: int
    job_seconds: float
    keep_seconds: float = Field(description="Results of jobs are kept for so long.")


class Offer(_Document):
    """Everything that a request may name."""

    version: str
    models: list[Model]
    formats: list[str]
    limits: Limits


class Health(_Document):
    """A sign of life."""

    status: Literal["ok"]
