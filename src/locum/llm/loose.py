"""What a server has put into its JSON, as the type that belongs there; what cannot be, is empty."""

import sys
from typing import Any

import msgspec


def text(found: Any) -> str:
    """Text as it is, anything else as the JSON it is."""
    if isinstance(found, str):
        return found
    return "" if found is None else msgspec.json.encode(found).decode()


def record(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def records(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def number(found: Any) -> float | None:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    # JSON knows integers that no float can hold.
    return found if is_number and abs(found) <= sys.float_info.max else None
