"""A run of many steps, put straight into the database: no model would be so patient."""

from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace
from tests.kit.server import Server

from locum.settings import Settings
from locum.store.runs import Plan
from locum.store.tables import Store
from locum.wire.runs import Usage
from locum.wire.steps import (
    Code,
    CodeInterpreterCall,
    FileSearchCall,
    FoundPassage,
    FunctionCall,
    FunctionDone,
    LogOutput,
    MessageCreation,
    MessageRef,
    Ranking,
    RunStep,
    SearchDone,
    ToolCalls,
)
from locum.wire.vector_stores import TextContent

RUN_ID = "run_long00000000000000000001"
_USAGE = Usage(prompt_tokens=100, completion_tokens=20, total_tokens=120)


def add_long_run(server: Server, *, thread_id: str, like: str, steps: int = 1_000) -> str:
    """A run like another of the thread, with so many steps of every kind.

    It waited three seconds in the queue, and one second for the model before each step.
    """
    project = Settings().project

    async def add(store: Store) -> None:
        run = (await store.runs.get(project, like, owner_id=thread_id)).read()
        begun = run.created_at
        run = replace(
            run,
            id=RUN_ID,
            started_at=begun + 3,
            completed_at=begun + 3 + 3 * steps,
            expires_at=begun + 9_999,
        )
        async with store.transaction() as tx:
            await store.runs.add(tx, project, run, plan=Plan())
            for at in range(steps):
                step = _step(at, thread_id, begun + 4 + 3 * at)
                await store.steps.insert(
                    tx, project, step.id, step, owner_id=RUN_ID, thread_id=thread_id
                )

    # Playwright has a loop of its own in this thread, so the database gets another one.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(server.in_store, add).result()
    return RUN_ID


def _step(at: int, thread_id: str, begun: int) -> RunStep:
    return RunStep(
        id=f"step_long{at:020d}",
        created_at=begun,
        run_id=RUN_ID,
        assistant_id="asst_1",
        thread_id=thread_id,
        type="message_creation" if at % 4 == 0 else "tool_calls",
        status="completed",
        cancelled_at=None,
        completed_at=begun + 2,
        expires_at=None,
        expired_at=None,
        failed_at=None,
        last_error=None,
        step_details=_details(at),
        usage=_USAGE,
        metadata={},
    )


def _details(at: int) -> MessageCreation | ToolCalls:
    match at % 4:
        case 0:
            return MessageCreation(MessageRef(f"msg_{at}"))
        case 1:
            code = Code(input=f"print({at})", outputs=(LogOutput(f"{at}\n"),))
            return ToolCalls((CodeInterpreterCall(id=f"call_{at}", code_interpreter=code),))
        case 2:
            found = tuple(_passage(n) for n in range(5))
            done = SearchDone(Ranking("default_2024_08_21", 0.0), found)
            return ToolCalls((FileSearchCall(id=f"call_{at}", file_search=done),))
    function = FunctionDone("get_weather", '{"city":"Paris"}', '{"degrees":18}')
    return ToolCalls((FunctionCall(id=f"call_{at}", function=function),))


def _passage(at: int) -> FoundPassage:
    return FoundPassage(
        file_id=f"file-{at}",
        file_name=f"guide-{at}.txt",
        score=0.9 - at / 10,
        attributes={},
        content=(TextContent("Lisbon is sunny in winter, and the trams are yellow."),),
    )
