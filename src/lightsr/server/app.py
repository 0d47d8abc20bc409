"""The API: its routes, and how they are described."""

from __future__ import annotations

import functools
import mimetypes
from collections.abc import AsyncIterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from lightsr._version import __version__
from lightsr.images.formats import WRITABLE
from lightsr.networks.registry import network_spec
from lightsr.server import metrics
from lightsr.server.answers import PictureAnswer
from lightsr.server.description import (
    ABOUT,
    ASKED,
    BODY,
    EVENTS,
    PICTURE,
    STRANGER,
    TEXT,
    WORKED,
    describe,
    problems,
)
from lightsr.server.documents import Health, JobDocument, Limits, Model, Offer, Weights
from lightsr.server.guard import Guard, Linger, answer
from lightsr.server.intake import BASELINES, MODELS, SCALES, Options, receive, unfit
from lightsr.server.jobs import Job, State
from lightsr.server.problems import Kind, Problem, kind_for
from lightsr.server.service import Service, cancelled
from lightsr.weights.catalogue import best, shipped

PAGE = Path(__file__).with_name("page")
# Browsers run scripts of no other type, and some systems' tables say another.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/svg+xml", ".svg")
_TICK = 1.0
"""Seconds between events while nothing but the time goes on."""


def create_app(service: Service) -> ASGIApp:
    """Return the application that offers a service, which must be at work, over HTTP."""
    settings = service.settings
    app = FastAPI(
        title="lightsr",
        version=__version__,
        description=ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # Its page would load scripts from another host.
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    lock = [Security(HTTPBearer(auto_error=False))] if settings.token is not None else []
    app.include_router(api, dependencies=lock, responses=problems(*STRANGER))
    app.include_router(watching)
    app.get(
        "/metrics",
        tags=["watching"],
        response_class=Response,
        responses={**TEXT, **problems(*STRANGER)},
        dependencies=lock,
    )(show_metrics)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    app.openapi = functools.cache(functools.partial(describe, app))
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_error)
    guarded: ASGIApp = Guard(app, settings, service.metrics)
    if settings.origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("Location", "Retry-After", "Server-Timing", "X-Lightsr-Notice"),
        )
    return Linger(guarded)


def _service(request: Request) -> Service:
    return request.app.state.service


def _job(request: Request, id: str) -> Job:
    return _service(request).find(id)


Offered = Annotated[Service, Depends(_service)]
Found = Annotated[Job, Depends(_job)]
Asked = Annotated[Options, Query()]

api = APIRouter(tags=["enlarging"])
watching = APIRouter(tags=["watching"])


@api.post(
    "/v1/upscale",
    response_class=Response,
    responses={**PICTURE, **problems(*ASKED, *WORKED)},
    openapi_extra=BODY,
)
async def upscale(request: Request, service: Offered, query: Asked) -> Response:
    """Enlarge a picture and answer with it.

    A client that goes away gives up its place.
    """
    job = await _admitted(request, service, query)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_give_up_with_client, request, service, job)
            await job.until_over()
            group.cancel_scope.cancel()
    finally:
        service.pool.stop(job, cancelled())
    if job.problem is not None:
        return answer(job.problem)
    return PictureAnswer(job, afterwards=job.remove)


