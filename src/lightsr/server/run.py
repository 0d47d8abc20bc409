"""Running a server: its address, its private folder, its signals."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import uvicorn

from lightsr.errors import UserError
from lightsr.server.app import create_app
from lightsr.server.folder import private_folder
from lightsr.server.service import Service
from lightsr.server.settings import Settings

Announce = Callable[[str], None]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 512
_MOST_CONNECTIONS = 2000
"""Beyond them clients get a plain 503, so that open files do not run out."""


def serve(settings: Settings, announce: Announce) -> None:
    """Serve until a signal ends it: SIGINT and SIGTERM gracefully, a second SIGINT at once.

    `announce` is called with the address as soon as it answers. Raises `UserError` for an address
    that cannot be taken and `LightsrError` where workers cannot run.
    """
    listening = _listen(settings.host, settings.port)
    with listening, private_folder(settings.folder) as folder:
        anyio.run(_serve, settings, folder, listening, announce)


async def _serve(
    settings: Settings, folder: Path, listening: socket.socket, announce: Announce
) -> None:
    service = Service(settings, folder)
    config = uvicorn.Config(
        create_app(service),
        lifespan="off",
        log_level="info" if settings.access_log else "warning",
        access_log=settings.access_log,
        server_header=False,
        backlog=_BACKLOG,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.grace_seconds) + 5,
    )
    async with service.at_work():
        await _Server(config, service, lambda: announce(_address(listening))).serve([listening])


class _Server(uvicorn.Server):
    """A server that tells when it answers, and has the service come to an end with it."""

    def __init__(self, config: uvicorn.Config, service: Service, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._begun()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests and finish those that are here."""
        self._service.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Let signals end the server, and nothing beyond it."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UserError(
            f"{host} port {port} cannot be listened on ({error.strerror}); give another --host or "
            f"--port"
        ) from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
