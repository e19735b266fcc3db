"""What a server reports of tokens, in whichever numbers, and whichever way it counts thoughts."""

from typing import Any, Literal

from locum.llm import loose
from locum.llm.protocol import Usage

# What clients keep in a number of 32 bits; no answer costs more.
_MOST_TOKENS = (1 << 31) - 1


def usage_of(
    told: Any, prompt: Literal["prompt", "input"], completion: Literal["completion", "output"]
) -> Usage | None:
    """Read a report, whose numbers have other names in each API.

    None where it says nothing, or what cannot be.
    """
    asked = _number(told, f"{prompt}_tokens")
    if asked is None:
        return None
    said = _number(told, f"{completion}_tokens") or 0
    cached = _number(told, f"{prompt}_tokens_details", "cached_tokens") or 0
    reasoning = _number(told, f"{completion}_tokens_details", "reasoning_tokens") or 0
    total = _number(told, "total_tokens") or 0
    if not reasoning:
        reasoning = max(0, total - asked - said)  # Gemini tells of thoughts in the total alone.
    if total == asked + said + reasoning:
        said += reasoning  # xAI counts thoughts beside what is said; to us they are part of it.
    if max(asked, said, cached, reasoning) > _MOST_TOKENS:
        return None
    return Usage(asked, said, cached_tokens=cached, reasoning_tokens=reasoning)


def _number(told: Any, *path: str) -> int | None:
    for name in path:
        told = loose.record(told).get(name)
    number = loose.number(told)
    return None if number is None else max(int(number), 0)
