"""The OpenAPI document is true: schemathesis asks whatever it allows, and much that it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from server.serving import Server

Case = Any
_ALLOWED = ["2xx", "404", "409", "413", "422"]
"""Of requests that fit the schema: a job need not exist, and the size of a result and whether a
picture is one are beyond a schema."""


def _ask_everything(server: Server, examples: int) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    schema.config.checks.positive_data_acceptance.expected_statuses = _ALLOWED
    asked = 0
    made: set[str] = set()

    def check(case: Case) -> None:
        nonlocal asked
        asked += 1
        response = case.call_and_validate(timeout=60)
        made.update(response.headers.get("location", []))
        assert response.status_code < 500
        if case.meta.generation.mode.is_positive and response.status_code == 422:
            problem = response.json()
            # What a schema of single options cannot say: which of them go together.
            together = ("given twice", "exclude", "times, not")
            unfit = any(words in problem["detail"] for words in together)
            assert unfit or problem["type"] == "urn:lightsr:problem:unreadable-picture"

    for found in schema.get_all_operations():
        operation = found.ok()
        run: Callable[[], None] = settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            phases=[Phase.explicit, Phase.generate],
            database=None,
            derandomize=True,
        )(_test_of(operation, check))
        run()
    assert asked > examples
    with server.client() as client:
        for place in made:
            client.delete(place)
    assert server.files() == []


def _test_of(operation: Any, check: Callable[[Case], None]) -> Callable[[], None]:
    @given(case=operation.as_strategy())
    def test(case: Case) -> None:
        check(case)

    return test


def test_the_document_is_true(server: Server) -> None:
    _ask_everything(server, 20)


@pytest.mark.slow
def test_the_document_is_true_in_depth(server: Server) -> None:
    _ask_everything(server, 300)


def test_the_document_has_what_people_need(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    asking = document["paths"]["/v1/upscale"]["post"]
    assert set(asking["requestBody"]["content"]) >= {"multipart/form-data", "image/png"}
    assert {one["name"] for one in asking["parameters"]} == {
        *("scale", "width", "height", "model", "format", "quality", "ensemble"),
    }
    assert set(asking["responses"]) >= {"200", "400", "413", "422", "429", "500", "503", "504"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    (content,) = response["content"].items()
                    assert content[0] == "application/problem+json"
                    assert content[1]["examples"]
