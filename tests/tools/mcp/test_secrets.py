"""Values of headers: sent to their server, and never seen again by anybody else."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.fake_mcp import FakeMcp, answers, fails, says
from tests.kit.http import Http
from tests.kit.server import Server, running
from tests.kit.talk import Talk, path_of
from tests.tools.mcp.rig import HERE

from locum.store.tables import Store

SECRET = "sk-never-to-be-seen"
BEARER = f"Bearer {SECRET}"
CALL = '!call srv__echo {"text":"hi"}\n!then\n!say {result}'


def mcp(fake: FakeMcp, headers: dict[str, str] | None = None, **more: Any) -> Any:
    shown = {"Authorization": BEARER} if headers is None else headers
    tool = {"type": "mcp", "server_label": "srv", "server_url": fake.url, "headers": shown}
    return tool | more


@pytest.fixture
def house() -> Iterator[Server]:
    with running(mcp_hosts=HERE) as server:
        yield server


@pytest.fixture
def talk(house: Server) -> Talk:
    return Talk(house.http())


class Heard(Http):
    """Keeps every byte that is answered."""

    def __init__(self, server: Server) -> None:
        super().__init__(
            server.port, {"Authorization": "Bearer any", "OpenAI-Beta": "assistants=v2"}
        )
        self.bytes = b""

    def send(self, *args: Any, **options: Any) -> Any:
        answer = super().send(*args, **options)
        self.bytes += answer.body
        return answer

    def frames(self, *args: Any, **options: Any) -> Any:
        frames = super().frames(*args, **options)
        self.bytes += b"".join(frame.raw for frame in frames)
        return frames


def sent(fake: FakeMcp) -> list[str | None]:
    """What every request to the server was authorised with."""
    return [headers.get("authorization") for _, headers in fake.received]


@covers("mcp:echo")
def test_only_the_name_of_a_header_is_shown(talk: Talk, fake: FakeMcp) -> None:
    made = talk.http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake)]})
    assert made.json["tools"][0]["headers"] == {"Authorization": "…"}
    assert SECRET.encode() not in made.body


@covers("mcp:secrets")
def test_no_byte_no_event_and_no_log_line_holds_a_secret(
    house: Server, fake: FakeMcp, caplog: pytest.LogCaptureFixture
) -> None:
    """The server repeats what it was sent, in everything it says."""
    caplog.set_level(logging.DEBUG)
    fake.tools = [{"name": "echo", "description": f"with {SECRET}"}]
    said = iter([answers(says(BEARER)), answers(says(SECRET, isError=True)), fails(1, SECRET)])
    http = Heard(house)
    talk = Talk(http)
    assistant_id = talk.assistant(tools=[mcp(fake)])
    for body in ({}, {"tools": [mcp(fake)]}, {"tools": [mcp(fake, {"Authorization": "…"})]}):
        fake.replies["tools/call"] = next(said)
        thread_id = talk.thread(CALL)
        path = f"/v1/threads/{thread_id}/runs"
        frames = http.frames(path, {"assistant_id": assistant_id, **body})
        run = next(f.data for f in frames if f.event == "thread.run.completed")
        talk.steps(run)
        http.get(path)
        http.get(f"{path_of(run)}")
        talk.messages(thread_id)
    http.get("/v1/assistants")
    http.get(f"/v1/assistants/{assistant_id}")
    http.get(f"/v1/assistants/{assistant_id}", headers={"OpenAI-Beta": "assistants=v1"})
    http.post(f"/v1/assistants/{assistant_id}", {"name": "x"})
    http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake, unknown=1)]})
    http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake, server_label="ü")]})
    http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake), mcp(fake)]})
    http.post("/v1/assistants", {"model": 3, "tools": [mcp(fake)]})
    http.post(
        "/v1/assistants",
        {"model": "scripted", "tools": [mcp(fake, {"Authorization": f"{BEARER}\n"})]},
    )
    assert sent(fake) == [BEARER] * len(fake.received)
    assert len(fake.calls()) == 3
    assert SECRET.encode() not in http.bytes
    assert SECRET not in caplog.text
    assert SECRET not in str([record.__dict__ for record in caplog.records])


@covers("mcp:secrets")
def test_no_document_and_no_event_in_the_database_holds_a_secret(
    house: Server, talk: Talk, fake: FakeMcp
) -> None:
    run = talk.run(CALL, tools=[mcp(fake)])
    assert run["status"] == "completed"

    async def look(store: Store) -> dict[str, str]:
        tables = await store.db.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            table: str([tuple(row) for row in await store.db.fetch(f"SELECT * FROM {table}")])
            for (table,) in tables
        }

    rows = house.in_store(look)
    assert [table for table, text in rows.items() if SECRET in text] == ["assistants"]

    async def documents(store: Store) -> str:
        return str([tuple(row) for row in await store.db.fetch("SELECT document FROM assistants")])

    assert SECRET not in house.in_store(documents)


def test_a_value_that_is_sent_back_as_it_was_shown_is_kept(talk: Talk, fake: FakeMcp) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    path = f"/v1/assistants/{assistant_id}"
    shown = talk.http.get(path).json["tools"]
    changed = talk.http.post(path, {"name": "new", "tools": shown})
    assert changed.status == 200
    run = talk.http.post(
        "/v1/threads/runs",
        {
            "assistant_id": assistant_id,
            "thread": {"messages": [{"role": "user", "content": CALL}]},
        },
    ).json
    talk.until(run, "completed")
    assert set(sent(fake)) == {BEARER}


def test_a_new_value_takes_the_place_of_the_old(talk: Talk, fake: FakeMcp) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    path = f"/v1/assistants/{assistant_id}"
    talk.http.post(path, {"tools": [mcp(fake, {"Authorization": "Bearer another-value"})]})
    begun = {
        "assistant_id": assistant_id,
        "thread": {"messages": [{"role": "user", "content": CALL}]},
    }
    talk.until(talk.http.post("/v1/threads/runs", begun).json, "completed")
    assert set(sent(fake)) == {"Bearer another-value"}


def test_a_change_that_leaves_the_tools_alone_keeps_the_values(talk: Talk, fake: FakeMcp) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    talk.http.post(f"/v1/assistants/{assistant_id}", {"name": "new"})
    begun = {
        "assistant_id": assistant_id,
        "thread": {"messages": [{"role": "user", "content": CALL}]},
    }
    talk.until(talk.http.post("/v1/threads/runs", begun).json, "completed")
    assert set(sent(fake)) == {BEARER}


def test_a_kept_value_does_not_follow_its_server_to_another_address(
    talk: Talk, fake: FakeMcp, old: FakeMcp
) -> None:
    """Else whoever may change an assistant could have its keys sent to themselves."""
    assistant_id = talk.assistant(tools=[mcp(fake)])
    moved = mcp(fake, {"Authorization": "…"}, server_url=old.url)
    for path, body in (
        (f"/v1/assistants/{assistant_id}", {}),
        ("/v1/threads/runs", {"assistant_id": assistant_id}),
    ):
        answer = talk.http.post(path, body | {"tools": [moved]})
        assert answer.error["message"] == (
            "Invalid 'tools[0].headers.Authorization': '…' stands for a value that is kept, and"
            " none is kept. Send it."
        )
    assert old.received == []


def test_a_removed_header_is_forgotten(house: Server, talk: Talk, fake: FakeMcp) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    path = f"/v1/assistants/{assistant_id}"
    talk.http.post(path, {"tools": []})

    async def kept(store: Store) -> Any:
        return await store.assistants.headers("proj_default", assistant_id, reader=store.db)

    assert house.in_store(kept) == {}
    assert talk.http.post(path, {"tools": [mcp(fake, {"Authorization": "…"})]}).status == 400


def test_a_run_of_ones_own_tools_may_use_the_values_of_its_assistant(
    talk: Talk, fake: FakeMcp
) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    begun = {
        "assistant_id": assistant_id,
        "tools": [mcp(fake, {"Authorization": "…", "X-More": "2"}, allowed_tools=["echo"])],
        "thread": {"messages": [{"role": "user", "content": CALL}]},
    }
    run = talk.http.post("/v1/threads/runs", begun).json
    assert run["tools"][0]["headers"] == {"Authorization": "…", "X-More": "…"}
    talk.until(run, "completed")
    assert set(sent(fake)) == {BEARER}
    assert fake.headers("tools/call")["x-more"] == "2"
