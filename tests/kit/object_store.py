"""An S3 server of the tests' own, on a free port of this machine."""

import atexit
import contextlib
import functools
import logging
import os
import secrets
import urllib.request
from collections.abc import Iterator
from unittest import mock

from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


@contextlib.contextmanager
def bucket() -> Iterator[tuple[str, str]]:
    """The address of an empty bucket and the endpoint of its server."""
    endpoint, name = _server(), f"bucket-{secrets.token_hex(4)}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    with mock.patch.dict(os.environ, CREDENTIALS):
        urllib.request.urlopen(request, timeout=10).close()
        yield f"s3://{name}/blobs", endpoint


@functools.cache
def _server() -> str:
    """The endpoint of the one server of this test session, started when first needed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
