import asyncio
from typing import ClassVar

import pytest
from tests.llm.turns import asking, take

from locum.llm.protocol import ModelError, Request
from locum.llm.routing import Route, Router, read_routes
from locum.llm.scripted import Scripted


class Named(Scripted):
    """A scripted model that has models of its own, and may be out of order."""

    name: ClassVar[str] = "named"

    def __init__(self, *models: str, closed: list[str] | None = None) -> None:
        super().__init__()
        self._models = models
        self._closed = closed if closed is not None else []

    async def models(self) -> list[str]:
        return list(self._models)

    async def check(self) -> str:
        if not self._models:
            raise ModelError("It sleeps.", code="rate_limit_exceeded")
        return "It answers."

    async def close(self) -> None:
        self._closed.append(self._models[0])


def model_asked(router: Router, model: str) -> str:
    return take(router, Request(model=model, messages=asking("!say {model}").messages)).text


def test_routes_are_read_one_a_line_or_between_semicolons() -> None:
    assert read_routes("gpt-4o = qwen3@vllm ;\n# a note\n\n* = @vllm\na@b=c@d@e") == (
        Route("gpt-4o", "qwen3", "vllm"),
        Route("*", None, "vllm"),
        Route("a@b", "c@d", "e"),
    )


@pytest.mark.parametrize("text", ["gpt-4o", "gpt-4o = qwen3", "= a@b", "a = b@"])
def test_a_route_that_cannot_be_read_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(ModelError, match="A route looks like 'gpt-4o = qwen3@vllm'"):
        read_routes(text)


def test_one_backend_gets_every_name_as_it_is_unless_aliased() -> None:
    router = Router({"vllm": Scripted()}, read_routes("gpt-4o = qwen3@vllm"))
    assert model_asked(router, "gpt-4o") == "qwen3"
    assert model_asked(router, "anything") == "anything"


def test_a_default_may_change_every_name() -> None:
    routes = read_routes("* = llama3@ollama; keep = @other")
    router = Router({"ollama": Scripted(), "other": Scripted()}, routes)
    assert model_asked(router, "gpt-4o") == "llama3"
    assert model_asked(router, "keep") == "keep"
    assert asyncio.run(router.models()) == ["keep", "llama3"]


def test_a_name_without_a_route_fails_and_says_so() -> None:
    router = Router({"a": Scripted(), "b": Scripted()}, read_routes("known = @a"))
    with pytest.raises(ModelError, match="No backend serves the model 'unknown'"):
        model_asked(router, "unknown")


def test_a_route_to_nowhere_is_refused_at_the_start() -> None:
    with pytest.raises(ModelError, match="leads to 'c', but the backends are: a, b"):
        Router({"a": Scripted(), "b": Scripted()}, read_routes("* = @c"))


def test_models_are_the_aliases_and_what_the_default_has() -> None:
    backends = {"a": Named("x", "gpt-4o"), "b": Named("y")}
    router = Router(backends, read_routes("gpt-4o = y@b; * = @a"))
    assert asyncio.run(router.models()) == ["gpt-4o", "x"]


def test_models_without_a_default_are_the_aliases() -> None:
    router = Router({"a": Named("x"), "b": Named("y")}, read_routes("gpt-4o = y@b"))
    assert asyncio.run(router.models()) == ["gpt-4o"]


def test_a_check_names_each_backend() -> None:
    assert asyncio.run(Router({"a": Named("x"), "b": Named("y")}).check()) == (
        "a: It answers.\nb: It answers."
    )
    with pytest.raises(ModelError, match=r"^b: It sleeps\.$") as failure:
        asyncio.run(Router({"a": Named("x"), "b": Named()}).check())
    assert failure.value.code == "rate_limit_exceeded"


def test_closing_closes_every_backend() -> None:
    closed: list[str] = []
    asyncio.run(Router({"a": Named("x", closed=closed), "b": Named("y", closed=closed)}).close())
    assert closed == ["x", "y"]
