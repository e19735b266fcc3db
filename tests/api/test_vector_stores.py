"""Vector stores over HTTP and through the official client."""

from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI
from tests.kit.http import Http
from tests.kit.server import Server

Make = Callable[..., Server]
_EMPTY = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
_A_DAY = {"anchor": "last_active_at", "days": 1}


@pytest.mark.parametrize("body", [None, {}])
def test_a_store_needs_nothing_to_be_made(http: Http, server: Server, body: Any) -> None:
    answer = http.post("/v1/vector_stores", body)
    assert answer.status == 200
    store = answer.json
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": server.clock.now(),
        "name": None,
        "description": None,
        "usage_bytes": 0,
        "file_counts": _EMPTY,
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": server.clock.now(),
        "metadata": {},
    }
    assert list(store)[:4] == ["id", "object", "created_at", "name"]
    assert http.get(f"/v1/vector_stores/{store['id']}").json == store


def test_a_store_is_made_with_everything(sdk: OpenAI) -> None:
    ids = [sdk.files.create(file=("a.md", b"x"), purpose="assistants").id for _ in range(2)]
    store = sdk.vector_stores.create(
        name="Papers",
        description="All of them",
        file_ids=ids,
        expires_after={"anchor": "last_active_at", "days": 3},
        metadata={"a": "b"},
        chunking_strategy={"type": "auto"},
    )
    assert store.to_dict()["description"] == "All of them"
    assert (store.name, store.metadata) == ("Papers", {"a": "b"})
    assert (store.status, store.file_counts.in_progress) == ("in_progress", 2)
    assert store.expires_at == store.created_at + 3 * 86_400


def test_a_store_with_an_unusable_file_is_not_made(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    image = sdk.files.create(file=("a.PNG", b"x"), purpose="assistants").id
    answer = http.post("/v1/vector_stores", {"file_ids": [image]})
    assert answer.error["code"] == "unsupported_file"
    assert "[.png]" in answer.error["message"]
    assert http.post("/v1/vector_stores", {"file_ids": ["file-nope"]}).status == 404
    assert list(sdk.vector_stores.list()) == []


def test_a_store_is_changed_and_its_expiry_removed(make_server: Make) -> None:
    server = make_server()
    http = server.http()
    store = http.post("/v1/vector_stores", {"name": "a", "metadata": {"k": "v"}}).json
    path = f"/v1/vector_stores/{store['id']}"
    server.clock.advance(10)
    changed = http.post(path, {"name": "b", "expires_after": _A_DAY}).json
    expires_at = store["last_active_at"] + 86_400
    assert changed == store | {
        "name": "b",
        "expires_after": _A_DAY,
        "expires_at": expires_at,
    }
    cleared = http.post(path, {"name": None, "expires_after": None, "metadata": None}).json
    assert cleared == store | {"name": None, "metadata": {}}


def test_an_expired_store_is_listed_as_expired(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    sdk.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
    sdk.vector_stores.create()
    server.clock.advance(86_399)
    assert {store.status for store in sdk.vector_stores.list()} == {"completed"}
    server.clock.advance(1)
    shown = http.get("/v1/vector_stores?order=asc").json["data"]
    assert [store["status"] for store in shown] == ["expired", "completed"]


def test_a_deleted_store_is_gone_with_what_was_in_it(sdk: OpenAI, http: Http) -> None:
    file_id = sdk.files.create(file=("a.md", b"x"), purpose="assistants").id
    store = sdk.vector_stores.create(file_ids=[file_id])
    path = f"/v1/vector_stores/{store.id}"
    assert http.delete(path).json == {
        "id": store.id,
        "object": "vector_store.deleted",
        "deleted": True,
    }
    for answer in (http.get(path), http.delete(path), http.get(f"{path}/files")):
        assert answer.status == 404
        assert answer.error["message"] == f"No vector store found with id '{store.id}'."
    assert sdk.files.retrieve(file_id).id == file_id
    sdk.files.delete(file_id)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"file_ids": ["file-1"] * 501}, "file_ids"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ({"name": "x" * 257}, "name"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"chunking_strategy": {"type": "other"}}, "chunking_strategy.type"),
        ({"foo": 1}, "foo"),
    ],
)
def test_a_store_that_cannot_be_is_refused(http: Http, body: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/vector_stores", body)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_stores_are_paged_in_the_order_they_were_made(make_server: Make) -> None:
    server = make_server()
    sdk = server.sdk()
    ids = [sdk.vector_stores.create(name=str(number)).id for number in range(5)]
    assert [store.id for store in sdk.vector_stores.list(limit=2)] == ids[::-1]
    assert [store.id for store in sdk.vector_stores.list(limit=2, order="asc")] == ids
    before = sdk.vector_stores.list(limit=2, order="asc", before=ids[4])
    assert [store.id for store in before.data] == ids[2:4]
