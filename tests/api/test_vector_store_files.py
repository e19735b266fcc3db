"""The files of vector stores and their batches, over HTTP and through the official client."""

from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI
from tests.kit.http import Http
from tests.kit.server import Server

Make = Callable[..., Server]
_COUNTS = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}


def _counts(**some: int) -> dict[str, int]:
    return _COUNTS | some | {"total": sum(some.values())}


def _file(sdk: OpenAI, name: str = "a.txt") -> str:
    return sdk.files.create(file=(name, b"text"), purpose="assistants").id


def _store(http: Http, **body: Any) -> str:
    store_id: str = http.post("/v1/vector_stores", body).json["id"]
    return store_id


def _shown_counts(http: Http, store_id: str) -> dict[str, int]:
    counts: dict[str, int] = http.get(f"/v1/vector_stores/{store_id}").json["file_counts"]
    return counts


def test_an_attached_file_waits_and_is_polled(sdk: OpenAI, http: Http, server: Server) -> None:
    file_id, store_id = _file(sdk), _store(http)
    answer = http.post(f"/v1/vector_stores/{store_id}/files", {"file_id": file_id})
    assert answer.status == 200
    assert answer.json == {
        "id": file_id,
        "object": "vector_store.file",
        "usage_bytes": 0,
        "created_at": server.clock.now(),
        "vector_store_id": store_id,
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
        },
        "attributes": {},
    }
    assert answer.headers["openai-poll-after-ms"] == "500"
    path = f"/v1/vector_stores/{store_id}/files/{file_id}"
    assert http.get(path).headers["openai-poll-after-ms"] == "500"
    assert http.get(f"{path}/content").json == {
        "object": "vector_store.file_content.page",
        "data": [],
        "has_more": False,
        "next_page": None,
    }
    assert http.get(f"/v1/vector_stores/{store_id}").json["status"] == "in_progress"
    assert _shown_counts(http, store_id) == _counts(in_progress=1)


def test_attaching_twice_answers_the_same_file(sdk: OpenAI, http: Http) -> None:
    file_id, store_id = _file(sdk), _store(http)
    path = f"/v1/vector_stores/{store_id}/files"
    first = http.post(path, {"file_id": file_id, "attributes": {"n": 1, "x": 0.5, "b": True}})
    assert http.post(path, {"file_id": file_id}).json == first.json
    renewed = http.post(path, {"file_id": file_id, "attributes": {"n": 2}}).json
    assert renewed == first.json | {"attributes": {"n": 2}}
    assert first.json["attributes"] == {"n": 1, "x": 0.5, "b": True}
    assert _shown_counts(http, store_id) == _counts(in_progress=1)


def test_chunk_sizes_are_echoed_and_checked(sdk: OpenAI, http: Http) -> None:
    file_id, store_id = _file(sdk), _store(http)
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 101}
    body = {"file_id": file_id, "chunking_strategy": {"type": "static", "static": sizes}}
    path = f"/v1/vector_stores/{store_id}/files"
    answer = http.post(path, body)
    assert answer.status == 400
    assert answer.error["param"] == "chunking_strategy.static.chunk_overlap_tokens"
    sizes["chunk_overlap_tokens"] = 100
    assert http.post(path, body).json["chunking_strategy"] == body["chunking_strategy"]


@pytest.mark.parametrize("batch", [False, True])
def test_what_cannot_be_searched_is_refused(sdk: OpenAI, http: Http, batch: bool) -> None:
    store_id = _store(http)
    path = f"/v1/vector_stores/{store_id}/{'file_batches' if batch else 'files'}"

    def attach(file_id: str) -> Any:
        return http.post(path, {"file_ids": [file_id]} if batch else {"file_id": file_id})

    answer = attach(_file(sdk, "a.h"))
    assert answer.status == 400
    assert answer.error == {
        "message": "Files with extensions [.h] are not supported for retrieval. See"
        " https://platform.openai.com/docs/assistants/tools/file-search/supported-files",
        "type": "invalid_request_error",
        "param": "file_ids",
        "code": "unsupported_file",
    }
    assert "extensions [none] are" in attach(_file(sdk, "README")).error["message"]
    answer = attach("file-nope")
    assert answer.status == 404
    assert answer.error["message"] == "The following files were not found: file-nope"
    assert _shown_counts(http, store_id) == _COUNTS


