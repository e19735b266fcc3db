"""The two commands as `cli.py` calls them: what was asked for, with which key, and how wide."""

import argparse
import shutil
import sys
from collections.abc import Callable

from locum.serving import Address
from locum.settings import Settings, first_of
from locum.terminal import steps
from locum.terminal.client import Broken, Client, Unanswered
from locum.terminal.paint import Paint
from locum.terminal.tail import Tail
from locum.terminal.tree import tree

__all__ = ["Broken", "Unanswered", "follow", "show"]

# A server without keys takes any.
_ANY_KEY = "sk-local"
Tell = Callable[[str], None]


async def follow(given: argparse.Namespace, settings: Settings, *, tell: Tell) -> bool:
    """Whether the run that was named has completed."""
    async with _client(given, settings) as client:
        tail = Tail(client, tell=tell, paint=_paint(), width=_width(given), as_json=given.json)
        status = await tail.follow(given.run_id, thread_id=given.thread)
    return status == "completed"


async def show(given: argparse.Namespace, settings: Settings, *, tell: Tell) -> None:
    if given.url is None:
        told = await steps.read_here(settings, given.run_id)
    else:
        async with _client(given, settings) as client:
            told = await steps.read_there(client, given.run_id)
    if given.json:
        tell(steps.as_json(told))
        return
    for line in tree(told, paint=_paint(), width=_width(given)):
        tell(line)


def _client(given: argparse.Namespace, settings: Settings) -> Client:
    here = Address(settings.host, settings.port).url
    return Client(given.url or here, key=first_of("LOCUM_API_KEY") or _ANY_KEY)


def _paint() -> Paint:
    return Paint.on(sys.stdout, no_color=first_of("NO_COLOR") is not None)


def _width(given: argparse.Namespace) -> int | None:
    return None if given.full else shutil.get_terminal_size(fallback=(100, 24)).columns
