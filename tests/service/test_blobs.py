"""Bytes that nobody holds: removed at once where that is safe, left to the sweep where not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.kit.clocks import SteppedClock

from locum.app import Parts, open_house
from locum.errors import ServerError, Unavailable
from locum.llm.scripted import Scripted
from locum.service import blobs, files
from locum.service.scope import Scope
from locum.settings import Settings
from locum.wire.files import CreateFile

_BODY = CreateFile(filename="a.txt", purpose="vision")


def _in_a_house(tmp_path: Path, test: Any) -> None:
    async def run() -> None:
        settings = Settings(data=tmp_path, durable=False)
        parts = Parts(clock=SteppedClock(), backend=Scripted())
        async with asyncio.timeout(30), open_house(settings, parts) as house:
            await test(Scope(house, "p"))

    asyncio.run(run())


async def _create(scope: Scope) -> str:
    async with blobs.arriving(scope, limit=10) as blob:
        await blob.write(b"text")
        return (await files.create_file(scope, body=_BODY, blob=blob)).id


async def _stored(scope: Scope) -> int:
    return len([stored async for stored in scope.house.blobs.stored()])


async def _fail(*_: Any, **__: Any) -> None:
    raise Unavailable("not now")


def test_a_file_is_deleted_even_when_its_bytes_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(scope: Scope) -> None:
        file_id = await _create(scope)
        monkeypatch.setattr(scope.house.blobs, "delete", _fail)
        await files.delete_file(scope, file_id=file_id)
        assert await scope.store.files.find("p", file_id) is None
        assert await _stored(scope) == 1

    _in_a_house(tmp_path, test)


@pytest.mark.parametrize(("known", "left"), [("asked", 0), ("held", 1), ("unknown", 1)])
def test_the_blob_of_a_refused_row_goes_only_when_surely_nobody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, left: int
) -> None:
    async def all_of_them(keys: list[str]) -> set[str]:
        return set(keys)

    async def test(scope: Scope) -> None:
        monkeypatch.setattr(files, "record", _fail)
        if known == "held":
            monkeypatch.setattr(scope.store.files, "known_blobs", all_of_them)
        elif known == "unknown":
            monkeypatch.setattr(scope.store.files, "known_blobs", _fail)
        with pytest.raises(Unavailable):
            await _create(scope)
        assert await _stored(scope) == left

    _in_a_house(tmp_path, test)


def test_a_file_that_others_keep_taking_up_is_not_deleted_halfway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reaches inside: every look at who holds the file finds somebody else."""

    async def test(scope: Scope) -> None:
        file_id = await _create(scope)
        looks = iter(range(1000))

        async def someone_else(*_: Any, **__: Any) -> list[tuple[str, str]]:
            return [("threads", f"thread_{next(looks)}")]

        monkeypatch.setattr(scope.store.files, "uses", someone_else)
        with pytest.raises(ServerError, match="being used by others"):
            await files.delete_file(scope, file_id=file_id)
        assert await scope.store.files.find("p", file_id) is not None
        assert await _stored(scope) == 1

    _in_a_house(tmp_path, test)
