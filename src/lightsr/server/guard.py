"""What stands before the API: who may speak to it, and what every answer carries."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lightsr.server.metrics import Metrics
from lightsr.server.problems import MEDIA_TYPE, Kind, Problem
from lightsr.server.settings import Settings

_SAFE = ("GET", "HEAD", "OPTIONS")
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; worker-src 'self' blob:; manifest-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of the page: its own files alone, no inline script or style."""
_API = "default-src 'none'; frame-ancestors 'none'; sandbox"
_LINGER = 2.0
"""Seconds to go on reading a request whose answer is known before all of it has come."""


class Guard:
    """Refuses strangers, and adds security headers to every answer.

    - A `Host` that is not ours: somebody else's name was made to point to this server.
    - A request that a browser sends on behalf of another site's page, unless that origin is
      allowed; cross-origin rules keep such a page from reading answers, not from asking.
    - Requests to the API and the metrics without the token, where there is one.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._hosts = {host.lower() for host in settings.allowed_hosts}
        self._origins = settings.origins
        self._token = settings.token.encode() if settings.token is not None else None
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_api = path.startswith("/v1/") or path in ("/metrics", "/healthz", "/readyz")
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                _secure(sent, _API if is_api else _PAGE)
                if not is_api:  # Files of different versions of the page must not meet.
                    sent.setdefault("Cache-Control", "no-cache")
            await send(message)

        headers = Headers(scope=scope)
        try:
            refusal = self._refusal(scope["method"], path, headers)
            if refusal is not None:
                await answer(refusal)(scope, receive, sending)
            else:
                await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.request(route, method, status)

    def _refusal(self, method: str, path: str, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return Problem(Kind.FORBIDDEN, "this server is not addressed by that name")
        if method not in _SAFE and self._is_foreign(host, headers):
            return Problem(Kind.FORBIDDEN, "pages of other sites may not use this server")
        needs_token = path.startswith("/v1/") or path == "/metrics"
        if self._token is not None and needs_token and not self._knows_token(headers):
            return Problem(Kind.UNAUTHORIZED, "send the token: Authorization: Bearer TOKEN")
        return None

    def _is_foreign(self, host: str, headers: Headers) -> bool:
        """Whether a browser says that another site's page is behind a request."""
        origin = headers.get("origin")
        if origin is not None and (origin in self._origins or "*" in self._origins):
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and urlsplit(origin).netloc.lower() != host.lower()

    def _knows_token(self, headers: Headers) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = secrets.compare_digest(given.strip().encode(), self._token)
        return scheme.lower() == "bearer" and same


_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")


class Linger:
    """Lets a client finish sending when it is answered early.

    A connection that is closed on somebody who still sends is reset, and the answer lost with it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        arrived = False

        async def receiving() -> Message:
            nonlocal arrived
            message = await receive()
            arrived = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if not is_last or arrived or scope["method"] in _SAFE:
                await send(message)
                return
            await send({**message, "more_body": True})
            with anyio.move_on_after(_LINGER):
                while not arrived:
                    await receiving()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, receiving, sending if scope["type"] == "http" else send)


def answer(problem: Problem) -> Response:
    """Return the answer that a problem makes."""
    return JSONResponse(
        problem.document(), problem.kind.status, problem.headers(), media_type=MEDIA_TYPE
    )


def _secure(headers: MutableHeaders, policy: str) -> None:
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")


def _name(host: str) -> str:
    """Return the name in a `Host` header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
