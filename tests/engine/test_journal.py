"""Who listens to a run hears every event once and in order, whenever he came."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from locum.engine import journal as journals
from locum.engine.journal import START, Journal, Place, TooSlow, place_of
from locum.errors import Unavailable
from locum.store.database import Row
from locum.store.events import Event
from locum.store.migrations import migrate
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store

KEY = ("proj_a", "thread_a", "run_a")


async def _hear_on(stream: AsyncIterator[Event | None], heard: list[int]) -> None:
    async for heard_event in stream:
        assert heard_event is not None
        heard.append(heard_event.number)  # what was heard counts when it ends


PROJECT, THREAD, RUN = KEY


def event(number: int, name: str = "thread.message.delta", *, life: int = 0) -> Event:
    return Event(number=number, life=life, name=name, data="{}")


async def _journal(
    directory: Path, written: list[Event], *, status: str = "in_progress"
) -> tuple[Store, Journal]:
    database = SqliteDatabase(directory / "locum.db", durable=False)
    await migrate(database)
    store = Store(database)
    async with store.transaction() as tx:
        await tx.execute(
            "INSERT INTO runs (project_id, thread_id, id, status, expires_at, document)"
            " VALUES ($1, $2, $3, $4, 9, '{}')",
            *KEY,
            status,
        )
        await store.events.append(tx, PROJECT, RUN, written, now=1)
    return store, Journal(store)


async def _heard(journal: Journal, after: Place = START) -> list[int]:
    return [event.number async for event in journal.follow(KEY, after) if event]


@pytest.mark.parametrize("after", range(6))
def test_a_listener_hears_what_is_written_what_is_told_and_what_comes(
    tmp_path: Path, after: int
) -> None:
    async def scene() -> list[int]:
        store, journal = await _journal(tmp_path, [event(1), event(2), event(3)])
        journal.tell(KEY, event(4), written=False)
        hearing = asyncio.ensure_future(_heard(journal, Place(0, after)))
        await asyncio.sleep(0)
        journal.tell(KEY, event(5), written=False)
        journal.tell(KEY, event(6, "thread.run.completed"), written=True)
        heard = await asyncio.wait_for(hearing, 30)
        await store.close()
        return heard

    assert asyncio.run(scene()) == list(range(after + 1, 7))


def test_an_event_that_is_written_while_one_listens_is_heard_once(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        store, journal = await _journal(tmp_path, [event(1)])
        journal.tell(KEY, event(2), written=False)
        hearing = asyncio.ensure_future(_heard(journal))
        async with store.transaction() as tx:
            await store.events.append(tx, PROJECT, RUN, [event(2)], now=1)
        journal.written(KEY, 2)
        journal.tell(KEY, event(3, "thread.run.failed"), written=True)
        heard = await asyncio.wait_for(hearing, 30)
        await store.close()
        return heard

    assert asyncio.run(scene()) == [1, 2, 3]


def test_after_a_take_over_everything_of_the_new_life_is_new(tmp_path: Path) -> None:
    """The lost worker had told 3 and 4 and never written them; the next one numbers from 3."""

    async def scene() -> list[str]:
        written = [
            event(1),
            event(2),
            event(3, life=1),
            event(4, "thread.run.completed", life=1),
        ]
        store, journal = await _journal(tmp_path, written, status="completed")
        heard = [place_of(e) async for e in journal.follow(KEY, Place(0, 4)) if e]
        again = [place_of(e) async for e in journal.follow(KEY, Place(1, 3)) if e]
        await store.close()
        return heard + again

    assert asyncio.run(scene()) == ["1.3", "1.4", "1.4"]


def test_a_run_that_waits_for_its_client_ends_the_stream_only_at_its_last_event(
    tmp_path: Path,
) -> None:
    async def scene() -> tuple[list[int], list[int]]:
        waiting = [event(1), event(2, "thread.run.requires_action")]
        store, journal = await _journal(tmp_path, waiting, status="requires_action")
        paused = await asyncio.wait_for(_heard(journal), 30)
        async with store.transaction() as tx:
            later = [event(3, "thread.run.queued"), event(4, "thread.run.completed")]
            await store.events.append(tx, PROJECT, RUN, later, now=1)
        replayed = await asyncio.wait_for(_heard(journal), 30)
        await store.close()
        return paused, replayed

    assert asyncio.run(scene()) == ([1, 2], [1, 2, 3, 4])


@pytest.mark.parametrize("status", ["completed", "requires_action", "expired"])
def test_who_has_seen_the_last_event_is_told_that_there_is_no_other(
    tmp_path: Path, status: str
) -> None:
    async def scene() -> list[int]:
        last = event(2, f"thread.run.{status}")
        store, journal = await _journal(tmp_path, [event(1), last], status=status)
        heard = await asyncio.wait_for(_heard(journal, Place(0, 2)), 30)
        await store.close()
        return heard

    assert asyncio.run(scene()) == []


def test_a_listener_that_does_not_keep_up_is_cut_off(tmp_path: Path) -> None:
    async def scene() -> None:
        store, journal = await _journal(tmp_path, [])
        stream = journal.follow(KEY, START)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in range(1, 20_000):
            journal.tell(KEY, event(number), written=True)
        begun = await first
        assert begun is not None
        heard = [begun.number]
        with pytest.raises(TooSlow):
            await _hear_on(stream, heard)
        assert heard == list(range(1, len(heard) + 1))
        assert len(heard) < 10_000
        await store.close()

    asyncio.run(scene())


def test_silence_is_told_and_loses_nothing(tmp_path: Path) -> None:
    async def scene() -> list[int | None]:
        store, journal = await _journal(tmp_path, [event(1)])
        stream = journal.follow(KEY, START, silence_s=0)
        heard: list[int | None] = []
        async for told in stream:
            heard.append(told.number if told else None)  # it goes on for ever
            if len(heard) == 3:
                journal.tell(KEY, event(2, "thread.run.completed"), written=True)
        await store.close()
        return heard

    assert asyncio.run(scene()) == [1, None, None, 2]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("7", Place(0, 7)),
        ("2.7", Place(2, 7)),
        (" 0 ", Place(0, 0)),
        ("", None),
        ("x", None),
        ("1.", None),
        ("-1", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 40, None),
    ],
)
def test_the_id_of_an_event_is_read_back_or_refused(text: str, place: Place | None) -> None:
    assert Place.read(text) == place


def test_a_stream_ends_where_its_run_waits_though_there_was_more_news_of_it(tmp_path: Path) -> None:
    """Another process drives the run: what it wrote is read, and every bell is one too many."""

    async def scene() -> list[int]:
        store, journal = await _journal(tmp_path, [event(1)])
        stream = journal.follow(KEY, START)
        heard = [await anext(stream)]
        async with store.transaction() as tx:
            await tx.execute("UPDATE runs SET status = 'requires_action'")
            waiting = event(2, "thread.run.requires_action")
            await store.events.append(tx, PROJECT, RUN, [waiting], now=1)
        journal.look(KEY)
        async with asyncio.timeout(30):
            heard.append(await anext(stream))
            journal.look(KEY)
            journal.tell(KEY, waiting, written=True)
            heard += [told async for told in stream]
        await store.close()
        return [told.number for told in heard if told]

    assert asyncio.run(scene()) == [1, 2]


def test_a_database_that_is_away_for_a_while_ends_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at its first read, not while it reads on, and not when it asks whether that was all."""
    monkeypatch.setattr(journals, "_AFTER_FAILURE_S", 0.0)

    async def scene() -> list[int]:
        written = [event(number) for number in range(1, 700)]
        waiting = event(700, "thread.run.requires_action")
        store, journal = await _journal(tmp_path, [*written, waiting], status="requires_action")
        away = itertools.cycle([True, False])
        fetch = store.events._db.fetch

        async def now_and_then(sql: str, *values: object) -> list[Row]:
            if next(away):
                raise Unavailable("The database cannot be reached at the moment. Try again.")
            return await fetch(sql, *values)

        monkeypatch.setattr(store.events._db, "fetch", now_and_then)
        heard = await asyncio.wait_for(_heard(journal), 30)
        await store.close()
        return heard

    assert asyncio.run(scene()) == list(range(1, 701))
