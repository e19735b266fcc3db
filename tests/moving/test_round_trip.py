"""Import, export, import: nothing is lost, whoever is stopped in between, however often."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI
from tests.kit.databases import DIALECTS, fresh_database
from tests.kit.mortal import Died, Moment
from tests.kit.moving import Contents, Place, at, contents, place, sample
from tests.kit.server import running

from locum.store.blobs.local import LocalBlobs
from locum.store.tables import Store

_MOMENTS: tuple[Moment, Moment] = ("before", "after")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("dump"), threads=30)


@pytest.fixture(scope="module")
def exported(dump: Path) -> Contents:
    """What an import that nobody disturbs makes of the dump."""

    async def run(here: Place) -> Contents:
        await here.take(dump)
        return contents(await here.give())

    found: Contents = at(run)
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_exported_and_imported_is_exported_the_same(
    dialect: str, dump: Path, exported: Contents
) -> None:
    async def run(here: Place) -> None:
        await here.take(dump)
        first = await here.give()
        assert contents(first) == exported
        async with place() as there:
            report = await there.take(first)
            assert report.is_whole
            assert report.notes == []
            assert contents(await there.give()) == exported

    at(run, dialect=dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_importing_again_changes_nothing(dialect: str, dump: Path, exported: Contents) -> None:
    async def run(here: Place) -> None:
        await here.take(dump)
        again = await here.take(dump)
        assert {state for states in again.objects.values() for state in states} == {"unchanged"}
        assert again.objects["steps"] == {"unchanged": 60}
        assert contents(await here.give()) == exported

    at(run, dialect=dialect)


def test_a_dry_run_writes_nothing_and_tells_the_same(dump: Path) -> None:
    async def run(here: Place) -> None:
        told = await here.take(dump, dry=True)
        assert contents(await here.give()).keys() == {"manifest.json"}
        assert (await here.store.db.fetch("SELECT 1 FROM threads")) == []
        assert (await here.store.db.fetch("SELECT 1 FROM projects")) == []
        assert told.objects == (await here.take(dump)).objects

    at(run)


def test_an_import_that_is_stopped_anywhere_goes_on(dump: Path, exported: Contents) -> None:
    _interrupt(dump, exported, times=12, seed=9)


@pytest.mark.slow
def test_an_import_that_is_stopped_a_hundred_times_goes_on(dump: Path, exported: Contents) -> None:
    _interrupt(dump, exported, times=100, seed=2026)


def _interrupt(dump: Path, exported: Contents, *, times: int, seed: int) -> None:
    """Stop imports at random writes and at random reads, sometimes again while they resume."""
    chance = random.Random(seed)

    async def run() -> None:
        stopped = 0
        while stopped < times:
            async with place() as here:
                while chance.random() < 0.7 and stopped < times:
                    stopped += await _stopped(here, dump, chance)
                report = await here.take(dump)
                assert report.is_whole
                assert contents(await here.give()) == exported

    asyncio.run(run())


async def _stopped(here: Place, dump: Path, chance: random.Random) -> bool:
    """Whether it was stopped before it was done."""
    if chance.random() < 0.3:
        last = chance.randrange(1, 40)
        ticks = 0

        def tick(_what: str, _done: int, _total: int) -> None:
            nonlocal ticks
            ticks += 1
            if ticks == last:
                raise Died

        attempt = here.take(dump, tick=tick)
    else:
        mortal = here.mortal(chance.randrange(1, 40), chance.choice(_MOMENTS))
        attempt = mortal.take(dump)
    try:
        await attempt
    except Died:
        return True
    return False


@pytest.mark.slow
def test_an_import_that_is_killed_goes_on(dump: Path, tmp_path: Path) -> None:
    """The real command, killed by the kernel a few times on its way."""
    command = [sys.executable, "-m", "locum", "import", str(dump), "--data", str(tmp_path / "data")]
    chance = random.Random(5)
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(0.5 + chance.random())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    there = [sys.executable, "-m", "locum", "export", str(tmp_path / "out")]
    subprocess.run([*there, "--data", str(tmp_path / "data")], check=True, timeout=60)
    async_free = {k: v for k, v in contents(tmp_path / "out").items() if k != "manifest.json"}

    async def run(here: Place) -> Contents:
        await here.take(dump)
        return contents(await here.give())

    undisturbed = {k: v for k, v in at(run).items() if k != "manifest.json"}
    assert async_free == undisturbed


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_server_has_made_comes_back_whole(dialect: str, tmp_path: Path) -> None:
    """Everything that only Locum knows of, too: memories, batches, what runs include."""
    with running() as server:
        with server.sdk() as sdk:
            _live_in(sdk)

        async def export(store: Store) -> Path:
            here = Place(store.db, tmp_path)
            here.blobs = LocalBlobs(server.settings.data / "blobs")
            return await here.give()

        first = server.in_store(export)

    async def run() -> None:
        async with fresh_database(dialect) as database:
            there = Place(database, tmp_path / "there")
            report = await there.take(first)
            assert report.is_whole
            assert report.notes == []
            assert contents(await there.give()) == contents(first)

    asyncio.run(run())


def _live_in(sdk: OpenAI) -> None:
    file = sdk.files.create(file=("notes.txt", b"Bring bread."), purpose="assistants")
    store = sdk.vector_stores.create(name="Notes", file_ids=[file.id])
    other = sdk.files.create(file=("more.md", b"# More"), purpose="assistants")
    sdk.vector_stores.file_batches.create(store.id, file_ids=[other.id])
    assistant = sdk.beta.assistants.create(
        model="gpt-4o",
        name="Ördög",
        tools=[{"type": "function", "function": {"name": "look_up"}}, {"type": "code_interpreter"}],
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
        metadata={"kind": "test"},
    )
    thread = sdk.beta.threads.create(
        messages=[{"role": "user", "content": "Hello 👋"}], metadata={"customer": "7"}
    )
    for _ in range(2):
        sdk.beta.threads.runs.create_and_poll(
            thread_id=thread.id,
            assistant_id=assistant.id,
            tool_choice="none",
            include=["step_details.tool_calls[*].file_search.results[*].content"],
        )
    message = sdk.beta.threads.messages.create(
        thread.id,
        role="user",
        content="Read this.",
        attachments=[{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}],
    )
    sdk.beta.threads.messages.update(message.id, thread_id=thread.id, metadata={"a": "b"})
