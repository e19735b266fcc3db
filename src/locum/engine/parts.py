"""What is open while a model speaks: a message, or the calls of a step.

Each change is told as a delta and folded into the final object in one place, so that the row
that ends a stream is what its deltas add up to.
"""

from typing import Any

from locum.wire.messages import (
    Annotation,
    CitedFile,
    FileCitation,
    ImageFile,
    ImageFilePart,
    Part,
    Refusal,
    Text,
    TextValue,
)
from locum.wire.steps import FunctionCall, FunctionDone


class OpenMessage:
    """A message that is being written. Every method returns the delta of one content part."""

    def __init__(self) -> None:
        self._parts: list[_OpenText | _OpenRefusal | ImageFilePart] = []

    def image(self, file_id: str) -> dict[str, Any]:
        self._parts.append(ImageFilePart(ImageFile(file_id=file_id)))
        return {
            "index": len(self._parts) - 1,
            "type": "image_file",
            "image_file": {"file_id": file_id, "detail": "auto"},
        }

    def text(self, value: str, annotation: Annotation | None = None) -> dict[str, Any]:
        """More text, or an annotation to what was said before, or both at once."""
        if not self._parts or not isinstance(self._parts[-1], _OpenText):
            self._parts.append(_OpenText())
            first = True
        else:
            first = False
        part = self._parts[-1]
        assert isinstance(part, _OpenText)
        # Empty, if only an annotation is told: many programs add up every value without a look.
        delta: dict[str, Any] = {"value": value}
        part.pieces.append(value)
        if annotation is not None:
            delta["annotations"] = [_told(annotation, len(part.annotations))]
            part.annotations.append(annotation)
        elif first:
            delta["annotations"] = []
        return {"index": len(self._parts) - 1, "type": "text", "text": delta}

    def refusal(self, value: str) -> dict[str, Any]:
        if not self._parts or not isinstance(self._parts[-1], _OpenRefusal):
            self._parts.append(_OpenRefusal())
        part = self._parts[-1]
        assert isinstance(part, _OpenRefusal)
        part.pieces.append(value)
        return {"index": len(self._parts) - 1, "type": "refusal", "refusal": value}

    def parts(self) -> tuple[Part, ...]:
        return tuple(
            part if isinstance(part, ImageFilePart) else part.close() for part in self._parts
        )


class _OpenText:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.annotations: list[Annotation] = []

    def close(self) -> Text:
        return Text(TextValue("".join(self.pieces), tuple(self.annotations)))


class _OpenRefusal:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    def close(self) -> Refusal:
        return Refusal("".join(self.pieces))


class OpenFunctions:
    """The function calls of one turn, in one step. Every method returns the delta of one call."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str, list[str]]] = []

    def begin(self, call_id: str, name: str) -> dict[str, Any]:
        self._calls.append((call_id, name, []))
        return {
            "index": len(self._calls) - 1,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": "", "output": None},
        }

    def write(self, position: int, arguments: str) -> dict[str, Any]:
        self._calls[position][2].append(arguments)
        return {"index": position, "type": "function", "function": {"arguments": arguments}}

    def __len__(self) -> int:
        return len(self._calls)

    def calls(self) -> tuple[FunctionCall, ...]:
        return tuple(
            FunctionCall(id=call_id, function=FunctionDone(name, "".join(pieces), None))
            for call_id, name, pieces in self._calls
        )


def _told(annotation: Annotation, index: int) -> dict[str, Any]:
    """An annotation as its delta tells it: with an index, and a citation with an empty quote."""
    told: dict[str, Any] = {
        "index": index,
        "type": "file_citation" if isinstance(annotation, FileCitation) else "file_path",
        "text": annotation.text,
        "start_index": annotation.start_index,
        "end_index": annotation.end_index,
    }
    if isinstance(annotation, FileCitation):
        told["file_citation"] = CitedFile(annotation.file_citation.file_id, quote="")
    else:
        told["file_path"] = annotation.file_path
    return told
