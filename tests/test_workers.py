"""Who works on what, by the command and over HTTP; and a project's share over many processes."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI
from tests.kit.databases import fresh_database
from tests.kit.fleet import Fleet, Member, fleet
from tests.kit.http import Http

from locum import workers
from locum.service.fleet import look
from locum.store.processes import Process
from locum.store.tables import Store

_ADMIN_KEY = "sk-admin-0123456789abcdef"


def _admin(web: Member) -> Http:
    return Http(int(web.url.rpartition(":")[2]), {"Authorization": f"Bearer {_ADMIN_KEY}"})


def _client(web: Member, project_id: str) -> OpenAI:
    made = _admin(web).post("/admin/keys", {"project_id": project_id}).json
    return OpenAI(base_url=f"{web.url}/v1", api_key=made["value"], max_retries=0, timeout=30)


def _begin(client: OpenAI, text: str) -> Any:
    assistant = client.beta.assistants.create(model="scripted")
    return client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": text}]}
    )


def _states(client: OpenAI, runs: list[Any]) -> Counter[str]:
    read = (client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id) for run in runs)
    return Counter(run.status for run in read)


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; within half a minute."""
    pause = threading.Event()
    for _ in range(600):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it never came to hold")


def _command(ships: Fleet, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "locum", "workers", *arguments],
        env={**os.environ, "LOCUM_DATABASE_URL": ships.database_url},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.slow
def test_a_share_holds_over_all_processes_and_everybody_sees_who_works_on_what() -> None:
    settings: Any = {"LOCUM_ADMIN_KEY": _ADMIN_KEY, "LOCUM_MAX_RUNS_PER_PROJECT": "2"}
    with fleet(webs=1, workers=2, **settings) as ships:
        [web] = ships.webs
        with _client(web, "proj_loud") as loud, _client(web, "proj_quiet") as quiet:
            runs = [_begin(loud, "!think 3600") for _ in range(6)]
            _until(lambda: _states(loud, runs)["in_progress"] == 2)
            quick = _begin(quiet, "hello")
            _until(lambda: _states(quiet, [quick])["completed"] == 1)
            assert _states(loud, runs) == {"in_progress": 2, "queued": 4}

            told = _admin(web).get("/admin/workers").json
            assert sorted(one["roles"] for one in told["data"]) == [["web"], ["worker"], ["worker"]]
            assert sum(one["runs"].get("proj_loud", 0) for one in told["data"]) == 2
            assert told["unheld"] == {"proj_loud": 4}
            assert json.loads(_command(ships, "--json")) == told
            listed = _command(ships)
            assert re.search(r"^proj_loud +4 +2 +0 +0 +4$", listed, re.MULTILINE)
            assert all(worker.name in listed for worker in ships.workers)
            for run in runs:
                loud.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
            _until(lambda: _states(loud, runs)["cancelled"] == len(runs))


@pytest.mark.slow
def test_a_worker_answers_operators_until_it_has_handed_over() -> None:
    with fleet(webs=1, workers=0) as ships:
        [worker] = ships.start("worker", LOCUM_OPERATOR_PORT="0", LOCUM_DRAIN_S="60")
        assert worker._process.stdout is not None
        said = next(line for line in worker._process.stdout if line.startswith("Operators: "))
        operators = Http(int(re.findall(r":(\d+)/", said)[0]), {})
        thread_id, run_id = ships.begin("!think 3600")
        ships.until(thread_id, run_id, {"in_progress"})
        assert operators.get("/ready").json == {"ready": True, "reasons": []}
        assert b"locum_runs_driven 1.0" in operators.get("/metrics").body
        assert operators.get("/admin/workers").status == 404
        worker._process.terminate()
        _until(lambda: operators.get("/ready").json["reasons"] == ["draining"])
        assert operators.get("/health").status == 200


def test_what_nobody_living_holds_is_shown_as_unheld() -> None:
    async def check() -> None:
        async with fresh_database("sqlite") as database:
            store = Store(database)
            await store.processes.join(_process("here"), alone=False)
            seen = await look(store, now=100)
            assert [one.process.name for one in seen.processes] == ["here"]
            assert workers.lines(seen)[1].split()[:3] == ["here", "web,worker", "0.1.0"]
            assert workers.lines(await look(store, now=300)) == [
                "No process lives over this database."
            ]

    asyncio.run(check())


def _process(name: str) -> Process:
    return Process(
        name=name,
        host="h",
        pid=1,
        roles="web,worker",
        version="0.1.0",
        started_at=50,
        alive_until=200,
        room=10,
    )
