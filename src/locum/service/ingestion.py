"""Reads the files that wait in vector stores, a few at once, in the background of a server.

The rows of the files are the queue: whatever was being read when a process ended is read again.
Only the process that parses and the one that embeds are busy; here it is all waiting and writing.
"""

import asyncio
from asyncio import Task
from collections.abc import Sequence

from locum import logs
from locum.errors import LocumError
from locum.service import store_contents
from locum.service.reading import ClaimLost, FileReader
from locum.service.scope import House, Scope
from locum.service.store_contents import Outcome
from locum.store.waiting_files import Claim, Head
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.extract import ExtractionFailed
from locum.wire.vector_stores import IngestionError

_LOOK_EVERY_S = 0.25
_AFTER_FAILURE_S = 5.0
_RENEW_EVERY_S = 2.0
# As with runs, others take up within seconds what a process held that died.
_LEASE_S = 10
# One file, from its bytes to its last vector: hours of embedding are somebody's mistake.
_FILE_S = 3600.0
# Passing faults are tried again, each time later; so is a file that may have killed its process.
_MOST_ATTEMPTS = 5
_FIRST_RETRY_S = 2
_CLEARED_TOGETHER = 64
# Giving files new vectors is one process's work at a time, who may die of it.
_AGAIN, _AGAIN_S = "read-again", 600
_PASSING = (EmbeddingFailed, LocumError, OSError, TimeoutError)


