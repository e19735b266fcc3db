"""One frozen `Settings`. The environment and the settings file are read here and nowhere else."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

_PREFIX = "LOCUM_"


def make_private(folder: Path) -> None:
    """Make a folder, unless it is there: what is kept in it is nobody else's on this machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


class SettingsError(Exception):
    """A setting that cannot be; the message names it."""


class BackendSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server of models."""

    url: str
    # What it speaks: Chat Completions, or the Responses API.
    api: Literal["chat", "responses"] = "chat"
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    # How its models call tools: by themselves, by writing to a schema, not at all, or found out.
    tools: Literal["auto", "native", "schema", "none"] = "auto"
    # Tools that a server of the Responses API carries out itself, written as that API has them.
    hosted_tools: tuple[dict[str, Any], ...] = ()


class UpstreamSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that the gateway passes requests on to, with credentials that stay here."""

    url: str
    key: str | None = None
    # How the key is sent: `Authorization: Bearer`, `api-key` or `x-api-key`.
    kind: Literal["openai", "azure", "anthropic"] = "openai"
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ("GET", "POST", "DELETE")
    # `*` is one segment, a final `**` all that follow. Nothing that administers an account.
    paths: tuple[str, ...] = (
        "assistants/**",
        "threads/**",
        "vector_stores/**",
        "files/**",
        "uploads/**",
        "models/**",
        "chat/completions",
        "embeddings",
        "responses/**",
    )
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 300.0
    idle_timeout_s: float = 300.0
    # Of a request, and of an answer.
    max_bytes: int = 512 * 1024 * 1024


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a million tokens of a model cost, in any one currency."""

    input: float
    output: float
    cached: float | None = None


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator may choose. `LOCUM_` and a name in capitals sets it too."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    data: Path = Path(".locum")
    database_url: str | None = None
    # Where blobs live: a directory below `data`, or an address such as `s3://bucket/prefix`.
    blobs_url: str | None = None
    # The address of a store that is not Amazon's, as in `http://minio:9000`. Its keys are read from
    # `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and the like.
    blobs_endpoint: str | None = None
    # Off: a commit may be lost when the machine, not the process, dies.
    durable: bool = True

    operator_host: str = "127.0.0.1"
    operator_port: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    # Opens `/admin/…` and `/metrics`; while it is not set, nothing does. With it, the API asks for
    # a key even before the first one was made.
    admin_key: Annotated[str, Meta(min_length=16)] | None = None
    # Between being told to end and refusing connections, while `/ready` already says 503.
    notice_s: Annotated[float, Meta(ge=0, le=300)] = 0.0

    # What a process does: answer requests, or drive runs and read files. With PostgreSQL any number
    # of processes share the work, each with the roles it is given.
    roles: tuple[Literal["web", "worker"], ...] = ("web", "worker")
    # A process that is told to stop lets its runs end for so long, and then hands them over.
    drain_s: Annotated[float, Meta(ge=0)] = 5.0

    organization: str = "locum"
    project: str = "proj_default"
    # Refuse a request that lacks the beta header, as the original did.
    strict_beta: bool = False
    # Ignore unknown keys in bodies instead of refusing them.
    lenient: bool = False
    # Make an empty thread of an unknown `thread_…` on its first use; a header tells of it.
    adopt_unknown_threads: bool = False
    # What `locum import --from` shows the server that it asks.
    import_key: str | None = None
    # Let files of purpose `assistants` be downloaded; the original refused.
    allow_downloads: bool = False
    cors_origins: tuple[str, ...] = ()
    log_format: str = "text"
    # Send a trace of every run to an OpenTelemetry collector; the `OTEL_*` variables say where.
    # Needs the extra `otel`.
    traces: bool = False
    # Let traces hold what people and models write, and what tools are given and answer. Whoever
    # reads the traces then reads all conversations.
    trace_content: bool = False

    max_body_bytes: int = 32 * 1024 * 1024
    max_file_bytes: int = 512 * 1024 * 1024
    max_runs: int = 1_000
    # Of one project, executed at a time; its others wait in `queued` and hold nobody else up.
    max_runs_per_project: Annotated[int, Meta(ge=1)] | None = None
    # Of one project, waiting to be begun; beyond it, new ones are answered with 429.
    max_queued_runs: Annotated[int, Meta(ge=1)] = 10_000
    # Of one project, in each server process, through the gateway as well; beyond it, they are
    # answered with 429.
    requests_per_minute: Annotated[int, Meta(ge=1)] | None = None
    run_life_s: int = 600
    journal_life_s: int = 86_400
    # 0: never.
    keep_alive_s: Annotated[float, Meta(ge=0)] = 45.0

    # "auto": the backend that is configured, else the embedded model, else the scripted one.
    model: str = "auto"
    backend_url: str | None = None
    backend_key: str | None = None
    backends: dict[str, BackendSettings] = field(default_factory=dict)
    # `gpt-4o = "qwen3@vllm"`; `"*"` is the default.
    models: dict[str, str] = field(default_factory=dict)
    model_path: Path | None = None
    script: Path | None = None
    connect_timeout_s: float = 10.0
    first_token_timeout_s: float = 120.0
    idle_timeout_s: float = 60.0
    turn_timeout_s: float = 600.0

    embeddings_url: str | None = None
    embeddings_key: str | None = None
    embeddings_model: str | None = None
    embeddings_dimensions: int | None = None
    # A server with `/rerank`, which ranks the passages that a search has found once more; without
    # it, or when it fails, they keep their order.
    rerank_url: str | None = None
    rerank_key: str | None = None
    rerank_model: str | None = None
    # All that a search waits for it.
    rerank_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    # Files of vector stores that this process reads at once; 0 leaves them to other processes.
    files_at_once: Annotated[int, Meta(ge=0, le=64)] = 2

    # Hosts whose MCP servers assistants may use: `host`, `*.domain` or `*`, with `http://` before
    # it where the connection may be plain. None may be used when none is named.
    mcp_hosts: tuple[str, ...] = ()
    mcp_timeout_s: float = 60.0

    # What `/gateway/NAME/…` leads to.
    upstreams: dict[str, UpstreamSettings] = field(default_factory=dict)
    # What the timeline reckons with: `prices.gpt-4o = { input = 2.5, output = 10 }`.
    prices: dict[str, Price] = field(default_factory=dict)
    currency: str = "USD"

    sandbox: str = "auto"
    sandbox_packages: tuple[str, ...] = ()
    sandbox_wall_s: float = 60.0
    sandbox_memory_bytes: int = 1024 * 1024 * 1024
    sandbox_disk_bytes: int = 512 * 1024 * 1024
    sandbox_idle_s: float = 3600.0
    sandbox_sessions: int = 64
    sandbox_warm: int = 1

    def __post_init__(self) -> None:
        # Other processes get this path, and not all of them start where we did.
        msgspec.structs.force_setattr(self, "data", self.data.absolute())


def load(
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from the file, then the environment, then the command line; the last one wins."""
    environment = os.environ if environment is None else environment
    chosen = file or (
        Path(environment[f"{_PREFIX}SETTINGS"]) if f"{_PREFIX}SETTINGS" in environment else None
    )
    values: dict[str, Any] = {}
    if chosen is not None:
        values.update(_read_file(chosen))
    values.update(_read_environment(environment))
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"Settings: {error}.") from error


def first_of(*names: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The first of these variables that says something: those that are no settings of a server."""
    environment = os.environ if environment is None else environment
    return next((environment[name] for name in names if environment.get(name)), None)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} cannot be read: {error.strerror}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not TOML: {error}.") from error


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {f.name: f.type for f in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(_PREFIX) or name == f"{_PREFIX}SETTINGS":
            continue
        field_name = name.removeprefix(_PREFIX).lower()
        if field_name not in known:
            continue  # Others may keep names of their own beside ours.
        values[field_name] = _structured(name, text) if _is_structured(known[field_name]) else text
    return values


def _is_structured(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (dict, tuple)


def _structured(name: str, text: str) -> Any:
    """Lists are written with commas, tables as JSON."""
    if not text.lstrip().startswith(("{", "[")):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{name} is neither a list with commas nor JSON: {error}.") from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise NotImplementedError(kind)
