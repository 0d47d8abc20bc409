"""One server for all tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from server.serving import Server, serving


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("serve"), "--output-pixels", 4_000_000) as running:
        yield running


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """Give the shared server; what a test leaves behind there is no other's concern."""
    shared_server.forget()
    yield shared_server
    shared_server.clean()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
