"""The OpenAPI document, made from the table of routes and the types behind it.

It says what this server does, in our words; nothing in it is written twice.
"""

import inspect
import re
import typing
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from locum.api.operation import Route
from locum.ids import PREFIXES
from locum.service.files import Download
from locum.service.runs import RunStream
from locum.store.documents import Document, Page
from locum.wire.files import PURPOSES

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_TITLES: Final = {
    "assistants": "Assistants",
    "threads": "Threads",
    "messages": "Messages",
    "runs": "Runs",
    "steps": "Run steps",
    "files": "Files",
    "uploads": "Uploads",
    "vector_stores": "Vector stores",
    "models": "Models",
}
_BINARY: Final = {"type": "string", "format": "binary"}
# What the two uploads take: they read their own bodies, piece by piece.
_FORMS: Final[dict[str, Json]] = {
    "create_file": {
        "type": "object",
        "required": ["file", "purpose"],
        "properties": {
            "file": _BINARY,
            "purpose": {"type": "string", "enum": list(PURPOSES)},
            "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
            "expires_after[seconds]": {"type": "integer"},
        },
    },
    "create_part": {
        "type": "object",
        "required": ["data"],
        "properties": {"data": _BINARY},
    },
}


def document(routes: Sequence[Route], *, version: str) -> Json:
    """The document of these routes."""
    types = _types(routes)
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Locum",
            "version": version,
            "description": "A self-hosted server that stands in for the Assistants API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}],
        "security": [{"key": []}],
        "tags": [{"name": title} for title in _TITLES.values()],
        "paths": paths,
        "components": {
            "schemas": schemas | {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(routes: Sequence[Route]) -> list[Any]:
    """Every type that crosses the wire: bodies, answers, and the pages of lists."""
    types: dict[Any, None] = {}
    for route in routes:
        if route.body is not None:
            types[route.body] = None
        for answer in _answers(route):
            inner = typing.get_args(answer)[0] if typing.get_origin(answer) else answer
            if inspect.isclass(inner) and issubclass(inner, Struct):
                types[inner] = None
    return [kind for kind in types if kind not in {RunStream, Download}]


def _operation(route: Route) -> Json:
    text = inspect.getdoc(route.run) or ""
    told: Json = {
        "operationId": route.name,
        "summary": route.name.replace("_", " ").capitalize(),
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {"200": _success(route), "default": _FAILURE},
    }
    if text:
        told["description"] = text
    if route.name in _FORMS:
        form = {"multipart/form-data": {"schema": _FORMS[route.name]}}
        told["requestBody"] = {"required": True, "content": form}
    elif route.body is not None:
        told["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(route.body)),
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    if route.only_v1:
        told["x-locum-only-v1"] = True
    return told


def _tag(path: str) -> str:
    """The resource an operation belongs to: the last one that its path names."""
    named = [part for part in path.split("/") if part in _TITLES]
    return _TITLES[named[0] if named[0] == "vector_stores" else named[-1]]


def _path_parameters(route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"}
            | ({"pattern": f"^{PREFIXES[name]}"} if name in PREFIXES else {}),
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[Json]:
    if route.query is None:
        return []
    schema, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    del schema
    properties = components[route.query.__name__]["properties"]
    parameters = []
    for name, kind in properties.items():
        parameter: Json = {"name": name, "in": "query", "required": False, "schema": kind}
        if kind.get("type") == "object":
            parameter |= {"style": "deepObject", "explode": True}
        parameters.append(parameter)
    return parameters


def _success(route: Route) -> Json:
    content: Json = {}
    for answer in _answers(route):
        if answer is RunStream:
            content["text/event-stream"] = {"schema": {"type": "string"}}
        elif answer is Download:
            content["application/octet-stream"] = {"schema": _BINARY}
        elif typing.get_origin(answer) is Page:
            schema = _page(typing.get_args(answer)[0])
            content["application/json"] = {"schema": schema}
        else:
            inner = typing.get_args(answer)[0] if typing.get_origin(answer) is Document else answer
            known = inspect.isclass(inner) and issubclass(inner, Struct)
            content["application/json"] = {"schema": _ref(inner) if known else {"type": "object"}}
    return {"description": "Done.", "content": content}


def _page(kind: type) -> Json:
    identity = {"type": ["string", "null"]}
    return {
        "type": "object",
        "required": ["object", "data", "first_id", "last_id", "has_more"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": _ref(kind)},
            "first_id": identity,
            "last_id": identity,
            "has_more": {"type": "boolean"},
        },
    }


def _answers(route: Route) -> tuple[Any, ...]:
    """What an operation can return: one type, or one of several."""
    told = typing.get_type_hints(route.run)["return"]
    is_union = typing.get_origin(told) in {typing.Union, type(int | str)}
    return typing.get_args(told) if is_union else (told,)


def _ref(kind: type) -> Json:
    return {"$ref": _REF.format(name=kind.__name__)}


_ERROR: Final[Json] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_FAILURE: Final[Json] = {
    "description": "The request was refused, or something broke.",
    "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
}
