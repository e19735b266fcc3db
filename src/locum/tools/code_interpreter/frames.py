"""The lines between the server and the runner. Whatever comes from within is hostile."""

import msgspec
from msgspec import Struct

from locum.unreadable import UNREADABLE

# Room around the picture or the text in a frame: its names and the token.
_ENVELOPE = 1024


class Ready(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="ready"):
    """The runner has started and listens."""


class Said(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="said"):
    """A value or a traceback; what the code prints comes through a pipe of its own."""

    call: str
    text: str


class Shown(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="shown"):
    call: str
    data: bytes


class Done(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="done"):
    call: str


Frame = Ready | Said | Shown | Done


class Request(Struct, frozen=True):
    call: str
    code: str


class Taken(Struct, frozen=True):
    """The answer to `Said` and `Shown`: it keeps outputs in order, and the runner from flooding."""

    taken: str


class HostileFrameError(Exception):
    """What came is no frame. The interpreter cannot be trusted any more."""


class FrameReader:
    """Cuts what arrives into frames, and never holds more than one frame may have."""

    def __init__(self, *, longest_text: int, largest_picture: int) -> None:
        # A byte is at most six characters in a JSON string (`\u0000`), and 4/3 in base64.
        self._longest = max(6 * longest_text, 4 * largest_picture // 3) + _ENVELOPE
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        # Only what is new is searched: a picture of megabytes comes in pieces of kilobytes.
        first, *others = data.split(b"\n")
        self._held += first
        lines = [bytes(self._held), *others] if others else []
        if others:
            self._held = bytearray(lines.pop())
        if max(map(len, (*lines, self._held))) > self._longest:
            raise HostileFrameError("a frame is too long")
        return [_decode(line) for line in lines]


_decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)
_encoder = msgspec.json.Encoder()


def _decode(line: bytes) -> Frame:
    try:
        return _decoder.decode(line)
    except UNREADABLE as error:
        raise HostileFrameError("not a frame") from error


def encode(message: Request | Taken) -> bytes:
    return _encoder.encode(message) + b"\n"
