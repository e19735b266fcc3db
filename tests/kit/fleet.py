"""Many processes over one PostgreSQL, which a test kills, stops and continues; and what must hold.

Real `locum serve` and `locum worker` processes with the scripted model. Whatever happens to them,
`check` holds the database afterwards against the rules that no run may break.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx2
import openai
from tests.kit.databases import PostgresServer, postgres_server
from tests.kit.folding import Told, hold_together

from locum.engine.states import TERMINAL
from locum.store.events import Event
from locum.store.postgres import PostgresDatabase
from locum.store.tables import Store

T = TypeVar("T")
Role = Literal["web", "worker", "both"]
WAIT_S = 30.0
_LOOK_EVERY_S = 0.05
_EVERY_EVENT = 100_000


class Member:
    """One process of a fleet."""

    def __init__(self, role: Role, url: str, directory: Path, environment: dict[str, str]) -> None:
        self.role = role
        self.url = ""
        # A worker's name among the processes of the database.
        self.name = ""
        self._clients: list[openai.OpenAI] = []
        self._log = (directory / f"{role}-{len(list(directory.iterdir()))}.log").open("wb")
        arguments = ["worker"] if role == "worker" else ["serve", "--port", "0"]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locum", *arguments, "--model", "scripted"),
                *("--data", str(directory)),
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={
                **os.environ,
                "LOCUM_DATABASE_URL": url,
                "LOCUM_ROLES": "web,worker" if role == "both" else role,
                "LOCUM_SANDBOX_WARM": "0",
                "LOCUM_FILES_AT_ONCE": "0",
            }
            | environment,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text("utf-8")

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "works as" in line:
                self.name = line.split("works as")[1].strip()
                return
            if "http://127.0.0.1:" in line:
                self.url = "http://127.0.0.1:" + line.split("http://127.0.0.1:")[1].split("/")[0]
                return
        raise AssertionError(f"the {self.role} did not start:\n{self.log}")

    def sdk(self, **options: Any) -> openai.OpenAI:
        asked: dict[str, Any] = {"timeout": WAIT_S, "max_retries": 0} | options
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-any", **asked)
        self._clients.append(client)
        return client

    def kill(self) -> None:
        """Die at once, without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End in good order; the exit code."""
        return self._end(signal.SIGTERM)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _end(self, how: signal.Signals) -> int:
        for client in self._clients:
            client.close()
        self._process.send_signal(how)
        if how is not signal.SIGKILL:
            self._process.send_signal(signal.SIGCONT)
        try:
            code = self._process.wait(WAIT_S)
        finally:
            self._process.kill()
            self._process.wait(WAIT_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._log.close()
        return code


class Fleet:
    """Processes over one database."""

    def __init__(
        self, server: PostgresServer, database: str, directory: Path, environment: dict[str, str]
    ) -> None:
        self.server = server
        self.database = database
        self.database_url = server.url(database)
        self.members: list[Member] = []
        self._directory = directory
        self._environment = environment

    @property
    def webs(self) -> list[Member]:
        return [member for member in self.members if member.role != "worker"]

    @property
    def workers(self) -> list[Member]:
        return [member for member in self.members if member.role == "worker"]

    def start(self, role: Role, *, count: int = 1, **environment: str) -> list[Member]:
        """Start processes together; they are ready when this returns."""
        started = [
            Member(role, self.database_url, self._directory, self._environment | environment)
            for _ in range(count)
        ]
        self.members += started
        for member in started:
            member.wait_until_ready()
        return started

    def kill(self, member: Member) -> None:
        self.members.remove(member)
        member.kill()

    def stop(self, member: Member) -> int:
        self.members.remove(member)
        return member.stop()

    def stop_all(self) -> None:
        for member in self.members:
            with suppress(ProcessLookupError):
                member.kill()
        self.members.clear()

    # ---------------------------------------------------------------------- runs

    def begin(self, text: str, *, web: Member | None = None, **options: Any) -> tuple[str, str]:
        """Thread and run that does what the text says to the scripted model."""
        client = (web or self.webs[0]).sdk()
        tools: Any = [{"type": "function", "function": {"name": "weather"}}]
        assistant = client.beta.assistants.create(model="scripted", tools=tools)
        run = client.beta.threads.create_and_run(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": text}]},
            **options,
        )
        return run.thread_id, run.id

    def until(
        self, thread_id: str, run_id: str, statuses: set[str], *, web: Member | None = None
    ) -> Any:
        """The run once it has one of these states."""
        client = (web or self.webs[0]).sdk()
        deadline = time.monotonic() + WAIT_S
        while True:
            run = client.beta.threads.runs.retrieve(run_id, thread_id=thread_id)
            if run.status in statuses:
                return run
            assert time.monotonic() < deadline, f"the run stays {run.status}"
            time.sleep(_LOOK_EVERY_S)

    def follow(
        self, thread_id: str, run_id: str, *, web: Member | None = None, after: str = ""
    ) -> Generator[tuple[str, str, Any], None, None]:
        """Id, name and data of every event of a run, live, from any web process."""
        path = f"{(web or self.webs[0]).url}/v1/threads/{thread_id}/runs/{run_id}/events"
        headers = {"Authorization": "Bearer sk-any"} | ({"Last-Event-ID": after} if after else {})
        place = name = ""
        with httpx2.stream("GET", path, headers=headers, timeout=WAIT_S) as answer:
            assert answer.status_code == 200, answer.status_code
            for line in answer.iter_lines():
                kind, _, rest = line.partition(": ")
                if kind == "id":
                    place = rest
                elif kind == "event":
                    name = rest
                elif kind == "data" and name != "done":
                    yield place, name, json.loads(rest)

    # ------------------------------------------------------------------ afterwards

    def in_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do something in the database, over a connection of one's own."""

        async def run() -> T:
            database = PostgresDatabase(self.database_url, connections=1)
            try:
                return await work(Store(database))
            finally:
                await database.close()

        return asyncio.run(run())

    def ask(self, sql: str, *values: object) -> list[Any]:
        """The rows of a query."""

        async def look(store: Store) -> list[Any]:
            return await store.db.fetch(sql, *values)

        return self.in_store(look)

    def holder(self, run_id: str) -> Member | None:
        """The worker that drives a run."""
        rows = self.ask("SELECT leased_by FROM runs WHERE id = $1", run_id)
        return next((one for one in self.workers if rows and one.name == rows[0][0]), None)

    def check(self) -> list[Any]:
        """Every run has ended, its events are contiguous and agree with the rows; all runs."""
        return self.in_store(_check)


