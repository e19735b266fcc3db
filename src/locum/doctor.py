"""`locum doctor`: what works here, what does not, and what to do about it."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from locum.app import embedder_folder, open_blobs, open_database, sandbox_settings
from locum.clock import SystemClock
from locum.errors import LocumError
from locum.llm.choose import choose_backend
from locum.llm.embeddings import OpenAIEmbeddings
from locum.llm.protocol import ModelError
from locum.moving.backups import DATABASE
from locum.service.reranking import choose_reranker
from locum.settings import Settings, SettingsError, make_private
from locum.store.blobs import BlobMissing
from locum.store.database import Database
from locum.store.migrations import MigrationError, pending
from locum.store.postgres import PostgresDatabase
from locum.tools.code_interpreter.choose import Tier, build_sandbox
from locum.tools.code_interpreter.files import remove_tree
from locum.tools.code_interpreter.sandbox import SandboxUnavailable
from locum.tools.file_search import minilm
from locum.tools.file_search.reranking import RerankingFailed

_LITTLE_BYTES = 1 << 30
_TOO_LITTLE_BYTES = 100 << 20
# Where the sandbox is tried, and after which time nobody is at work there any more.
_FOLDER = ".doctor-"
_ABANDONED_S = 3600

Verdict = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True):
    """One line: what was looked at, how it is, and what to do when it is not well."""

    name: str
    verdict: Verdict
    said: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    yield _writable(settings.data)
    yield _disk(settings.data)
    async for finding in _database(settings):
        yield finding
    yield await blobs(settings)
    yield await sandbox(settings)
    yield await model(settings)
    yield await embedder(settings)
    if settings.rerank_url is not None:
        yield await reranker(settings)


def _writable(folder: Path) -> Finding:
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"locum")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        todo = f"{folder}: {error.strerror}. Choose another folder with --data."
        return Finding("data", "fail", todo)
    return Finding("data", "ok", f"{folder.resolve()} can be written.")


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", "fail", f"{folder}: {error.strerror}.")
    told = f"{free / 1e9:.1f} GB are free."
    if free < _TOO_LITTLE_BYTES:
        return Finding("disk", "fail", f"{told} Make room before the server refuses to write.")
    if free < _LITTLE_BYTES:
        return Finding("disk", "warn", f"{told} Uploads and models may not find room.")
    return Finding("disk", "ok", told)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    what = "PostgreSQL" if settings.database_url else f"SQLite in {settings.data / DATABASE}"
    try:
        database = open_database(settings)
        try:
            if isinstance(database, PostgresDatabase):
                await database.require_sessions()
            migrations = await _migrations(database)
        finally:
            await database.close()
    except SettingsError as error:
        yield Finding("database", "fail", str(error))
    except (OSError, sqlite3.Error, asyncpg.PostgresError, LocumError) as error:
        yield Finding("database", "fail", f"{what} does not answer: {error}. Check its address.")
    else:
        yield Finding("database", "ok", f"{what} answers.")
        yield migrations


async def _migrations(database: Database) -> Finding:
    try:
        todo = await pending(database)
    except MigrationError as error:
        return Finding("migrations", "fail", str(error))
    if todo:
        said = f"{len(todo)} to be applied: run `locum migrate`; `serve` does so for SQLite."
        return Finding("migrations", "warn", said)
    return Finding("migrations", "ok", "All are applied.")


async def blobs(settings: Settings) -> Finding:
    """Whether a blob can be written, read and removed again, where they are kept."""
    where = settings.blobs_url or str(settings.data / "blobs")
    try:
        kept = open_blobs(settings)
        writer = await kept.create()
        await writer.write(b"locum")
        key = await writer.commit()
        found = b"".join([piece async for piece in kept.open(key)])
        await kept.delete(key)
    except (LocumError, OSError, BlobMissing) as error:
        # What the store itself said is for operators, and stands behind what callers are told.
        said = str(error.__cause__ or error).splitlines()[0]
        todo = f"{where}: {said} Check blobs_url, blobs_endpoint and the AWS_* variables."
        return Finding("blobs", "fail", todo)
    if found != b"locum":
        return Finding("blobs", "fail", f"{where} gives back other bytes than it was given.")
    return Finding("blobs", "ok", f"{where} keeps what it is given.")


async def sandbox(settings: Settings) -> Finding:
    """Which walls the code interpreter has here, found by building them."""
    tier: Tier = "unsafe-subprocess" if settings.sandbox == "unsafe-subprocess" else "auto"
    options = sandbox_settings(settings)
    try:
        make_private(settings.data)
        _remove_abandoned(settings.data)
        # A folder of its own: a server may be running over the other one.
        with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=settings.data) as folder:
            apart = replace(options, directory=Path(folder), pool=0)
            walls = await build_sandbox(apart, tier=tier)
            try:
                said = await walls.check()
            finally:
                await walls.close()
    except OSError as error:
        return Finding("sandbox", "fail", f"{error.filename}: {error.strerror}.")
    except SandboxUnavailable as error:
        return Finding("sandbox", "warn", f"No code interpreter. {error}")
    if tier == "unsafe-subprocess":
        return Finding("sandbox", "warn", said)
    if options.packages is None:
        said += ". Only the standard library is there: run `locum sandbox install` for numpy & co."
        return Finding("sandbox", "warn", said)
    return Finding("sandbox", "ok", f"{said}.")


def _remove_abandoned(data: Path) -> None:
    """What is left where somebody was killed while he looked."""
    before = SystemClock().now() - _ABANDONED_S
    for folder in data.glob(f"{_FOLDER}*"):
        with suppress(FileNotFoundError):  # Another removes it as well.
            if folder.stat().st_mtime < before:
                remove_tree(folder)


async def model(settings: Settings) -> Finding:
    try:
        backend = choose_backend(settings)
        try:
            return Finding("model", "ok", await backend.check())
        finally:
            await backend.close()
    except (ModelError, SettingsError) as error:
        return Finding("model", "fail", str(error))


async def embedder(settings: Settings) -> Finding:
    """What turns text into vectors for file search."""
    if settings.embeddings_url:
        return await _embeddings_server(settings, settings.embeddings_url)
    if minilm.is_fetched(embedder_folder(settings)):
        return Finding("embedder", "ok", f"{minilm.MiniLm.name} is here.")
    said = "File search finds words but not meanings: run `locum model get`, or set embeddings_url."
    return Finding("embedder", "warn", said)


async def _embeddings_server(settings: Settings, url: str) -> Finding:
    if not (settings.embeddings_model and settings.embeddings_dimensions):
        said = "embeddings_url needs embeddings_model and embeddings_dimensions beside it."
        return Finding("embedder", "fail", said)
    try:
        server = OpenAIEmbeddings(
            url,
            model=settings.embeddings_model,
            dimensions=settings.embeddings_dimensions,
            key=settings.embeddings_key,
        )
        try:
            await server.embed(["Does it answer?"], kind="query")
        finally:
            await server.close()
    except ModelError as error:
        return Finding("embedder", "fail", error.message)
    return Finding("embedder", "ok", f"{server.name} answers.")


async def reranker(settings: Settings) -> Finding:
    """What ranks passages once more. Searches go on without it, so nobody else would tell."""
    try:
        server = choose_reranker(settings)
        assert server is not None
        try:
            async with asyncio.timeout(settings.rerank_timeout_s):
                await server.scores("Does it answer?", ["It does.", "It rains."])
        finally:
            await server.close()
    except (RerankingFailed, SettingsError, TimeoutError) as error:
        said = f"Searches are not reranked: {str(error).removesuffix('.') or 'too slow'}."
        return Finding("reranker", "fail", said)
    return Finding("reranker", "ok", "It answers.")
