"""Errors: every sentence in the platform's own words, in one envelope."""

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import WAIT_S, Server
from tests.kit.talk import Talk, function

from locum.limits import NESTING

_A = "/v1/assistants"
_LONG = "x" * 257
_BRACKETS = r"\\\"[" * 300


def _message(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def _said(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@covers("errors:envelope")
def test_an_error_has_four_keys_in_their_order(http: Http) -> None:
    body = http.get("/v1/threads/thread_none").body
    assert body == (
        b'{"error":{"message":"No thread found with id \'thread_none\'.",'
        b'"type":"invalid_request_error","param":null,"code":null}}'
    )


@covers("errors:grammar")
@pytest.mark.parametrize(
    ("body", "message", "param", "code"),
    [
        ({}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
        ({"model": "m", "foo": 1}, "Unknown parameter: 'foo'.", "foo", "unknown_parameter"),
        (
            {"model": 7},
            "Invalid type for 'model': expected a string, but got an integer instead.",
            "model",
            "invalid_type",
        ),
        (
            {"model": "m", "metadata": {"modified": True}},
            "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
            "metadata.modified",
            "invalid_type",
        ),
        (
            {"model": "m", "tools": [{"type": "retrieval"}]},
            (
                "Invalid value: 'retrieval'. Supported values are: 'code_interpreter',"
                " 'function', and"
                " 'file_search'."
            ),
            "tools[0].type",
            "invalid_value",
        ),
        (
            {"model": "m", "name": _LONG},
            (
                "Invalid 'name': string too long. Expected a string with maximum length 256,"
                " but got a"
                " string with length 257 instead."
            ),
            "name",
            "string_above_max_length",
        ),
        (
            {"model": "m", "tools": [{"type": "code_interpreter"}] * 132},
            (
                "Invalid 'tools': array too long. Expected an array with maximum length 128,"
                " but got an"
                " array with length 132 instead."
            ),
            "tools",
            "array_above_max_length",
        ),
        (
            {"model": "m", "temperature": 3},
            (
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but"
                " got 3"
                " instead."
            ),
            "temperature",
            "decimal_above_max_value",
        ),
        (
            {"model": "m", "temperature": 10**400},
            (
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but"
                f" got {10**400} instead."
            ),
            "temperature",
            "decimal_above_max_value",
        ),
        (
            {"model": "m", "tools": [function("a b")]},
            (
                "Invalid 'tools[0].function.name': string does not match pattern. Expected a string"
                " that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
            "tools[0].function.name",
            "invalid_value",
        ),
        (
            {"model": "m", "metadata": {str(n): "" for n in range(17)}},
            (
                "Invalid 'metadata': too many properties. Expected an object with at most 16"
                " properties, but got an object with 17 properties instead."
            ),
            "metadata",
            "object_above_max_properties",
        ),
        (
            {
                "model": "m",
                "tool_resources": {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}},
            },
            (
                "Invalid 'tool_resources.file_search.vector_store_ids': array too long. Expected an"
                " array with maximum length 1, but got an array with length 2 instead."
            ),
            "tool_resources.file_search.vector_store_ids",
            "array_above_max_length",
        ),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(
    http: Http, body: Any, message: str, param: str, code: str
) -> None:
    answer = http.post(_A, body)
    assert answer.status == 400
    assert answer.error == _message(message, param, code)


@covers("threads.messages.create:refusals")
@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (
            {"role": "system", "content": "x"},
            "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
            "role",
        ),
        (
            {"role": "user", "content": "x" * 256_001},
            (
                "Invalid 'content': string too long. Expected a string with maximum length"
                " 256000, but"
                " got a string with length 256001 instead."
            ),
            "content",
        ),
        (
            {"role": "user", "content": "x", "metadata": {"k": True}},
            "Invalid type for 'metadata.k': expected a string, but got a boolean instead.",
            "metadata.k",
        ),
        ({"role": "user"}, "Missing required parameter: 'content'.", "content"),
    ],
)
def test_a_wrong_message_is_refused(
    http: Http, talk: Talk, body: Any, message: str, param: str
) -> None:
    answer = http.post(f"/v1/threads/{talk.thread()}/messages", body)
    assert answer.status == 400
    assert (answer.error["message"], answer.error["param"]) == (message, param)


@covers("errors:not_found")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/assistants/asst_x", "No assistant found with id 'asst_x'."),
        ("/threads/thread_x", "No thread found with id 'thread_x'."),
        ("/threads/thread_x/messages", "No thread found with id 'thread_x'."),
        ("/threads/thread_x/runs/run_x/steps", "No thread found with id 'thread_x'."),
        ("/threads/{thread}/messages/msg_x", "No message found with id 'msg_x'."),
        ("/threads/{thread}/runs/run_x", "No run found with id 'run_x'."),
        ("/threads/{thread}/runs/run_x/steps", "No run found with id 'run_x'."),
        ("/threads/{thread}/runs/{run}/steps/step_123", "No run step found with id 'step_123'."),
        ("/vector_stores/vs_x", "No vector store found with id 'vs_x'."),
    ],
)
def test_what_is_not_there_is_named(http: Http, talk: Talk, path: str, message: str) -> None:
    run = talk.run("hello")
    answer = http.get("/v1" + path.format(thread=run["thread_id"], run=run["id"]))
    assert answer.status == 404
    assert answer.error == _message(message, None, None)


@covers("errors:id_prefix")
@pytest.mark.parametrize(
    ("path", "param", "value", "prefix"),
    [
        ("/threads/undefined/messages", "thread_id", "undefined", "thread"),
        ("/assistants/wf_6927", "assistant_id", "wf_6927", "asst"),
        ("/threads/thread_x/messages/x", "message_id", "x", "msg"),
        ("/threads/thread_x/runs/x", "run_id", "x", "run"),
        ("/threads/thread_x/runs/run_x/steps/x", "step_id", "x", "step"),
        # Clients that have not learned the order of the ids in a newer one send these.
        ("/threads/undefined/runs/thread_x", "thread_id", "undefined", "thread"),
        ("/threads/undefined/runs/thread_x/steps/run_x", "thread_id", "undefined", "thread"),
        ("/threads/thread_x/runs/step_x/steps/x", "run_id", "step_x", "run"),
    ],
)
def test_an_id_of_the_wrong_kind_is_told_its_prefix(
    http: Http, path: str, param: str, value: str, prefix: str
) -> None:
    answer = http.get(f"/v1{path}")
    assert answer.status == 400
    words = f"Invalid '{param}': '{value}'. Expected an ID that begins with '{prefix}'."
    assert answer.error == _message(words, param, "invalid_value")


@covers("errors:routing")
def test_paths_and_methods_that_do_not_exist(http: Http) -> None:
    answer = http.post("/v1/foo", {})
    assert answer.status == 404
    assert answer.error == _message("Invalid URL (POST /v1/foo)", None, None)
    answer = http.send("PUT", "/v1/threads", {})
    assert answer.status == 405
    assert answer.error["message"] == (
        "Not allowed to PUT on /v1/threads. (HINT: Perhaps you meant to use a different HTTP"
        " method?)"
    )
    assert answer.error["code"] == "method_not_supported"


@covers("errors:routing")
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/assistants", "GET, POST"),
        ("PATCH", "/openai/assistants/asst_x?api-version=1", "DELETE, GET, POST"),
        ("OPTIONS", "/v1/threads/thread_x/runs/run_x/steps", "GET"),
        ("HEAD", "/v1/threads/thread_x/runs/run_x/cancel", "POST"),
        ("PUT", "/v1/threads/runs", "POST"),
    ],
)
def test_who_may_not_do_this_is_told_what_may_be_done(
    http: Http, method: str, path: str, allowed: str
) -> None:
    answer = http.send(method, path)
    assert (answer.status, answer.headers.get("allow")) == (405, allowed)


