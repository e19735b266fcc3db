"""The command `locum`. Exit codes: 0 done, 1 not well, 2 not understood."""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from typing import Final

import asyncpg
import msgspec
from msgspec.structs import replace

from locum import __version__, backing_up, doctor, keyring, logs, moves, quickstart, workers
from locum.api.operators import Operators
from locum.app import Parts, create_app, open_database, open_house, open_tracer
from locum.arguments import parser
from locum.errors import LocumError
from locum.llm.protocol import Backend, ModelError
from locum.packages import PackageUnavailable
from locum.service.fleet import shown
from locum.serving import (
    Address,
    CannotListen,
    alone,
    claim,
    few_pauses,
    is_loopback,
    listening,
    migrate_by_hand,
    serve,
    until_stopped,
)
from locum.settings import Settings, SettingsError, load, make_private
from locum.sockets import RequestsFirst
from locum.store.migrations import MigrationError, pending
from locum.terminal import commands
from locum.tools.code_interpreter.packages import PackagesUnavailable

DONE, NOT_WELL, NOT_UNDERSTOOD = 0, 1, 2

# What goes wrong outside of us; a message for the person, without a traceback.
_FORESEEN = (
    commands.Broken,
    CannotListen,
    LocumError,
    MigrationError,
    ModelError,
    backing_up.BackupError,
    moves.LiveError,
    moves.SourceError,
    PackageUnavailable,
    PackagesUnavailable,
    commands.Unanswered,
    OSError,
    sqlite3.Error,
    asyncpg.PostgresError,
)
_ANY_KEY = "sk-local"


