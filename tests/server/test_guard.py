"""Who may speak to the server, and what every answer carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from server.serving import problem

from lightsr.server.app import create_app
from lightsr.server.service import Service
from lightsr.server.settings import Settings

TOKEN = "a-token-that-is-long"


def _ask(
    settings: Settings, method: str, path: str, folder: Path, **options: Any
) -> httpx.Response:
    """Ask an application whose workers are not at work."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(Service(settings, folder)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)

    return anyio.run(ask)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/jobs/x", "/metrics"])
def test_the_token_is_needed_where_there_is_one(path: str, tmp_path: Path) -> None:
    settings = Settings(token=TOKEN)
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = _ask(settings, "GET", path, tmp_path, headers=wrong)
        assert TOKEN not in problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    right = {"Authorization": f"bearer {TOKEN}"}
    assert _ask(settings, "GET", path, tmp_path, headers=right).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/healthz", "/", "/openapi.json"])
def test_health_page_and_description_are_open(path: str, tmp_path: Path) -> None:
    assert _ask(Settings(token=TOKEN), "GET", path, tmp_path).status_code == 200


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    assert TOKEN not in repr(Settings(token=TOKEN))


def test_readiness_and_stopping(tmp_path: Path) -> None:
    answer = _ask(Settings(), "GET", "/readyz", tmp_path)
    assert problem(answer, 503, "not-serving") == "no worker is ready"
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("host", "settings", "status"),
    [
        ("127.0.0.1:8000", Settings(), 200),
        ("localhost", Settings(), 200),
        ("[::1]:8000", Settings(), 200),
        ("evil.example", Settings(), 403),
        ("127.0.0.1.evil.example", Settings(), 403),
        ("[", Settings(), 403),
        ("anything.example", Settings(host="0.0.0.0"), 200),
        ("sr.example", Settings(host="0.0.0.0", hosts=("sr.example",)), 200),
        ("other.example", Settings(host="0.0.0.0", hosts=("sr.example",)), 403),
    ],
)
def test_names_that_were_made_to_point_here(
    host: str, settings: Settings, status: int, tmp_path: Path
) -> None:
    answer = _ask(settings, "GET", "/v1/models", tmp_path, headers={"Host": host})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1"}, True),
        ({"Origin": "https://sr.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"}, False),
    ],
)
def test_pages_of_other_sites_may_not_ask(
    headers: dict[str, str], allowed: bool, tmp_path: Path
) -> None:
    settings = Settings(origins=("https://friend.example",))
    answer = _ask(settings, "DELETE", "/v1/jobs/x", tmp_path, headers=headers)
    assert answer.status_code == (404 if allowed else 403)


def test_cross_origin_answers_are_closed_unless_opened(tmp_path: Path) -> None:
    asked = {
        "Origin": "https://friend.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    closed = _ask(Settings(), "OPTIONS", "/v1/upscale", tmp_path, headers=asked)
    assert not [name for name in closed.headers if name.startswith("access-control")]
    friendly = Settings(origins=("https://friend.example",), token=TOKEN)
    opened = _ask(friendly, "OPTIONS", "/v1/upscale", tmp_path, headers=asked)
    assert opened.headers["access-control-allow-origin"] == "https://friend.example"
    refused = _ask(
        friendly, "OPTIONS", "/v1/upscale", tmp_path, headers={**asked, "Origin": "https://x.org"}
    )
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", ["/", "/page.css", "/v1/models", "/nothing", "/openapi.json"])
def test_every_answer_carries_security_headers(path: str, tmp_path: Path) -> None:
    headers = _ask(Settings(), "GET", path, tmp_path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/main.js", "/page.css"])
def test_the_page_is_looked_for_anew_and_made_of_files_alone(path: str, tmp_path: Path) -> None:
    answer = _ask(Settings(), "GET", path, tmp_path)
    assert answer.headers["cache-control"] == "no-cache"
    for inline in ("<style", "style=", "onclick=", "http://", "https://", "innerHTML"):
        assert inline not in answer.text
    unchanged = {"If-None-Match": answer.headers["etag"]}
    assert _ask(Settings(), "GET", path, tmp_path, headers=unchanged).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/app.py",
        "/..%2fapp.py",
        "//etc/passwd",
        "/v1/jobs/..%2f",
    ],
)
def test_no_file_outside_the_page_is_served(path: str, tmp_path: Path) -> None:
    problem(_ask(Settings(), "GET", path, tmp_path), 404, "not-found")


def test_other_methods_and_places(tmp_path: Path) -> None:
    answer = _ask(Settings(), "PATCH", "/v1/jobs/x", tmp_path)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "DELETE"}
    problem(_ask(Settings(), "GET", "/nothing", tmp_path), 404, "not-found")
