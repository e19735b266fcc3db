"""Identity. Ids look like the original's: clients check prefixes, and imported ones must fit."""

import random
import re
import secrets
import time
from typing import Protocol

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# An id begins with the millisecond it was made in: so what is made at one time stands together in
# every index, whose pages are written whole. The rest, 101 bits, is drawn and cannot be guessed.
_TIMED, _RANDOM = 7, 17
# A byte is a letter. The last few bytes, which would favour the first letters, are none.
_FAIR = 256 // len(_BASE62) * len(_BASE62)
_LETTERS = bytes(ord(_BASE62[byte % len(_BASE62)]) for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))
_DRAWN = 28

# Prefix of every id that may stand in a path or a body, by the name of its parameter.
PREFIXES = {
    "assistant_id": "asst",
    "thread_id": "thread",
    "message_id": "msg",
    "run_id": "run",
    "step_id": "step",
    "vector_store_id": "vs",
    "batch_id": "vsfb",
    "upload_id": "upload",
}
# It stands in headers, in paths of exports and in tables.
_PROJECT = re.compile(r"(?!\.+\Z)[\w.-]{1,128}\Z")


class Ids(Protocol):
    def new(self, prefix: str) -> str:
        """A fresh id such as `run_` and 24 letters or digits, never handed out before."""
        ...


class RandomIds:
    def new(self, prefix: str) -> str:
        return f"{prefix}{'-' if prefix == 'file' else '_'}{_token()}"


class RequestIds:
    """Names of requests: told to clients and logs, and no secret, so no system call for each."""

    def __init__(self) -> None:
        self._random = random.Random(secrets.randbits(256))  # noqa: S311  # see above

    def new(self) -> str:
        return f"req_{self._random.getrandbits(128):032x}"


def is_project_id(text: str) -> bool:
    """Whether a project may be called so, however it is made: operators choose these ids."""
    return _PROJECT.match(text) is not None


def _token() -> str:
    while True:
        drawn = secrets.token_bytes(_DRAWN).translate(_LETTERS, _UNFAIR)
        if len(drawn) >= _RANDOM:  # As good as always.
            return _time() + drawn[:_RANDOM].decode()


def _time() -> str:
    left, letters = time.time_ns() // 1_000_000, ""
    for _ in range(_TIMED):
        left, digit = divmod(left, len(_BASE62))
        letters = _BASE62[digit] + letters
    return letters
