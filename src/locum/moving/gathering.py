"""From the files of a dump to staged records: what is what, whose it is, where its bytes are."""

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from locum.moving.kinds import BY_LIST, FILES, MESSAGES, RUNS, STEPS, THREADS, Kind
from locum.moving.shapes import Around, pieces
from locum.moving.sources import MARKER, Entry, Found, Sources
from locum.store.staging import Record, Staging

# What an export of Locum has besides objects.
EXPORT: Final = "locum.export"
PROJECT: Final = "locum.project"
NOTE: Final = "locum.note"
CONTENT: Final = "locum.file_content"
_TOGETHER: Final = 2_000
_OWNED_BY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<thread_id>thread_[A-Za-z0-9]{6,64})|(?P<run_id>run_[A-Za-z0-9]{6,64})"
    r"|(?P<vector_store_id>vs_[A-Za-z0-9]{6,64})|(?P<assistant_id>asst_[A-Za-z0-9]{6,64}))"
)
_FILE_ID: Final = re.compile(r"(?<![A-Za-z0-9])(?:file|assistant)-[A-Za-z0-9]{6,64}(?![A-Za-z0-9])")
# A file about a file is small; one that is larger and bears an id in its name is its content.
_ABOUT_BYTES: Final = 16 * 1024
# What ChatGPT's own export of conversations calls its files.
_CHATGPT: Final = frozenset({"mapping", "current_node", "conversation_id"})

# What is being done, how much of it is, and how much there is; 0 when nobody knows.
Tick = Callable[[str, int, int], None]


