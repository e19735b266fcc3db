"""Nothing of one project shows to another: it answers as if it had never been, byte for byte.

Every route of the table is asked for another project's objects, and for objects that never
were. The two answers must be the same, but for the id.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.kit import forms
from tests.kit.http import Answer
from tests.kit.inside import Inside, inside
from tests.kit.samples import keys, smallest

from locum.api.operation import Route
from locum.api.routes import ROUTES

Ids = dict[str, str]


def test_another_projects_objects_answer_as_if_they_had_never_been() -> None:
    asyncio.run(_compare_every_route())


def test_another_projects_objects_are_in_no_list() -> None:
    asyncio.run(_compare_lists())


async def _compare_every_route() -> None:
    async with inside() as door:
        theirs, mine = await _settled(door, "theirs"), await _settled(door, "mine")
        compared = 0
        for route in ROUTES:
            for path, foreign in _paths(route, theirs, mine):
                for body in _bodies(route, theirs, mine, foreign=foreign):
                    await _compare(door, route, path, body, theirs=theirs, mine=mine)
                    compared += 1
        assert compared > 100
        assert await _picture(door, theirs) == theirs["picture"]


async def _compare_lists() -> None:
    async with inside() as door:
        theirs = await _settled(door, "theirs")
        key = await door.add_key("proj_empty")
        for route in ROUTES:
            if route.method == "GET" and "{" not in route.path and route.path != "/models":
                answer = await door.json("GET", f"/v1{route.path}", key=key)
                assert answer.json["data"] == [], route.path
                own = await door.json("GET", f"/v1{route.path}", key=theirs["key"])
                assert own.json["data"], route.path


async def _compare(
    door: Inside, route: Route, path: str, body: Any, *, theirs: Ids, mine: Ids
) -> None:
    never = {theirs[name]: _never(theirs[name]) for name in _NAMES}
    foreign = await _ask(door, route, path, body, key=mine["key"])
    absent = await _ask(
        door, route, _replaced(path, never), _replaced(body, never), key=mine["key"]
    )
    assert foreign.status == absent.status, (route.method, path, body, foreign.body)
    assert _replaced(foreign.body.decode(), never) == absent.body.decode(), (route.method, path)
    told = {k: v for k, v in foreign.headers.items() if k not in _OF_THE_MOMENT}
    assert told == {k: v for k, v in absent.headers.items() if k not in _OF_THE_MOMENT}


_OF_THE_MOMENT = ("x-request-id", "openai-processing-ms")
_NAMES = (
    *("assistant_id", "thread_id", "run_id", "step_id", "message_id", "vector_store_id"),
    *("upload_id", "batch_id", "file_id", "part_id", "second_file_id"),
)


def _paths(route: Route, theirs: Ids, mine: Ids) -> Iterator[tuple[str, bool]]:
    """The path with another's objects from one parameter on, and wholly one's own."""
    names = re.findall(r"\{(\w+)\}", route.path)
    if "model" in names:
        return
    for first in range(len(names)):
        ids = {name: (theirs if at >= first else mine)[name] for at, name in enumerate(names)}
        yield f"/v1{route.path.format_map(ids)}", True
    own = f"/v1{route.path.format_map(mine)}"
    if route.method == "GET" and "after" in keys(route.query) and "events" not in route.path:
        cursor = theirs[_CURSORS[route.path.rsplit("/", 1)[1]]]
        yield f"{own}?after={cursor}", False
        yield f"{own}?before={cursor}&order=asc", False
    elif route.method == "POST" and route.handler is None:
        yield own, False


_CURSORS = {
    "assistants": "assistant_id",
    "threads": "thread_id",
    "messages": "message_id",
    "runs": "run_id",
    "steps": "step_id",
    "vector_stores": "vector_store_id",
    "files": "file_id",
}


def _bodies(route: Route, theirs: Ids, mine: Ids, *, foreign: bool) -> Iterator[Any]:
    """What is sent along: a small good body, or one that names another's objects."""
    small = smallest(route.body)
    if foreign or route.method == "GET":
        if isinstance(small, dict) and "assistant_id" in small:
            small["assistant_id"] = mine["assistant_id"]
        yield small
        return
    resources = {
        "code_interpreter": {"file_ids": [theirs["file_id"]]},
        "file_search": {"vector_store_ids": [theirs["vector_store_id"]]},
    }
    attached = {"file_id": theirs["file_id"], "tools": [{"type": "code_interpreter"}]}
    image = [{"type": "image_file", "image_file": {"file_id": theirs["file_id"]}}]
    said = {"role": "user", "content": "x", "attachments": [attached]}
    tried = {
        "assistant_id": theirs["assistant_id"],
        "file_id": theirs["file_id"],
        "file_ids": [theirs["file_id"]],
        "files": [{"file_id": theirs["file_id"]}],
        "part_ids": [theirs["part_id"]],
        "attachments": [attached],
        "content": image,
        "messages": [said],
        "additional_messages": [said],
        "thread": {"messages": [said]},
    }
    own = {"assistant_id": mine["assistant_id"], "file_id": mine["file_id"]}
    base = {k: own.get(k, v) for k, v in (small or {}).items()}
    known = keys(route.body)
    for name, value in tried.items():
        if name in base or (name in known and name in _top(route.body)):
            yield base | {name: value}
    if "tool_resources" in _top(route.body):
        for kind, held in resources.items():
            yield base | {"tool_resources": {kind: held}}


