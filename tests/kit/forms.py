"""Multipart forms written by hand, good and bad."""

from collections.abc import Sequence
from typing import Any

BOUNDARY = "a-boundary"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
Field = tuple[str, bytes]


def field(name: str, value: str) -> Field:
    return f'form-data; name="{name}"', value.encode()


def file(data: bytes, *, name: str = "file", filename: str = 'filename="a.txt"') -> Field:
    return f'form-data; name="{name}"; {filename}', data


def form(*parts: Field) -> bytes:
    return b"".join(opened(*part) + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def opened(disposition: str, data: bytes) -> bytes:
    """A part as it begins; what ends it is up to the test."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n"
    return head.encode() + data


def blobs(server: Any) -> Sequence[str]:
    """What lies in the blob store of a server, finished or not."""
    directory = server.settings.data / "blobs"
    return sorted(str(path) for path in directory.rglob("*") if path.is_file())
