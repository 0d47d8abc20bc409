"""What a client asks for: the options, and the picture as it comes in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

import anyio
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from lightsr.engine.backends.choose import Choice
from lightsr.errors import unknown_name
from lightsr.images.formats import WRITABLE
from lightsr.networks.registry import list_networks, network_spec
from lightsr.server.jobs import Job
from lightsr.server.orders import Order
from lightsr.server.problems import Kind, Problem
from lightsr.server.settings import Settings
from lightsr.weights.catalogue import shipped

BASELINES = tuple(name for name in list_networks() if not network_spec(name).trained)
"""Networks that need no weights."""
MODELS = tuple(sorted({entry.network for entry in shipped()}.union(BASELINES)))
SCALES = tuple(sorted({entry.scale for entry in shipped()}))
_BESIDE = 64 << 10
"""Bytes that a form may have beside its picture."""
_CHUNK = 1 << 20


def _known_model(name: str) -> str:
    if name not in MODELS:
        raise ValueError(str(unknown_name("model on this server", name[:40], MODELS)))
    return name


def _known_format(name: str) -> str:
    if name not in WRITABLE:
        raise ValueError(f"must be one of: {', '.join(WRITABLE)}")
    return name


def _may_be_left_out(schema: dict[str, Any]) -> None:
    """Leave out of a JSON schema what a query or form cannot say: null."""
    schema.pop("default", None)


Scale = Annotated[int, Field(ge=SCALES[0], le=SCALES[-1], examples=[4])]
Length = Annotated[int, Field(ge=1, le=10_000_000, examples=[1920])]
Percent = Annotated[int, Field(ge=1, le=100, examples=[90])]
ModelName = Annotated[
    str, AfterValidator(_known_model), Field(json_schema_extra={"enum": [*MODELS]})
]
FormatName = Annotated[
    str, AfterValidator(_known_format), Field(json_schema_extra={"enum": [*WRITABLE]})
]
Nothing = SkipJsonSchema[None]


def _optional(description: str) -> Any:
    return Field(None, description=description, json_schema_extra=_may_be_left_out)


class Options(BaseModel):
    """What may be asked for, as parameters of the query or fields of the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: Scale = Field(4, description="How many times larger.")
    width: Length | Nothing = _optional("Width to reach in pixels, instead of a scale.")
    height: Length | Nothing = _optional("Height to reach; one of both keeps the proportions.")
    model: ModelName | Nothing = _optional("The network; the best there is if left out.")
    format: FormatName | Nothing = _optional("Format of the result; the picture's own if left out.")
    quality: Percent | Nothing = _optional(
        "Quality of JPEG, WebP and AVIF; 100 makes the last two lossless."
    )
    ensemble: bool = Field(
        False, description="Average eight views: a little better, eight times slower."
    )

    @field_validator("scale", "width", "height", "quality", mode="before")
    @classmethod
    def _digits_alone(cls, value: object) -> object:
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            raise ValueError("must be a whole number")
        return value

    @field_validator("ensemble", mode="before")
    @classmethod
    def _true_or_false(cls, value: object) -> object:
        if isinstance(value, str) and value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value

    def order(self, job: Job, default_model: str | None) -> Order:
        """Return what a worker is told. Raises `Problem` for options that exclude each other."""
        sized = self.width is not None or self.height is not None
        if sized and "scale" in self.model_fields_set:
            raise Problem(
                Kind.UNFIT, "a scale and a width or height exclude each other; give one of them"
            )
        model = self.model or default_model
        scales = Choice(model).shipped_scales()
        if not sized and self.scale not in scales:
            known = ", ".join(map(str, scales))
            raise Problem(
                Kind.UNFIT, f"{model or 'this server'} enlarges {known} times, not {self.scale}"
            )
        return Order(
            job.id,
            str(job.source),
            str(job.result),
            None if sized else self.scale,
            self.width,
            self.height,
            self.model,
            self.format,
            self.quality,
            self.ensemble,
        )


async def receive(request: Request, query: Options, job: Job, settings: Settings) -> Order:
    """Take a request's picture into the job's own file, and return what is to be done with it.

    A form holds it as the field "file"; any other body is the picture itself, whatever it calls
    itself. Nothing is kept of names that the client gives. Raises `Problem` for what is too large,
    too slow or malformed.
    """
    most = settings.upload_bytes
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    allowed = most + _BESIDE if is_form else most
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > allowed:
        raise _too_large(most)
    limited = Request(request.scope, _limited(request.receive, allowed, most))
    try:
        with anyio.fail_after(settings.upload_seconds):
            options = query
            if is_form:
                options = await _receive_form(limited, query, job.source, most)
            else:
                await _receive_raw(limited, job.source)
    except TimeoutError as error:
        raise Problem(
            Kind.SLOW_UPLOAD,
            f"the picture did not arrive within {settings.upload_seconds:g} s",
        ) from error
    return options.order(job, settings.model)


async def _receive_raw(request: Request, target: Path) -> None:
    size = 0
    async with await anyio.open_file(target, "xb") as file:
        waiting = bytearray()
        async for chunk in request.stream():
            size += len(chunk)
            waiting += chunk
            if len(waiting) >= _CHUNK:
                await file.write(waiting)
                waiting = bytearray()
        await file.write(waiting)
    if size == 0:
        raise Problem(
            Kind.UNREADABLE, 'there is no picture: send it as the body, or as the field "file"'
        )


async def _receive_form(request: Request, query: Options, target: Path, most: int) -> Options:
    async with request.form(max_files=1, max_fields=len(Options.model_fields)) as form:
        given: dict[str, str] = {}
        upload: UploadFile | None = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile) and name == "file":
                upload = value
            elif name == "file" or isinstance(value, UploadFile):
                raise Problem(Kind.UNFIT, 'the picture must be a file in the field "file"')
            elif name in given or name in query.model_fields_set:
                raise Problem(Kind.UNFIT, f"{name} is given twice")
            else:
                given[name] = value
        if upload is None:
            raise Problem(Kind.UNREADABLE, 'there is no picture: the field "file" is missing')
        if (upload.size or 0) > most:
            raise _too_large(most)
        options = _merged(query, given)
        await anyio.to_thread.run_sync(_copy, upload.file, target)
        return options


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _merged(query: Options, given: Mapping[str, str]) -> Options:
    try:
        return Options.model_validate({**query.model_dump(exclude_unset=True), **given})
    except ValidationError as error:
        raise unfit(cast("list[dict[str, Any]]", error.errors())) from error


def unfit(errors: list[dict[str, Any]]) -> Problem:
    """Return the problem that the first of pydantic's findings is."""
    first = errors[0]
    # What follows an option's name is pydantic's, of how the value may be understood.
    name = next((str(part) for part in first["loc"] if part not in ("query", "body", "path")), "")
    if first["type"] == "extra_forbidden":
        return Problem(Kind.UNFIT, str(unknown_name("option", name[:40], Options.model_fields)))
    said = str(first["msg"]).removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    return Problem(Kind.UNFIT, f"{name[:40]}: {said}" if name else said)


def _limited(receive: Receive, allowed: int, most: int) -> Receive:
    """Return a way to receive that raises `Problem` beyond a number of bytes."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        part = await receive()
        came += len(part.get("body", b""))
        if came > allowed:
            raise _too_large(most)
        return part

    return counted


def _too_large(most: int) -> Problem:
    size = f"{most / 2**20:.3g} MB" if most >= 2**20 else f"{most:,} bytes"
    return Problem(Kind.TOO_LARGE, f"the upload is larger than the limit of {size}")