def test_files_are_listed_by_page_and_status(sdk: OpenAI, http: Http) -> None:
    ids = [_file(sdk) for _ in range(5)]
    store_id = _store(http, file_ids=ids)
    listed = sdk.vector_stores.files.list(store_id, limit=2, order="asc")
    assert [file.id for file in listed] == ids
    path = f"/v1/vector_stores/{store_id}/files"
    assert len(http.get(f"{path}?filter=in_progress").json["data"]) == 5
    assert http.get(f"{path}?filter=completed").json["data"] == []
    assert http.get(f"{path}?filter=lost").error["param"] == "filter"
    answer = http.get(f"{path}?after=file-nope")
    assert answer.status == 404
    assert answer.error["message"] == (
        f"No file found with id 'file-nope' in vector store '{store_id}'."
    )


def test_attributes_are_replaced_and_cleared(sdk: OpenAI, http: Http) -> None:
    file_id = _file(sdk)
    store_id = _store(http, file_ids=[file_id])
    path = f"/v1/vector_stores/{store_id}/files/{file_id}"
    assert http.post(path, {"attributes": {"a": "b"}}).json["attributes"] == {"a": "b"}
    assert http.post(path, {"attributes": {"c": 7}}).json["attributes"] == {"c": 7}
    assert http.get(path).json["attributes"] == {"c": 7}
    assert http.post(path, {"attributes": None}).json["attributes"] == {}
    assert http.post(path, {}).error["message"] == "Missing required parameter: 'attributes'."
    too_many = {str(number): "x" for number in range(17)}
    answer = http.post(path, {"attributes": too_many})
    assert answer.error["code"] == "object_above_max_properties"


def test_a_file_taken_out_of_a_store_is_still_a_file(sdk: OpenAI, http: Http) -> None:
    file_id = _file(sdk)
    store_id = _store(http, file_ids=[file_id])
    path = f"/v1/vector_stores/{store_id}/files/{file_id}"
    assert http.delete(path).json == {
        "id": file_id,
        "object": "vector_store.file.deleted",
        "deleted": True,
    }
    assert _shown_counts(http, store_id) == _COUNTS
    assert sdk.files.retrieve(file_id).id == file_id
    gone = f"No file found with id '{file_id}' in vector store '{store_id}'."
    for answer in (
        http.get(path),
        http.delete(path),
        http.get(f"{path}/content"),
        http.post(path, {"attributes": {}}),
    ):
        assert (answer.status, answer.error["message"]) == (404, gone)


