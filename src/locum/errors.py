"""Every error a caller can receive, in the words the original used.

LocumError
├── InvalidRequest          400  the body, the query or the state of things forbids it
│   └── InvalidParameter    400  one parameter is wrong; says which and why
├── Unauthenticated         401  no key, or not one of ours
├── Forbidden               403  a good key that may not do this
├── NotFound                404  no such object in this project
├── MethodNotAllowed        405  the path has other methods; says which
├── TooLarge                413  more bytes than we take
├── RateLimited             429  too much at once; says when to come back
└── ServerError             5xx  ours to mend
    ├── StorageFull         507
    └── Unavailable         503
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal


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

    def __init__(
        self, message: str, *, allowed: Iterable[str] = (), code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.allowed = sorted(allowed)


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

    @property
    def headers(self) -> dict[str, str]:
        """Clients look at the finer one first; the other is in whole seconds, one at least."""
        return {
            "retry-after-ms": str(math.ceil(self.retry_after_s * 1000)),
            "retry-after": str(max(1, math.ceil(self.retry_after_s))),
        }


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


# ------------------------------------------ what is wrong with a parameter, by its path


def missing(path: str) -> InvalidParameter:
    return InvalidParameter(
        f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter"
    )


def unknown(path: str) -> InvalidParameter:
    return InvalidParameter(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def wrong_type(path: str, expected: str, value: Any) -> InvalidRequest:
    """Without a path it is the body itself that is something else."""
    if not path:
        return InvalidRequest(
            f"Invalid type for the body: expected {expected}, but got {_named(value)} instead.",
            code="invalid_type",
        )
    return InvalidParameter(
        f"Invalid type for '{path}': expected {expected}, but got {_named(value)} instead.",
        param=path,
        code="invalid_type",
    )


def not_among(path: str, value: str, allowed: Sequence[str]) -> InvalidParameter:
    return InvalidParameter(
        f"Invalid value: '{value}'. Supported values are: {_listed(allowed)}.", param=path
    )


def string_too_long(path: str, length: int, *, limit: int) -> InvalidParameter:
    return InvalidParameter(
        f"Invalid '{path}': string too long. Expected a string with maximum length"
        f" {limit}, but got a string with length {length} instead.",
        param=path,
        code="string_above_max_length",
    )


def array_too_long(path: str, length: int, *, limit: int) -> InvalidParameter:
    return InvalidParameter(
        f"Invalid '{path}': array too long. Expected an array with maximum length"
        f" {limit}, but got an array with length {length} instead.",
        param=path,
        code="array_above_max_length",
    )


def array_too_short(path: str, *, limit: int) -> InvalidParameter:
    return InvalidParameter(
        f"Invalid '{path}': empty array. Expected an array with minimum length"
        f" {limit}, but got an empty array instead.",
        param=path,
        code="empty_array",
    )


def _named(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"


def _listed(values: Sequence[str]) -> str:
    quoted = [f"'{value}'" for value in values]
    if len(quoted) <= 2:  # noqa: PLR2004  # "a and b", but "a, b, and c"
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
