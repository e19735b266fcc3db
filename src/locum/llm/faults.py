"""What goes wrong between us and a model server, and what the reader of a run is told of it."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from locum.llm.protocol import ErrorCode, ModelError

# How servers say that a prompt does not fit; a context of Go's that is over is something else.
TOO_LONG = re.compile(
    r"context(?! (deadline|cancel))|too long|too many tokens|maximum.+length|"
    r"maximum number of tokens|reduce the length|`inputs` (tokens|must)|range of input length|"
    r"\b(input|prompt)\b.{0,60}(token limit|max length)",
    re.IGNORECASE,
)

# How they say that an answer may not be as long as it was allowed to be.
LIMIT_TOO_HIGH = re.compile(
    r"max_(completion_|new_|output_)?tokens\b.{0,60}"
    r"(too large|above maximum|\d > \d|must be (<|less|at most)|exceed)|"
    r"range of max_(completion_|output_)?tokens|\d in the completion|maximum tokens you requested",
    re.IGNORECASE,
)

_LONGEST_MESSAGE = 1000
# Where the words of an error stand: Workers AI has `errors`, MiniMax the last of each.
_WRAPS = ("error", "errors", "base_resp")
_WORDS = ("message", "detail", "error", "status_msg")
_TELLING = ("message", "detail", "errors")
_FILTERED = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
_LIMITED = ("rate_limit", "insufficient_quota", "quota_exceeded", "overloaded_error")
# The model's fault and nobody else's: at Groq, calls that it wrote and that cannot be read.
_MISWRITTEN = "tool_use_failed"
# What a stream says that may pass; an answer's status says it otherwise.
_PASSING = (
    "server_error",
    "rate_limit_exceeded",
    "rate_limit_error",
    "overloaded_error",
    "vector_store_timeout",
)


class Fault(Exception):
    """One attempt that failed. It becomes a `ModelError` when no other attempt is worth making."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        is_transient: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.is_transient = is_transient
        self.retry_after_s = retry_after_s

    def error(self) -> ModelError:
        return ModelError(self.message, code=self._error_code())

    def _error_code(self) -> ErrorCode:
        if self.code in _FILTERED:
            return "invalid_prompt"
        if self.code == _MISWRITTEN:
            return "server_error"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS or (self.code or "").startswith(_LIMITED):
            return "rate_limit_exceeded"
        if self.status in (400, 413, 422) or (
            self.status is None and self.code in ("invalid_request_error", "invalid_prompt")
        ):
            return "invalid_prompt"
        return "server_error"


def read_fault(
    document: Any, *, status: int | None, otherwise: str, secrets: Iterable[str] = ()
) -> Fault:
    """Find the server's own words in whatever it sent in place of an answer."""
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict):
        # One dialect wraps its error, another is the error, a third says `detail`.
        wraps = _WRAPS[:1] if document.get("message") else _WRAPS
        document = next((document[key] for key in wraps if document.get(key)), document)
    if isinstance(document, list) and document:
        document = document[0]
    found: dict[str, Any] = document if isinstance(document, dict) else {"message": document}
    message = next((found[key] for key in _WORDS if found.get(key)), None)
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    if raw := _inner(found, "metadata", "raw"):
        # OpenRouter's own words are the same for all that went wrong at a provider.
        message = f"{message}: {raw}" if message else raw
    code = next((found[key] for key in ("code", "type") if isinstance(found.get(key), str)), None)
    if status is None:
        status = _status(found.get("code"))
    told = _told(message or otherwise, secrets)
    if status is None and TOO_LONG.search(told):
        code = "invalid_prompt"
    param = found.get("param")
    return Fault(
        told,
        status=status,
        # Azure says why a filter stopped a prompt one level further down.
        code=_inner(found, "innererror", "code") or code,
        param=param if isinstance(param, str) else None,
        is_transient=code == _MISWRITTEN
        or (
            code in _PASSING
            if status is None
            else code != "insufficient_quota" and is_transient(status)
        ),
    )


def tells_fault(told: dict[str, Any]) -> bool:
    """Whether what has no part of an answer tells of an error, as some do without that word."""
    wrapped = told.get("base_resp")
    if isinstance(wrapped, dict):
        return bool(wrapped.get("status_code"))
    return any(isinstance(told.get(key), str | list) and told[key] for key in _TELLING)


def is_transient(status: int | None) -> bool:
    return status in (408, 409, 425, 429, 500, 502, 503, 504, 529)


def _status(code: Any) -> int | None:
    """The status that an error within a stream has instead of a code; LiteLLM writes it as text."""
    if isinstance(code, str) and code.isdecimal() and len(code) == len("500"):
        return int(code)
    return code if isinstance(code, int) else None


def _inner(found: dict[str, Any], outer: str, name: str) -> str | None:
    """The text that stands one level further down, if one does."""
    inner = found.get(outer)
    text = inner.get(name) if isinstance(inner, dict) else None
    return text if isinstance(text, str) else None


def _told(message: str, secrets: Iterable[str]) -> str:
    # Some servers quote the key they refuse; the reader of a run must not learn it.
    for secret in secrets:
        message = message.replace(secret, "***")
    message = message.strip()
    if len(message) > _LONGEST_MESSAGE:
        return f"{message[:_LONGEST_MESSAGE]}…"
    return message
