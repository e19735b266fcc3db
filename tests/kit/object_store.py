"""An S3 server of the tests' own, on a free port of this machine."""

import contextlib
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
    """The address of an empty bucket and the endpoint of its server, gone at the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint, name = f"http://{host}:{port}", f"bucket-{secrets.token_hex(4)}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    try:
        with mock.patch.dict(os.environ, CREDENTIALS):
            urllib.request.urlopen(request, timeout=10).close()
            yield f"s3://{name}/blobs", endpoint
    finally:
        server.stop()
