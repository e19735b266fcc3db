"""`tool_resources`: what is refused of them, and in which order; what attachments make of them."""

from typing import Any

import pytest
from tests.kit.http import Http

_UNKNOWN = ["file-nope"]


def _chunking(size: int, overlap: int) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def _made_in_passing(**helper: Any) -> dict[str, Any]:
    return {"tool_resources": {"file_search": {"vector_stores": [helper]}}}


_WRONG_HELPER = _made_in_passing(file_ids=_UNKNOWN, chunking_strategy=_chunking(100, 51))
_IN_HELPER = "tool_resources.file_search.vector_stores[0].chunking_strategy"


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        (
            "/vector_stores",
            {"file_ids": _UNKNOWN, "chunking_strategy": _chunking(100, 51)},
            "chunking_strategy",
        ),
        ("/assistants", {"model": "m", **_WRONG_HELPER}, _IN_HELPER),
        ("/threads", _WRONG_HELPER, _IN_HELPER),
        (
            "/threads/runs",
            {"assistant_id": "asst_nope", "thread": _WRONG_HELPER},
            f"thread.{_IN_HELPER}",
        ),
        (
            "/vector_stores/vs_nope/file_batches",
            {"files": [{"file_id": "file-nope", "chunking_strategy": _chunking(100, 51)}]},
            "files[0].chunking_strategy",
        ),
    ],
)
def test_chunks_that_overlap_too_much_are_told_before_what_is_missing(
    http: Http, path: str, body: Any, where: str
) -> None:
    answer = http.post(f"/v1{path}", body)
    assert answer.status == 400
    assert answer.error == {
        "message": f"Invalid '{where}.static.chunk_overlap_tokens': must not exceed half of"
        " 'max_chunk_size_tokens' (100), but got 51.",
        "type": "invalid_request_error",
        "param": f"{where}.static.chunk_overlap_tokens",
        "code": "invalid_value",
    }


def test_a_store_that_exists_and_one_to_be_made_are_not_taken_together(http: Http) -> None:
    both = {"vector_store_ids": ["vs_nope"], "vector_stores": [{}]}
    thread = {"tool_resources": {"file_search": both}}
    answer = http.post("/v1/threads/runs", {"assistant_id": "asst_nope", "thread": thread})
    assert answer.status == 400
    assert answer.error["param"] == "thread.tool_resources.file_search"
    assert "'vector_store_ids' and 'vector_stores'" in answer.error["message"]
