"""Files over HTTP and through the official client."""

import errno
import io
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.kit.forms import BOUNDARY, HEADERS, blobs, field, file, form, opened
from tests.kit.http import Http
from tests.kit.server import Server

from locum.store.blobs import local

Make = Callable[..., Server]
PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")


def _upload(http: Http, *parts: tuple[str, bytes]) -> Any:
    return http.post("/v1/files", form(*parts), headers=HEADERS)


@pytest.mark.parametrize(
    ("given", "filename"),
    [
        (("hello.txt", b"hello"), "hello.txt"),
        (("你好.txt", b"hello"), "你好.txt"),
        (("hello.txt", io.BytesIO(b"hello"), "text/plain"), "hello.txt"),
        (b"hello", "upload"),
    ],
)
def test_the_sdk_uploads_bytes_and_tuples(sdk: OpenAI, given: Any, filename: str) -> None:
    created = sdk.files.create(file=given, purpose="assistants")
    assert created.id.startswith("file-")
    assert (created.filename, created.bytes, created.status) == (filename, 5, "processed")
    assert sdk.files.retrieve(created.id) == created


def test_the_sdk_uploads_a_path_and_reads_it_back(sdk: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)) * 4096)
    created = sdk.files.create(file=path, purpose="vision")
    assert sdk.files.content(created.id).read() == path.read_bytes()


def test_a_file_has_exactly_the_fields_of_the_original(http: Http, server: Server) -> None:
    answer = _upload(http, file(b"x" * 18), field("purpose", "assistants"))
    created = answer.json
    assert answer.status == 200
    assert created == {
        "object": "file",
        "id": created["id"],
        "purpose": "assistants",
        "filename": "a.txt",
        "bytes": 18,
        "created_at": server.clock.now(),
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    assert http.get(f"/v1/files/{created['id']}").json == created


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_of_the_original_is_taken(sdk: OpenAI, purpose: Any) -> None:
    created = sdk.files.create(file=("a.jsonl", b"{}"), purpose=purpose)
    assert created.purpose == purpose
    life_s = 30 * 86_400 if purpose == "batch" else None
    assert created.expires_at == (life_s and created.created_at + life_s)


def test_another_purpose_is_refused_in_the_words_of_the_original(http: Http) -> None:
    answer = _upload(http, field("purpose", "world_domination"), file(b"x"))
    assert answer.status == 400
    assert answer.error == {
        "message": "'world_domination' is not one of ['fine-tune', 'assistants', 'batch',"
        " 'user_data', 'vision', 'evals'] - 'purpose'",
        "type": "invalid_request_error",
        "param": "purpose",
        "code": None,
    }


_OK = field("purpose", "vision")


@pytest.mark.parametrize(
    ("parts", "param", "message"),
    [
        ([_OK], "file", "Missing required parameter: 'file'."),
        ([file(b"x")], "purpose", "Missing required parameter: 'purpose'."),
        ([_OK, file(b"")], "file", "File is empty."),
        ([_OK, field("file", "text")], "file", "expected a file with a name"),
        ([_OK, file(b"x"), file(b"y")], "file", "more than once"),
        ([_OK, _OK, file(b"x")], "purpose", "more than once"),
        ([_OK, field("foo", "x"), file(b"x")], "foo", "Unknown parameter: 'foo'."),
        (
            [_OK, file(b"x"), field("expires_after[anchor]", "created_at")],
            "expires_after.seconds",
            "Missing required parameter",
        ),
        (
            [
                _OK,
                field("expires_after[anchor]", "yesterday"),
                field("expires_after[seconds]", "3600"),
                file(b"x"),
            ],
            "expires_after.anchor",
            "Invalid value: 'yesterday'. Supported values are: 'created_at'.",
        ),
        (
            [
                _OK,
                field("expires_after[anchor]", "created_at"),
                field("expires_after[seconds]", "3599"),
                file(b"x"),
            ],
            "expires_after.seconds",
            "integer below minimum value. Expected a value >= 3600, but got 3599",
        ),
        (
            [
                _OK,
                field("expires_after[anchor]", "created_at"),
                field("expires_after[seconds]", "soon"),
                file(b"x"),
            ],
            "expires_after.seconds",
            "expected an integer, but got a string",
        ),
        (
            [field("purpose", "batch"), file(b"x")],
            "file",
            "Invalid extension .txt. Files of purpose 'batch' must end in .jsonl.",
        ),
    ],
)
def test_a_form_that_lacks_or_misuses_something_is_refused(
    make_server: Make, parts: list[tuple[str, bytes]], param: str, message: str
) -> None:
    server = make_server()
    answer = _upload(server.http(), *parts)
    assert answer.status == 400
    assert answer.error["param"] == param
    assert message in answer.error["message"]
    assert blobs(server) == []


def test_a_lenient_server_passes_over_unknown_fields(make_server: Make) -> None:
    http = make_server(lenient=True).http()
    assert _upload(http, _OK, field("foo", "x"), file(b"x")).status == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        (HEADERS, b"no form"),
        (HEADERS, opened(*file(b"cut off"))),
        (HEADERS, b""),
    ],
)
def test_what_is_no_form_is_refused_in_the_envelope(
    http: Http, headers: dict[str, str], body: bytes
) -> None:
    answer = http.post("/v1/files", body, headers=headers)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


