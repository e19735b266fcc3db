"""Tools of servers under names that models take: letters, digits, `_` and `-`, 64 at most."""

import hashlib
import re
from collections.abc import Container

from locum import limits

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST_CHARS = 8


def function_name(label: str, tool: str, *, taken: Container[str]) -> str:
    """`label__tool`, with a digest at its end where that alone would not do."""
    plain = f"{label}__{tool}"
    name = _UNFIT.sub("_", plain)
    if len(name) <= limits.FUNCTION_NAME_CHARS and name not in taken:
        return name
    digest = hashlib.sha256(f"{label}\n{tool}".encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: limits.FUNCTION_NAME_CHARS - _DIGEST_CHARS - 1]}_{digest}"
