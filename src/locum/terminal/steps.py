"""`locum steps`: a run with all its steps, out of the database of this machine or over HTTP."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from locum.keyring import opened
from locum.settings import Settings
from locum.store.tables import Store
from locum.terminal.client import Client, Unanswered
from locum.terminal.tree import Told, text_of
from locum.wire.steps import MessageCreation

_CONTENT: Final = "step_details.tool_calls[*].file_search.results[*].content"


async def read_here(settings: Settings, run_id: str) -> Told:
    """The run as the database has it, whichever project and thread it belongs to."""
    async with opened(settings) as store:
        found = await store.runs.named(run_id)
        if not found:
            raise Unanswered(f"There is no run '{run_id}' in the database of these settings.")
        if len(found) > 1:
            raise Unanswered(f"Several projects have a run '{run_id}': ask one of them with --url.")
        return await _read(store, *found[0], run_id=run_id)


async def read_there(client: Client, run_id: str) -> Told:
    run = await client.get(f"runs/{run_id}")
    thread = f"threads/{run['thread_id']}"
    steps = await client.every(f"{thread}/runs/{run_id}/steps", **{"include[]": _CONTENT})
    messages = await client.every(f"{thread}/messages", run_id=run_id)
    return Told(run, steps, {message["id"]: text_of(message["content"]) for message in messages})


def as_json(told: Told) -> str:
    return msgspec.json.encode(told).decode()


async def _read(store: Store, project_id: str, thread_id: str, *, run_id: str) -> Told:
    run = await store.runs.get(project_id, run_id, owner_id=thread_id)
    steps = await store.steps.all(project_id, owner_id=run_id)
    texts = {}
    for step in steps:
        if isinstance(step.step_details, MessageCreation):
            message_id = step.step_details.message_creation.message_id
            message = await store.messages.find(project_id, message_id, owner_id=thread_id)
            if message is not None:
                texts[message_id] = text_of(msgspec.json.decode(message.text)["content"])
    return Told(msgspec.json.decode(run.text), _plain(steps), texts)


def _plain(steps: Sequence[Any]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(step) for step in steps]