def _top(kind: Any) -> set[str]:
    return set() if kind is None else set(kind.__struct_encode_fields__)


async def _ask(door: Inside, route: Route, path: str, body: Any, *, key: str) -> Answer:
    headers = [(b"authorization", f"Bearer {key}".encode())]
    if route.only_v1:
        headers.append((b"openai-beta", b"assistants=v1"))
    if route.handler is None:
        content = b"" if body is None else _json(body)
    else:
        headers.append((b"content-type", forms.HEADERS["Content-Type"].encode()))
        content = forms.form(forms.file(b"x", name="data"))
    return await door.send(route.method, path.encode(), headers=headers, body=content)


async def _settled(door: Inside, project: str) -> Ids:
    """A project with one of everything, that a picture is taken of."""
    key = await door.add_key(f"proj_{project}")

    async def post(path: str, body: Any) -> Any:
        answer = await door.json("POST", f"/v1{path}", body, key=key)
        assert answer.status == 200, (path, answer.body)
        return answer

    file_ids = [await _file(door, key), await _file(door, key)]
    tools = [{"type": "function", "function": {"name": "f"}}]
    assistant = (await post("/assistants", {"model": "m", "tools": tools})).json["id"]
    said = {"role": "user", "content": "!call f"}
    thread = (await post("/threads", {"messages": [said]})).json["id"]
    await post(f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})

    async def first(path: str) -> str:
        return str((await door.json("GET", f"/v1{path}", key=key)).json["data"][0]["id"])

    run = await first(f"/threads/{thread}/runs")
    store = (await post("/vector_stores", {"file_ids": [file_ids[0]]})).json["id"]
    batch = await post(f"/vector_stores/{store}/file_batches", {"file_ids": [file_ids[1]]})
    new = {"filename": "a.png", "purpose": "vision", "bytes": 1, "mime_type": "image/png"}
    upload = (await post("/uploads", new)).json["id"]
    ids = {
        "key": key,
        "assistant_id": assistant,
        "thread_id": thread,
        "run_id": run,
        "step_id": await first(f"/threads/{thread}/runs/{run}/steps"),
        "message_id": await first(f"/threads/{thread}/messages"),
        "vector_store_id": store,
        "upload_id": upload,
        "batch_id": batch.json["id"],
        "file_id": file_ids[0],
        "second_file_id": file_ids[1],
        "part_id": await _part(door, key, upload),
    }
    return ids | {"picture": await _picture(door, ids)}


async def _picture(door: Inside, ids: Ids) -> str:
    """All that a project holds, as its own key sees it."""
    thread = f"/threads/{ids['thread_id']}"
    run = f"{thread}/runs/{ids['run_id']}"
    store = f"/vector_stores/{ids['vector_store_id']}"
    paths = (
        *("/assistants", "/threads", "/files", "/vector_stores", thread, run, store),
        *(f"{thread}/messages", f"{thread}/runs", f"{run}/steps", f"{store}/files"),
        f"{store}/file_batches/{ids['batch_id']}",
    )
    answers = [await door.json("GET", f"/v1{path}", key=ids["key"]) for path in paths]
    assert {answer.status for answer in answers} == {200}
    return "\n".join(answer.body.decode() for answer in answers)


async def _file(door: Inside, key: str) -> str:
    return await _upload(
        door, key, "/v1/files", forms.form(forms.field("purpose", "assistants"), forms.file(b"x"))
    )


async def _part(door: Inside, key: str, upload_id: str) -> str:
    part = forms.form(forms.file(b"x", name="data"))
    return await _upload(door, key, f"/v1/uploads/{upload_id}/parts", part)


async def _upload(door: Inside, key: str, path: str, form: bytes) -> str:
    headers = [
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", forms.HEADERS["Content-Type"].encode()),
    ]
    answer = await door.send("POST", path.encode(), headers=headers, body=form)
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


def _never(object_id: str) -> str:
    """An id of the same kind and length that nobody ever had."""
    prefix = re.match(r"[a-z]+[_-]", object_id)
    assert prefix is not None
    return prefix[0] + "0" * (len(object_id) - len(prefix[0]))


def _replaced(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in ids.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: _replaced(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, ids) for inner in value]
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
