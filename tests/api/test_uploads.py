"""Uploads: parts in parallel, joined in the order that is asked for, once, within the hour."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import OpenAI
from tests.kit.forms import HEADERS, blobs, field, file, form
from tests.kit.http import Answer, Http
from tests.kit.server import Server

Make = Callable[..., Server]
_NEW = {"filename": "a.txt", "purpose": "assistants", "bytes": 6, "mime_type": "text/plain"}


def _create(http: Http, **changes: Any) -> str:
    answer = http.post("/v1/uploads", _NEW | changes)
    assert answer.status == 200, answer.body
    upload_id: str = answer.json["id"]
    return upload_id


def _part(http: Http, upload_id: str, data: bytes) -> Answer:
    body = form(file(data, name="data"))
    return http.post(f"/v1/uploads/{upload_id}/parts", body, headers=HEADERS)


def _parts(http: Http, upload_id: str, *pieces: bytes) -> list[str]:
    return [_part(http, upload_id, piece).json["id"] for piece in pieces]


def _complete(http: Http, upload_id: str, part_ids: list[str], **more: str) -> Answer:
    return http.post(f"/v1/uploads/{upload_id}/complete", {"part_ids": part_ids, **more})


def test_an_upload_from_its_beginning_to_its_file(make_server: Make) -> None:
    server = make_server()
    http = server.http()
    pending = http.post("/v1/uploads", _NEW).json
    began = server.clock.now()
    assert pending == {
        "id": pending["id"],
        "object": "upload",
        "bytes": 6,
        "created_at": began,
        "filename": "a.txt",
        "purpose": "assistants",
        "status": "pending",
        "expires_at": began + 3600,
    }
    server.clock.advance(5)
    part = _part(http, pending["id"], b"abc").json
    assert part == {
        "id": part["id"],
        "object": "upload.part",
        "created_at": began + 5,
        "upload_id": pending["id"],
    }
    assert part["id"].startswith("part_")
    other = _part(http, pending["id"], b"def").json
    completed = _complete(http, pending["id"], [other["id"], part["id"]]).json
    created = completed["file"]
    assert completed == pending | {"status": "completed", "file": created}
    assert created == {
        "object": "file",
        "id": created["id"],
        "purpose": "assistants",
        "filename": "a.txt",
        "bytes": 6,
        "created_at": began,
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    assert http.get(f"/v1/files/{created['id']}").json == created
    assert len(blobs(server)) == 1, "the parts are gone"


def test_parts_sent_in_parallel_are_joined_by_the_order_of_their_ids(http: Http) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(3)]
    upload_id = _create(http, bytes=300_000, purpose="vision", mime_type="image/png")
    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(lambda piece: _part(http, upload_id, piece).json["id"], pieces))
    md5 = hashlib.md5(pieces[2] + pieces[0] + pieces[1]).hexdigest().upper()
    completed = _complete(http, upload_id, [ids[2], ids[0], ids[1]], md5=md5)
    assert completed.status == 200, completed.body
    content = http.get(f"/v1/files/{completed.json['file']['id']}/content").body
    assert content == pieces[2] + pieces[0] + pieces[1]


def test_the_sdk_uploads_in_chunks(sdk: OpenAI) -> None:
    data = bytes(range(256)) * 1000
    upload = sdk.uploads.upload_file_chunked(
        file=data,
        filename="lines.jsonl",
        bytes=len(data),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=100_000,
    )
    assert upload.status == "completed"
    assert upload.file is not None
    assert sdk.files.content(upload.file.id).read() == data


def test_the_file_of_an_upload_expires_as_was_asked(http: Http) -> None:
    expiry = {"anchor": "created_at", "seconds": 7200}
    upload_id = _create(http, expires_after=expiry)
    completed = _complete(http, upload_id, _parts(http, upload_id, b"abcdef")).json
    assert completed["file"]["expires_at"] == completed["created_at"] + 7200


def test_parts_that_do_not_add_up_are_refused_and_may_be_mended(http: Http) -> None:
    upload_id = _create(http)
    ids = _parts(http, upload_id, b"abc", b"de")
    answer = _complete(http, upload_id, ids)
    assert answer.status == 400
    assert answer.error["message"] == (
        "Invalid 'part_ids': the upload was declared with 6 bytes, but its parts have 5 bytes."
    )
    mended = _parts(http, upload_id, b"def")
    assert _complete(http, upload_id, [ids[0], *mended]).status == 200


def test_a_wrong_checksum_is_refused(make_server: Make) -> None:
    server = make_server()
    http = server.http()
    upload_id = _create(http)
    ids = _parts(http, upload_id, b"abcdef")
    answer = _complete(http, upload_id, ids, md5="0" * 32)
    assert (answer.status, answer.error["param"]) == (400, "md5")
    assert len(blobs(server)) == 1, "the part stays, what was joined is gone"
    assert _complete(http, upload_id, ids, md5=hashlib.md5(b"abcdef").hexdigest()).status == 200


def test_a_part_of_another_upload_is_refused(http: Http) -> None:
    upload_id, other = _create(http), _create(http)
    ids = _parts(http, other, b"abcdef")
    answer = _complete(http, upload_id, ids)
    assert answer.status == 404
    assert answer.error["message"] == f"No part found with id '{ids[0]}' in upload '{upload_id}'."


def test_a_part_may_be_named_only_once(http: Http) -> None:
    upload_id = _create(http)
    ids = _parts(http, upload_id, b"abc")
    answer = _complete(http, upload_id, ids * 2)
    assert (answer.status, answer.error["param"]) == (400, "part_ids")


@pytest.mark.parametrize("ending", ["completed", "cancelled", "expired"])
def test_an_upload_that_has_ended_takes_nothing_more(make_server: Make, ending: str) -> None:
    server = make_server()
    http = server.http()
    upload_id = _create(http)
    ids = _parts(http, upload_id, b"abcdef")
    if ending == "completed":
        assert _complete(http, upload_id, ids).json["status"] == "completed"
    elif ending == "cancelled":
        cancelled = http.post(f"/v1/uploads/{upload_id}/cancel").json
        assert cancelled["status"] == "cancelled"
        assert blobs(server) == []
    else:
        server.clock.advance(3600)
    for verb, answer in (
        ("add parts to", _part(http, upload_id, b"x")),
        ("complete", _complete(http, upload_id, ids)),
        ("cancel", http.post(f"/v1/uploads/{upload_id}/cancel")),
    ):
        assert answer.status == 400
        assert answer.error["message"] == f"Cannot {verb} upload with status '{ending}'."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (form(field("other", "x")), "other"),
        (form(), "data"),
        (form(file(b"", name="data")), "data"),
        (form(file(b"x", name="data"), file(b"y", name="data")), "data"),
    ],
)
def test_a_form_without_one_part_is_refused(http: Http, body: bytes, param: str) -> None:
    answer = http.post(f"/v1/uploads/{_create(http)}/parts", body, headers=HEADERS)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_a_part_has_at_most_64_mebibytes(http: Http) -> None:
    answer = http.post(
        f"/v1/uploads/{_create(http)}/parts",
        b"",
        headers={**HEADERS, "Content-Length": str(70 * 1024 * 1024)},
    )
    assert answer.status == 413


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"purpose": "user_data"}, "purpose"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes"),
        ({"mime_type": "text"}, "mime_type"),
        ({"purpose": "vision"}, "mime_type"),
        ({"purpose": "batch", "mime_type": "image/png", "filename": "a.jsonl"}, "mime_type"),
        ({"purpose": "batch"}, "filename"),
        ({"filename": ""}, "filename"),
        ({"foo": 1}, "foo"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
def test_an_upload_that_cannot_be_is_refused(
    http: Http, changes: dict[str, Any], param: str
) -> None:
    answer = http.post("/v1/uploads", _NEW | changes)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_an_unknown_upload_is_not_found(http: Http) -> None:
    for answer in (
        _part(http, "upload_nope", b"x"),
        _complete(http, "upload_nope", []),
        http.post("/v1/uploads/upload_nope/cancel"),
    ):
        assert answer.status == 404
        assert answer.error["message"] == "No upload found with id 'upload_nope'."
    answer = http.post("/v1/uploads/nope/cancel")
    assert answer.error["message"] == (
        "Invalid 'upload_id': 'nope'. Expected an ID that begins with 'upload'."
    )


def test_a_lenient_server_passes_over_unknown_fields_of_a_part(make_server: Make) -> None:
    http = make_server(lenient=True).http()
    body = form(field("other", "x"), file(b"abcdef", name="data"))
    answer = http.post(f"/v1/uploads/{_create(http)}/parts", body, headers=HEADERS)
    assert answer.status == 200
