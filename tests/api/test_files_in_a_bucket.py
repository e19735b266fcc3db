"""Files of the API where an object store keeps their bytes: a real one, a wrong one, none."""

import asyncio
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import openai
import pytest
from openai import OpenAI
from tests.kit.object_store import CREDENTIALS, bucket
from tests.kit.server import Server

from locum import doctor
from locum.settings import Settings

pytestmark = pytest.mark.slow

MakeServer = Callable[..., Server]
_LARGE = os.urandom(9 * 1024 * 1024)
_FORBIDDEN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code>'
    b"<Message>The AWS Access Key Id you provided does not exist in our records.</Message></Error>"
)


@contextmanager
def _refusing() -> Iterator[str]:
    """A store that knows nobody: the way S3 answers wrong credentials."""

    class Refuser(http.server.BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(403)
            self.send_header("content-type", "application/xml")
            self.send_header("content-length", str(len(_FORBIDDEN)))
            self.end_headers()
            self.wfile.write(_FORBIDDEN)

        do_PUT = do_GET = do_POST = do_DELETE = _refuse  # noqa: N815  # the server's own names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuser) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with mock.patch.dict(os.environ, CREDENTIALS):
            yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _upload(client: OpenAI, data: bytes = b"hello") -> str:
    return client.files.create(file=("notes.txt", data), purpose="user_data").id


def test_a_file_of_many_objects_comes_back_as_it_was_and_goes(make_server: MakeServer) -> None:
    with bucket() as (url, endpoint):
        server = make_server(blobs_url=url, blobs_endpoint=endpoint, allow_downloads=True)
        with server.sdk() as client:
            file_id = _upload(client, _LARGE)
            assert client.files.content(file_id).read() == _LARGE
            assert client.files.delete(file_id).deleted
            with pytest.raises(openai.NotFoundError):
                client.files.content(file_id)


def test_an_upload_in_parts_is_one_file(make_server: MakeServer) -> None:
    with bucket() as (url, endpoint):
        server = make_server(blobs_url=url, blobs_endpoint=endpoint, allow_downloads=True)
        with server.sdk() as client:
            upload = client.uploads.create(
                bytes=len(_LARGE), filename="l.txt", mime_type="text/plain", purpose="assistants"
            )
            parts = [
                client.uploads.parts.create(upload.id, data=piece).id
                for piece in (_LARGE[:5_000_000], _LARGE[5_000_000:])
            ]
            done = client.uploads.complete(upload.id, part_ids=parts)
            assert done.file is not None
            assert client.files.content(done.file.id).read() == _LARGE


def test_a_bucket_that_is_not_there_is_unavailable_and_leaves_no_file(
    make_server: MakeServer,
) -> None:
    with bucket() as (_, endpoint):
        server = make_server(blobs_url="s3://no-such-bucket/x", blobs_endpoint=endpoint)
        with server.sdk() as client:
            with pytest.raises(openai.InternalServerError) as refused:
                _upload(client)
            assert refused.value.status_code == 503
            assert client.files.list().data == []


def test_a_store_that_knows_us_not_is_unavailable_and_its_words_stay_inside(
    make_server: MakeServer,
) -> None:
    with _refusing() as endpoint:
        server = make_server(blobs_url="s3://bucket/x", blobs_endpoint=endpoint)
        with server.sdk() as client, pytest.raises(openai.InternalServerError) as refused:
            _upload(client)
        assert refused.value.status_code == 503
        assert "AccessKey" not in refused.value.message


def test_an_outage_is_unavailable_and_passes(make_server: MakeServer) -> None:
    """The row is there and its bytes cannot be had: an error now, the file again afterwards."""
    with bucket() as (url, endpoint):
        server = make_server(blobs_url=url, blobs_endpoint=endpoint, allow_downloads=True)
        with server.sdk() as client:
            file_id = _upload(client)
            with mock.patch("obstore.get_range_async", side_effect=_outage):
                answer = server.http().get(f"/v1/files/{file_id}/content")
                assert answer.status == 503 or not answer.body
            assert client.files.content(file_id).read() == b"hello"


async def _outage(*_: object, **__: object) -> bytes:
    from obstore.exceptions import GenericError  # noqa: PLC0415

    raise GenericError("The store does not answer.")


def test_the_doctor_tries_the_store_and_says_what_it_says() -> None:
    with bucket() as (url, endpoint):
        good = Settings(blobs_url=url, blobs_endpoint=endpoint)
        assert asyncio.run(doctor.blobs(good)).verdict == "ok"
        missing = asyncio.run(
            doctor.blobs(Settings(blobs_url="s3://nowhere", blobs_endpoint=endpoint))
        )
        assert missing.verdict == "fail"
    with _refusing() as endpoint:
        refused = asyncio.run(doctor.blobs(Settings(blobs_url="s3://b", blobs_endpoint=endpoint)))
    assert refused.verdict == "fail"
    assert "blobs_endpoint" in refused.said
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in refused.said.split()
