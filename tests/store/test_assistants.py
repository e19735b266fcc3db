"""Assistants: what their servers are sent lies beside them, and goes with them."""

from tests.kit.databases import on_every_database

from locum.store.tables import Store
from locum.wire.assistants import Assistant
from locum.wire.tools import ToolResources


def _assistant(name: str | None = None) -> Assistant:
    return Assistant(
        id="asst_1",
        created_at=1,
        name=name,
        description=None,
        model="m",
        instructions=None,
        tools=(),
        top_p=1.0,
        temperature=1.0,
        reasoning_effort=None,
        tool_resources=ToolResources(),
        metadata={},
        response_format="auto",
    )


@on_every_database
async def test_headers_are_read_apart_and_outlive_a_change(store: Store) -> None:
    async with store.transaction() as tx:
        await store.assistants.insert(
            tx, "p", "asst_1", _assistant(), headers='{"srv":{"Key":"secret"}}'
        )
        await store.assistants.replace(tx, "p", "asst_1", _assistant("new"))
    assert await store.assistants.headers("p", "asst_1", reader=store.db) == {
        "srv": {"Key": "secret"}
    }
    assert "secret" not in (await store.assistants.get("p", "asst_1")).text
    assert await store.assistants.headers("other", "asst_1", reader=store.db) == {}


@on_every_database
async def test_an_assistant_without_servers_has_no_headers(store: Store) -> None:
    async with store.transaction() as tx:
        await store.assistants.insert(tx, "p", "asst_1", _assistant())
    assert await store.assistants.headers("p", "asst_1", reader=store.db) == {}


@on_every_database
async def test_headers_go_with_their_assistant(store: Store) -> None:
    async with store.transaction() as tx:
        await store.assistants.insert(tx, "p", "asst_1", _assistant(), headers='{"srv":{"K":"s"}}')
        await store.assistants.delete(tx, "p", "asst_1")
    assert await store.assistants.headers("p", "asst_1", reader=store.db) == {}
