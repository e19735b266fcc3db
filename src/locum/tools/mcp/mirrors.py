"""Arguments that a tool wants to see in a header too, so that proxies can route by them.

A property whose schema says `"x-mcp-header": "Region"` is repeated as `Mcp-Param-Region`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from locum.tools.mcp.protocol import header_value

Path: TypeAlias = tuple[str, ...]

_MARK = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_TYPES = ("string", "integer", "boolean")


def mirrors(schema: Mapping[str, Any]) -> dict[Path, str] | None:
    """Where the arguments stand that are mirrored, and under which name; None if that is amiss."""
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for path, node in _nodes(schema):
        if _MARK not in node:
            continue
        name = node[_MARK]
        if not path or not isinstance(name, str) or not _TOKEN.match(name):
            return None
        if node.get("type") not in _TYPES or name.lower() in taken:
            return None
        found[path] = name
        taken.add(name.lower())
    return found


def mirrored(found: Mapping[Path, str], arguments: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    for path, name in found.items():
        value = _at(arguments, path)
        if isinstance(value, bool):
            headers[f"Mcp-Param-{name}"] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            headers[f"Mcp-Param-{name}"] = header_value(str(value))
    return headers


def _nodes(schema: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every property that is reached through properties alone, and the schema itself."""
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield path, node
        properties = node.get("properties")
        if isinstance(properties, dict):
            waiting += [((*path, name), inner) for name, inner in properties.items()]


def _at(arguments: Any, path: Path) -> Any:
    for key in path:
        arguments = arguments.get(key) if isinstance(arguments, dict) else None
    return arguments
