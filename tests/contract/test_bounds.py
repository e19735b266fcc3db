"""How much one body may hold: long lists, texts and addresses, and how their refusal is told."""

from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.talk import Talk

_HELLO = {"role": "user", "content": "hello"}
_MANY = [_HELLO] * 10_001
_NOBODY = {"assistant_id": "asst_none"}
_MESSAGES = "/threads/thread_none/messages"
_FILE = {"file_id": "file-none", "tools": [{"type": "file_search"}]}


def _said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(address: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


@covers("errors:bounds")
@pytest.mark.parametrize(
    ("path", "body", "param", "most"),
    [
        ("/threads", {"messages": _MANY}, "messages", 10_000),
        (
            "/threads/thread_none/runs",
            _NOBODY | {"additional_messages": _MANY},
            "additional_messages",
            10_000,
        ),
        (
            "/threads/runs",
            _NOBODY | {"thread": {"messages": _MANY}},
            "thread.messages",
            10_000,
        ),
        (_MESSAGES, _said([_text("a")] * 1_001), "content", 1_000),
        (_MESSAGES, _said("a", attachments=[_FILE] * 2_001), "attachments", 2_000),
        (
            "/threads/thread_none/runs/run_none/submit_tool_outputs",
            {"tool_outputs": [{"tool_call_id": "x", "output": "y"}] * 1_001},
            "tool_outputs",
            1_000,
        ),
        ("/uploads/upload_none/complete", {"part_ids": ["x"] * 10_001}, "part_ids", 10_000),
    ],
)
def test_a_list_that_is_too_long_is_told_before_what_is_not_there(
    http: Http, path: str, body: Any, param: str, most: int
) -> None:
    answer = http.post(f"/v1{path}", body)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (param, "array_above_max_length")
    assert (
        f"maximum length {most}, but got an array with length {most + 1} "
        in (answer.error["message"])
    )


@covers("errors:bounds")
def test_the_first_version_bounds_messages_alike(http: Http) -> None:
    headers = {"OpenAI-Beta": "assistants=v1"}
    answer = http.post("/v1/threads", {"messages": _MANY}, headers=headers)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == ("messages", "array_above_max_length")


@covers("errors:bounds")
def test_the_address_of_a_picture_has_a_bound_and_one_that_holds_its_picture_has_none(
    http: Http, talk: Talk
) -> None:
    longest = "https://h/" + "a" * (8_192 - len("https://h/"))
    answer = http.post(f"/v1{_MESSAGES}", _said([_text("a"), _picture(longest + "a")]))
    assert answer.status == 400
    assert answer.error == {
        "message": (
            "Invalid 'content[1].image_url.url': string too long. Expected a string with maximum"
            " length 8192, but got a string with length 8193 instead."
        ),
        "type": "invalid_request_error",
        "param": "content[1].image_url.url",
        "code": "string_above_max_length",
    }
    held = "data:image/png;base64," + "A" * 1_000_000
    path = f"/v1/threads/{talk.thread()}/messages"
    assert http.post(path, _said([_picture(longest), _picture(held)])).status == 200


@covers("errors:bounds")
def test_the_texts_of_a_message_have_a_bound_together(http: Http, talk: Talk) -> None:
    path = f"/v1/threads/{talk.thread()}/messages"
    full = [_text("x" * 250_000)] * 4
    assert http.post(path, _said(full)).status == 200
    answer = http.post("/v1/threads", {"messages": [_HELLO, _said([*full, _text("y")])]})
    assert answer.status == 400
    assert answer.error["message"] == (
        "Invalid 'messages[1].content': string too long. Expected a string with maximum length"
        " 1000000, but got a string with length 1000001 instead."
    )


@covers("errors:bounds")
@pytest.mark.parametrize("headers", [{}, {"OpenAI-Beta": "assistants=v1"}])
def test_a_body_holds_so_many_values_and_no_more(http: Http, headers: dict[str, str]) -> None:
    def assistant(values: str) -> bytes:
        function = f'{{"name":"f","parameters":{{"p":[{values}]}}}}'
        return f'{{"model":"m","tools":[{{"type":"function","function":{function}}}]}}'.encode()

    most = assistant("1" + ",1" * 499_000)
    assert http.post("/v1/assistants", most, headers=headers).status == 200
    for more in ("[]" + ",[]" * 250_000, '{"a":1}' + ',{"a":1}' * 250_000, "1" + ",1" * 500_000):
        for body in (assistant(more), assistant(more)[:-1]):
            answer = http.post("/v1/assistants", body, headers=headers)
            assert (answer.status, answer.error["param"]) == (400, None)
            assert answer.error["message"] == (
                "Invalid body: too many values. Expected JSON with at most 500000 values, but got"
                " more."
            )


@covers("errors:bounds")
def test_commas_and_brackets_in_texts_are_no_values(http: Http, talk: Talk) -> None:
    path = f"/v1/threads/{talk.thread()}/messages"
    texts = [piece * 62_500 for piece in (',[{"', "\\,[{", ",[{\\", '"\\"\\')]
    assert http.post(path, _said([_text(text) for text in texts])).status == 200
