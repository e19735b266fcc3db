"""Plain HTTP over a socket: what is sent and what comes back, byte for byte, streams included."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

_TIMEOUT_S = 30.0


class Answer:
    """A whole response."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of this answer, which must be in the envelope."""
        body = self.json
        assert list(body) == ["error"], body
        assert sorted(body["error"]) == ["code", "message", "param", "type"], body
        error: dict[str, Any] = body["error"]
        return error


class Frame:
    """One server-sent event as it crossed the wire."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        fields = dict(line.split(b": ", 1) for line in raw.removesuffix(b"\n\n").split(b"\n"))
        self.id = fields[b"id"].decode() if b"id" in fields else None
        self.event = fields[b"event"].decode()
        self.text = fields[b"data"].decode()
        self.fields = [name.decode() for name in fields]

    @property
    def data(self) -> Any:
        return json.loads(self.text)


class Http:
    """Sends requests, one connection each."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._port = port
        self._headers = dict(headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """`body` is sent as it is when it is bytes, else as JSON; a header of None is not sent."""
        with closing(self._connection()) as connection:
            response = self._begin(connection, method, path, body, headers)
            return Answer(response.status, _lower(response), response.read())

    def get(self, path: str, **options: Any) -> Answer:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("POST", path, body, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.send("DELETE", path, **options)

    def stream(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str | None] | None = None,
    ) -> "Stream":
        """A response read event by event. Close it, or read it to its end."""
        connection = self._connection()
        response = self._begin(connection, method, path, body, headers)
        return Stream(connection, response)

    def frames(self, path: str, body: Any, **options: Any) -> list[Frame]:
        """Every event of a stream that a POST asks for, from the first to `done`."""
        with closing(self.stream("POST", path, {**body, "stream": True}, **options)) as stream:
            assert stream.status == 200, stream.rest()
            return list(stream)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)

    def _begin(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str | None] | None,
    ) -> http.client.HTTPResponse:
        sent = self._headers | {"Content-Type": "application/json"} | dict(headers or {})
        if body is None and (headers is None or "Content-Type" not in headers):
            del sent["Content-Type"]
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        present = {name: value for name, value in sent.items() if value is not None}
        connection.request(method, path, body=content, headers=present)
        return connection.getresponse()


class Stream:
    """A response of server-sent events that is still coming; it is closed when it has ended."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._response = response
        self._rest = b""
        self.status = response.status
        self.headers = _lower(response)
        self.comments: list[bytes] = []

    def __iter__(self) -> Iterator[Frame]:
        while True:
            while b"\n\n" not in self._rest:
                piece = self._response.read1()
                if not piece:
                    assert not self._rest, f"the stream ended within an event: {self._rest!r}"
                    self.close()
                    return
                self._rest += piece
            raw, self._rest = self._rest.split(b"\n\n", 1)
            if raw.startswith(b":"):
                self.comments.append(raw)
            else:
                yield Frame(raw + b"\n\n")

    def until(self, event: str) -> list[Frame]:
        """The events up to the first that is called so."""
        seen = []
        for frame in self:
            seen.append(frame)
            if frame.event == event:
                return seen
        raise AssertionError(f"no {event} among {[frame.event for frame in seen]}")

    def rest(self) -> bytes:
        return self._response.read()

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def names(frames: list[Frame]) -> list[str]:
    return [frame.event for frame in frames]


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
