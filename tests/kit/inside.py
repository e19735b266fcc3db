"""The server without a socket: requests go straight to the door, as fast as it can take them.

Whole answers only; streams are collected to their end. Nothing a real client could not send is
kept from the door: paths, headers and bodies are bytes.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp
from tests.kit.clocks import LeapingClock, SteppedClock
from tests.kit.databases import fresh_url
from tests.kit.http import Answer

from locum.api.auth import new_key
from locum.api.door import Door
from locum.app import Parts, open_house
from locum.clock import Clock
from locum.engine.journal import Key
from locum.llm.scripted import Scripted
from locum.service import assistants, runs, threads
from locum.service.scope import House, Scope
from locum.settings import Settings
from locum.store.keys import ApiKey
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage
from locum.wire.runs import CreateRun, CreateRunQuery
from locum.wire.threads import CreateThread
from locum.wire.tools import FunctionDefinition, FunctionTool

_ANSWER_S = 30.0
# Which database a house gets that says nothing about it: fixtures run whole suites over each.
DIALECT: ContextVar[str] = ContextVar("dialect", default="sqlite")
Headers = Sequence[tuple[bytes, bytes]]


class Inside:
    def __init__(self, house: House, door: ASGIApp) -> None:
        self.house = house
        self._door = door

    async def send(
        self,
        method: str,
        target: bytes,
        *,
        headers: Headers = (),
        body: bytes = b"",
    ) -> Answer:
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path,
            "path": path.decode("latin-1"),
            "query_string": query,
            "headers": list(headers),
        }
        pending = [{"type": "http.request", "body": body, "more_body": False}]
        status, answered = 0, {}
        pieces: list[bytes] = []

        async def receive() -> Any:
            if pending:
                return pending.pop()
            return await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                pieces.append(message["body"])

        async with asyncio.timeout(_ANSWER_S):
            await self._door(scope, receive, send)
        return Answer(status, answered, b"".join(pieces))

    async def json(self, method: str, path: str, body: Any = None, *, key: str = "k") -> Answer:
        headers = [(b"authorization", f"Bearer {key}".encode())]
        content = b"" if body is None else json.dumps(body).encode()
        return await self.send(method, path.encode(), headers=headers, body=content)

    async def add_key(self, project_id: str) -> str:
        secret, digest, hint = new_key()
        key = ApiKey(
            id=f"key_{digest[:24]}",
            project_id=project_id,
            name="test",
            hint=hint,
            read_only=False,
            created_at=0,
            expires_at=None,
            revoked_at=None,
        )
        keys = self.house.store.keys
        async with self.house.store.transaction() as tx:
            await keys.ensure_project(tx, project_id, name=project_id, now=0)
            await keys.add(tx, key, digest)
        return secret


@asynccontextmanager
async def inside(*, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Inside]:
    """A house with a frozen clock and the scripted model, and its door."""
    if DIALECT.get() == "postgres" and "database_url" not in settings:
        async with fresh_url() as url, inside(database_url=url, clock=clock, **settings) as door:
            yield door
        return
    with tempfile.TemporaryDirectory(prefix="locum-inside-") as directory:
        chosen = Settings(data=Path(directory), durable=False, model="scripted", **settings)
        if clock is None:
            clock = LeapingClock() if "database_url" in settings else SteppedClock()
        parts = Parts(clock=clock, backend=Scripted(), tools=())
        async with open_house(chosen, parts) as house:
            yield Inside(house, Door(house))


async def begun(house: House, text: str) -> Key:
    """A run of its own thread, just made, whose model hears a text and may call a function."""
    scope = Scope(house, "proj")
    tools = (FunctionTool(FunctionDefinition(name="f")),)
    made = await assistants.create_assistant(scope, body=CreateAssistant(model="m", tools=tools))
    said = (CreateMessage(role="user", content=text),)
    thread = await threads.create_thread(scope, body=CreateThread(messages=said))
    run = await runs.create_run(
        scope,
        thread_id=thread.id,
        body=CreateRun(assistant_id=made.id),
        query=CreateRunQuery(),
    )
    assert not isinstance(run, runs.RunStream)
    return scope.project_id, thread.id, run.id
