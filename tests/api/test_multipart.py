"""Forms: read in whatever order and pieces they come, refused in the envelope."""

import asyncio
from typing import Any

import pytest
from tests.kit.forms import BOUNDARY, HEADERS, field, file, form, opened

from locum.api.http import Disconnected, Incoming
from locum.api.multipart import Form
from locum.errors import InvalidParameter, InvalidRequest, TooLarge

Parts = list[tuple[str, str | None, bytes]]


def _read(
    body: bytes,
    *,
    step: int = 65_536,
    limit: int = 10_000_000,
    content_type: str = HEADERS["Content-Type"],
    complete: bool = True,
) -> Parts:
    pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages[-1]["more_body"] = not complete
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    scope = {
        "method": "POST",
        "path": "/v1/files",
        "headers": [(b"content-type", content_type.encode("latin-1"))],
        "query_string": b"",
    }

    async def read() -> Parts:
        found: Parts = []
        reader = Form(Incoming(scope, receive), limit=limit)
        async for part in reader.parts():
            data = b"".join([piece async for piece in part.pieces()])
            found.append((part.name, part.filename, data))
        return found

    return asyncio.run(read())


@pytest.mark.parametrize("step", [1, 2, 7, 64, 65_536])
def test_a_form_is_the_same_in_pieces_of_any_size(step: int) -> None:
    tricky = f"\r\n--{BOUNDARY[:-1]}\r\n\r--\r\n-".encode() * 3
    body = form(field("purpose", "vision"), file(tricky), field("more", ""))
    assert _read(body, step=step) == [
        ("purpose", None, b"vision"),
        ("file", "a.txt", tricky),
        ("more", None, b""),
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('filename="你好.txt"', "你好.txt"),
        ("filename=\"_.txt\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD.txt", "你好.txt"),
        ("filename*=utf-8'en'%e2%82%ac.md", "€.md"),
        ('filename="a\\"b;c.txt"', 'a"b;c.txt'),
        ("filename=plain.txt", "plain.txt"),
        ('filename="text/csv"', "text/csv"),
        ('filename=""', ""),
        ("filename*=EBCDIC''x; filename=\"kept\"", "kept"),
    ],
)
def test_file_names_are_kept_as_they_were_meant(written: str, read: str) -> None:
    assert _read(form(file(b"x", filename=written))) == [("file", read, b"x")]


def test_a_file_name_that_is_not_utf8_is_read_as_latin1() -> None:
    body = form(file(b"x", filename='filename="gr?n.txt"')).replace(b"gr?n", b"gr\xfcn")
    assert _read(body) == [("file", "grün.txt", b"x")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        opened(*field("purpose", "vision")),
        opened(*file(b"x")) + b"\r\n--" + BOUNDARY.encode(),
        form(("attachment; name=x", b"")),
        form(("form-data", b"")),
        f"--{BOUNDARY}\r\nno header\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
        form(*[field(f"f{number}", "x") for number in range(65)]),
        form((f'form-data; name="{"x" * 9000}"', b"")),
    ],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="could not parse the multipart form"):
        _read(body)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "", "multipart/mixed; boundary=x", "text/multipart/form-data"],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="only accepts 'multipart/form-data'") as refusal:
        _read(b"", content_type=content_type)
    assert refusal.value.code == "unsupported_content_type"


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * 71}"])
def test_a_boundary_that_is_missing_or_too_long_is_refused(boundary: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        _read(b"", content_type=f"multipart/form-data{boundary}")


def test_a_quoted_boundary_is_understood() -> None:
    kind = f'multipart/form-data; charset=utf-8; boundary="{BOUNDARY}"'
    assert _read(form(field("a", "b")), content_type=kind) == [("a", None, b"b")]


def test_a_body_beyond_the_limit_is_refused_while_it_comes() -> None:
    with pytest.raises(TooLarge):
        _read(form(file(b"x" * 3_000_000)), limit=1_000_000)


def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(Disconnected):
        _read(opened(*file(b"half of")), complete=False)


def test_a_field_is_bounded_and_must_be_text() -> None:
    async def text_of(data: bytes) -> str:
        body = form(("form-data; name=purpose", data))

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        headers = [(b"content-type", HEADERS["Content-Type"].encode())]
        scope = {"method": "POST", "path": "/", "headers": headers, "query_string": b""}
        async for part in Form(Incoming(scope, receive), limit=1).parts():
            return await part.text()
        raise AssertionError

    assert asyncio.run(text_of("é".encode())) == "é"
    with pytest.raises(InvalidParameter, match="too long"):
        asyncio.run(text_of(b"x" * 70_000))
    with pytest.raises(InvalidParameter, match="not UTF-8"):
        asyncio.run(text_of(b"\xff"))
