"""Files, uploads, vector stores and models, through the official client."""

import openai
import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.http import Http


def _file(sdk: OpenAI, name: str = "a.txt", content: bytes = b"hello", **more: str) -> str:
    return sdk.files.create(file=(name, content), purpose=more.get("purpose", "assistants")).id  # type: ignore[arg-type]  # a purpose


@covers("files.create:shape", "files.delete:shape", "files.get:unknown")
def test_a_file_is_there_until_it_is_deleted(sdk: OpenAI, http: Http) -> None:
    file = sdk.files.create(file=("你好.txt", b"hello"), purpose="assistants")
    assert http.get(f"/v1/files/{file.id}").json == {
        "object": "file",
        "id": file.id,
        "purpose": "assistants",
        "filename": "你好.txt",
        "bytes": 5,
        "created_at": 1_761_861_537,
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    gone = {"object": "file", "deleted": True, "id": file.id}
    assert http.delete(f"/v1/files/{file.id}").json == gone
    answer = http.get(f"/v1/files/{file.id}")
    assert (answer.status, answer.error["param"]) == (404, "id")
    assert answer.error["message"] == f"No such File object: {file.id}"


@covers("files.create:purpose")
def test_an_unknown_purpose_is_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        _file(sdk, purpose="world_domination")
    assert refused.value.body == {
        "message": "'world_domination' is not one of ['fine-tune', 'assistants', 'batch',"
        " 'user_data', 'vision', 'evals'] - 'purpose'",
        "type": "invalid_request_error",
        "param": "purpose",
        "code": None,
    }


@covers("files.list:purpose")
def test_files_are_listed_by_purpose(sdk: OpenAI) -> None:
    ids = [_file(sdk, purpose="evals") for _ in range(3)]
    listed = [file.id for file in sdk.files.list(purpose="evals", limit=2)]
    # Other tests share the server, and may have made some before.
    assert listed[:3] == ids[::-1]


@covers("files.content.list:refusal", "files.content.list:bytes")
def test_files_for_assistants_are_not_given_out_and_others_are(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.files.content(_file(sdk))
    assert "Not allowed to download files of purpose: assistants" in str(refused.value)
    assert sdk.files.content(_file(sdk, purpose="vision", name="a.png")).content == b"hello"


@covers("uploads.create:parts", "uploads.complete:size")
def test_parts_become_a_file_in_the_order_in_which_they_are_named(sdk: OpenAI) -> None:
    upload = sdk.uploads.create(bytes=9, filename="a.png", mime_type="image/png", purpose="vision")
    assert (upload.status, upload.expires_at - upload.created_at) == ("pending", 3600)
    parts = {data: sdk.uploads.parts.create(upload.id, data=data).id for data in (b"ccc", b"aaa")}
    with pytest.raises(openai.BadRequestError):
        sdk.uploads.complete(upload.id, part_ids=list(parts.values()))
    parts[b"bbb"] = sdk.uploads.parts.create(upload.id, data=b"bbb").id
    done = sdk.uploads.complete(upload.id, part_ids=[parts[b"aaa"], parts[b"bbb"], parts[b"ccc"]])
    assert done.status == "completed"
    assert done.file is not None
    assert sdk.files.content(done.file.id).content == b"aaabbbccc"


@covers("uploads.cancel:shape", "uploads.parts.create:closed")
def test_a_cancelled_upload_takes_no_part(sdk: OpenAI) -> None:
    upload = sdk.uploads.create(bytes=9, filename="a.png", mime_type="image/png", purpose="vision")
    assert sdk.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        sdk.uploads.parts.create(upload.id, data=b"aaa")


@covers(
    "vector_stores.create:shape",
    "vector_stores.get:same",
    "vector_stores.list:walk",
    "vector_stores.modify:expiry",
    "vector_stores.delete:shape",
)
def test_a_store_from_its_beginning_to_its_end(sdk: OpenAI, http: Http) -> None:
    made = http.post("/v1/vector_stores", {"name": "n"}).json
    assert made == {
        "id": made["id"],
        "object": "vector_store",
        "created_at": 1_761_861_537,
        "name": "n",
        "description": None,
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": 1_761_861_537,
        "metadata": {},
    }
    assert http.get(f"/v1/vector_stores/{made['id']}").json == made
    assert made["id"] in {store.id for store in sdk.vector_stores.list(limit=1)}
    changed = sdk.vector_stores.update(
        made["id"], expires_after={"anchor": "last_active_at", "days": 3}
    )
    assert changed.expires_at == 1_761_861_537 + 3 * 86_400
    gone = sdk.vector_stores.delete(made["id"])
    assert gone.to_dict() == {"id": made["id"], "object": "vector_store.deleted", "deleted": True}


@covers(
    "vector_stores.files.create:shape",
    "vector_stores.files.list:filter",
    "vector_stores.files.get:attributes",
    "vector_stores.files.modify:attributes",
    "vector_stores.files.delete:unknown",
)
def test_a_file_in_a_store(sdk: OpenAI) -> None:
    store_id = sdk.vector_stores.create().id
    file_id = _file(sdk)
    files = sdk.vector_stores.files
    entry = files.create(store_id, file_id=file_id, attributes={"k": "v", "n": 1})
    assert (entry.id, entry.status, entry.usage_bytes) == (file_id, "in_progress", 0)
    assert entry.chunking_strategy is not None
    assert entry.chunking_strategy.to_dict() == {
        "type": "static",
        "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
    }
    assert [file.id for file in files.list(store_id)] == [file_id]
    assert list(files.list(store_id, filter="cancelled")) == []
    assert files.retrieve(file_id, vector_store_id=store_id).attributes == {"k": "v", "n": 1}
    changed = files.update(file_id, vector_store_id=store_id, attributes={"b": True})
    assert changed.attributes == {"b": True}
    with pytest.raises(openai.NotFoundError) as missing:
        files.delete("file-none", vector_store_id=store_id)
    words = f"No file found with id 'file-none' in vector store '{store_id}'."
    assert words in str(missing.value)
    assert files.delete(file_id, vector_store_id=store_id).deleted
    assert sdk.files.retrieve(file_id).id == file_id


@covers("vector_stores.files.content.list:text")
def test_the_text_of_a_file_that_is_not_read_yet(sdk: OpenAI) -> None:
    store_id = sdk.vector_stores.create().id
    file_id = _file(sdk)
    sdk.vector_stores.files.create(store_id, file_id=file_id)
    page = sdk.vector_stores.files.content(file_id, vector_store_id=store_id)
    assert page.object == "vector_store.file_content.page"
    assert page.data == []


@covers("vector_stores.files.create:unsupported")
def test_what_no_text_can_be_read_from_is_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.vector_stores.create(file_ids=[_file(sdk, name="a.exe")])
    assert refused.value.code == "unsupported_file"
    assert "Files with extensions [.exe] are not supported for retrieval." in str(refused.value)


@covers(
    "vector_stores.file_batches.create:counts",
    "vector_stores.file_batches.get:same",
    "vector_stores.file_batches.files.list:all",
    "vector_stores.file_batches.cancel:shape",
)
def test_a_batch_of_files(sdk: OpenAI) -> None:
    store_id = sdk.vector_stores.create().id
    batches = sdk.vector_stores.file_batches
    file_ids = [_file(sdk) for _ in range(5)]
    batch = batches.create(store_id, file_ids=file_ids)
    assert (batch.object, batch.file_counts.total) == ("vector_store.file_batch", 5)
    assert batches.retrieve(batch.id, vector_store_id=store_id).file_counts.total == 5
    listed = batches.list_files(batch.id, vector_store_id=store_id, limit=2)
    assert {file.id for file in listed} == set(file_ids)
    assert batches.cancel(batch.id, vector_store_id=store_id).id == batch.id


@covers("models.list:shape", "models.get:unknown", "models.delete:unknown")
def test_models(sdk: OpenAI, http: Http) -> None:
    assert sorted(http.get("/v1/models").json) == ["data", "object"]
    assert next(model.object for model in sdk.models.list()) == "model"
    for refused in (http.get("/v1/models/fake_id"), http.delete("/v1/models/fake_id")):
        assert refused.status == 404
        assert refused.error == {
            "message": "The model 'fake_id' does not exist",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
