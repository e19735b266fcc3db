"""Documents: stored as served, seen only by their project, paged by insertion order."""

import pytest
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.errors import NotFound
from locum.store.database import AlreadyExists
from locum.store.documents import Page
from locum.store.tables import Store
from locum.wire.messages import Message
from locum.wire.paging import PageQuery


async def _add(store: Store, *message_ids: str, thread_id: str = "thread_1") -> None:
    async with store.transaction() as tx:
        for message_id in message_ids:
            message = objects.message(message_id, thread_id=thread_id)
            await store.messages.insert(
                tx, "p", message_id, message, owner_id=thread_id, role="user"
            )


async def _delete(store: Store, message_id: str) -> None:
    async with store.transaction() as tx:
        await store.messages.delete(tx, "p", message_id, owner_id="thread_1")


async def _page(store: Store, **query: object) -> Page[Message]:
    return await store.messages.page(
        "p",
        PageQuery(**query),  # type: ignore[arg-type]  # a test names what it asks for
        owner_id="thread_1",
    )


def _ids(page: Page[Message]) -> list[str]:
    ids = [message.id for message in page.read()]
    assert [page.first_id, page.last_id] == ([ids[0], ids[-1]] if ids else ["", ""])
    return ids


@on_every_database
async def test_a_document_comes_back_as_it_was_put_in(store: Store) -> None:
    message = objects.message("msg_1", text='naïve \0 🦊 "quoted"\n')
    async with store.transaction() as tx:
        put = await store.messages.insert(
            tx, "p", "msg_1", message, owner_id="thread_1", role="user"
        )
    found = await store.messages.get("p", "msg_1", owner_id="thread_1")
    assert found.read() == put.read() == message
    assert found.text == put.text


@on_every_database
async def test_a_document_of_another_project_or_owner_is_not_there(store: Store) -> None:
    await _add(store, "msg_1")
    for project, thread_id in (("other", "thread_1"), ("p", "thread_2")):
        assert await store.messages.find(project, "msg_1", owner_id=thread_id) is None
        page = await store.messages.page(project, PageQuery(), owner_id=thread_id)
        assert page.read() == []
        with pytest.raises(NotFound):
            async with store.transaction() as tx:
                await store.messages.delete(tx, project, "msg_1", owner_id=thread_id)
        changed = objects.message("msg_1", text="changed")
        with pytest.raises(NotFound):
            async with store.transaction() as tx:
                await store.messages.replace(tx, project, "msg_1", changed, owner_id=thread_id)
    found = await store.messages.get("p", "msg_1", owner_id="thread_1")
    assert found.read() == objects.message("msg_1")


@on_every_database
async def test_the_same_id_may_live_in_two_projects_but_not_twice_in_one(store: Store) -> None:
    for project in ("p", "q"):
        async with store.transaction() as tx:
            await store.threads.add(tx, project, objects.thread("thread_1"))
    with pytest.raises(AlreadyExists):
        async with store.transaction() as tx:
            await store.threads.add(tx, "p", objects.thread("thread_1"))


@on_every_database
async def test_what_is_not_there_is_named_in_the_words_of_the_api(store: Store) -> None:
    with pytest.raises(NotFound, match=r"^No message found with id 'msg_9'\.$"):
        await store.messages.get("p", "msg_9", owner_id="thread_1")
    with pytest.raises(NotFound, match=r"^No run step found with id 'step_9'\.$"):
        await store.steps.get("p", "step_9", owner_id="run_1")
    with pytest.raises(NotFound, match=r"^No vector store found with id 'vs_9'\.$"):
        await store.vector_stores.get("p", "vs_9")


@pytest.mark.parametrize("strange", ["a\0b", "\ud800", "x" * 100_000, "", "'; --", "%00", "🦊"])
def test_an_id_that_cannot_be_is_not_there(strange: str) -> None:
    @on_every_database
    async def check(store: Store) -> None:
        await _add(store, "msg_1")
        with pytest.raises(NotFound):
            await store.messages.get("p", strange, owner_id="thread_1")
        assert await store.messages.find("p", "msg_1", owner_id=strange) is None
        assert await store.runs.state("p", strange, strange) is None
        if strange:
            with pytest.raises(NotFound):
                await _page(store, after=strange)
        with pytest.raises(NotFound):
            async with store.transaction() as tx:
                await store.messages.delete(tx, "p", strange, owner_id="thread_1")
        labelled = await store.threads.labelled("p", PageQuery(), {strange: strange})
        assert labelled.read() == []

    for dialect in ("sqlite", "postgres"):
        check(dialect)