async def _check(store: Store) -> list[Any]:
    rows = await store.db.fetch("SELECT project_id, thread_id, id, document FROM runs ORDER BY seq")
    ended = []
    for project_id, thread_id, run_id, document in rows:
        run = json.loads(document)
        assert run["status"] in TERMINAL, f"{run_id} is {run['status']}"
        events = await store.events.after(project_id, run_id, number=0, life=0, limit=_EVERY_EVENT)
        _check_lives(events)
        steps = await store.db.fetch(
            "SELECT document FROM steps WHERE project_id = $1 AND run_id = $2 ORDER BY seq",
            project_id,
            run_id,
        )
        messages = await store.db.fetch(
            "SELECT document FROM messages WHERE project_id = $1 AND thread_id = $2"
            " AND run_id = $3 ORDER BY seq",
            project_id,
            thread_id,
            run_id,
        )
        hold_together(
            Told(events),
            run=run,
            steps=[json.loads(row[0]) for row in steps],
            messages=[json.loads(row[0]) for row in messages],
        )
        ended.append(run)
    return ended


def _check_lives(events: list[Event]) -> None:
    """One life after the other, and no number twice or left out in all of them."""
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    lives = [event.life for event in events]
    assert lives == sorted(lives)


@contextmanager
def fleet(
    server: PostgresServer | None = None, *, webs: int = 2, workers: int = 2, **environment: str
) -> Iterator[Fleet]:
    """Web processes that drive nothing, and workers. `environment` is everybody's: `LOCUM_…`."""
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="locum-fleet-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        server = server or postgres_server()
        name = asyncio.run(server.migrated_database())
        stack.callback(lambda: asyncio.run(server.take_back(name, reuse=True)))
        ships = Fleet(server, name, directory, environment)
        stack.callback(ships.stop_all)
        ships.start("web", count=webs)
        ships.start("worker", count=workers)
        yield ships
