"""From the files of a dump to staged records: what is what, whose it is, where its bytes are."""

import base64
import binascii
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from locum.moving.kinds import BY_LIST, FILES, MESSAGES, RUNS, STEPS, THREADS, Kind
from locum.moving.shapes import Around, pieces
from locum.moving.sources import MARKER, Entry, Found, Sources
from locum.store.staging import Record, Staging

# What an export of Locum has besides objects.
EXPORT: Final = "locum.export"
BACKUP: Final = "locum.backup"
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
        """Stage everything; `contents` is where bytes go that stand in lines of JSON.

        What may be the bytes of a file as well is looked at when the files of the rest are known.
        """
        self._staging.begin()
        doubtful: list[tuple[int, str, Entry]] = []
        unknown: list[tuple[str, Entry]] = []

        def read(entry: Entry, *, is_dump: bool) -> bool:
            return self._read(sources, entry, contents, tick, is_dump=is_dump)

        for entry in sources.entries():
            self._enter(entry)
            self._note_content(entry)
            if not entry.is_json and not entry.is_source:
                continue
            if doubt := _doubt(sources, entry):
                doubtful.append((doubt, self._project, entry))
            elif not read(entry, is_dump=False):
                unknown.append((self._project, entry))
        for _, project_id, entry in sorted(doubtful, key=lambda one: one[0]):
            self._project = project_id
            if not self._is_content(entry) and not read(entry, is_dump=False):
                unknown.append((project_id, entry))
        for project_id, entry in unknown:
            self._project = project_id
            if not self._is_content(entry) and not self._is_original(entry):
                read(entry, is_dump=True)
        self._complete_threads()
        self._staging.commit()

    def _read(
        self, sources: Sources, entry: Entry, contents: Path, tick: Tick, *, is_dump: bool
    ) -> bool:
        """Take what is in a file that is a part of the dump; whether it is, its beginning tells."""
        with closing(sources.values(entry)) as values:
            for found in values:
                if not is_dump and not _begins_dump(found, entry):
                    return False
                is_dump = True
                self._take(found, entry, contents)
                if self.objects % _TOGETHER == 0:
                    self._staging.commit()
                    self._staging.begin()
                    tick("reading", self.objects, 0)
        return is_dump

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
        if kind is FILES and isinstance(value.get("filename"), str):
            self._staging.remember(_original(value["filename"], value.get("bytes")), object_id)
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
            if told == BACKUP:
                said = "not imported: a backup, which `locum restore` puts back"
                self._staging.note("source", found.where, said)
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
        if self._forced is None and project_id is not None:
            self._project = str(project_id)
            name = str(value.get("name", project_id))[:256]
            self._staging.remember(f"name/{self._project}", name)
        self._staging.remember(f"ordered/{self._project}", "yes")

    def _enter(self, entry: Entry) -> None:
        if not entry.path.startswith(self._scope):
            self._scope, self._project = "", self._default

    # --------------------------------------------------------------------- contents

    def _note_content(self, entry: Entry) -> None:
        """Bytes are found by the id in their path, else by the name of the file."""
        named = _FILE_ID.findall(entry.name)
        if named and not entry.is_json:
            self._staging.set_content(self._project, named[-1], entry.path)
        name = entry.name.rpartition("/")[2]
        taken = self._staging.content("", f"name/{name}/{entry.size}")
        # Two of one name and one size: nobody can tell which it is.
        path = "" if taken is not None else entry.path
        self._staging.set_content("", f"name/{name}/{entry.size}", path)

    def _is_content(self, entry: Entry) -> bool:
        """Whether the id of a file that is in the dump stands in the path: then it is its bytes."""
        for file_id in reversed(_FILE_ID.findall(entry.name)):
            if self._staging.holds(self._project, FILES.name, file_id):
                self._staging.set_content(self._project, file_id, entry.path)
                return True
        return False

    def _is_original(self, entry: Entry) -> bool:
        """Whether a file in the dump has this name and this size."""
        return self._staging.fact(_original(entry.name, entry.size)) is not None

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


def _doubt(sources: Sources, entry: Entry) -> int:
    """How much there is to say that a file is the bytes of one rather than a part of the dump:
    1, a folder that could be called by an id of a file; 2, its own name, or one that is not JSON's.
    """
    folder, _, name = entry.name.rpartition("/")
    if not entry.is_json or _FILE_ID.search(name):
        return 0 if _is_about_files(sources, entry) else 2
    return 1 if _FILE_ID.search(folder) and name != MARKER else 0


def _is_about_files(sources: Sources, entry: Entry) -> bool:
    """Whether it tells of files, each in an object: dumps have one beside the bytes of each."""
    if not entry.is_json or entry.size > _ABOUT_BYTES:
        return False
    told = [one.value for one in sources.values(entry)]
    return bool(told) and all(
        isinstance(one, dict) and one.get("object") == FILES.object_name for one in told
    )


def _begins_dump(found: Found, entry: Entry) -> bool:
    """Whether a first value can be nothing but a part of a dump."""
    value = found.value
    if isinstance(value, dict) and value.get("object") in (EXPORT, PROJECT, NOTE, CONTENT):
        return True
    if found.problem is not None or _is_chatgpt(value):
        return False
    first = next(pieces(value, _around(entry.name)), None)
    return (
        first is not None and first.kind is not None and first.kind.accepts(first.value.get("id"))
    )


def _original(name: str, size: object) -> str:
    """What is remembered of a file, so that its bytes are known when they are seen."""
    return f"original/{size}/{name.rpartition('/')[2]}"


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _is_chatgpt(value: object) -> bool:
    some = value[:1] if isinstance(value, list) else [value]
    return any(isinstance(one, dict) and len(_CHATGPT & one.keys()) > 1 for one in some)


def implied(value: dict[str, Any]) -> bool:
    """Whether a thread is only there because others name it."""
    private = value.get("locum")
    return isinstance(private, dict) and private.get("implied") is True