@covers("errors:routing")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/threads//runs"),
        ("GET", "/v1/threads//messages"),
        ("GET", "/v1//threads//runs//steps"),
        ("POST", "/v1/threads/runs//"),
    ],
)
def test_a_path_that_lacks_an_id_does_not_exist(
    http: Http, talk: Talk, method: str, path: str
) -> None:
    body = {"assistant_id": talk.assistant(instructions="Answer.")} if method == "POST" else None
    answer = http.send(method, path, body)
    assert answer.status == 404
    assert answer.error == _message(f"Invalid URL ({method} {path})", None, None)


@covers("errors:json", "errors:content_type")
def test_bodies_that_are_not_json(http: Http) -> None:
    answer = http.post(_A, b"{not json")
    assert answer.status == 400
    assert answer.error["message"].startswith("We could not parse the JSON body of your request.")
    answer = http.post(_A, b"model=m", headers={"Content-Type": "text/plain"})
    assert answer.status == 400
    assert answer.error["code"] == "unsupported_content_type"
    assert answer.error["message"].startswith("Unsupported content type: 'text/plain'.")


@covers("errors:json")
def test_a_body_that_nests_too_deep_is_not_read(http: Http) -> None:
    def nested(depth: int) -> bytes:
        """An assistant whose function nests so deep; brackets in a string count nothing."""
        inner = depth - 5
        parameters = '{"a":' * inner + f'"{_BRACKETS}"' + "}" * inner
        named = '"type":"function","function":{"name":"f","parameters":{"p":'
        return f'{{"model":"m","tools":[{{{named}{parameters}}}}}}}]}}'.encode()

    assert http.post(_A, nested(NESTING)).status == 200
    for depth in (NESTING + 1, *range(900, 1_000)):
        answer = http.post(_A, nested(depth))
        assert (answer.status, answer.error["param"]) == (400, None), depth
        assert answer.error["message"].startswith("We could not parse the JSON body"), depth
    assert http.post(_A, nested(NESTING + 1).replace(b'"m"', b"7")).error["param"] is None


