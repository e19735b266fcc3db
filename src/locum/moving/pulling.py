"""From a live server to a dump: a folder like any other, which is then imported like any other.

Each list and each thread is a file that appears when it is whole, so a pull that was stopped goes
on with what is not there yet.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from locum.moving.gathering import NOTE, PROJECT, Tick
from locum.moving.kinds import ASSISTANTS, FILES, THREADS, VECTOR_STORE_FILES, VECTOR_STORES, Kind
from locum.moving.live import Live, LiveError
from locum.moving.sources import MARKER

_AT_ONCE: Final = 4
_THREAD: Final = re.compile(r"(?<![A-Za-z0-9_])thread_[A-Za-z0-9]{6,64}(?![A-Za-z0-9])")
_CONTENT: Final = {"include[]": "step_details.tool_calls[*].file_search.results[*].content"}
_REFUSED: Final = frozenset({400, 401, 403, 404, 405, 422})
_DENIED: Final = frozenset({401, 403})
# Some servers have one thing that they fail at whenever it is asked for, and all others.
_BROKEN: Final = _REFUSED | {500}
Json = dict[str, Any]


class Puller:
    def __init__(self, live: Live, folder: Path, *, tick: Tick) -> None:
        self._live = live
        self._folder = folder
        self._tick = tick
        self._done = 0
        # Files by the stores that hold them: where bytes are refused, their text may be had.
        self._shelves: dict[str, str] = {}

    async def run(self, thread_ids: Sequence[str]) -> None:
        """Fetch all that can be listed, and these threads; without any, those the server lists."""
        (self._folder / "files").mkdir(parents=True, exist_ok=True)
        (self._folder / "threads").mkdir(exist_ok=True)
        # Lists are asked for oldest first, so they are in order already.
        self._write(self._folder / MARKER, [{"object": PROJECT}])
        await self._list(ASSISTANTS, "/assistants")
        await self._list(VECTOR_STORES, "/vector_stores")
        await self._store_files()
        await self._files()
        named = list(thread_ids) or await self._listed_threads()
        total = len(named)
        todo = iter(enumerate(named))
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._threads(todo, total))

    # ------------------------------------------------------------------------- lists

    async def _list(self, kind: Kind, path: str) -> None:
        target = self._folder / f"{kind.name}.jsonl"
        if target.exists():
            return
        try:
            found = [one async for one in self._live.listed(path)]
        except LiveError as error:
            if error.status not in _REFUSED - _DENIED:
                raise
            found = [_note(kind, path, f"not imported: {error}")]
        self._write(target, found)

    async def _store_files(self) -> None:
        target = self._folder / f"{VECTOR_STORE_FILES.name}.jsonl"
        if not target.exists():
            found: list[Json] = []
            for store_id in self._ids(VECTOR_STORES):
                try:
                    held = self._live.listed(f"/vector_stores/{store_id}/files")
                    found += [{"vector_store_id": store_id} | one async for one in held]
                except LiveError as error:
                    if error.status not in _BROKEN:
                        raise
                    found.append(_note(VECTOR_STORES, store_id, f"its files: {error}"))
            self._write(target, found)
        for one in self._read(VECTOR_STORE_FILES):
            if isinstance(one.get("id"), str):
                self._shelves[one["id"]] = str(one.get("vector_store_id"))

    async def _files(self) -> None:
        """Every file with its bytes, or with the text that a vector store has read from it."""
        target = self._folder / f"{FILES.name}.jsonl"
        if target.exists():
            return
        found: list[Json] = []
        async for one in self._live.listed("/files", {"limit": "1000"}):
            if FILES.accepts(one.get("id")):
                found += await self._file(one)
                self._tick("fetching files", len(found), 0)
        self._write(target, found)

    async def _file(self, one: Json) -> list[Json]:
        file_id = one["id"]
        target = self._folder / "files" / file_id
        try:
            await _save(target, self._live.pieces(f"/files/{file_id}/content"))
        except LiveError as error:
            if error.status not in _BROKEN:
                raise
            return await self._text_of(one, target, str(error))
        return [one]

    async def _text_of(self, one: Json, target: Path, why: str) -> list[Json]:
        """The original kept files of assistants to itself, but not what it had read from them."""
        store_id = self._shelves.get(one["id"])
        if store_id is None:
            return [one, _note(FILES, one["id"], f"its bytes are not given out: {why}")]
        try:
            page = await self._live.get(f"/vector_stores/{store_id}/files/{one['id']}/content")
        except LiveError as error:
            return [one, _note(FILES, one["id"], f"neither bytes nor text are given out: {error}")]
        parts = page.get("data") if isinstance(page.get("data"), list) else []
        texts = [str(part.get("text", "")) for part in parts or [] if isinstance(part, dict)]
        data = "\n".join(texts).encode()
        await asyncio.to_thread(target.write_bytes, data)
        name = str(one.get("filename", one["id"]))
        said = "its bytes are not given out: what a vector store had read from it came instead"
        return [
            one | {"filename": f"{name}.txt", "bytes": len(data)},
            _note(FILES, one["id"], said),
        ]

    # ----------------------------------------------------------------------- threads

    async def _listed_threads(self) -> list[str]:
        """The original lists no threads; a Locum does."""
        target = self._folder / "thread-ids.txt"
        if not target.exists():
            try:
                found = [str(one.get("id")) async for one in self._live.listed("/threads")]
            except LiveError as error:
                if error.status not in _REFUSED:
                    raise
                raise LiveError(
                    "That server does not list threads. Name a file in which their ids stand with"
                    " --threads: your database knows them."
                ) from error
            target.write_text("\n".join(found), "utf-8")
        return target.read_text("utf-8").split()

    async def _threads(self, todo: Iterable[tuple[int, str]], total: int) -> None:
        for number, thread_id in todo:
            # Files are read in the order of their names, which is to be that of the threads.
            target = self._folder / "threads" / f"{number:08}-{thread_id}.jsonl"
            if not target.exists():
                self._write(target, await self._thread(thread_id))
            self._done += 1
            self._tick("fetching threads", self._done, total)

    async def _thread(self, thread_id: str) -> list[Json]:
        path = f"/threads/{thread_id}"
        found: list[Json] = []
        try:
            found.append(await self._live.get(path))
            found += [one async for one in self._live.listed(f"{path}/messages")]
            runs = [one async for one in self._live.listed(f"{path}/runs")]
            found += runs
            for run in runs:
                found += await self._steps(f"{path}/runs/{run.get('id')}/steps")
        except LiveError as error:
            if error.status not in _BROKEN - _DENIED:
                raise
            said = "not imported as a whole" if found else "not imported"
            found.append(_note(THREADS, thread_id, f"{said}: {error}"))
        return found

    async def _steps(self, path: str) -> list[Json]:
        """With the passages that were found, where the server knows how to show them."""
        try:
            return [one async for one in self._live.listed(path, _CONTENT)]
        except LiveError as error:
            if error.status not in {400, 422}:
                raise
            return [one async for one in self._live.listed(path)]

    # ------------------------------------------------------------------------- files

    def _write(self, path: Path, values: Iterable[Json]) -> None:
        unfinished = _hidden(path)
        with unfinished.open("wb") as file:
            file.writelines(msgspec.json.encode(value) + b"\n" for value in values)
        unfinished.rename(path)

    def _read(self, kind: Kind) -> list[Json]:
        lines = (self._folder / f"{kind.name}.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line) for line in lines]

    def _ids(self, kind: Kind) -> list[str]:
        return [one["id"] for one in self._read(kind) if kind.accepts(one.get("id"))]


def thread_ids(named: Sequence[str]) -> list[str]:
    """Thread ids, as given, or from files in which they stand: of whatever kind these are."""
    found: dict[str, None] = {}
    for one in named:
        text = one if _THREAD.fullmatch(one) else Path(one).read_text("utf-8", errors="replace")
        found.update(dict.fromkeys(_THREAD.findall(text)))
    return list(found)


async def _save(target: Path, pieces: AsyncIterator[bytes]) -> None:
    unfinished = _hidden(target)
    with await asyncio.to_thread(unfinished.open, "wb") as file:
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
    unfinished.rename(target)


def _hidden(path: Path) -> Path:
    """Where a file is written that is not whole yet. An import sees nothing that is hidden."""
    return path.with_name(f".{path.name}.unfinished")


def _note(kind: Kind, object_id: str, said: str) -> Json:
    return {"object": NOTE, "kind": kind.name, "id": object_id, "said": said}
