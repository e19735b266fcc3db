"""The OpenAPI document says what the server does, and all of it."""

import json
import re
from typing import Any

import pytest
from tests.kit.server import Server

from locum.api import openapi
from locum.api.routes import ROUTES


@pytest.fixture(scope="module")
def told(server: Server) -> Any:
    return server.http(None).get("/openapi.json").json


def test_every_route_of_the_table_is_in_the_document_and_no_other(told: Any) -> None:
    documented = {
        (method.upper(), path) for path, methods in told["paths"].items() for method in methods
    }
    assert documented == {(route.method, route.path) for route in ROUTES}


def test_every_operation_has_a_name_of_its_own(told: Any) -> None:
    names = [each["operationId"] for methods in told["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_every_reference_leads_somewhere(told: Any) -> None:
    named = set(re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', _text(told)))
    assert named <= set(told["components"]["schemas"])


def test_path_parameters_are_those_of_the_path(told: Any) -> None:
    for path, methods in told["paths"].items():
        for each in methods.values():
            named = {p["name"] for p in each["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_what_the_document_forbids_the_server_refuses(server: Server, told: Any) -> None:
    """Required fields, by the document, asked of the server."""
    http = server.http()
    for path, methods in told["paths"].items():
        body = methods.get("post", {}).get("requestBody", {})
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        if schema is None or "{" in path:
            continue
        required = told["components"]["schemas"][schema["$ref"].split("/")[-1]].get("required", [])
        answer = http.post(f"/v1{path}", {})
        if required:
            assert answer.status == 400, path
            assert answer.error["code"] == "missing_required_parameter"
            assert answer.error["param"] in required
        else:
            assert answer.status == 200, path


def test_the_steps_of_a_run_are_described_with_include(told: Any) -> None:
    listed = told["paths"]["/threads/{thread_id}/runs/{run_id}/steps"]["get"]
    assert {p["name"] for p in listed["parameters"]} == {
        *("thread_id", "run_id", "limit", "order", "after", "before", "include[]")
    }


def _text(told: Any) -> str:
    return json.dumps(told)


def test_the_document_is_made_once_however_often_it_is_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    """To make it takes a good part of a tenth of a second, and nobody needs a key to ask for it."""
    monkeypatch.setattr(openapi, "document", None)
    assert server.http(None).get("/openapi.json").json == told