@covers("errors:json")
def test_of_two_keys_that_are_called_alike_the_last_one_counts(http: Http) -> None:
    answer = http.post(_A, b'{"model":7,"model":"m","metadata":{"k":true,"k":"v"}}')
    assert (answer.status, answer.json["model"], answer.json["metadata"]) == (200, "m", {"k": "v"})
    answer = http.post(_A, b'{"model":"m","model":7}')
    assert (answer.status, answer.error["param"]) == (400, "model")


@covers("errors:beta")
def test_only_known_versions_of_the_api_are_spoken(http: Http) -> None:
    words = (
        "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again"
        " by setting the header 'OpenAI-Beta: assistants=v2'."
    )
    answer = http.get(_A, headers={"OpenAI-Beta": "assistants=v9"})
    assert answer.status == 400
    assert answer.error == _message(words, None, "invalid_beta")
    assert http.get(_A, headers={"OpenAI-Beta": None}).status == 200
    assert http.get(_A, headers={"OpenAI-Beta": "realtime=v1, assistants=v2"}).status == 200


@covers("errors:order")
def test_a_wrong_body_is_told_before_a_wrong_state(http: Http, talk: Talk) -> None:
    run = talk.begin("!think 60")
    path = f"/v1/threads/{run['thread_id']}/runs/{run['id']}"
    assert http.post(path, {"metadata": {"k": True}}).error["code"] == "invalid_type"
    assert http.post("/v1/threads/thread_none/runs", {}).error["param"] == "assistant_id"
    talk.cancel(run)


@covers("errors:beta")
@pytest.mark.parametrize(
    "lines",
    [["assistants=v2", "realtime=v1"], ["realtime=v1", "assistants=v2"], ["assistants=v2", ""]],
)
def test_the_version_may_stand_in_any_line_of_its_header(server: Server, lines: list[str]) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)) as connection:
        connection.putrequest("GET", _A)
        connection.putheader("Authorization", "Bearer sk-any")
        for line in lines:
            connection.putheader("OpenAI-Beta", line)
        connection.endheaders()
        assert connection.getresponse().status == 200


