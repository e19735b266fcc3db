"""The kinds of objects that move, in the order in which they are written, and how to tell them."""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from locum.wire.assistants import Assistant, AssistantFile
from locum.wire.files import File
from locum.wire.messages import Message
from locum.wire.runs import Run
from locum.wire.steps import RunStep
from locum.wire.threads import Thread
from locum.wire.vector_stores import FileBatch, VectorStore, VectorStoreFile

# Letters that need no care in a path, a log or a file name.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}\Z")


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of object. `owner` is the field that names what its list hangs on."""

    name: str
    # What its objects say they are.
    object_name: str
    type: type[Any]
    # Files of Azure begin with `assistant-`.
    prefixes: tuple[str, ...]
    owner: str | None = None
    # What stands in for a field that a dump leaves out, or has as null.
    defaults: Mapping[str, Any]

    def accepts(self, object_id: object) -> bool:
        return (
            isinstance(object_id, str)
            and object_id.startswith(self.prefixes)
            and _ID.match(object_id) is not None
        )


_METADATA: Final[dict[str, Any]] = {"metadata": {}}

ASSISTANTS: Final = Kind(
    name="assistants",
    object_name="assistant",
    type=Assistant,
    prefixes=("asst_",),
    defaults=_METADATA | {"tools": [], "tool_resources": {}, "response_format": "auto"},
)
FILES: Final = Kind(
    name="files",
    object_name="file",
    type=File,
    prefixes=("file-", "assistant-"),
    defaults={"purpose": "assistants", "status": "processed"},
)
ASSISTANT_FILES: Final = Kind(
    name="assistant_files",
    object_name="assistant.file",
    type=AssistantFile,
    prefixes=FILES.prefixes,
    owner="assistant_id",
    defaults={},
)
VECTOR_STORES: Final = Kind(
    name="vector_stores",
    object_name="vector_store",
    type=VectorStore,
    prefixes=("vs_",),
    defaults=_METADATA | {"usage_bytes": 0, "status": "completed"},
)
VECTOR_STORE_FILES: Final = Kind(
    name="vector_store_files",
    object_name="vector_store.file",
    type=VectorStoreFile,
    prefixes=FILES.prefixes,
    owner="vector_store_id",
    defaults={
        "usage_bytes": 0,
        "status": "completed",
        "attributes": {},
        "chunking_strategy": {"type": "other"},
    },
)
FILE_BATCHES: Final = Kind(
    name="file_batches",
    object_name="vector_store.file_batch",
    type=FileBatch,
    prefixes=("vsfb_",),
    owner="vector_store_id",
    defaults={"status": "completed"},
)
THREADS: Final = Kind(
    name="threads",
    object_name="thread",
    type=Thread,
    prefixes=("thread_",),
    defaults=_METADATA | {"tool_resources": {}},
)
MESSAGES: Final = Kind(
    name="messages",
    object_name="thread.message",
    type=Message,
    prefixes=("msg_",),
    owner="thread_id",
    defaults=_METADATA | {"status": "completed", "content": [], "attachments": []},
)
RUNS: Final = Kind(
    name="runs",
    object_name="thread.run",
    type=Run,
    prefixes=("run_",),
    owner="thread_id",
    defaults=_METADATA
    | {
        "tools": [],
        "tool_resources": {},
        "truncation_strategy": {"type": "auto"},
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    },
)
STEPS: Final = Kind(
    name="steps",
    object_name="thread.run.step",
    type=RunStep,
    prefixes=("step_",),
    owner="run_id",
    defaults=_METADATA,
)

# Whoever refers to another comes after it.
KINDS: Final = (
    FILES,
    VECTOR_STORES,
    VECTOR_STORE_FILES,
    FILE_BATCHES,
    ASSISTANTS,
    ASSISTANT_FILES,
    THREADS,
    MESSAGES,
    RUNS,
    STEPS,
)
BY_NAME: Final[Mapping[str, Kind]] = {kind.name: kind for kind in KINDS}
BY_OBJECT: Final[Mapping[str, Kind]] = {kind.object_name: kind for kind in KINDS}
# The names by which dumps call the lists of a kind.
BY_LIST: Final[Mapping[str, Kind]] = {
    **BY_NAME,
    "run_steps": STEPS,
    "thread_messages": MESSAGES,
    "assistant": ASSISTANTS,
    "file": FILES,
    "message": MESSAGES,
    "run": RUNS,
    "step": STEPS,
    "run_step": STEPS,
    "thread": THREADS,
    "vector_store": VECTOR_STORES,
    "vector_store_file": VECTOR_STORE_FILES,
}