class Refused(Exception):
    """What was asked for would not be safe, or is not there."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        settings = load(file=given.settings, overrides=_overrides(given))
    except SettingsError as error:
        _complain(error)
        return NOT_UNDERSTOOD
    logs.configure(as_json=settings.log_format == "json")
    try:
        with asyncio.Runner(loop_factory=RequestsFirst) as runner:
            return runner.run(_COMMANDS[_name(given)](given, settings))
    except SettingsError as error:
        _complain(error)
        return NOT_UNDERSTOOD
    except (Refused, *_FORESEEN) as error:
        _complain(error)
        return NOT_WELL
    except KeyboardInterrupt:
        return NOT_WELL


def _name(given: argparse.Namespace) -> str:
    action = getattr(given, "action", None)
    return f"{given.command} {action}" if action else str(given.command)


def _overrides(given: argparse.Namespace) -> dict[str, object]:
    """The options that are settings, but for those that were not given."""
    names = set(Settings.__struct_fields__)
    found = {name: value for name, value in vars(given).items() if name in names}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def _complain(error: Exception) -> None:
    print(f"locum: {error}", file=sys.stderr)


def _tell(line: str) -> None:
    print(line, flush=True)


async def _version(_given: argparse.Namespace, _settings: Settings) -> int:
    _tell(__version__)
    return DONE


# ------------------------------------------------------------------------- serving


async def _serve(_given: argparse.Namespace, settings: Settings) -> int:
    await _serve_and_tell(settings, shows_example=False)
    return DONE


async def _quickstart(_given: argparse.Namespace, settings: Settings) -> int:
    claim(settings.host, settings.port)  # Said now rather than after a download.
    await quickstart.prepare(settings, _tell)
    await _serve_and_tell(settings, shows_example=True)
    return DONE


async def _work(_given: argparse.Namespace, settings: Settings) -> int:
    """Drive runs and read files for others, who answer the requests."""
    settings = replace(settings, roles=("worker",))
    beside = _beside(settings)
    async with (
        open_tracer(settings, Parts()) as tracer,
        open_house(settings, Parts(tracer=tracer)) as house,
    ):
        _tell(f"Locum {__version__} works as {house.engine.membership.name}")
        _tell(await _model(house.backend))
        async with AsyncExitStack() as stack:
            stack.enter_context(few_pauses())
            if beside is not None:
                operators = Operators(house, apart=True)
                await stack.enter_async_context(listening(operators, beside))
                _tell(f"Operators: {beside.url}/health, /ready, /metrics")
            await until_stopped()
            house.health.drain()
            await house.engine.drain(settings.drain_s)
    return DONE


async def _model(backend: Backend) -> str:
    try:
        return f"Model: {await backend.check()}"
    except ModelError as error:
        return f"Model: NOT THERE. {error.message}"


async def _serve_and_tell(settings: Settings, *, shows_example: bool) -> None:
    if "web" not in settings.roles:
        raise SettingsError("`locum serve` has the role 'web'. Without it, run `locum worker`.")
    address = claim(settings.host, settings.port)
    beside = _beside(settings)
    if beside is not None and beside.port == address.port:
        raise SettingsError("The settings 'port' and 'operator_port' must differ.")
    app = create_app(settings)

    async def has_keys() -> bool:
        return settings.admin_key is not None or await app.state.house.store.keys.any()

    async def admit() -> None:
        if not is_loopback(address) and not await has_keys():
            raise Refused(
                f"There is no API key, so whoever reaches {address.host} could do anything."
                " Make one with `locum keys create`, set an admin key, or listen on 127.0.0.1."
            )

    async def announce() -> None:
        is_open = not await has_keys()
        _tell(f"Locum {__version__} listens on {address.url}/v1")
        if beside is not None:
            _tell(f"Operators: {beside.url}/health, /ready, /metrics")
        if is_open:
            _tell("Local mode: there is no API key yet, so any key is accepted.")
        _tell(await _model(app.state.house.backend))
        _tell(f"Code interpreter: {(await doctor.sandbox(settings)).said}")
        if shows_example:
            _tell(_example(address, is_open=is_open))

    def leave() -> None:
        app.state.house.health.drain()

    async def drain() -> None:
        await app.state.house.engine.drain(settings.drain_s)

    with alone(settings.data) if settings.database_url is None else nullcontext():
        await serve(
            app,
            address,
            announce=announce,
            admit=admit,
            leave=leave,
            drain=drain,
            notice_s=settings.notice_s,
            beside=beside,
        )


def _beside(settings: Settings) -> Address | None:
    """Where operators are answered without a key, if they want to be."""
    if settings.operator_port is None:
        return None
    return claim(settings.operator_host, settings.operator_port)


def _example(address: Address, *, is_open: bool) -> str:
    key = _ANY_KEY if is_open else "YOUR_KEY"
    code = quickstart.example(address.url, key=key)
    return f"\nThe key: {key}\nPaste this into Python (pip install openai):\n\n{code}"


# ---------------------------------------------------------------------------- keys


async def _create_key(given: argparse.Namespace, settings: Settings) -> int:
    key, secret = await keyring.create(
        settings,
        project=given.project,
        name=given.name,
        read_only=given.read_only,
        expires_days=given.expires,
    )
    print(f"{key.id} opens {key.project_id}. It is shown this once:", file=sys.stderr)
    _tell(secret)
    return DONE


async def _list_keys(_given: argparse.Namespace, settings: Settings) -> int:
    _tell("\n".join(await keyring.listed(settings)))
    return DONE


async def _revoke_key(given: argparse.Namespace, settings: Settings) -> int:
    if not await keyring.revoke(settings, given.key_id):
        raise Refused(f"There is no valid key '{given.key_id}': see `locum keys list`.")
    _tell(f"{given.key_id} opens nothing any more.")
    return DONE


async def _list_workers(given: argparse.Namespace, settings: Settings) -> int:
    seen = await workers.look(settings)
    if given.json:
        _tell(msgspec.json.encode(shown(seen)).decode())
    else:
        _tell("\n".join(workers.lines(seen)))
    return DONE


async def _list_projects(_given: argparse.Namespace, settings: Settings) -> int:
    _tell("\n".join(await keyring.projects(settings)))
    return DONE


# ------------------------------------------------------------------------ the house


async def _migrate(given: argparse.Namespace, settings: Settings) -> int:
    make_private(settings.data)
    database = open_database(settings)
    try:
        if given.check:
            todo = await pending(database)
        else:
            todo = await migrate_by_hand(database, settings.data)
    finally:
        await database.close()
    for migration in todo:
        verb = "to be applied" if given.check else "applied"
        _tell(f"{migration.number:04} {migration.name}: {verb}")
    if not todo:
        _tell("The database is up to date.")
    return NOT_WELL if todo and given.check else DONE


async def _doctor(given: argparse.Namespace, settings: Settings) -> int:
    failed = False
    async for finding in doctor.examine(settings):
        failed = failed or finding.verdict == "fail"
        if given.json:
            _tell(msgspec.json.encode(finding).decode())
        else:
            _tell(f"{finding.verdict:<5} {finding.name:<11} {finding.said}")
    return NOT_WELL if failed else DONE


async def _get_models(_given: argparse.Namespace, settings: Settings) -> int:
    await quickstart.get_model(settings, _tell)
    await quickstart.get_embedder(settings, _tell)
    _tell("The models are here.")
    return DONE


async def _install_packages(_given: argparse.Namespace, settings: Settings) -> int:
    await quickstart.install_packages(settings, _tell)
    _tell("The code interpreter has its packages.")
    return DONE


# -------------------------------------------------------------------- in, out, backup


async def _import(given: argparse.Namespace, settings: Settings) -> int:
    told = await moves.import_into(
        settings, moves.ImportWishes.of(given, settings), tick=moves.Bar(sys.stderr)
    )
    for line in told.lines:
        _tell(line)
    return DONE if told.is_whole else NOT_WELL


async def _export(given: argparse.Namespace, settings: Settings) -> int:
    told = await moves.export_from(
        settings,
        moves.ExportWishes.of(given),
        out=sys.stdout.buffer,
        tick=moves.Bar(sys.stderr),
    )
    for line in told.lines:
        print(line, file=sys.stderr)
    return DONE if told.is_whole else NOT_WELL


async def _backup(given: argparse.Namespace, settings: Settings) -> int:
    tick = moves.Bar(sys.stderr)
    for line in await asyncio.to_thread(backing_up.backup, settings, given.target, tick=tick):
        _tell(line)
    return DONE


async def _restore(given: argparse.Namespace, settings: Settings) -> int:
    tick = moves.Bar(sys.stderr)
    for line in await backing_up.restore(settings, given.source, force=given.force, tick=tick):
        _tell(line)
    return DONE


# ------------------------------------------------------------------------- looking


async def _tail(given: argparse.Namespace, settings: Settings) -> int:
    return DONE if await commands.follow(given, settings, tell=_tell) else NOT_WELL


async def _steps(given: argparse.Namespace, settings: Settings) -> int:
    await commands.show(given, settings, tell=_tell)
    return DONE


_COMMANDS: Final[
    Mapping[str, Callable[[argparse.Namespace, Settings], Coroutine[None, None, int]]]
] = {
    "serve": _serve,
    "quickstart": _quickstart,
    "worker": _work,
    "workers": _list_workers,
    "keys create": _create_key,
    "keys list": _list_keys,
    "keys revoke": _revoke_key,
    "keys projects": _list_projects,
    "migrate": _migrate,
    "doctor": _doctor,
    "model get": _get_models,
    "sandbox install": _install_packages,
    "import": _import,
    "export": _export,
    "backup": _backup,
    "restore": _restore,
    "tail": _tail,
    "steps": _steps,
    "version": _version,
}