@on_every_database
async def test_replacing_changes_the_document_and_not_its_place(store: Store) -> None:
    await _add(store, "msg_1", "msg_2")
    changed = objects.message("msg_1", text="changed")
    async with store.transaction() as tx:
        await store.messages.replace(tx, "p", "msg_1", changed, owner_id="thread_1", run_id="run_1")
    page = await _page(store, order="asc")
    assert page.read() == [changed, objects.message("msg_2")]
    of_run = await store.messages.page("p", PageQuery(), owner_id="thread_1", run_id="run_1")
    assert _ids(of_run) == ["msg_1"]


@on_every_database
async def test_pages_go_forward_in_either_order(store: Store) -> None:
    await _add(store, "a", "b", "c", "d", "e")
    first = await _page(store, limit=2)
    assert (_ids(first), first.has_more) == (["e", "d"], True)
    last = await _page(store, limit=2, after="b")
    assert (_ids(last), last.has_more) == (["a"], False)
    upward = await _page(store, limit=2, order="asc", after="a")
    assert (_ids(upward), upward.has_more) == (["b", "c"], True)
    exact = await _page(store, limit=5)
    assert (len(_ids(exact)), exact.has_more) == (5, False)


@on_every_database
async def test_before_brings_the_page_that_ends_there_in_the_order_asked(store: Store) -> None:
    await _add(store, "a", "b", "c", "d", "e")
    page = await _page(store, limit=2, order="asc", before="e")
    assert (_ids(page), page.has_more) == (["c", "d"], True)
    page = await _page(store, limit=2, order="desc", before="b")
    assert (_ids(page), page.has_more) == (["d", "c"], True)
    page = await _page(store, limit=2, order="asc", before="c")
    assert (_ids(page), page.has_more) == (["a", "b"], False)


@on_every_database
async def test_both_cursors_bound_an_open_interval(store: Store) -> None:
    await _add(store, "a", "b", "c", "d", "e")
    page = await _page(store, limit=2, order="asc", after="a", before="e")
    assert (_ids(page), page.has_more) == (["b", "c"], True)
    page = await _page(store, limit=3, order="desc", after="e", before="a")
    assert (_ids(page), page.has_more) == (["d", "c", "b"], False)
    page = await _page(store, order="asc", after="e", before="a")
    assert (_ids(page), page.has_more) == ([], False)


@on_every_database
async def test_a_deleted_cursor_still_tells_its_place(store: Store) -> None:
    await _add(store, "a", "b", "c")
    await _delete(store, "b")
    assert _ids(await _page(store, order="asc", after="b")) == ["c"]
    assert _ids(await _page(store, order="desc", after="b")) == ["a"]
    with pytest.raises(NotFound):
        await store.messages.get("p", "b", owner_id="thread_1")


@on_every_database
async def test_a_cursor_of_another_list_is_unknown(store: Store) -> None:
    await _add(store, "a")
    await _add(store, "b", thread_id="thread_2")
    with pytest.raises(NotFound, match=r"^No message found with id 'b'\.$"):
        await _page(store, after="b")
    async with store.transaction() as tx:
        await store.messages.delete(tx, "p", "b", owner_id="thread_2")
    with pytest.raises(NotFound):
        await _page(store, after="b")


@on_every_database
async def test_what_was_taken_out_can_be_put_in_again(store: Store) -> None:
    """The first version of the API attaches a file, detaches it, attaches it again."""
    for _ in range(2):
        async with store.transaction() as tx:
            await store.assistant_files.insert(
                tx, "p", "file-1", objects.assistant_file("file-1"), owner_id="asst_1"
            )
        async with store.transaction() as tx:
            await store.assistant_files.delete(tx, "p", "file-1", owner_id="asst_1")
    assert await store.assistant_files.all("p", owner_id="asst_1") == []


@on_every_database
async def test_all_reads_a_whole_list_oldest_first(store: Store) -> None:
    await _add(store, "b", "a", "c")
    everything = await store.messages.all("p", owner_id="thread_1")
    assert [message.id for message in everything] == ["b", "a", "c"]
