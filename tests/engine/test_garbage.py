"""What was answered leaves nothing behind that others would have to find and to end."""

import asyncio
import gc
import sys

from tests.kit.inside import Inside, inside

_TURNS = 20


async def _turn(house: Inside, assistant_id: str) -> None:
    asked = {"messages": [{"role": "user", "content": "hello"}]}
    body = {"assistant_id": assistant_id, "thread": asked, "stream": True}
    answer = await house.json("POST", "/v1/threads/runs", body)
    assert answer.body.endswith(b"[DONE]\n\n")
    thread_id = answer.body.split(b'"thread_', 1)[1].split(b'"', 1)[0].decode()
    listed = await house.json("GET", f"/v1/threads/thread_{thread_id}/runs")
    (run,) = listed.json["data"]
    steps = f"/v1/threads/thread_{thread_id}/runs/{run['id']}/steps"
    assert (await house.json("GET", steps)).json["data"]
    assert (await house.json("GET", f"{steps}/step_missing")).status == 404


def test_a_turn_leaves_no_cycles() -> None:
    async def check() -> int:
        async with inside() as house:
            made = await house.json("POST", "/v1/assistants", {"model": "scripted"})
            await _turn(house, made.json["id"])
            gc.collect()
            gc.disable()
            try:
                for _ in range(_TURNS):
                    await _turn(house, made.json["id"])
                return gc.collect()
            finally:
                gc.enable()

    # Less than one object a turn: what the watch of the house leaves, and nothing that grows.
    assert asyncio.run(check()) < _TURNS


def test_a_turn_ends_all_that_it_has_begun_to_tell() -> None:
    async def check() -> list[object]:
        left: list[object] = []
        async with inside() as house:
            made = await house.json("POST", "/v1/assistants", {"model": "scripted"})
            # Called with generators that nobody has closed; the loop would begin a task for each.
            sys.set_asyncgen_hooks(finalizer=left.append)
            await _turn(house, made.json["id"])
        return left

    assert asyncio.run(check()) == []
