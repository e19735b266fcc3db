"""The result of a call as text: for the step that shows it, and for the model."""

from typing import Any

import msgspec

# What a step shows of one result.
_SHOWN_CHARS = 256_000


def written(result: dict[str, Any]) -> str:
    """All that a result says. What is no text is named, and not shown."""
    content = result.get("content")
    parts = [_part(part) for part in content] if isinstance(content, list) else []
    text = "\n".join(parts)
    if not text and "structuredContent" in result:
        text = msgspec.json.encode(result["structuredContent"]).decode()
    if result.get("resultType") == "input_required":
        return "Error: the tool asks for more than an assistant can tell it."
    if result.get("isError") is True and not text.lower().startswith("error"):
        text = f"Error: {text or 'the tool failed and did not say why.'}"
    return cut(text, _SHOWN_CHARS)


def cut(text: str, most_chars: int) -> str:
    return text if len(text) <= most_chars else f"{text[:most_chars]}\n[cut]"


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return "[content without a type]"
    kind = part.get("type")
    match kind:
        case "text":
            return str(part.get("text", ""))
        case "image" | "audio":
            return f"[{kind}: {part.get('mimeType', 'unknown type')}, {_size(part.get('data'))}]"
        case "resource":
            return _resource(part.get("resource"))
        case "resource_link":
            return f"[resource: {part.get('name', '')} {part.get('uri', '')}]"
    return f"[content of type {kind!r}]"


def _resource(resource: Any) -> str:
    if not isinstance(resource, dict):
        return "[resource]"
    uri = resource.get("uri", "")
    if isinstance(text := resource.get("text"), str):
        return f"[resource: {uri}]\n{text}"
    kind = resource.get("mimeType", "unknown type")
    return f"[resource: {uri}, {kind}, {_size(resource.get('blob'))}]"


def _size(encoded: Any) -> str:
    """How large the bytes behind some base64 are."""
    return f"{len(encoded) * 3 // 4} bytes" if isinstance(encoded, str) else "0 bytes"
