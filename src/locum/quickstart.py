"""`locum quickstart`, which `make run` starts: fetch what is missing, once, then say how to begin.

Nothing here is needed to serve: whatever cannot be had is told, and done without.
"""

import asyncio
from collections.abc import Awaitable, Callable

from locum.app import embedder_folder, packages_folder
from locum.llm import weights
from locum.packages import PackageUnavailable
from locum.settings import Settings, make_private
from locum.tools.code_interpreter import packages
from locum.tools.code_interpreter.packages import PackagesUnavailable
from locum.tools.file_search import minilm

Tell = Callable[[str], None]

_STEPS_SHOWN = 10

# Three statements that can be pasted into a file or, blank line and all, into a terminal.
_EXAMPLE = """\
from openai import OpenAI; api = OpenAI(base_url="{url}/v1", api_key="{key}").beta
with api.threads.create_and_run_stream({arguments}) as stream: run = {printing}

print(api.threads.runs.steps.list(run.id, thread_id=run.thread_id).to_json())
"""
_ARGUMENTS = (
    'assistant_id=api.assistants.create(model="gpt-4o").id,'
    ' thread={"messages": [{"role": "user", "content": "Say hello."}]}'
)
_PRINTING = (
    '[print(text, end="", flush=True) for text in stream.text_deltas] and stream.get_final_run()'
)


def example(url: str, *, key: str) -> str:
    """A streamed answer, and the steps of the run that gave it."""
    return _EXAMPLE.format(url=url, key=key, arguments=_ARGUMENTS, printing=_PRINTING)


async def prepare(settings: Settings, tell: Tell) -> None:
    """Everything a first run shows: a model, search by meaning, Python with numpy and friends."""
    await asyncio.gather(
        _or_without(get_model(settings, tell), tell, "Going on with the scripted model."),
        _or_without(get_embedder(settings, tell), tell, "File search will find words only."),
        _or_without(install_packages(settings, tell), tell, "Python will have no numpy."),
    )


async def get_model(settings: Settings, tell: Tell) -> None:
    if weights.demo_weights(settings.data).exists():
        return
    make_private(settings.data)
    tell(f"Fetching the demo model, {_megabytes(weights.SMOLLM2.size_bytes)}, once …")
    await weights.fetch(settings.data, progress=Percents("The demo model", tell))


async def get_embedder(settings: Settings, tell: Tell) -> None:
    folder = embedder_folder(settings)
    if minilm.is_fetched(folder):
        return
    make_private(settings.data)
    tell(f"Fetching the model of file search, {_megabytes(minilm.MODEL.size_bytes)}, once …")
    await minilm.fetch(folder, progress=Percents("The model of file search", tell))


async def install_packages(settings: Settings, tell: Tell) -> None:
    folder = packages_folder(settings)
    if packages.installed(folder, extra=settings.sandbox_packages) is not None:
        return
    make_private(settings.data)
    tell("Installing the packages of the code interpreter (numpy, pandas, …), once …")
    await packages.install(folder, extra=settings.sandbox_packages)
    tell("The packages of the code interpreter are installed.")


async def _or_without(work: Awaitable[None], tell: Tell, otherwise: str) -> None:
    try:
        await work
    except (PackageUnavailable, PackagesUnavailable) as error:
        tell(f"{error} {otherwise}")


class Percents:
    """Progress in tenths: lines that a log can keep as well as a terminal."""

    def __init__(self, what: str, tell: Tell) -> None:
        self._what = what
        self._tell = tell
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        tenths = done * _STEPS_SHOWN // max(total, 1)
        if tenths > self._told:
            self._told = tenths
            self._tell(f"{self._what}: {tenths * 100 // _STEPS_SHOWN} %")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