class Gatherer:
    """Reads sources into a staging area. Whoever is stopped begins again: this part is quick."""

    def __init__(self, staging: Staging, *, project_id: str | None, default: str) -> None:
        self._staging = staging
        self._forced = project_id
        self._project = project_id or default
        self._default = project_id or default
        # Where what was said of the project holds: a folder, or one file.
        self._scope = ""
        self._arriving: dict[tuple[str, str], Path] = {}
        self.objects = 0

    def gather(self, sources: Sources, *, contents: Path, tick: Tick) -> None:
        """Stage everything; `contents` is where bytes go that stand in lines of JSON."""
        self._staging.begin()
        for entry in sources.entries():
            self._enter(entry)
            if entry.is_json and not self._is_content(sources, entry):
                for found in sources.values(entry):
                    self._take(found, entry, contents)
                    if self.objects % _TOGETHER == 0:
                        self._staging.commit()
                        self._staging.begin()
                        tick("reading", self.objects, 0)
            else:
                self._note_content(entry)
        self._complete_threads()
        self._staging.commit()

    def add(self, kind: Kind, value: dict[str, Any], *, where: str) -> None:
        """Stage one object, unless it cannot be told from others or belongs to nobody."""
        object_id = value.get("id")
        if not isinstance(object_id, str) or not kind.accepts(object_id):
            said = f"not imported: an id of {kind.name} begins with {kind.prefixes[0]}"
            self._staging.note(kind.name, where, said)
            return
        owner_id = "" if kind.owner is None else value.get(kind.owner)
        if not isinstance(owner_id, str):
            self._staging.note(kind.name, object_id, f"not imported: it names no {kind.owner}")
            return
        thread_id = value.get("thread_id") if kind in (MESSAGES, RUNS, STEPS) else None
        created_at = value.get("created_at")
        record = Record(
            project_id=self._project,
            kind=kind.name,
            owner_id=owner_id,
            id=object_id,
            thread_id=thread_id
            if isinstance(thread_id, str) and THREADS.accepts(thread_id)
            else None,
            created_at=created_at if _is_time(created_at) else None,
            document=msgspec.json.encode(value),
        )
        self.objects += 1
        before = self._staging.add(record)
        if before is not None and msgspec.json.decode(before) != value:
            said = "stands in the dump twice, differing: the first one counts"
            self._staging.note(kind.name, object_id, said)

    # -------------------------------------------------------------------- one value

    def _take(self, found: Found, entry: Entry, contents: Path) -> None:
        if found.problem is not None:
            self._staging.note("source", found.where, f"not imported: {found.problem}")
            return
        value = found.value
        if isinstance(value, dict):
            told = value.get("object")
            if told == EXPORT:
                return
            if told == PROJECT:
                self._begin_project(value, entry)
                return
            if told == NOTE:
                kind, object_id, said = (str(value.get(name)) for name in ("kind", "id", "said"))
                self._staging.note(kind, object_id, said)
                return
            if told == CONTENT:
                self._append(value, found.where, contents)
                return
        if _is_chatgpt(value):
            said = (
                "not imported: a ChatGPT conversation. Such an export holds no threads of the"
                " Assistants API"
            )
            self._staging.note("source", entry.name, said)
            return
        for piece in pieces(value, _around(entry.name)):
            if piece.kind is None:
                self._staging.note("source", found.where, f"not imported: {piece.value}")
            else:
                self.add(piece.kind, piece.value, where=found.where)

    # --------------------------------------------------------------------- projects

    def _begin_project(self, value: dict[str, Any], entry: Entry) -> None:
        """An export of Locum: its lists are in their order already."""
        self._scope = entry.path.removesuffix(MARKER)
        project_id = value.get("id")
        if self._forced is None and isinstance(project_id, str) and _is_project(project_id):
            self._project = project_id
            self._staging.remember(f"name/{project_id}", str(value.get("name", project_id))[:256])
        self._staging.remember(f"ordered/{self._project}", "yes")

    def _enter(self, entry: Entry) -> None:
        if not entry.path.startswith(self._scope):
            self._scope, self._project = "", self._default

    # --------------------------------------------------------------------- contents

    def _is_content(self, sources: Sources, entry: Entry) -> bool:
        """Whether a JSON file is the bytes of a file rather than a part of the dump."""
        if not _FILE_ID.search(entry.name):
            return False
        if entry.size > _ABOUT_BYTES:
            return True
        values = list(sources.values(entry))
        return not all(
            isinstance(one.value, dict) and one.value.get("object") == FILES.object_name
            for one in values
        )

    def _note_content(self, entry: Entry) -> None:
        """Bytes are found by the id in their path, else by the name of the file."""
        named = _FILE_ID.findall(entry.name)
        if named:
            self._staging.set_content(self._project, named[-1], entry.path)
        elif not entry.name.endswith("manifest.json"):
            name = entry.name.rpartition("/")[2]
            taken = self._staging.content("", f"name/{name}/{entry.size}")
            # Two of one name and one size: nobody can tell which it is.
            path = "" if taken is not None else entry.path
            self._staging.set_content("", f"name/{name}/{entry.size}", path)

    def _append(self, value: dict[str, Any], where: str, contents: Path) -> None:
        file_id, text = value.get("file_id"), value.get("base64")
        if not isinstance(text, str) or not FILES.accepts(file_id):
            self._staging.note("files", where, "not imported: no bytes of a file")
            return
        assert isinstance(file_id, str)
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error:
            self._staging.note("files", file_id, "its bytes are damaged in the dump")
            return
        key = (self._project, file_id)
        begun = key in self._arriving
        if not begun:
            self._arriving[key] = contents / f"{len(self._arriving)}"
            self._staging.set_content(self._project, file_id, f"@{self._arriving[key]}")
        with self._arriving[key].open("ab" if begun else "wb") as file:
            file.write(data)

    # ---------------------------------------------------------------------- threads

    def _complete_threads(self) -> None:
        """Threads that messages and runs name, and that the dump does not have."""
        for project_id, thread_id, created_at in self._staging.orphaned_threads():
            value = {"id": thread_id, "object": THREADS.object_name, "created_at": created_at}
            self._staging.add(
                Record(
                    project_id=project_id,
                    kind=THREADS.name,
                    owner_id="",
                    id=thread_id,
                    thread_id=None,
                    created_at=created_at,
                    document=msgspec.json.encode(value | {"locum": {"implied": True}}),
                )
            )


def _around(name: str) -> Around:
    """What the path of a file tells of the objects in it."""
    owners: dict[str, str] = {}
    for match in _OWNED_BY.finditer(name):
        owners.update({field: one for field, one in match.groupdict().items() if one is not None})
    return Around(_kind_of(name), tuple(owners.items()))


def _kind_of(name: str) -> Kind | None:
    """The most telling of the words in a path: `thread_messages` before `messages`, last first."""
    for part in reversed(re.sub(r"\.[A-Za-z]+$", "", name.lower()).split("/")):
        words = _OWNED_BY.sub("", part).strip("-_ ")
        for word in sorted(BY_LIST, key=len, reverse=True):
            if re.search(rf"(?<![a-z]){word}s?(?![a-z])", words):
                return BY_LIST[word]
    return None


def _is_project(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", text) is not None


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _is_chatgpt(value: object) -> bool:
    some = value[:1] if isinstance(value, list) else [value]
    return any(isinstance(one, dict) and len(_CHATGPT & one.keys()) > 1 for one in some)


def implied(value: dict[str, Any]) -> bool:
    """Whether a thread is only there because others name it."""
    private = value.get("locum")
    return isinstance(private, dict) and private.get("implied") is True
