"""`tool_resources`: what is refused of them, and in which order; what attachments make of them."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.kit.forms import HEADERS, field, file, form
from tests.kit.http import Http
from tests.kit.server import Server

Make = Callable[..., Server]
_UNKNOWN = ["file-nope"]


def _chunking(size: int, overlap: int) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def _made_in_passing(**helper: Any) -> dict[str, Any]:
    return {"tool_resources": {"file_search": {"vector_stores": [helper]}}}


_WRONG_HELPER = _made_in_passing(file_ids=_UNKNOWN, chunking_strategy=_chunking(100, 51))
_IN_HELPER = "tool_resources.file_search.vector_stores[0].chunking_strategy"


def _uploaded(http: Http) -> str:
    body = form(field("purpose", "assistants"), file(b"a,b"))
    return str(http.post("/v1/files", body, headers=HEADERS).json["id"])


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


@pytest.mark.parametrize("made", [{"path": "/assistants", "model": "m"}, {"path": "/threads"}])
def test_only_what_is_created_may_have_a_store_made_in_passing(
    http: Http, made: dict[str, str]
) -> None:
    path = f"/v1{made['path']}"
    body = {name: value for name, value in made.items() if name != "path"}
    owner = http.post(path, body | _made_in_passing()).json
    held = owner["tool_resources"]["file_search"]
    assert len(held["vector_store_ids"]) == 1
    answer = http.post(f"{path}/{owner['id']}", _made_in_passing())
    assert answer.status == 400
    assert answer.error == {
        "message": "Unknown parameter: 'tool_resources.file_search.vector_stores'.",
        "type": "invalid_request_error",
        "param": "tool_resources.file_search.vector_stores",
        "code": "unknown_parameter",
    }
    assert http.get(f"{path}/{owner['id']}").json["tool_resources"]["file_search"] == held


@pytest.mark.parametrize("made", [{"path": "/assistants", "model": "m"}, {"path": "/threads"}])
def test_resources_that_name_no_list_keep_theirs_and_an_empty_list_clears(
    http: Http, made: dict[str, str]
) -> None:
    path = f"/v1{made['path']}"
    file_id = _uploaded(http)
    body = {name: value for name, value in made.items() if name != "path"}
    asked = _made_in_passing()["tool_resources"] | {"code_interpreter": {"file_ids": [file_id]}}
    owner = http.post(path, body | {"tool_resources": asked}).json
    bare: dict[str, Any] = {"file_search": {}, "code_interpreter": {}}
    kept = http.post(f"{path}/{owner['id']}", {"tool_resources": bare}).json
    assert kept["tool_resources"] == owner["tool_resources"]
    empty: dict[str, Any] = {
        "file_search": {"vector_store_ids": []},
        "code_interpreter": {"file_ids": []},
    }
    cleared = http.post(f"{path}/{owner['id']}", {"tool_resources": empty}).json
    assert cleared["tool_resources"] == empty
    again = http.post(f"{path}/{owner['id']}", {"tool_resources": bare}).json
    assert again["tool_resources"] == empty


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/threads"])
def test_new_resources_that_name_no_list_have_an_empty_one(http: Http, path: str) -> None:
    body = {"model": "m"} if path.endswith("assistants") else {}
    bare: dict[str, Any] = {"file_search": {}, "code_interpreter": {}}
    owner = http.post(path, body | {"tool_resources": bare}).json
    assert owner["tool_resources"] == {
        "code_interpreter": {"file_ids": []},
        "file_search": {"vector_store_ids": []},
    }


@pytest.mark.parametrize(
    "unknown", [_made_in_passing(), {"tool_resources": {"file_search": {"x": 1}}}]
)
@pytest.mark.parametrize("made", [{"path": "/assistants", "model": "m"}, {"path": "/threads"}])
def test_a_lenient_server_takes_what_it_passes_over_for_absent_not_for_empty(
    make_server: Make, made: dict[str, str], unknown: Any
) -> None:
    http = make_server(lenient=True).http()
    path = f"/v1{made['path']}"
    body = {name: value for name, value in made.items() if name != "path"}
    held = http.post(path, body | _made_in_passing()).json
    assert len(held["tool_resources"]["file_search"]["vector_store_ids"]) == 1
    answer = http.post(f"{path}/{held['id']}", unknown | {"metadata": {"a": "b"}})
    assert answer.json == held | {"metadata": {"a": "b"}}


@pytest.mark.parametrize("later", [False, True])
def test_resources_of_a_tool_we_do_not_know_are_passed_over(http: Http, later: bool) -> None:
    resources = {"browser": {"sites": ["a"]}, "code_interpreter": {"file_ids": []}}
    asked = {"tool_resources": resources}
    assistant = http.post("/v1/assistants", {"model": "m"} | ({} if later else asked))
    if later:
        assistant = http.post(f"/v1/assistants/{assistant.json['id']}", asked)
    assert assistant.status == 200
    assert assistant.json["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    thread = http.post("/v1/threads", {} if later else asked)
    if later:
        thread = http.post(f"/v1/threads/{thread.json['id']}", asked)
    assert thread.json["tool_resources"] == {"code_interpreter": {"file_ids": []}}


def test_a_misspelt_key_within_the_resources_of_a_tool_is_refused(http: Http) -> None:
    asked = {"model": "m", "tool_resources": {"code_interpreter": {"files": []}}}
    answer = http.post("/v1/assistants", asked)
    assert answer.status == 400
    assert answer.error["param"] == "tool_resources.code_interpreter.files"


def test_a_run_that_makes_its_thread_passes_over_unknown_resources_too(http: Http) -> None:
    assistant_id = http.post("/v1/assistants", {"model": "scripted"}).json["id"]
    asked = {
        "assistant_id": assistant_id,
        "thread": {"messages": [{"role": "user", "content": "hello"}]},
        "tool_resources": {"browser": {}},
    }
    answer = http.post("/v1/threads/runs", asked)
    assert (answer.status, answer.json["tool_resources"]) == (200, {})


@pytest.mark.parametrize("path", ["/threads", "/threads/runs"])
def test_tools_whose_resources_are_null_have_none(http: Http, path: str) -> None:
    """Typed clients write null where there is nothing."""
    assistant_id = http.post("/v1/assistants", {"model": "scripted", "instructions": "Go."}).json[
        "id"
    ]
    body: dict[str, Any] = {
        "tool_resources": {"code_interpreter": {"file_ids": []}, "file_search": None}
    }
    if path == "/threads/runs":
        body["assistant_id"] = assistant_id
    made = http.post(f"/v1{path}", body)
    assert made.status == 200
    thread = http.get(f"/v1/threads/{made.json.get('thread_id') or made.json['id']}").json
    assert thread["tool_resources"] == {"code_interpreter": {"file_ids": []}}


_PLAIN = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}


@pytest.mark.parametrize("options", [None, {"max_num_results": None, "ranking_options": None}, {}])
def test_options_of_file_search_that_are_null_are_the_usual_ones(http: Http, options: Any) -> None:
    tools = [{"type": "file_search", "file_search": options}]
    made = http.post("/v1/assistants", {"model": "m", "tools": tools})
    assert made.status == 200
    assert made.json["tools"] == [
        {"type": "file_search", "file_search": {"ranking_options": _PLAIN}}
    ]


def test_the_resources_of_a_thread_stand_where_those_of_its_run_are_null(http: Http) -> None:
    assistant_id = http.post("/v1/assistants", {"model": "m", "instructions": "Go."}).json["id"]
    resources: dict[str, Any] = {"code_interpreter": {"file_ids": []}}
    body = {
        "assistant_id": assistant_id,
        "thread": {"tool_resources": resources},
        "tool_resources": {"code_interpreter": None, "file_search": None},
    }
    run = http.post("/v1/threads/runs", body).json
    thread = http.get(f"/v1/threads/{run['thread_id']}").json
    assert thread["tool_resources"] == resources
