"""Every error a caller can receive, in the words the original used.

LocumError
├── InvalidRequest          400  the body, the query or the state of things forbids it
│   └── InvalidParameter    400  one parameter is wrong; says which and why
├── Unauthenticated         401  no key, or not one of ours
├── Forbidden               403  a good key that may not do this
├── NotFound                404  no such object in this project
├── MethodNotAllowed        405
├── TooLarge                413  more bytes than we take
├── RateLimited             429  too much at once; says when to come back
└── ServerError             5xx  ours to mend
    ├── StorageFull         507
    └── Unavailable         503
"""

from typing import ClassVar, Literal


class LocumError(Exception):
    """An error with a place in the API: a status, a type, a code and a parameter."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequest(LocumError):
    status = 400


class InvalidParameter(InvalidRequest):
    """One parameter is wrong. `param` is its path, as in `tools[0].function.name`."""

    def __init__(self, message: str, *, param: str, code: str | None = "invalid_value") -> None:
        super().__init__(message, param=param, code=code)


class Unauthenticated(LocumError):
    status = 401


class Forbidden(LocumError):
    status = 403


class NotFound(LocumError):
    status = 404


class MethodNotAllowed(LocumError):
    status = 405


class TooLarge(LocumError):
    status = 413


class RateLimited(LocumError):
    status = 429

    def __init__(
        self, message: str, *, limit: Literal["requests", "queued_runs"], retry_after_s: float
    ) -> None:
        super().__init__(message, code="rate_limit_exceeded")
        self.limit = limit
        self.retry_after_s = retry_after_s


class ServerError(LocumError):
    status = 500
    type = "server_error"


class StorageFull(ServerError):
    status = 507


class Unavailable(ServerError):
    status = 503


def no_such(noun: str, object_id: str) -> NotFound:
    """The original's way of saying that an object is not there, or not yours."""
    return NotFound(f"No {noun} found with id '{object_id}'.")


def no_such_file(file_id: str) -> NotFound:
    """Files answer in words of their own, older than the rest of the API."""
    return NotFound(f"No such File object: {file_id}", param="id")


def no_such_model(model: str) -> NotFound:
    return NotFound(f"The model '{model}' does not exist", param="model", code="model_not_found")