class Ingestion:
    def __init__(self, house: House, reader: FileReader, *, at_once: int) -> None:
        self._house = house
        self._reader = reader
        self._at_once = at_once
        self._working: Task[None] | None = None
        self._busy: set[Task[None]] = set()
        # When each store last had a turn; those with nothing to read are forgotten.
        self._turns: dict[tuple[str, str], int] = {}
        self._turn = 0
        self._read_again_beyond = 0

    async def start(self) -> None:
        if not self._at_once:
            return  # Others, on the same database, read the files.
        if self._house.store.db.dialect == "sqlite":
            await self._house.store.waiting_files.free_all()
        self._working = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Stop at once; what was being read is read by the next one."""
        for task in (self._working, *self._busy):
            if task is not None:
                task.cancel()
        if tasks := {task for task in (self._working, *self._busy) if task is not None}:
            await asyncio.wait(tasks)
        await self._reader.close()

    async def _work(self) -> None:
        while True:
            try:
                await self._round()
            except Exception as failure:  # noqa: BLE001  # a worker's outermost loop
                logs.error("ingestion.failed", failure=failure)
                await asyncio.sleep(_AFTER_FAILURE_S)

    async def _round(self) -> None:
        while len(self._busy) < self._at_once and (claim := await self._next()) is not None:
            task = asyncio.get_running_loop().create_task(self._read(claim))
            self._busy.add(task)
            task.add_done_callback(self._done)
        cleared = await self._house.store.passages.clear_some(most=_CLEARED_TOGETHER)
        if self._busy:
            await asyncio.wait(
                self._busy, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
        elif not cleared and not await self._read_one_again():
            await asyncio.sleep(_LOOK_EVERY_S)

    def _done(self, task: Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # What came of the file could not be written. It is read again when its lease is over.
            logs.error("ingestion.failed", failure=failure)

    async def _next(self) -> Claim | None:
        """A file of the store whose turn is longest ago: many files of one delay nobody else."""
        now = self._house.clock.now()
        heads = await self._house.store.waiting_files.heads(now)
        for head in self._in_turn(heads):
            token = self._house.ids.new("lease")
            claim = await self._house.store.waiting_files.claim(
                head.seq, token=token, now=now, until=now + _LEASE_S
            )
            if claim is not None:
                self._turn += 1
                self._turns[head.project_id, head.vector_store_id] = self._turn
                return claim
        return None

    def _in_turn(self, heads: Sequence[Head]) -> list[Head]:
        waiting = {(head.project_id, head.vector_store_id) for head in heads}
        self._turns = {key: turn for key, turn in self._turns.items() if key in waiting}
        return sorted(
            heads, key=lambda one: self._turns.get((one.project_id, one.vector_store_id), 0)
        )

    # -------------------------------------------------------------------- one file

    async def _read(self, claim: Claim) -> None:
        if claim.attempts > _MOST_ATTEMPTS:
            await self._fail(claim, _given_up(f"It was tried {_MOST_ATTEMPTS} times."))
            return
        reading = asyncio.get_running_loop().create_task(self._reader.read(claim))
        keeping = asyncio.get_running_loop().create_task(self._keep(claim, reading))
        try:
            async with asyncio.timeout(_FILE_S):
                await asyncio.wait({reading})
            await self._conclude(claim, reading)
        except TimeoutError:
            await _stopped(reading)
            await self._fail(claim, _given_up("It took too long."))
        except asyncio.CancelledError:
            await _stopped(reading)
            await self._house.store.waiting_files.release(claim, until=None, refund=True)
            raise
        finally:
            await _stopped(keeping)

    async def _keep(self, claim: Claim, reading: Task[None]) -> None:
        """Renew the lease while the file is read; stop reading what is no longer wanted."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            until = self._house.clock.now() + _LEASE_S
            try:
                if await self._house.store.waiting_files.renew(claim, until=until):
                    continue
            except LocumError as error:
                logs.warning("ingestion.lease_not_renewed", reason=type(error).__name__)
                continue
            reading.cancel()

    async def _conclude(self, claim: Claim, reading: Task[None]) -> None:
        if reading.cancelled():
            return  # Cancelled or deleted meanwhile, which is settled already.
        failure = reading.exception()
        match failure:
            case None:
                self._house.metrics.tools.files_read.labels("completed").inc()
            case ClaimLost():
                return
            case ExtractionFailed(code="invalid_file" | "unsupported_file"):
                await self._fail(claim, IngestionError(failure.code, failure.message))
            case ExtractionFailed():
                await self._try_later(claim, failure.message)
            case EmbeddingFailed() | LocumError() | OSError() | TimeoutError():
                await self._try_later(claim, _words(failure))
            case _:
                logs.error("ingestion.broke", failure=failure, file_id=claim.file.id)
                await self._try_later(claim, "Sorry, something went wrong.")

    async def _try_later(self, claim: Claim, why: str) -> None:
        if claim.attempts >= _MOST_ATTEMPTS:
            await self._fail(claim, _given_up(why))
            return
        delay_s = _FIRST_RETRY_S**claim.attempts
        logs.warning("ingestion.delayed", file_id=claim.file.id, attempts=claim.attempts)
        until = self._house.clock.now() + delay_s
        await self._house.store.waiting_files.release(claim, until=until)

    async def _fail(self, claim: Claim, error: IngestionError) -> None:
        scope = Scope(self._house, claim.project_id)
        outcome = Outcome(status="failed", error=error)
        async with self._house.store.transaction() as tx:
            await tx.lock(claim.file.vector_store_id)
            if await self._house.store.waiting_files.is_held(tx, claim):
                await store_contents.settle(
                    scope, tx, claim.file.vector_store_id, {claim.file.id: outcome}
                )
        self._house.metrics.tools.files_read.labels("failed").inc()

    # --------------------------------------------------------------- another model

    async def _read_one_again(self) -> bool:
        """Where the model has changed, give one more file vectors of the new one."""
        model = self._reader.model
        if model is None:
            return False
        found = await self._house.store.passages.outdated(
            model, beyond=self._read_again_beyond, most=1
        )
        processes, now = self._house.store.processes, self._house.clock.now()
        if not found or not await processes.take_duty(_AGAIN, now=now, every_s=_AGAIN_S):
            return False  # There is nothing, or another process is at it.
        # A file that fails is left to be found by its words until the next start.
        self._read_again_beyond = found[0].number
        try:
            await self._reader.read_again(found[0])
        except (*_PASSING, ClaimLost, ExtractionFailed) as failure:
            logs.warning("ingestion.not_reindexed", reason=type(failure).__name__)
        await processes.end_duty(_AGAIN, now=self._house.clock.now())
        return True


def _given_up(why: str) -> IngestionError:
    return IngestionError("server_error", why)


def _words(failure: BaseException) -> str:
    """What the owner of the file is told; an operating system's words are not for him."""
    if isinstance(failure, EmbeddingFailed | LocumError):
        return str(failure)
    return "The file could not be read from where it is kept."


async def _stopped(task: Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
