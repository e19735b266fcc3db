"""The composition root: settings in, an ASGI application out. It alone knows every room."""

import asyncio
import functools
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from locum import __version__, logs
from locum.api import openapi
from locum.api.auth import Doorkeeper
from locum.api.door import Door
from locum.api.http import Incoming
from locum.api.operators import Operators, is_for_operators
from locum.api.routes import ROUTES
from locum.api.tracing import TracedDoor
from locum.clock import Clock, SystemClock
from locum.engine.bells import Bells, DatabaseBells, NoOthers
from locum.engine.engine import Crew, Engine
from locum.engine.membership import Identity
from locum.engine.watching import RunMeter
from locum.ids import Ids, RandomIds
from locum.llm import tokens
from locum.llm.choose import choose_backend
from locum.llm.metered import Metered
from locum.llm.protocol import Backend
from locum.metrics import Metrics
from locum.moving.backups import DATABASE, RESTORING
from locum.service.backlog import Backlog
from locum.service.embedding import choose_embedder
from locum.service.health import Health
from locum.service.ingestion import Ingestion
from locum.service.reading import FileReader
from locum.service.reranking import choose_reranker
from locum.service.scope import House
from locum.service.upkeep import Upkeep
from locum.settings import Settings, SettingsError, make_private
from locum.store.blobs import Blobs
from locum.store.blobs.local import LocalBlobs
from locum.store.blobs.objects import ObjectStoreBlobs
from locum.store.clocks import DatabaseClock
from locum.store.database import Database
from locum.store.migrations import MigrationError, migrate, pending
from locum.store.notices import Notices
from locum.store.postgres import PostgresDatabase
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store
from locum.telemetry.spans import Tracer
from locum.tools.code_interpreter import packages
from locum.tools.code_interpreter.choose import Tier
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.on_demand import SandboxOnDemand
from locum.tools.code_interpreter.sessions import SandboxSettings
from locum.tools.code_interpreter.tidying import Tidying
from locum.tools.code_interpreter.tool import CodeInterpreter
from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.embedding import SearchEmbedder
from locum.tools.file_search.extract import Extractor
from locum.tools.file_search.prepare import Tokenizer
from locum.tools.file_search.reranking import Reranker
from locum.tools.file_search.search import RERANK_S, Searcher
from locum.tools.file_search.stored_index import StoredIndex
from locum.tools.file_search.tool import FileSearch
from locum.tools.mcp.hosts import Hosts
from locum.tools.mcp.tool import McpTools
from locum.tools.metered import MeteredTool
from locum.tools.tool import Tool
from locum.web.front import Front
from locum.web.gateway import Gateway
from locum.web.page import Page
from locum.web.sessions import Admission

# Where the API is; what else is served goes through the layers of the toolkit.
_STRAIGHT = ("/v1/", "/openai/")


@dataclass(frozen=True)
class Parts:
    """What a test may hold still or put in place of the real thing."""

    clock: Clock | None = None
    ids: Ids | None = None
    backend: Backend | None = None
    tools: Sequence[Tool] | None = None
    embedder: SearchEmbedder | None = None
    tracer: Tracer | None = None


class Application(Starlette):
    """Starlette, but for requests to the API: those pass by all layers, straight to the door."""

    straight: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.straight is not None and scope.get("path", "").startswith(_STRAIGHT):
            await self.straight(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, parts: Parts = Parts()) -> Starlette:  # frozen
    """The whole server as an ASGI application; it opens the house at start-up."""

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        for warning in _warnings(settings):
            logs.warning("settings.unsafe", warning=warning)
        async with open_tracer(settings, parts) as tracer:
            traced = replace(parts, tracer=tracer)
            async with open_house(settings, traced) as house, open_gateway(settings) as gateway:
                app.state.house = house
                app.state.operators = Operators(house, apart=True)
                front = build_front(house, gateway, tracer)
                app.routes.append(Mount("/", front))
                if not app.user_middleware:
                    app.straight = front.door
                yield

    return Application(
        routes=[Route("/openapi.json", _openapi())],
        middleware=_cors(settings),
        lifespan=lifespan,
    )