def test_a_deleted_file_leaves_every_place_that_names_it(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    file_id, kept = _file(sdk), _file(sdk, "b.txt")
    stores = [_store(http, file_ids=[file_id, kept]) for _ in range(2)]
    code = {"code_interpreter": {"file_ids": [file_id, kept]}}
    thread = http.post("/v1/threads", {"tool_resources": code}).json["id"]
    assistant = http.post("/v1/assistants", {"model": "m", "tool_resources": code}).json["id"]
    batch = http.post(
        f"/v1/vector_stores/{stores[0]}/file_batches", {"file_ids": [file_id, kept]}
    ).json["id"]
    sdk.files.delete(file_id)
    for store_id in stores:
        assert _shown_counts(http, store_id) == _counts(in_progress=1)
        assert http.get(f"/v1/vector_stores/{store_id}/files/{file_id}").status == 404
    for path in (f"/v1/threads/{thread}", f"/v1/assistants/{assistant}"):
        held = http.get(path).json["tool_resources"]["code_interpreter"]["file_ids"]
        assert held == [kept]
    counted = http.get(f"/v1/vector_stores/{stores[0]}/file_batches/{batch}").json
    assert counted["file_counts"] == _counts(in_progress=1)


def test_a_batch_from_its_beginning_to_its_cancellation(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    ids = [_file(sdk, f"{number}.md") for number in range(3)]
    store_id = _store(http)
    path = f"/v1/vector_stores/{store_id}/file_batches"
    answer = http.post(path, {"file_ids": ids, "attributes": {"a": 1}})
    batch = answer.json
    assert batch == {
        "id": batch["id"],
        "object": "vector_store.file_batch",
        "created_at": server.clock.now(),
        "status": "in_progress",
        "vector_store_id": store_id,
        "file_counts": _counts(in_progress=3),
    }
    assert batch["id"].startswith("vsfb_")
    assert answer.headers["openai-poll-after-ms"] == "500"
    one = f"{path}/{batch['id']}"
    assert http.get(one).json == batch
    listed = http.get(f"{one}/files?order=asc").json["data"]
    assert [file["id"] for file in listed] == ids
    assert {file["attributes"]["a"] for file in listed} == {1}
    answer = http.post(f"{one}/cancel")
    assert answer.json == batch | {"status": "cancelled", "file_counts": _counts(cancelled=3)}
    assert "openai-poll-after-ms" not in answer.headers
    assert http.post(f"{one}/cancel").json == answer.json
    assert http.get(f"/v1/vector_stores/{store_id}").json["status"] == "completed"
    assert _shown_counts(http, store_id) == _counts(cancelled=3)
    assert len(http.get(f"{one}/files?filter=cancelled").json["data"]) == 3
    polled = sdk.vector_stores.file_batches.poll(batch["id"], vector_store_id=store_id)
    assert polled.status == "cancelled"


def test_a_cancelled_file_is_tried_again_when_it_is_attached_again(sdk: OpenAI, http: Http) -> None:
    file_id, store_id = _file(sdk), _store(http)
    path = f"/v1/vector_stores/{store_id}/file_batches"
    first = http.post(path, {"file_ids": [file_id]}).json["id"]
    http.post(f"{path}/{first}/cancel")
    second = http.post(path, {"file_ids": [file_id, file_id]}).json
    assert second["file_counts"] == _counts(in_progress=1)
    assert http.get(f"{path}/{first}").json["status"] == "cancelled"
    assert http.get(f"{path}/{first}").json["file_counts"] == _COUNTS
    assert _shown_counts(http, store_id) == _counts(in_progress=1)


def test_a_batch_of_files_gives_each_its_own_treatment(sdk: OpenAI, http: Http) -> None:
    store_id, ids = _store(http), [_file(sdk), _file(sdk)]
    static = {
        "type": "static",
        "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0},
    }
    files = [
        {"file_id": ids[0], "attributes": {"n": 1}, "chunking_strategy": static},
        {"file_id": ids[1]},
    ]
    path = f"/v1/vector_stores/{store_id}"
    http.post(f"{path}/file_batches", {"files": files, "attributes": {"n": 9}})
    first, second = (http.get(f"{path}/files/{file_id}").json for file_id in ids)
    assert (first["attributes"], first["chunking_strategy"]) == ({"n": 1}, static)
    assert second["attributes"] == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "file_ids"),
        ({"file_ids": []}, "file_ids"),
        ({"files": []}, "files"),
        ({"file_ids": ["file-1"], "files": [{"file_id": "file-1"}]}, "files"),
        ({"file_ids": ["file-1"] * 2001}, "file_ids"),
        (
            {
                "files": [
                    {
                        "file_id": "file-1",
                        "chunking_strategy": {
                            "type": "static",
                            "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
                        },
                    }
                ]
            },
            "files[0].chunking_strategy.static.chunk_overlap_tokens",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(http: Http, body: dict[str, Any], param: str) -> None:
    answer = http.post(f"/v1/vector_stores/{_store(http)}/file_batches", body)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_an_unknown_store_or_batch_is_not_found(http: Http) -> None:
    store_id = _store(http)
    unknown = "/v1/vector_stores/vs_nope"
    for answer in (
        http.post(f"{unknown}/files", {"file_id": "file-1"}),
        http.get(f"{unknown}/files"),
        http.get(f"{unknown}/files/file-1"),
        http.delete(f"{unknown}/files/file-1"),
        http.post(f"{unknown}/file_batches", {"file_ids": ["file-1"]}),
        http.get(f"{unknown}/file_batches/vsfb_nope"),
        http.post(f"{unknown}/file_batches/vsfb_nope/cancel"),
    ):
        assert answer.status == 404
        assert answer.error["message"] == "No vector store found with id 'vs_nope'."
    path = f"/v1/vector_stores/{store_id}/file_batches/vsfb_nope"
    for answer in (http.get(path), http.get(f"{path}/files"), http.post(f"{path}/cancel")):
        assert answer.status == 404
        assert answer.error["message"] == "No vector store file batch found with id 'vsfb_nope'."


def test_an_expired_store_is_shown_so_and_takes_nothing_more(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    file_id, other = _file(sdk), _file(sdk)
    expiry = {"anchor": "last_active_at", "days": 1}
    store_id = _store(http, file_ids=[file_id], expires_after=expiry)
    server.clock.advance(86_400)
    path = f"/v1/vector_stores/{store_id}"
    assert http.get(path).json["status"] == "expired"
    for answer in (
        http.post(f"{path}/files", {"file_id": other}),
        http.post(f"{path}/file_batches", {"file_ids": [other]}),
        http.post(f"{path}/files/{file_id}", {"attributes": {}}),
    ):
        assert answer.status == 400
        assert answer.error["message"] == f"Vector store '{store_id}' has expired."
    assert http.get(f"{path}/files/{file_id}").status == 200
    assert http.delete(f"{path}/files/{file_id}").status == 200
