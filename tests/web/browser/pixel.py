"""The smallest of all pictures."""

import base64

from tests.kit.forms import HEADERS, field, file, form
from tests.kit.talk import Talk

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def add_pixel(talk: Talk) -> str:
    """The id of its file."""
    body = form(field("purpose", "vision"), file(_PIXEL, filename='filename="pixel.png"'))
    return str(talk.http.post("/v1/files", body, headers=HEADERS).json["id"])
