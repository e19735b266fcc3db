"""The route table against the official client: same paths, same parameters, same fields."""

import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pydantic
import pytest
from msgspec import inspect as shapes
from openai import OpenAI
from tests.contract.requirements import REQUIREMENTS, covers

from locum.api.operation import Route
from locum.api.routes import ROUTES
from locum.wire import assistants, files, messages, models, runs, steps, threads, uploads
from locum.wire import vector_stores as stores

_ROOMS = (
    "beta.assistants",
    "beta.threads",
    "beta.threads.messages",
    "beta.threads.runs",
    "beta.threads.runs.steps",
    "files",
    "models",
    "uploads",
    "uploads.parts",
    "vector_stores",
    "vector_stores.files",
    "vector_stores.file_batches",
)
# Helpers that are made of other calls.
_HELPERS = re.compile(
    r"poll|stream|upload|wait_for|with_raw|retrieve_content|^(assistants|threads|messages|runs|"
    r"steps|parts|files|file_batches)$"
)
_OF_EVERY_METHOD = {"extra_headers", "extra_query", "extra_body", "timeout"}
# Read by the handlers of uploads, not by a type.
_FORMS = {"files.create": {"file", "purpose", "expires_after"}, "uploads.parts.create": {"data"}}
_OBJECTS: dict[str, type] = {
    "Assistant": assistants.Assistant,
    "Thread": threads.Thread,
    "Message": messages.Message,
    "Run": runs.Run,
    "RunStep": steps.RunStep,
    "FileObject": files.File,
    "FileDeleted": files.FileDeleted,
    "Model": models.Model,
    "Upload": uploads.Upload,
    "UploadPart": uploads.UploadPart,
    "VectorStore": stores.VectorStore,
    "VectorStoreFile": stores.VectorStoreFile,
    "VectorStoreFileBatch": stores.FileBatch,
    "VectorStoreSearchResponse": stores.SearchResult,
    "FileContentResponse": stores.TextContent,
}


class Call:
    """One method of the client, and the request that it sends."""

    def __init__(self, name: str, method: Any) -> None:
        self.name = name
        self.method = method
        self.parameters = {
            parameter: about
            for parameter, about in inspect.signature(method).parameters.items()
            if parameter not in _OF_EVERY_METHOD
        }

    def request(self, sent: list[httpx2.Request]) -> httpx2.Request:
        arguments: dict[str, Any] = {
            name: b"data" if name in ("file", "data") else f"{name}-of-path"
            for name, about in self.parameters.items()
            if about.default is inspect.Parameter.empty
        }
        arguments |= {name: [] for name in arguments if name in ("tool_outputs", "part_ids")}
        self.method(**arguments)
        return sent[-1]


@pytest.fixture(scope="module")
def sent() -> list[httpx2.Request]:
    return []


@pytest.fixture(scope="module")
def calls(sent: list[httpx2.Request]) -> Iterator[list[Call]]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"data": []})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with OpenAI(api_key="k", base_url="http://test/v1", http_client=http) as client:
        found = []
        for room in _ROOMS:
            resource: Any = client
            for word in room.split("."):
                resource = getattr(resource, word)
            found += [
                Call(f"{room}.{name}", getattr(resource, name))
                for name in dir(resource)
                if not name.startswith("_") and not _HELPERS.search(name)
            ]
        yield found


@covers("sdk:paths", "sdk:parameters")
def test_every_call_of_the_client_is_a_route_that_knows_its_parameters(
    calls: list[Call], sent: list[httpx2.Request]
) -> None:
    unknown = []
    reached = set()
    for call in calls:
        request = call.request(sent)
        found = _route(request.method, request.url.path.removeprefix("/v1"))
        if found is None:
            unknown.append(call.name)
            continue
        route, in_path = found
        reached.add(route.name)
        known = in_path | _FORMS.get(call.name, set()) | _keys(route.body) | _keys(route.query)
        unknown += [f"{call.name}({name})" for name in call.parameters if name not in known]
    assert unknown == [r.resource for r in REQUIREMENTS if r.gap is not None]
    assert len(calls) > 45
    ours_alone = {route.name for route in ROUTES if not route.only_v1} - reached
    assert ours_alone == {"list_threads", "follow_run", "list_project_runs", "find_run"}


@covers("sdk:fields")
def test_every_field_of_the_clients_objects_is_one_of_ours(calls: list[Call]) -> None:
    missing: list[str] = []
    seen = set()
    for call in calls:
        for model in _models(typing.get_type_hints(call.method).get("return")):
            if model.__name__ in _OBJECTS and model not in seen:
                seen.add(model)
                ours = shapes.type_info(_OBJECTS[model.__name__])
                missing += _lacking(model, [ours], model.__name__)
    # In the schema of 2026, and never yet on the wire.
    assert missing == ["Model.shutdown_date"]
    assert {model.__name__ for model in seen} == set(_OBJECTS)


def _route(method: str, path: str) -> tuple[Route, set[str]] | None:
    best = None
    for route in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        match = re.fullmatch(pattern, path)
        if route.method == method and match and not route.only_v1:
            names = {value.removesuffix("-of-path") for value in match.groupdict().values()}
            if best is None or len(names) < len(best[1]):
                best = route, names
    return best


def _keys(kind: Any) -> set[str]:
    if kind is None:
        return set()
    return {field.encode_name.removesuffix("[]") for field in msgspec.structs.fields(kind)}


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    """The models that stand anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
        generic = annotation.__pydantic_generic_metadata__
        annotation = generic["args"]
    for inner in annotation if isinstance(annotation, tuple) else typing.get_args(annotation):
        yield from _models(inner)


def _lacking(model: type[pydantic.BaseModel], kinds: list[shapes.Type], path: str) -> list[str]:
    """Fields of the client's model that no struct of ours has at this place."""
    structs = [s for kind in kinds for s in _structs(kind)]
    lacking = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        ours = [f.type for s in structs for f in s.fields if f.encode_name == key]
        if any(s.tag_field == key for s in structs):
            continue
        if not ours:
            lacking.append(f"{path}.{key}")
            continue
        inner = [s for kind in ours for s in _structs(kind)]
        if inner:
            for part in _models(field.annotation):
                lacking += _lacking(part, _like(part, inner), f"{path}.{key}")
    return lacking


def _like(model: type[pydantic.BaseModel], structs: list[Any]) -> list[shapes.Type]:
    """Of several structs those with the tag of the model, if they have one."""
    tag = model.model_fields.get("type")
    values = typing.get_args(tag.annotation) if tag else ()
    tagged = [s for s in structs if s.tag in values]
    return list(tagged or structs)


def _structs(kind: shapes.Type) -> Iterator[shapes.StructType]:
    match kind:
        case shapes.StructType():
            yield kind
        case shapes.UnionType():
            for inner in kind.types:
                yield from _structs(inner)
        case shapes.VarTupleType() | shapes.ListType():
            yield from _structs(kind.item_type)
        case shapes.DictType():
            yield from _structs(kind.value_type)