@api.post(
    "/v1/jobs",
    status_code=202,
    responses=problems(*ASKED),
    openapi_extra=BODY,
)
async def create_job(
    request: Request, response: Response, service: Offered, query: Asked
) -> JobDocument:
    """Take a picture in, and answer at once with the job of enlarging it."""
    job = await _admitted(request, service, query)
    service.keep(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return _document(service, job)


@api.get("/v1/jobs/{id}", responses=problems(Kind.NOT_FOUND))
async def read_job(service: Offered, job: Found) -> JobDocument:
    """Say how far along a job is."""
    return _document(service, job)


@api.get(
    "/v1/jobs/{id}/events",
    response_class=EventSourceResponse,
    responses={**EVENTS, **problems(Kind.NOT_FOUND)},
)
async def job_events(service: Offered, job: Found) -> AsyncIterable[ServerSentEvent]:
    """Tell of a job as it goes on, by server-sent events."""
    while True:
        over = job.is_over
        yield ServerSentEvent(event="job", data=_document(service, job))
        if over:
            return
        with anyio.move_on_after(_TICK):
            await job.news()


@api.get(
    "/v1/jobs/{id}/result",
    response_class=Response,
    responses={**PICTURE, **problems(Kind.NOT_FOUND, Kind.NOT_READY, Kind.NOT_SERVING, *WORKED)},
)
async def job_result(job: Found) -> Response:
    """Answer with the enlarged picture, or with what went wrong."""
    if job.problem is not None:
        return answer(job.problem)
    if job.state is not State.DONE:
        raise Problem(Kind.NOT_READY, f"the job is {job.state.value}; ask again when it is done", 1)
    return PictureAnswer(job)


@api.delete("/v1/jobs/{id}", status_code=204, responses=problems(Kind.NOT_FOUND))
async def delete_job(service: Offered, job: Found) -> None:
    """Cancel a job that is not over, and remove it with its result."""
    service.forget(job)


@api.get("/v1/models", responses={})
async def read_models(service: Offered) -> Offer:
    """List what a request may name, and what this server takes at most."""
    settings = service.settings
    return Offer(
        version=__version__,
        models=[_model(name, settings.model) for name in MODELS],
        formats=list(WRITABLE),
        limits=Limits(
            upload_bytes=settings.upload_bytes,
            input_pixels=settings.input_pixels,
            output_pixels=settings.output_pixels,
            job_seconds=settings.job_seconds,
            keep_seconds=settings.keep_seconds,
        ),
    )


@watching.get("/healthz")
async def is_alive() -> Health:
    """Say that the server answers."""
    return Health(status="ok")


@watching.get("/readyz", responses=problems(Kind.NOT_SERVING))
async def is_ready(service: Offered) -> Health:
    """Say whether a picture that came now would be enlarged."""
    if not service.is_ready:
        raise Problem(Kind.NOT_SERVING, "no worker is ready", 1)
    return Health(status="ok")


async def show_metrics(service: Offered) -> Response:
    """Show counts for Prometheus."""
    return Response(service.metrics.text(), headers={"Content-Type": metrics.MEDIA_TYPE})


async def _admitted(request: Request, service: Service, query: Options) -> Job:
    """Take a request's picture in, and put it in the queue."""
    job = service.admit()
    try:
        service.line_up(job, await receive(request, query, job, service.settings))
    except Problem as problem:
        job.finish(problem)
        raise
    except BaseException:
        job.finish(cancelled())
        raise
    return job


async def _give_up_with_client(request: Request, service: Service, job: Job) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    service.pool.stop(job, cancelled())


def _document(service: Service, job: Job) -> JobDocument:
    facts = job.facts()
    ahead = service.pool.ahead(job)
    if ahead is not None:
        facts["seconds_left"] = round(service.pool.wait_of(job) or 0.0, 1)
    created = datetime.fromtimestamp(job.created, timezone.utc)
    return JobDocument.model_validate({**facts, "ahead": ahead, "created": created})


def _model(name: str, default: str | None) -> Model:
    spec = network_spec(name)
    if name in BASELINES:
        scales = [
            Weights(scale=scale, psnr={}, licence=None, default=name == default)
            for scale in SCALES
            if scale in spec.scales
        ]
    else:
        scales = [
            Weights(
                scale=entry.scale,
                psnr={data: psnr for data, (psnr, _) in entry.psnr.items()},
                licence=entry.licence,
                default=name == (default or best(entry.scale).network),
            )
            for entry in shipped()
            if (entry.network, entry.tag) == (name, "default")
        ]
    return Model(name=name, title=spec.title, paper=spec.paper, trained=spec.trained, scales=scales)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: list[dict[str, Any]] = list(error.errors())
    return answer(unfit(found))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = kind_for(error.status_code)
    said = {
        Kind.NOT_FOUND: f"there is nothing at {request.url.path[:200]}",
        Kind.METHOD: f"{request.method} does not exist at {request.url.path[:200]}",
    }
    response = answer(Problem(kind, said.get(kind, str(error.detail))))
    response.headers.update(error.headers or {})
    if kind is Kind.METHOD:
        # What raised this knows one route, and a path may have several.
        response.headers["Allow"] = ", ".join(_methods(request.url.path)) or "GET, HEAD"
    return response


def _methods(path: str) -> list[str]:
    """Return the methods that exist at a path of the API."""
    routes = [route for route in (*api.routes, *watching.routes) if isinstance(route, APIRoute)]
    there = [route.methods or set() for route in routes if route.path_regex.match(path)]
    return sorted(set[str]().union(*there))


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Return what nobody will get."""
    return Response(status_code=400)


async def _on_error(_request: Request, _error: Exception) -> Response:
    """Return what a mistake of ours looks like; the server's log says more."""
    return answer(Problem(Kind.INTERNAL, "the server made a mistake; its log says more"))
