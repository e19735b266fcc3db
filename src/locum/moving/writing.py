"""One object into the database: created, left as it is, replaced, or refused with a reason."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from locum.moving.gathering import implied
from locum.moving.kinds import BY_NAME, Kind
from locum.moving.objects import Refused, made
from locum.store.database import Reader, Transaction
from locum.store.documents import Documents
from locum.store.runs import Plan
from locum.store.staging import Staged, Staging
from locum.store.tables import Store
from locum.tools.tool import Memory
from locum.wire.assistants import Assistant
from locum.wire.messages import Message
from locum.wire.runs import Run
from locum.wire.steps import RunStep
from locum.wire.threads import Thread
from locum.wire.tools import CodeResources
from locum.wire.vector_stores import FileBatch, VectorStore, VectorStoreFile

CREATED: Final = "created"
UNCHANGED: Final = "unchanged"
REPLACED: Final = "replaced"
DIFFERS: Final = "differs"
REFUSED: Final = "refused"
STATES: Final = (CREATED, REPLACED, UNCHANGED, DIFFERS, REFUSED)

_RUN_LIFE_S: Final = 600
# What the server itself moves on, so that it tells nothing of whether an object is another one.
_MOVING: Final[Mapping[type[Any], tuple[str, ...]]] = {
    VectorStore: ("file_counts", "usage_bytes", "status", "last_active_at", "expires_at"),
    FileBatch: ("file_counts", "status"),
    VectorStoreFile: ("status", "usage_bytes", "last_error"),
}
_ACTIVE: Final = ("queued", "in_progress", "requires_action", "cancelling")


class Writer:
    """Writes what has been staged; with `dry` it only says what it would do."""

    def __init__(self, store: Store, staging: Staging, *, replaces: bool, dry: bool) -> None:
        self._store = store
        self._staging = staging
        self._replaces = replaces
        self._dry = dry
        self._tables: Mapping[str, Documents[Any]] = {
            name: getattr(store, name) for name in BY_NAME
        }

    async def write(
        self,
        reader: Reader,
        tx: Transaction | None,
        project_id: str,
        kind: Kind,
        staged: Staged,
        *,
        now: int,
        fresh: bool = False,
    ) -> str:
        """What became of the object. A `fresh` one hangs on what was just made: it is new."""
        value: dict[str, Any] = msgspec.json.decode(staged.document)
        owner_id = None if kind.owner is None else value[kind.owner]
        table = self._tables[kind.name]
        held = None
        if not fresh:
            held = await table.find(project_id, staged.id, owner_id=owner_id, reader=reader)
        before = None if held is None else held.read()
        try:
            found, notes = made(kind, value, now=now if before is None else before.created_at)
        except Refused as refused:
            self.note(kind, staged.id, f"not imported: {refused}")
            return REFUSED
        if before is not None and (implied(value) or same(before, found)):
            return UNCHANGED
        for said in notes:
            self.note(kind, staged.id, said)
        private = _private(value)
        if before is None:
            if implied(value):
                self.note(kind, staged.id, "it is not in the dump: an empty one was made")
            if tx is not None:
                await self._write(tx, project_id, kind, found, private, new=True)
            return CREATED
        names = ", ".join(_differing(before, found))
        if not self._may_replace(kind, before, names):
            return DIFFERS
        if tx is not None:
            await self._write(tx, project_id, kind, _kept(before, found), private, new=False)
        self.note(kind, staged.id, f"replaced: {names} differed")
        return REPLACED

    def note(self, kind: Kind, object_id: str, said: str) -> None:
        self._staging.note(kind.name, object_id, said)

    def _may_replace(self, kind: Kind, before: Any, names: str) -> bool:
        if not self._replaces:
            self.note(kind, before.id, f"another one is here: {names} differ; see --replace")
            return False
        if isinstance(before, Run) and before.status in _ACTIVE:
            self.note(kind, before.id, f"not replaced: it is {before.status} here")
            return False
        return True

    # ---------------------------------------------------------------------- the rows

    async def _write(
        self,
        tx: Transaction,
        project_id: str,
        kind: Kind,
        found: Any,
        private: Mapping[str, Any],
        *,
        new: bool,
    ) -> None:
        if isinstance(found, Thread):
            threads = self._store.threads
            await (threads.add if new else threads.change)(tx, project_id, found)
        else:
            table = self._tables[kind.name]
            await (table.insert if new else table.replace)(
                tx,
                project_id,
                found.id,
                found,
                owner_id=None if kind.owner is None else getattr(found, kind.owner),
                **_columns(found, private),
            )
        await self._note_uses(tx, project_id, kind, found)

    async def _note_uses(self, tx: Transaction, project_id: str, kind: Kind, found: Any) -> None:
        if isinstance(found, Assistant | Thread):
            code = found.tool_resources.code_interpreter
            await self._store.files.set_uses(
                tx,
                project_id,
                owner=kind.name,
                owner_id=found.id,
                file_ids=tuple(dict.fromkeys(code.file_ids))
                if isinstance(code, CodeResources)
                else (),
            )


def same(before: Any, found: Any) -> bool:
    return not _differing(before, found)


def _differing(before: Any, found: Any) -> list[str]:
    moving = _MOVING.get(type(found), ())
    return [
        name
        for name in found.__struct_fields__
        if name not in moving and getattr(before, name) != getattr(found, name)
    ]


def _kept(before: Any, found: Any) -> Any:
    """What is replaced keeps what the server has made of it, unless that is to be made anew."""
    if isinstance(found, VectorStoreFile) and found.chunking_strategy != before.chunking_strategy:
        return found
    moving = _MOVING.get(type(found), ())
    return replace(found, **{name: getattr(before, name) for name in moving})


def _columns(found: Any, private: Mapping[str, Any]) -> dict[str, Any]:
    """The columns beside the document, as each table has them."""
    match found:
        case Message():
            return {"role": found.role, "run_id": found.run_id}
        case Run():
            expires_at = found.expires_at or found.created_at + _RUN_LIFE_S
            plan = msgspec.json.encode(Plan(include=private.get("include") is True)).decode()
            return {"status": found.status, "expires_at": expires_at, "plan": plan}
        case RunStep():
            return {"thread_id": found.thread_id, "memory": _memory(private.get("memory"))}
        case Assistant():
            return {"headers": _headers(private.get("headers"))}
        case VectorStoreFile():
            batch_id = private.get("batch_id")
            known = isinstance(batch_id, str) and BY_NAME["file_batches"].accepts(batch_id)
            return {"status": found.status, "batch_id": batch_id if known else None}
    return {}


def _private(value: Mapping[str, Any]) -> Mapping[str, Any]:
    held = value.get("locum")
    return held if isinstance(held, dict) else {}


def _memory(value: object) -> str:
    try:
        return msgspec.json.encode(msgspec.convert(value or [], list[Memory])).decode()
    except msgspec.ValidationError:
        return "[]"


def _headers(value: object) -> str:
    try:
        return msgspec.json.encode(msgspec.convert(value or {}, dict[str, dict[str, str]])).decode()
    except msgspec.ValidationError:
        return "{}"
