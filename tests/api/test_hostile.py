"""Thousands of requests that nobody means well: never a 5xx, never an error out of its envelope.

They are made from the route table and its types, by a seeded generator, and go to the door
without a socket. What fails names its number: the same number makes the same request again.
"""

import asyncio
import json
import random
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from tests.kit import forms
from tests.kit.inside import Headers, Inside, inside
from tests.kit.samples import keys, smallest

from locum.api import http
from locum.api.operation import Route
from locum.api.routes import ROUTES

T = TypeVar("T")
_FEW, _MANY = 2_000, 25_000
_STATUSES = {200, 400, 401, 403, 404, 405, 409, 413}
_DEEP = "[" * 3_000 + "]" * 3_000
# As they stand in JSON, so that what no encoder would write can be sent, too.
_FRAGMENTS = (
    *("null", "true", "false", "0", "-1", "1.5", "1e400", "-0.0", "NaN", "Infinity", '""'),
    *("18446744073709551616", "-9223372036854775809", "1" * 400, "[]", "{}", "[null]", "[[]]"),
    *('"\\ud800"', '"\\u0000"', '"\\udc00\\ud800"', '"auto"', '"none"', '"required"', '"x"'),
    *('{"type":"function"}', '{"type":null}', '{"type":"text","text":{}}', '[{"type":[]}]'),
    *('{"__proto__":{}}', '{"":""}', '"../../etc/passwd"', '"%00"', '"🙂"', '"1"', '["x","x"]'),
    *('{"a":' * 500 + "1" + "}" * 500, _DEEP, json.dumps("x" * 3_000), '"asst_x"', '"file-x"'),
    *('"last_messages"', '{"type":"file_search","file_search":null}', '"<script>"', '"\\\\"'),
    *('[{"role":"user","content":"!then"}]', '{"code_interpreter":{"file_ids":["x"]}}', "256"),
)
_BODIES = (
    *(b"", b"null", b"[]", b'"x"', b"1", b"{", b"}", b"{}{}", b"\xff\xfe{", b"\xef\xbb\xbf{}"),
    *(b'{"a":1,"a":2}', b"{'a':1}", b'{"model":"\xff"}', b'{"\xc3\x28":1}', b"\x00", b'{"a":,}'),
    *(_DEEP.encode(), b'{"x":' * 5_000, b"--x\r\n", forms.form(), b"x" * 70_000),
    forms.form(forms.field("purpose", "assistants"), forms.file(b"x")),
    forms.form(forms.file(b"x" * 9_000), forms.field("purpose", "\x00")),
)
_IDS = (
    *(b"", b".", b"..", b"%2e%2e", b"%00", b"%", b"%zz", b"%ff", b"\xff", b"undefined", b"null"),
    *(
        b"thread_%2F..",
        b"thread_%00",
        b"run_%F0%9F",
        b"asst_'%20OR%201=1--",
        b"step_" + b"x" * 9_000,
    ),
    *(b"msg_%E2%80%AE", b"file-..%2F..%2Fetc%2Fpasswd", b"vs_*", b"vsfb_%5B%5D", b"upload_{}"),
)
_QUERY_VALUES = (
    *("", "0", "-1", "1e3", "9" * 30, "abc", "%00", "%ff", "%", "x" * 2_000, "null", "true", "1.0"),
    *("asc", "DESC", "asst_x", "%F0%9F%99%82", "1%00", "%2B1", "0x10", "１", "asc,desc", "1_000"),
)
_QUERY_NAMES = ("limit", "order", "after", "before", "include[]", "include", "run_id", "filter")
_HEADERS: tuple[Headers, ...] = (
    [(b"content-type", b"text/plain")],
    [(b"content-type", b"\xff\xfe")],
    [(b"content-type", b"application/json; charset=utf-16")],
    [(b"content-type", b"multipart/form-data")],
    [(b"content-type", b"multipart/form-data; boundary=")],
    [(b"content-type", forms.HEADERS["Content-Type"].encode())],
    [(b"content-length", b"-1")],
    [(b"content-length", b"9" * 30)],
    [(b"content-length", "²".encode())],
    [(b"openai-beta", b"assistants=v1")],
    [(b"openai-beta", b",,=;\xff")],
    [(b"openai-project", b"\xff")],
    [(b"authorization", b"Basic !!!")],
    [(b"authorization", b"Basic /////w==")],
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"\xff")],
    [(b"api-key", b"x" * 60_000)],
    [(b"last-event-id", b"1.x")],
    [(b"last-event-id", b"9" * 40)],
    [(b"x-" + b"y" * 30_000, b"z")],
    [(b"accept", b"\x00")],
)
_METHODS = ("PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "", "PO ST", "\u00e9")


class Generator:
    """Request number `n`, always the same one."""

    def __init__(self, number: int, known: dict[str, list[str]]) -> None:
        self._random = random.Random(number)
        self._known = known
        self.route = self._random.choice(ROUTES)

    def method(self) -> str:
        return self._pick(_METHODS) if self._rarely() else self.route.method

    def target(self) -> bytes:
        path = b"/v1"
        for part in self.route.path.split("/")[1:]:
            path += b"/" + (self._id(part[1:-1]) if part.startswith("{") else part.encode())
        if self._rarely():
            path = self._pick((b"/openai", b"//", b"/v1/../v1", b"", b"/v2")) + path
        pairs = [self._query() for _ in range(self._pick((0, 0, 1, 2, 40)))]
        return path + (b"?" + "&".join(pairs).encode() if pairs else b"")

    def headers(self) -> Headers:
        key = [] if self._rarely() else [(b"authorization", b"Bearer k")]
        if self.route.only_v1:
            key.append((b"openai-beta", b"assistants=v1"))
        form = [(b"content-type", forms.HEADERS["Content-Type"].encode())]
        wanted = form if self.route.handler is not None and not self._rarely() else []
        return [*key, *wanted, *(self._pick(_HEADERS) if self._rarely() else [])]

    def body(self) -> bytes:
        if self.route.method != "POST" or self._rarely():
            return self._pick(_BODIES) if self._rarely() else b""
        if self.route.handler is not None:
            return self._torn(self._pick(_BODIES[-3:]))
        if self._rarely():
            return self._pick(_BODIES)
        return self._torn(self._json(self.route.body))

    def _json(self, kind: Any) -> bytes:
        """A good body in which something was spoiled."""
        value = smallest(kind)
        spoiled = dict(value) if isinstance(value, dict) else {}
        names = keys(kind) or ["x"]
        for mark in range(self._random.randint(0, 3)):
            spoiled[self._pick([*names, "foo", "", "type"])] = f"@{mark}@"
        for name in ("assistant_id", "file_id"):
            if name in spoiled and not self._rarely():
                spoiled[name] = self._pick(self._known.get(name, ["x"]))
        text = json.dumps(spoiled)
        return re.sub(r'"@\d@"', lambda _: self._pick(_FRAGMENTS), text).encode()

    def _torn(self, body: bytes) -> bytes:
        if not body or not self._rarely():
            return body
        at = self._random.randrange(len(body))
        return self._pick((body[:at], body[:at] + b"\xff" + body[at:], body[:at] + body[at + 1 :]))

    def _id(self, name: str) -> bytes:
        if self._random.random() < 0.25:
            return self._pick(_IDS)
        return self._pick(self._known.get(name, ["x"])).encode()

    def _query(self) -> str:
        name = self._pick(
            [*_QUERY_NAMES, "metadata[%00]", "order[]", "limit[a][b]", "", "%", "[", "]"]
        )
        return f"{name}={self._pick(_QUERY_VALUES)}"

    def _rarely(self) -> bool:
        return self._random.random() < 0.12

    def _pick(self, among: Sequence[T]) -> T:
        return self._random.choice(among)


def test_two_thousand_hostile_requests() -> None:
    asyncio.run(_sweep(range(_FEW)))


@pytest.mark.slow
def test_twenty_five_thousand_hostile_requests() -> None:
    asyncio.run(_sweep(range(_FEW, _FEW + _MANY)))


def test_a_query_is_read_for_those_alone_who_have_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of it as fits into a head takes twenty times as long as to refuse whoever sent it."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("The query was read.")

    async def ask() -> None:
        async with inside() as door:
            monkeypatch.setattr(http, "parse_qsl", refuse)
            answer = await door.send("GET", b"/v1/assistants?limit=1")
            assert answer.status == 401

    asyncio.run(ask())


async def _sweep(numbers: range) -> None:
    wrong: list[str] = []
    reached: set[str] = set()
    async with inside() as door:
        known = await _objects(door)
        for number in numbers:
            made = Generator(number, known)
            method, target = made.method(), made.target()
            answer = await door.send(method, target, headers=made.headers(), body=made.body())
            reached.add(_named(made.route))
            if complaint := _complaint(answer.status, answer.headers, answer.body):
                wrong.append(f"#{number} {method} {target[:120]!r}: {complaint}")
    assert not wrong, "\n".join(wrong[:20])
    assert reached == {_named(route) for route in ROUTES}


def _complaint(status: int, headers: Any, body: bytes) -> str | None:
    if status not in _STATUSES:
        return f"status {status} {body[:200]!r}"
    if "x-request-id" not in headers:
        return "no request id"
    if status == 200:
        return None
    try:
        error = json.loads(body)
    except ValueError:
        return f"not JSON: {body[:100]!r}"
    if list(error) != ["error"] or list(error["error"]) != ["message", "type", "param", "code"]:
        return f"not the envelope: {body[:100]!r}"
    inner = error["error"]
    good = isinstance(inner["message"], str) and inner["message"] and isinstance(inner["type"], str)
    return None if good else f"an empty error: {body[:100]!r}"


async def _objects(door: Inside) -> dict[str, list[str]]:
    """Objects that are there, one or two of each kind."""
    assistant = (await door.json("POST", "/v1/assistants", {"model": "m"})).json
    said = {"messages": [{"role": "user", "content": "hello"}]}
    thread = (await door.json("POST", "/v1/threads", said)).json
    path = f"/v1/threads/{thread['id']}"
    asked = {"assistant_id": assistant["id"], "stream": True}
    await door.json("POST", f"{path}/runs", asked)
    run = (await door.json("GET", f"{path}/runs")).json["data"][0]
    step = (await door.json("GET", f"{path}/runs/{run['id']}/steps")).json["data"][0]
    message = (await door.json("GET", f"{path}/messages")).json["data"][0]
    store = (await door.json("POST", "/v1/vector_stores", {})).json
    upload = {"filename": "a.png", "purpose": "vision", "bytes": 1, "mime_type": "image/png"}
    uploaded = (await door.json("POST", "/v1/uploads", upload)).json
    return {
        "assistant_id": [assistant["id"], "asst_none"],
        "thread_id": [thread["id"], "thread_none"],
        "run_id": [run["id"], "run_none"],
        "step_id": [step["id"], "step_none"],
        "message_id": [message["id"], "msg_none"],
        "vector_store_id": [store["id"], "vs_none"],
        "upload_id": [uploaded["id"], "upload_none"],
        "batch_id": ["vsfb_none"],
        "file_id": ["file-none"],
        "model": ["m"],
    }


def _named(route: Route) -> str:
    return f"{route.method} {route.path}"