def test_an_expiry_is_kept_and_honoured(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    created = sdk.files.create(
        file=("a.txt", b"x"),
        purpose="vision",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert created.expires_at == created.created_at + 3600
    server.clock.advance(3599)
    assert [listed.id for listed in sdk.files.list()] == [created.id]
    server.clock.advance(1)
    assert list(sdk.files.list()) == []
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = http.send(method, f"/v1/files/{created.id}{path}")
        assert answer.status == 404
        assert answer.error["message"] == f"No such File object: {created.id}"


def test_an_unknown_file_is_answered_in_its_own_words(http: Http) -> None:
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = http.send(method, f"/v1/files/file-nope{path}")
        assert answer.status == 404
        assert answer.error == {
            "message": "No such File object: file-nope",
            "type": "invalid_request_error",
            "param": "id",
            "code": None,
        }
    answer = http.get("/v1/files?after=file-nope")
    assert (answer.status, answer.error["param"]) == (404, "id")


def test_files_are_listed_by_page_order_and_purpose(make_server: Make) -> None:
    server = make_server()
    sdk, http = server.sdk(), server.http()
    ids = [sdk.files.create(file=(f"{n}.txt", b"x"), purpose="vision").id for n in range(5)]
    other = sdk.files.create(file=("a.txt", b"x"), purpose="assistants").id
    assert [listed.id for listed in sdk.files.list(limit=2)] == [other, *reversed(ids)]
    assert [listed.id for listed in sdk.files.list(limit=2, order="asc")] == [*ids, other]
    assert [listed.id for listed in sdk.files.list(purpose="assistants")] == [other]
    page = http.get(f"/v1/files?order=asc&limit=2&after={ids[0]}&purpose=vision").json
    assert page["first_id"] == ids[1]
    assert (page["last_id"], page["has_more"]) == (ids[2], True)
    assert http.get("/v1/files?purpose=evals").json == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    assert http.get("/v1/files?limit=10000").status == 200
    assert http.get("/v1/files?limit=10001").error["code"] == "integer_above_max_value"


def test_all_files_can_be_deleted_while_paging(make_server: Make) -> None:
    server = make_server()
    sdk = server.sdk()
    for number in range(7):
        sdk.files.create(file=(f"{number}.txt", b"x"), purpose="vision")
    for listed in sdk.files.list(limit=3):
        deleted = sdk.files.delete(listed.id).to_dict()
        assert deleted == {"object": "file", "deleted": True, "id": listed.id}
    assert list(sdk.files.list()) == []
    assert blobs(server) == []


@pytest.mark.parametrize("purpose", ["assistants", "user_data"])
def test_what_was_given_to_assistants_is_kept_back_unless_allowed(
    make_server: Make, purpose: Any
) -> None:
    server = make_server()
    created = server.sdk().files.create(file=("a.txt", b"x"), purpose=purpose)
    answer = server.http().get(f"/v1/files/{created.id}/content")
    assert answer.status == 400
    assert answer.error == {
        "message": f"Not allowed to download files of purpose: {purpose}",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    allowing = make_server(allow_downloads=True)
    created = allowing.sdk().files.create(file=("a.txt", b"x"), purpose=purpose)
    assert allowing.sdk().files.content(created.id).read() == b"x"


@pytest.mark.parametrize(
    ("filename", "media", "disposition"),
    [
        ("a.png", "image/png", "attachment; filename=\"a.png\"; filename*=UTF-8''a.png"),
        (
            "a b.html",
            "application/octet-stream",
            "attachment; filename=\"a b.html\"; filename*=UTF-8''a%20b.html",
        ),
        (
            "ü\\'.svg",
            "application/octet-stream",
            "attachment; filename=\"__'.svg\"; filename*=UTF-8''%C3%BC%5C%27.svg",
        ),
    ],
)
def test_a_download_is_an_attachment_and_never_active(
    http: Http, sdk: OpenAI, filename: str, media: str, disposition: str
) -> None:
    created = sdk.files.create(file=(filename, b"<script>"), purpose="vision")
    answer = http.get(f"/v1/files/{created.id}/content")
    assert answer.body == b"<script>"
    assert answer.headers["content-type"] == media
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == "8"


def test_bytes_that_are_missing_are_a_clear_error(make_server: Make) -> None:
    server = make_server()
    created = server.sdk().files.create(file=("a.txt", b"x"), purpose="vision")
    for path in blobs(server):
        Path(path).unlink()
    answer = server.http().get(f"/v1/files/{created.id}/content")
    assert answer.status == 500
    assert "missing from the file store" in answer.error["message"]


# --------------------------------------------------------- large, slow and hostile


@pytest.fixture
def small(make_server: Make) -> Server:
    return make_server(max_file_bytes=100_000)


def _head(server: Server, length: int | None) -> bytes:
    how = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return (
        f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n{how}\r\n"
        f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode()


def _connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def test_a_file_of_exactly_the_limit_is_taken(small: Server) -> None:
    assert _upload(small.http(), _OK, file(b"x" * 100_000)).status == 200
    answer = _upload(small.http(), _OK, file(b"x" * 100_001))
    assert answer.status == 413
    assert "at most 100000 bytes" in answer.error["message"]


def test_a_declared_length_over_the_limit_is_refused_before_the_body(small: Server) -> None:
    with _connect(small) as connection:
        connection.sendall(_head(small, 10_000_000_000))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")
    assert blobs(small) == []


def test_an_endless_body_is_cut_off_before_it_ends(small: Server) -> None:
    with _connect(small) as connection:
        piece = opened(*field("purpose", "vision")) + b"\r\n" + opened(*file(b"x" * 200_000))
        connection.sendall(_head(small, None) + b"%x\r\n%b\r\n" % (len(piece), piece))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")
    assert blobs(small) == []


def test_a_bad_purpose_is_refused_before_the_file_comes(small: Server) -> None:
    with _connect(small) as connection:
        piece = opened(*field("purpose", "nonsense")) + b"\r\n" + opened(*file(b""))
        connection.sendall(_head(small, 50_000) + piece)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400")


def test_a_killed_upload_leaves_no_blob(server: Server, until: Callable[..., None]) -> None:
    before = blobs(server)
    with _connect(server) as connection:
        begun = opened(*field("purpose", "vision")) + b"\r\n" + opened(*file(b"x" * 600_000))
        connection.sendall(_head(server, 10_000_000) + begun)
        until(lambda: len(blobs(server)) == len(before) + 1)
    until(lambda: blobs(server) == before)


def test_a_full_disk_is_answered_with_507_and_nothing_is_kept(
    make_server: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reaches inside: no disk here can be filled on purpose."""
    server = make_server()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local, "_write_all", full)
    answer = _upload(server.http(), _OK, file(b"x" * 600_000))
    assert answer.status == 507
    assert answer.error == {
        "message": "The server has no space left to store this.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    assert blobs(server) == []
    assert server.http().get("/v1/files").json["data"] == []


@pytest.mark.slow
def test_a_large_upload_is_never_in_memory(make_server: Make) -> None:
    """The server shares this process: what it allocates is what Python allocates meanwhile."""
    server = make_server()
    size = 200 * 1024 * 1024
    ahead = opened(*field("purpose", "vision")) + b"\r\n" + opened(*file(b""))
    behind = f"\r\n--{BOUNDARY}--\r\n".encode()
    piece = b"x" * (1024 * 1024)
    with _connect(server) as connection:
        connection.settimeout(60)
        connection.sendall(_head(server, len(ahead) + size + len(behind)) + ahead)
        tracemalloc.start()
        try:
            for _ in range(size // len(piece)):
                connection.sendall(piece)
            connection.sendall(behind)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
        finally:
            tracemalloc.stop()
    assert server.sdk().files.list().data[0].bytes == size


def test_a_streamed_body_without_a_length_is_taken(server: Server) -> None:
    body = form(_OK, file(b"x" * 300_000))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    client = server.sdk()
    answer = client._client.post(
        f"{server.url}/v1/files",
        content=pieces(),
        headers={**HEADERS, "Authorization": "Bearer x"},
    )
    assert answer.json()["bytes"] == 300_000


def test_another_project_sees_no_file(make_server: Make) -> None:
    server = make_server()
    ours, theirs = server.sdk(server.add_key("ours")[0]), server.sdk(server.add_key("theirs")[0])
    created = ours.files.create(file=("a.txt", b"x"), purpose="vision")
    assert list(theirs.files.list()) == []
    for call in (theirs.files.retrieve, theirs.files.delete, theirs.files.content):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            call(created.id)
    assert ours.files.content(created.id).read() == b"x"