_NOWHERE = {"code_interpreter": {"file_ids": ["file-none"]}}
_NOBODY = {"assistant_id": "asst_none"}
_FTP = {"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}


@covers("errors:order")
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/threads/thread_none/messages", _said(""), "content"),
        ("/threads/thread_none/messages", _said([]), "content"),
        (
            "/threads/thread_none/messages",
            _said([{"type": "text", "text": ""}]),
            "content[0].text",
        ),
        ("/threads/thread_none/messages", _said([_FTP]), "content[0].image_url.url"),
        ("/threads/thread_none/runs", {"assistant_id": "x"}, "assistant_id"),
        (
            "/threads/thread_none/runs",
            _NOBODY | {"additional_messages": [_said("hello"), _said("")]},
            "additional_messages[1].content",
        ),
        (
            "/threads/thread_none/runs",
            _NOBODY | {"truncation_strategy": {"type": "last_messages"}},
            "truncation_strategy.last_messages",
        ),
        (
            "/threads/thread_none/runs",
            _NOBODY | {"tool_choice": {"type": "function"}},
            "tool_choice.function",
        ),
        (
            "/threads/thread_none/runs",
            _NOBODY | {"tool_choice": {"type": "function", "function": {}}},
            "tool_choice.function.name",
        ),
        (
            "/threads/runs",
            _NOBODY | {"tool_resources": _NOWHERE, "thread": {"messages": [_said([_FTP])]}},
            "thread.messages[0].content[0].image_url.url",
        ),
        (
            "/threads/runs",
            _NOBODY | {"truncation_strategy": {"type": "last_messages"}},
            "truncation_strategy.last_messages",
        ),
        (
            "/threads/runs",
            _NOBODY | {"tool_choice": {"type": "function"}},
            "tool_choice.function",
        ),
        (
            "/threads",
            {"tool_resources": _NOWHERE, "messages": [_said("")]},
            "messages[0].content",
        ),
    ],
)
def test_a_wrong_body_is_told_before_what_is_not_there(
    http: Http, path: str, body: Any, param: str
) -> None:
    answer = http.post(f"/v1{path}", body)
    assert answer.status == 400
    assert answer.error["param"] == param


@covers("errors:order")
def test_a_file_that_is_not_there_is_told_before_the_lock_of_the_thread(
    http: Http, talk: Talk
) -> None:
    run = talk.begin("!think 60")
    thread = f"/v1/threads/{run['thread_id']}"
    attached = _said("x") | {"attachments": [{"file_id": "file-none", "tools": []}]}
    shown = _said([{"type": "image_file", "image_file": {"file_id": "file-none"}}])
    for message in (attached, shown):
        asked = {"assistant_id": run["assistant_id"], "additional_messages": [_said("x"), message]}
        for answer in (
            http.post(f"{thread}/messages", message),
            http.post(f"{thread}/runs", asked),
        ):
            assert answer.status == 404
            assert answer.error["message"] == "The following files were not found: file-none"
    talk.cancel(run)


@covers("lists:bounds")
@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        (
            "limit=0",
            (
                "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0"
                " instead."
            ),
            "integer_below_min_value",
        ),
        (
            "limit=101",
            (
                "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101"
                " instead."
            ),
            "integer_above_max_value",
        ),
        (
            "limit=" + "9" * 30,
            (
                "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got"
                f" {'9' * 30} instead."
            ),
            "integer_above_max_value",
        ),
        (
            "limit=-" + "9" * 30,
            (
                "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got"
                f" -{'9' * 30} instead."
            ),
            "integer_below_min_value",
        ),
        (
            "limit=%D9%A5",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "invalid_type",
        ),
        (
            "limit=abc",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "invalid_type",
        ),
        (
            "order=foo",
            "Invalid value: 'foo'. Supported values are: 'asc' and 'desc'.",
            "invalid_value",
        ),
    ],
)
def test_the_bounds_of_a_list_query(http: Http, query: str, message: str, code: str) -> None:
    answer = http.get(f"{_A}?{query}")
    assert answer.status == 400
    assert answer.error == _message(message, query.split("=", maxsplit=1)[0], code)
