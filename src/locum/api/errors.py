"""Errors as they cross HTTP: one envelope, one place that makes it."""

import msgspec

from locum.api.http import JSON, Headers, Reply, encoded
from locum.errors import LocumError, MethodNotAllowed, RateLimited, ServerError, Unauthenticated

# Who looked at keys was another server, and wrote it so.
_DOORKEEPERS_JSON = b"application/json; charset=utf-8"

_SORRY = (
    "The server had an error processing your request. Sorry about that! You can retry your"
    " request, or contact us through our help center at help.openai.com if you keep seeing this"
    " error. (Please include the request ID {request_id} in your email.)"
)


def error_body(error: LocumError) -> bytes:
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.type,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def error_reply(error: LocumError) -> Reply:
    headers: Headers = []
    if isinstance(error, RateLimited):
        headers += encoded(error.headers)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    media = _DOORKEEPERS_JSON if isinstance(error, Unauthenticated) else JSON
    return Reply(error_body(error), status=error.status, media=media, headers=headers)


def broken_reply(request_id: str) -> Reply:
    """What a caller is told of our own mistakes: that there was one, and how to name it."""
    return error_reply(ServerError(_SORRY.format(request_id=request_id)))
