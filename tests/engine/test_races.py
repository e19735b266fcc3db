"""Clients and drivers that reach for the same run at the same moment."""

import asyncio

from tests.kit.inside import inside

from locum.service import assistants, runs, threads
from locum.service.scope import Scope
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage
from locum.wire.runs import CreateRun, CreateRunQuery
from locum.wire.threads import CreateThread

_MOMENTS = 30


def test_a_cancellation_at_the_moment_a_run_is_taken_up_is_answered() -> None:
    """The driver's task begins while the request is writing, a little later every time."""

    async def scenario() -> None:
        async with asyncio.timeout(20), inside() as door:
            scope = Scope(door.house, "proj")
            made = await assistants.create_assistant(scope, body=CreateAssistant(model="m"))
            said = (CreateMessage(role="user", content="!think 60"),)
            for moment in range(_MOMENTS):
                thread = await threads.create_thread(scope, body=CreateThread(messages=said))
                asked = CreateRun(assistant_id=made.id)
                run = await runs.create_run(
                    scope, thread_id=thread.id, body=asked, query=CreateRunQuery()
                )
                assert not isinstance(run, runs.RunStream)
                for _ in range(moment):
                    await asyncio.sleep(0)
                key = ("proj", thread.id, run.id)
                cancelled = await door.house.engine.cancel(key)
                assert cancelled.status == "cancelling"
                events = [told.name async for told in door.house.engine.follow(key) if told]
                assert events[-2:] == ["thread.run.cancelling", "thread.run.cancelled"]

    asyncio.run(scenario())
