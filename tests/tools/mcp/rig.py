"""What the tests of MCP share: a tool over a thread of its own, and a run that asks for it."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.kit.clocks import SteppedClock
from tests.kit.fake_mcp import FakeMcp

from locum.tools.mcp.hosts import Hosts
from locum.tools.mcp.tool import McpTools
from locum.tools.tool import Call, Setting
from locum.wire.runs import Run, Truncation
from locum.wire.steps import FunctionCall
from locum.wire.tools import McpTool, ToolResources

T = TypeVar("T")
WAIT_S = 30.0
HERE = ("127.0.0.1",)
_PROGRAM = Path(__file__).with_name("official_server.py")


class Rig:
    """A tool as the engine holds it."""

    def __init__(
        self, *, hosts: Sequence[str] = HERE, call_s: float = 5.0, clock: SteppedClock | None = None
    ) -> None:
        self.clock = clock or SteppedClock()
        self.tools = McpTools(Hosts(hosts), clock=self.clock, call_s=call_s)

    async def names(self, setting: Setting) -> list[str]:
        return [function.name for function in await self.tools.functions(setting)]

    async def open(self, setting: Setting, name: str) -> Call:
        return await self.tools.open(setting, call_id="call_1", name=name, context_item=0)

    async def call(self, setting: Setting, name: str, arguments: str = "{}") -> str | None:
        """Offer, open, write and run; what the finished step shows."""
        await self.tools.functions(setting)
        return await self.call_again(setting, name, arguments)

    async def call_again(self, setting: Setting, name: str, arguments: str = "{}") -> str | None:
        call = await self.open(setting, name)
        call.write(arguments)
        async for _ in call.run():
            pass
        done = call.done()
        assert isinstance(done, FunctionCall)
        return done.function.output


def run_with(work: Callable[[Rig], Awaitable[T]], **options: Any) -> T:
    """Do something with a rig, and leave nothing open."""

    async def run() -> T:
        rig = Rig(**options)
        try:
            async with asyncio.timeout(WAIT_S * 2):
                return await work(rig)
        finally:
            await rig.tools.close()

    return asyncio.run(run())


def server_tool(fake: FakeMcp | str, label: str = "srv", **options: Any) -> McpTool:
    url = fake if isinstance(fake, str) else fake.url
    return McpTool(server_label=label, server_url=url, **options)


def setting(
    *tools: McpTool,
    headers: dict[str, dict[str, str]] | None = None,
    thread_id: str = "thread_1",
    project_id: str = "proj_1",
) -> Setting:
    run = Run(
        id=f"run_{thread_id}",
        created_at=0,
        assistant_id="asst_1",
        thread_id=thread_id,
        status="in_progress",
        started_at=0,
        expires_at=600,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        required_action=None,
        last_error=None,
        model="scripted",
        instructions=None,
        tools=tools,
        tool_resources=ToolResources(),
        metadata={},
        temperature=1.0,
        top_p=1.0,
        reasoning_effort=None,
        max_completion_tokens=None,
        max_prompt_tokens=None,
        truncation_strategy=Truncation(type="auto"),
        incomplete_details=None,
        usage=None,
        response_format="auto",
        tool_choice="auto",
        parallel_tool_calls=True,
    )
    return Setting(project_id=project_id, run=run, headers=headers or {})


@contextmanager
def official_server() -> Iterator[str]:
    """The address of a server made with the official SDK."""
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()
