"""Stored runs to read: one thing made over HTTP, then as many copies as are wanted, by SQL."""

import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.load import ask
from msgspec import Struct

from locum.store.database import Database
from locum.store.migrations import migrate
from locum.store.postgres import PostgresDatabase
from locum.store.sqlite import SqliteDatabase

_SETTLED_S = 20.0
# Rows of one transaction: the log of SQLite is moved into the file between them.
_AT_ONCE = 200_000
_ZEROS = "000000000000000000000000"
_NUMBERED = f"'step_' || substr('{_ZEROS}' || i, length('{_ZEROS}' || i) - 23)"
# One step to many; the same statement on both databases.
_COPY = f"""
    WITH RECURSIVE n(i) AS (SELECT CAST($5 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $6)
    INSERT INTO steps (project_id, thread_id, run_id, id, document)
    SELECT $1, $2, $3, {_NUMBERED}, replace($4, 'STEP_ID', {_NUMBERED}) FROM n ORDER BY i
"""
_PASSAGE = "The deposit is returned within thirty days of the end of the contract. " * 11


class Stored(Struct, frozen=True, kw_only=True):
    """What there is to read."""

    assistant_id: str
    thread_id: str
    run_id: str
    # A second run, of searches with what they found.
    search_run_id: str

    @property
    def run(self) -> str:
        return f"/v1/threads/{self.thread_id}/runs/{self.run_id}"

    @property
    def search_run(self) -> str:
        return f"/v1/threads/{self.thread_id}/runs/{self.search_run_id}"


def step_id(number: int) -> str:
    return f"step_{number:024}"


async def completed(port: int, thread_id: str, assistant_id: str) -> str:
    path = f"/v1/threads/{thread_id}/runs"
    run = await ask(port, "POST", path, {"assistant_id": assistant_id})
    async with asyncio.timeout(_SETTLED_S):
        while run["status"] != "completed":
            await asyncio.sleep(0.01)
            run = await ask(port, "GET", f"{path}/{run['id']}")
    return str(run["id"])


async def conversation(port: int, *, model: str = "scripted") -> tuple[str, str]:
    """An assistant and a thread with one question."""
    assistant = await ask(
        port, "POST", "/v1/assistants", {"model": model, "instructions": "Answer"}
    )
    asked = {"messages": [{"role": "user", "content": "How long is the deposit kept?"}]}
    thread = await ask(port, "POST", "/v1/threads", asked)
    return assistant["id"], thread["id"]


async def fill(data: Path, *, rows: int, database_url: str | None = None) -> Stored:
    """A database with a run of so many steps, made while no server runs over it."""
    settings = {} if database_url is None else {"database_url": database_url}
    database: Database
    if database_url is None:
        database = SqliteDatabase(data / "locum.db", durable=False)
    else:
        database = PostgresDatabase(database_url, statement_s=3600)
    await migrate(database)
    try:
        with servers.running(servers.locum(data, **settings)) as server:
            assistant_id, thread_id = await conversation(server.port)
            run_id = await completed(server.port, thread_id, assistant_id)
            search_run_id = await completed(server.port, thread_id, assistant_id)
            path = f"/v1/threads/{thread_id}/runs/{run_id}/steps"
            (step,) = (await ask(server.port, "GET", path))["data"]
        stored = Stored(
            assistant_id=assistant_id,
            thread_id=thread_id,
            run_id=run_id,
            search_run_id=search_run_id,
        )
        step["id"] = "STEP_ID"
        await _copy(database, stored, run_id, step, first=1, last=rows)
        step["run_id"] = search_run_id
        step |= {"type": "tool_calls", "step_details": _searched()}
        await _copy(database, stored, search_run_id, step, first=rows + 1, last=rows + 20)
        await database.script("ANALYZE;")
    finally:
        await database.close()
    return stored


async def _copy(
    database: Database, stored: Stored, run_id: str, step: Any, *, first: int, last: int
) -> None:
    document = json.dumps(step, separators=(",", ":"))
    async with database.transaction() as tx:
        await tx.execute(
            "DELETE FROM steps WHERE project_id = $1 AND run_id = $2", "proj_default", run_id
        )
    for start in range(first, last + 1, _AT_ONCE):
        end = min(start + _AT_ONCE - 1, last)
        async with database.transaction() as tx:
            await tx.execute(_COPY, "proj_default", stored.thread_id, run_id, document, start, end)


def _searched() -> dict[str, Any]:
    results = [
        {
            "file_id": f"file-{number:024}",
            "file_name": "contract.pdf",
            "score": 0.9 - number / 10,
            "attributes": {},
            "content": [{"type": "text", "text": _PASSAGE}],
        }
        for number in range(5)
    ]
    found = {"ranking_options": {"ranker": "auto", "score_threshold": 0.0}, "results": results}
    call = {"id": "call_000000000000000000000001", "type": "file_search", "file_search": found}
    return {"type": "tool_calls", "tool_calls": [call]}
