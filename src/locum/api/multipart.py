"""Multipart forms, read as they arrive: never more in memory than the piece at hand.

RFC 7578 leaves `filename*` out, but clients send it for names that are not ASCII, so it counts.
"""

import re
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from locum.api.http import Incoming
from locum.errors import InvalidParameter, InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_PARTS: Final = 64
_MOST_FIELD_BYTES: Final = 64 * 1024
# What a form may weigh beside its file: boundaries, headers, fields.
AROUND_BYTES: Final = 1024 * 1024
# RFC 2046 allows this much.
_MOST_BOUNDARY_BYTES: Final = 70
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_PARAMETER: Final = re.compile(r';\s*([\w-]+\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')


class Begun(Struct, frozen=True):
    """A part begins. Without a file name it is a plain field."""

    name: str
    filename: str | None


class Ended(Struct, frozen=True):
    """The part is whole."""


Event = Begun | bytes | Ended


class Part:
    """One part of a form; its pieces must be read before the next one is asked for."""

    def __init__(self, begun: Begun, form: "Form") -> None:
        self.name = begun.name
        self.filename = begun.filename
        self._form = form

    async def pieces(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._form.event(), bytes):
            yield event

    async def text(self) -> str:
        value = bytearray()
        async for piece in self.pieces():
            value += piece
            if len(value) > _MOST_FIELD_BYTES:
                raise InvalidParameter(
                    f"Invalid '{self.name}': string too long. Expected at most"
                    f" {_MOST_FIELD_BYTES} bytes.",
                    param=self.name,
                    code="string_above_max_length",
                )
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidParameter(
                f"Invalid '{self.name}': the value is not UTF-8.", param=self.name
            ) from error


class Form:
    """The form of a request whose file has at most `limit` bytes."""

    def __init__(self, incoming: Incoming, *, limit: int) -> None:
        self._parser = MultipartParser(_boundary(incoming), self._callbacks())
        self._pieces = incoming.pieces(limit=limit + AROUND_BYTES)
        self._events: deque[Event] = deque()
        self._headers: dict[str, str] = {}
        self._header_name = b""
        self._header_value = b""
        self._parts = 0
        self._whole = False

    async def parts(self) -> AsyncIterator[Part]:
        while (event := await self.event()) is not None:
            assert isinstance(event, Begun), "the part before has been read to its end"
            yield Part(event, self)

    async def event(self) -> Event | None:
        """What comes next; None at the end of the form."""
        while not self._events:
            piece = await anext(self._pieces, None)
            if piece is None:
                if not self._whole:
                    raise _malformed("it ends before its last boundary")
                return None
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise _malformed("its parts cannot be told apart") from error
        return self._events.popleft()

    # ------------------------------------------------------- called by the parser

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": lambda: self._events.append(Ended()),
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._headers.clear()
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _malformed(f"it has more than {_MOST_PARTS} parts")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._header_name.decode("latin-1").lower()
        self._headers[name] = _lenient_text(self._header_value)
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        given = self._headers.get("content-disposition", "")
        parameters = _parameters(given)
        if not given.lower().startswith("form-data") or "name" not in parameters:
            raise _malformed("a part has no name")
        self._events.append(Begun(parameters["name"], parameters.get("filename")))

    def _on_end(self) -> None:
        self._whole = True


def _boundary(incoming: Incoming) -> bytes:
    given = incoming.headers.get("content-type")
    if given.split(";")[0].strip().lower() != "multipart/form-data":
        raise InvalidRequest(
            f"Unsupported content type: '{given}'. This API method only accepts"
            " 'multipart/form-data' requests, but you specified the header"
            f" 'Content-Type: {given}'. Please try again with a supported content type.",
            code="unsupported_content_type",
        )
    found = _BOUNDARY.search(given)
    if found is None:
        raise _malformed("its content type names no boundary")
    boundary = (found[1] or found[2]).encode("latin-1")
    if len(boundary) > _MOST_BOUNDARY_BYTES:
        raise _malformed("its boundary is too long")
    return boundary


def _parameters(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    extended: dict[str, str] = {}
    for match in _PARAMETER.finditer(header):
        name = match[1].lower()
        quoted, bare = match[2], match[3]
        value = bare.strip() if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        if name.endswith("*"):
            charset, _, encoded = value.partition("'")
            encoded = encoded.partition("'")[2]
            if charset.lower() in {"utf-8", "iso-8859-1"}:
                extended[name[:-1]] = unquote(encoded, encoding=charset, errors="replace")
        else:
            found.setdefault(name, value)
    return found | extended


def _lenient_text(value: bytes) -> str:
    """Names come as raw UTF-8 nowadays; what is not was written by an old client."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _malformed(why: str) -> InvalidRequest:
    return InvalidRequest(f"We could not parse the multipart form of your request: {why}.")
