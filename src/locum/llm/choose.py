"""Which model answers here: what the settings name, else what this machine has."""

import importlib.util
from collections.abc import Callable, Mapping

from locum import logs
from locum.llm.chat import ChatCompletions
from locum.llm.demo import LABEL, DemoTools
from locum.llm.embedded import Embedded
from locum.llm.endpoint import Timeouts
from locum.llm.protocol import Backend
from locum.llm.responses import Responses
from locum.llm.routing import Router, read_routes
from locum.llm.script import load_rules
from locum.llm.scripted import Scripted
from locum.llm.tool_modes import with_tool_mode
from locum.llm.weights import demo_weights
from locum.settings import BackendSettings, Settings, SettingsError

# What `LOCUM_BACKEND_URL` is called in routes, as in `gpt-4o = "qwen3@default"`.
_ONLY = "default"


# What stands around each backend, which is told by the name that the operator gave it.
Around = Callable[[Backend, str], Backend]


def choose_backend(settings: Settings, *, around: Around = lambda backend, _: backend) -> Backend:
    """The backend of all runs. May raise `SettingsError`, or `ModelError` for a bad address."""
    kind = settings.model
    if kind == "auto":
        kind = _found(settings)
    logs.info("model.chosen", kind=kind)
    match kind:
        case "servers":
            return _servers(settings, around)
        case "embedded":
            return around(_embedded(settings), kind)
        case "scripted":
            return around(Scripted(load_rules(settings.script) if settings.script else ()), kind)
    raise SettingsError(
        f"The setting 'model' is 'auto', 'embedded' or 'scripted', not '{settings.model}'."
        " Which server answers for which model is set in [backends] and [models]."
    )


def _found(settings: Settings) -> str:
    if settings.backend_url or settings.backends:
        return "servers"
    if settings.script:
        return "scripted"
    if settings.model_path is not None:
        return "embedded"
    return "embedded" if _has_runtime() and demo_weights(settings.data).is_file() else "scripted"


def _has_runtime() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def _servers(settings: Settings, around: Around) -> Backend:
    servers = dict(settings.backends)
    if settings.backend_url:
        servers[_ONLY] = BackendSettings(url=settings.backend_url, key=settings.backend_key)
    backends = {
        name: around(_server(name, server, settings), name) for name, server in servers.items()
    }
    return Router(backends, read_routes(_routes(settings.models, servers)))


def _server(name: str, server: BackendSettings, settings: Settings) -> Backend:
    timeouts = _timeouts(settings)
    if server.api == "chat":
        if server.hosted_tools:
            raise SettingsError(
                f"The backend '{name}' has 'hosted_tools', which only api = \"responses\" knows."
            )
        chat = ChatCompletions(
            server.url, key=server.key, headers=server.headers, timeouts=timeouts
        )
        return with_tool_mode(chat, server.tools)
    if untyped := [tool for tool in server.hosted_tools if not isinstance(tool.get("type"), str)]:
        raise SettingsError(f"A hosted tool of the backend '{name}' has no 'type': {untyped[0]}.")
    responses = Responses(
        server.url,
        hosted_tools=server.hosted_tools,
        key=server.key,
        headers=server.headers,
        timeouts=timeouts,
    )
    # Whoever speaks this API has tools: there is nothing to find out.
    return with_tool_mode(responses, "native" if server.tools == "auto" else server.tools)


def _routes(models: Mapping[str, str], servers: Mapping[str, object]) -> str:
    """Where there is one server, a route need not name it."""
    only = f"@{next(iter(servers))}" if len(servers) == 1 else ""
    lines = [
        f"{model} = {target}" if "@" in target else f"{model} = {target}{only}"
        for model, target in models.items()
    ]
    return "\n".join(lines)


def _embedded(settings: Settings) -> Backend:
    if settings.model_path is not None:
        if not settings.model_path.is_file():
            raise SettingsError(
                f"The setting 'model_path' names '{settings.model_path}', which is no file."
            )
        if not _has_runtime():
            raise SettingsError(
                "The setting 'model_path' needs what runs models here: `pip install"
                " 'locum[embedded]'`."
            )
        own = Embedded(settings.model_path, timeouts=_timeouts(settings))
        return with_tool_mode(own, "auto")
    demo = Embedded(demo_weights(settings.data), label=LABEL, timeouts=_timeouts(settings))
    return DemoTools(demo)


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect_s=settings.connect_timeout_s,
        first_token_s=settings.first_token_timeout_s,
        idle_s=settings.idle_timeout_s,
        total_s=settings.turn_timeout_s,
    )