def _cors(settings: Settings) -> list[Middleware]:
    """Pages of other origins may call the API only where the operator names them."""
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[
                "x-request-id",
                "openai-poll-after-ms",
                "retry-after",
                "retry-after-ms",
                "x-locum-adopted",
            ],
        )
    ]


def _openapi() -> Callable[[Request], Awaitable[Response]]:
    """What the API takes and gives, for machines; no secret, so no key is asked for."""

    @functools.cache
    def document() -> bytes:
        return msgspec.json.encode(openapi.document(ROUTES, version=__version__))

    async def answer(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    return answer


@asynccontextmanager
async def open_house(settings: Settings, parts: Parts) -> AsyncIterator[House]:
    """Everything that serves, opened in order and closed in reverse."""
    crew = _crew(settings)
    make_private(settings.data)
    database = open_database(settings)
    try:
        await _bring_up_to_date(database)
        async with (
            open_clock(database, parts) as clock,
            _furnished(settings, parts, database=database, clock=clock, crew=crew) as house,
        ):
            yield house
    finally:
        await database.close()


@asynccontextmanager
async def _furnished(
    settings: Settings, parts: Parts, *, database: Database, clock: Clock, crew: Crew
) -> AsyncIterator[House]:
    ids, store, blobs = parts.ids or RandomIds(), Store(database), open_blobs(settings)
    metrics = Metrics(version=__version__)
    backend = _metered_backend(settings, parts, metrics=metrics, clock=clock)
    sandbox = _sandbox(settings, clock)
    mcp = McpTools(Hosts(settings.mcp_hosts), clock=clock, call_s=settings.mcp_timeout_s)
    embedder = parts.embedder or choose_embedder(settings, weights=embedder_folder(settings))
    reranker = choose_reranker(settings)
    searcher = open_searcher(store, embedder, reranker, rerank_s=settings.rerank_timeout_s)
    tools = parts.tools
    if tools is None:
        tools = (
            CodeInterpreter(sandbox, store=store, blobs=blobs, clock=clock, ids=ids),
            FileSearch(searcher, store=store, clock=clock, count_tokens=tokens.count),
            mcp,
        )
    engine = Engine(
        store=store,
        blobs=blobs,
        clock=clock,
        ids=ids,
        backend=backend,
        tools=[MeteredTool(tool, metrics=metrics, clock=clock) for tool in tools],
        crew=crew,
        bells=_bells(settings),
        tracer=parts.tracer,
        watch=RunMeter(metrics, clock),
    )
    house = House(
        settings=settings,
        clock=clock,
        ids=ids,
        store=store,
        blobs=blobs,
        engine=engine,
        backend=backend,
        searcher=searcher,
        metrics=metrics,
        health=Health(store),
        backlog=Backlog(store, clock, most=settings.max_queued_runs),
    )
    _watch(metrics, engine=engine, sandbox=sandbox, database=database)
    async with AsyncExitStack() as closing:
        if reranker is not None:
            closing.push_async_callback(reranker.close)
        for part in (backend, embedder, mcp, sandbox, engine):
            closing.push_async_callback(part.close)
        await engine.start()
        if crew.works:
            ingestion, upkeep = open_ingestion(house, embedder), Upkeep(house)
            tidying = Tidying(sandbox, store=store, clock=clock)
            closing.push_async_callback(ingestion.close)
            await ingestion.start()
            closing.push_async_callback(upkeep.close)
            upkeep.start()
            closing.push_async_callback(tidying.close)
            tidying.start()
        yield house


@asynccontextmanager
async def open_clock(database: Database, parts: Parts) -> AsyncIterator[Clock]:
    """Processes that share a database share its time, too."""
    if parts.clock is not None:
        yield parts.clock
    elif isinstance(database, PostgresDatabase):
        clock = DatabaseClock(database, SystemClock())
        await clock.start()
        try:
            yield clock
        finally:
            await clock.close()
    else:
        yield SystemClock()


def _crew(settings: Settings) -> Crew:
    """What this process does. With SQLite it has nobody to leave anything to."""
    if not settings.roles:
        raise SettingsError("The setting 'roles' names at least one of 'web' and 'worker'.")
    if settings.database_url is None and set(settings.roles) != {"web", "worker"}:
        raise SettingsError(
            "With SQLite one process does everything. To share the work between several, let them"
            " use one PostgreSQL (LOCUM_DATABASE_URL)."
        )
    works = "worker" in settings.roles
    return Crew(
        identity=Identity(
            host=socket.gethostname(),
            pid=os.getpid(),
            roles=",".join(settings.roles),
            version=__version__,
            room=settings.max_runs if works else 0,
        ),
        works=works,
        at_once=settings.max_runs,
        per_project=settings.max_runs_per_project,
    )


def _bells(settings: Settings) -> Bells:
    if settings.database_url is None:
        return NoOthers()
    return DatabaseBells(Notices(settings.database_url))


def _metered_backend(
    settings: Settings, parts: Parts, *, metrics: Metrics, clock: Clock
) -> Backend:
    def metered(backend: Backend, label: str) -> Backend:
        return Metered(backend, label=label, metrics=metrics, clock=clock)

    if parts.backend is None:
        return choose_backend(settings, around=metered)
    return metered(parts.backend, parts.backend.name)


def _watch(
    metrics: Metrics, *, engine: Engine, sandbox: SandboxOnDemand, database: Database
) -> None:
    """Figures that are there anyway, asked for when somebody looks."""
    metrics.watch("runs_driven", lambda: engine.driven)
    metrics.watch("runs_waiting", lambda: engine.waiting)
    metrics.watch("sandbox_sessions", lambda: sandbox.live)
    if isinstance(database, PostgresDatabase):
        pool = database.connections
        metrics.watch("database_connections", lambda: pool.open)
        metrics.watch("database_connections_busy", lambda: pool.busy)
        metrics.watch("database_waits", lambda: pool.waits)
        metrics.watch("database_wait_seconds", lambda: pool.waited_s)


@asynccontextmanager
async def open_tracer(settings: Settings, parts: Parts) -> AsyncIterator[Tracer | None]:
    """What sends traces, if any are made. It sends the last of them when all else is closed."""
    tracer = parts.tracer
    if tracer is None and settings.traces:
        try:
            from locum.telemetry.otlp import OtlpTracer  # noqa: PLC0415  # an optional dependency
        except ModuleNotFoundError as error:
            raise SettingsError(
                "The setting 'traces' needs OpenTelemetry: pip install 'locum[otel]'."
            ) from error
        tracer = OtlpTracer(version=__version__, shows_content=settings.trace_content)
    try:
        yield tracer
    finally:
        if tracer is not None:
            await asyncio.to_thread(tracer.close)


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    gateway = Gateway(settings.upstreams)
    try:
        yield gateway
    finally:
        await gateway.close()


def build_front(house: House, gateway: Gateway, tracer: Tracer | None = None) -> Front:
    """The page and its gateway before the API, which answers for everything else."""
    keeper = Doorkeeper(house.store, house.settings, house.clock)

    async def admit(scope: Scope) -> str:
        return (await keeper.admit(Incoming(scope, _nothing))).project_id

    settings = house.settings
    config = {
        "version": __version__,
        "currency": settings.currency,
        "prices": {name: msgspec.to_builtins(price) for name, price in settings.prices.items()},
        "upstreams": [
            {"name": name, "kind": told.kind, "methods": list(told.methods)}
            for name, told in settings.upstreams.items()
        ],
        "warnings": _warnings(settings),
    }
    door = Door(house)
    traced = door if tracer is None else TracedDoor(door, tracer=tracer, clock=house.clock)
    return Front(
        traced,
        operators=Operators(house, apart=False),
        is_for_operators=is_for_operators,
        page=Page(),
        gateway=gateway,
        admission=Admission(admit=admit, clock=house.clock),
        count=door.count,
        config=config,
    )


def _warnings(settings: Settings) -> list[str]:
    """What an operator chose that everybody who looks should know."""
    warnings = []
    if settings.sandbox == "unsafe-subprocess":
        warnings.append(
            "The code interpreter runs WITHOUT WALLS here (LOCUM_SANDBOX=unsafe-subprocess):"
            " code of any run can do whatever this server can."
        )
    if settings.traces and settings.trace_content:
        warnings.append(
            "Traces hold what people and models WRITE here (LOCUM_TRACE_CONTENT=true):"
            " whoever reads the traces reads all conversations."
        )
    return warnings


async def _nothing() -> MutableMapping[str, Any]:
    """Whoever is let in by headers alone has no body that anybody would read."""
    return {"type": "http.disconnect"}


def open_database(settings: Settings) -> Database:
    if settings.database_url is None:
        path = settings.data / DATABASE
        if not path.exists() and (left := next(settings.data.glob(f"{RESTORING}*"), None)):
            # What was here lies beside it: an empty database would look like all of it lost.
            raise SettingsError(f"A restore was interrupted here. Do it again, or remove {left}.")
        return SqliteDatabase(path, durable=settings.durable)
    return PostgresDatabase(settings.database_url)


def open_searcher(
    store: Store,
    embedder: SearchEmbedder,
    reranker: Reranker | None = None,
    *,
    rerank_s: float = RERANK_S,
) -> Searcher:
    index = StoredIndex(store.passages, model=embedder.name, dimensions=embedder.dimensions)
    return Searcher(index, embedder, reranker=reranker, rerank_s=rerank_s)


def open_ingestion(house: House, embedder: SearchEmbedder) -> Ingestion:
    """What reads the files of vector stores, once it is started."""
    at_once = house.settings.files_at_once
    reader = FileReader(
        house,
        extractor=Extractor(workers=max(1, at_once)),
        cutters=Cutters(workers=max(1, at_once)),
        embedder=embedder,
        tokenizer=Tokenizer(tokens.encode, tokens.token_bytes),
    )
    return Ingestion(house, reader, at_once=at_once)


def open_blobs(settings: Settings) -> Blobs:
    if settings.blobs_url is None:
        return LocalBlobs(settings.data / "blobs")
    return ObjectStoreBlobs.at(settings.blobs_url, endpoint=settings.blobs_endpoint)


def sandbox_settings(settings: Settings) -> SandboxSettings:
    """How the code interpreter is walled, with the packages `locum sandbox install` has made."""
    return SandboxSettings(
        directory=settings.data / "sandbox",
        hidden=settings.data,
        packages=packages.installed(packages_folder(settings), extra=settings.sandbox_packages),
        limits=Limits(
            wall_s=settings.sandbox_wall_s,
            memory_bytes=settings.sandbox_memory_bytes,
            disk_bytes=settings.sandbox_disk_bytes,
        ),
        idle_s=settings.sandbox_idle_s,
        pool=settings.sandbox_warm,
        live=settings.sandbox_sessions,
    )


def _sandbox(settings: Settings, clock: Clock) -> SandboxOnDemand:
    return SandboxOnDemand(sandbox_settings(settings), tier=_sandbox_tier(settings), clock=clock)


def packages_folder(settings: Settings) -> Path:
    return settings.data / "sandbox-packages"


def embedder_folder(settings: Settings) -> Path:
    """Where weights and vocabulary of the embedded embedder lie."""
    return settings.data / "models"


def _sandbox_tier(settings: Settings) -> Tier:
    match settings.sandbox:
        case "auto" | "unsafe-subprocess":
            return settings.sandbox
    raise SettingsError(
        f"The setting 'sandbox' is 'auto' or 'unsafe-subprocess', not '{settings.sandbox}'."
    )


async def _bring_up_to_date(database: Database) -> None:
    """SQLite is migrated as it is opened; a database that others share is migrated on purpose."""
    if isinstance(database, PostgresDatabase):
        await database.require_sessions()
    if database.dialect == "sqlite":
        await migrate(database)
    elif todo := await pending(database):
        raise MigrationError(
            f"The database lacks {len(todo)} migration(s). Run `locum migrate` first."
        )
