"""`locum tail`: runs as they happen, over HTTP, whatever happens to the connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from locum.terminal.client import Broken, Client, Unanswered
from locum.terminal.paint import Paint
from locum.terminal.tree import awaited, details, error, summary, text_of, title

Tell = Callable[[str], None]
Sleep = Callable[[float], Awaitable[object]]

_LOOK_S: Final = 1.0
_LONGEST_WAIT_S: Final = 10.0
_PAGE: Final = "100"
_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 100
_ENDED: Final = ("completed", "incomplete", "failed", "cancelled", "expired")


class Tail:
    def __init__(
        self,
        client: Client,
        *,
        tell: Tell,
        paint: Paint,
        width: int | None,
        as_json: bool = False,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._tell = tell
        self._paint = paint
        self._width = width
        self._as_json = as_json
        self._sleep = sleep

    async def follow(self, run_id: str | None = None, *, thread_id: str | None = None) -> str:
        """One run to its end, which is what it says; or all that come, until it is stopped."""
        if run_id is not None:
            run = await self._client.get(f"runs/{run_id}")
            return await self._run(run)
        async with asyncio.TaskGroup() as following:
            room = asyncio.Semaphore(_AT_ONCE)
            async for run in self._new_runs(thread_id):
                await room.acquire()
                task = following.create_task(self._run(run))
                task.add_done_callback(lambda _: room.release())
        raise AssertionError("Runs never end to come.")

    # --------------------------------------------------------------------- finding

    async def _new_runs(self, thread_id: str | None) -> AsyncIterator[dict[str, Any]]:
        """Runs that are under way, and then each that begins, for ever."""
        path = "runs" if thread_id is None else f"threads/{thread_id}/runs"
        page = await self._patiently(path, limit=_PAGE)
        since = max((run["created_at"] for run in page["data"]), default=0)
        seen = {run["id"]: None for run in reversed(page["data"])}
        for run in reversed(page["data"]):
            if run["status"] not in _ENDED:
                yield run
        while True:
            await self._sleep(_LOOK_S)
            page = await self._patiently(path, limit=_PAGE)
            for run in reversed(page["data"]):
                # Where runs are deleted, older ones come into the page.
                if run["id"] not in seen and run["created_at"] >= since:
                    yield run
                seen[run["id"]] = None
            while len(seen) > _REMEMBERED:
                del seen[next(iter(seen))]

    async def _patiently(self, path: str, **query: str) -> Any:
        """Ask until the server is there."""
        wait_s = _LOOK_S
        while True:
            try:
                return await self._client.get(path, **query)
            except Broken as broken:
                self._remark(f"{broken} Trying again.")
            await self._sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    # ------------------------------------------------------------------- following

    async def _run(self, run: dict[str, Any]) -> str:
        """One run to its end, through pauses and broken connections; its last status."""
        path = f"threads/{run['thread_id']}/runs/{run['id']}"
        telling = _Telling(self._tell, run["id"], paint=self._paint, width=self._width)
        place, wait_s = "", _LOOK_S
        try:
            while True:
                try:
                    async for event in self._client.events(f"{path}/events", after=place):
                        place, wait_s = event.id or place, _LOOK_S
                        self._hear(telling, event.name, event.data)
                except Broken as broken:
                    self._remark(f"{run['id']}: {broken} Trying again.")
                    wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                if telling.status in _ENDED:
                    return telling.status
                now = await self._patiently(path)
                if now["status"] in _ENDED and not place:
                    # Its journal has been forgotten; the run itself has not.
                    self._hear(telling, f"thread.run.{now['status']}", now)
                    return telling.status
                # It waits for its client, or goes on: the stream begins again where it ended.
                await self._sleep(wait_s)
        except Unanswered as refusal:
            self._remark(f"{run['id']}: {refusal}")
            return telling.status

    def _hear(self, telling: "_Telling", name: str, data: dict[str, Any]) -> None:
        if self._as_json:
            telling.note(name, data)
            self._tell(_as_line(name, data))
        else:
            telling.hear(name, data)

    def _remark(self, line: str) -> None:
        if not self._as_json:
            self._tell(self._paint(line, "yellow"))


class _Telling:
    """Makes lines of the events of one run."""

    def __init__(self, tell: Tell, run_id: str, *, paint: Paint, width: int | None) -> None:
        self._tell = tell
        self._name = run_id
        self._paint = paint
        self._width = width
        self._steps: list[str] = []
        self._texts: dict[str, str] = {}
        self._latest = 0
        self.status = ""

    def note(self, name: str, data: dict[str, Any]) -> None:
        """Remember what the run has come to."""
        if name.startswith("thread.run.") and not name.startswith("thread.run.step."):
            self.status = data["status"]

    def hear(self, name: str, data: dict[str, Any]) -> None:
        before = self.status
        self.note(name, data)
        if name == "error":
            self._line(self._paint(error(_error(data), self._width), "red"), at={})
        elif name.startswith("thread.run.step."):
            self._step(name.removeprefix("thread.run.step."), data)
        elif name in ("thread.message.completed", "thread.message.incomplete"):
            self._texts[data["id"]] = text_of(data["content"])
        elif self.status != before:
            self._run(data)

    def _run(self, run: dict[str, Any]) -> None:
        words = [*summary(run, self._paint)]
        if self.status == "queued":
            words.append(self._paint(f"{run['model']} · {run['thread_id']}", "dim"))
        if run.get("last_error"):
            words.append(self._paint(error(run["last_error"], self._width), "red"))
        if run.get("incomplete_details"):
            words.append(run["incomplete_details"]["reason"])
        self._line(" ".join(words), at=run)
        for line in awaited(run, width=self._width):
            self._tell(f"           {line}")

    def _step(self, state: str, step: dict[str, Any]) -> None:
        if state == "delta":
            return
        if step["id"] not in self._steps:
            self._steps.append(step["id"])
        number = self._steps.index(step["id"]) + 1
        if state in ("created", "in_progress"):
            if state == "created":
                self._line(f"step {number} begins {self._paint(step['id'], 'dim')}", at=step)
            return
        told = [f"step {number} {title(step)}", *summary(step, self._paint)]
        self._line(" ".join(told), at=step)
        for line in details(step, self._texts, paint=self._paint, width=self._width):
            self._tell(f"           {line}")

    def _line(self, text: str, *, at: dict[str, Any]) -> None:
        self._tell(
            f"{self._paint(self._moment(at), 'dim')} {self._paint(self._name, 'bold')} {text}"
        )

    def _moment(self, thing: dict[str, Any]) -> str:
        """When it happened, as far as its times tell; never before what was told before it."""
        times = [
            value
            for name, value in thing.items()
            if name.endswith("_at") and name != "expires_at" and isinstance(value, int)
        ]
        self._latest = max(self._latest, *times) if times else self._latest
        moment = datetime.fromtimestamp(self._latest, UTC)
        return moment.astimezone().strftime("%H:%M:%S")


def _error(data: dict[str, Any]) -> dict[str, Any]:
    inner = data.get("error", data)
    return {"code": inner.get("code") or inner.get("type"), "message": inner.get("message")}


def _as_line(name: str, data: Any) -> str:
    return msgspec.json.encode({"event": name, "data": data}).decode()
