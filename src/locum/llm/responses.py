"""Any server that speaks OpenAI's Responses API, with the tools that it carries out itself.

`server.py` asks it, `response_items.py` writes the request, `response_answer.py` reads the answer,
`provider_calls.py` makes calls of run steps of what the provider has done.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from locum.llm import quirks, response_items
from locum.llm.faults import Fault
from locum.llm.protocol import Request
from locum.llm.response_answer import ResponseAnswer
from locum.llm.server import ModelServer, Reader


class Responses(ModelServer):
    name: ClassVar[str] = "responses"
    path: ClassVar[str] = "responses"

    def __init__(
        self, base_url: str, *, hosted_tools: Sequence[dict[str, Any]] = (), **options: Any
    ) -> None:
        super().__init__(base_url, **options)
        self._hosted = tuple(hosted_tools)

    def _body(self, request: Request, without: frozenset[str]) -> bytes:
        return response_items.body(request, hosted=self._hosted, without=without)

    def _refused(self, fault: Fault, without: frozenset[str], sent: bytes) -> str | None:
        droppable = response_items.DROPPABLE
        return quirks.refused(fault, without=without, sent=sent, droppable=droppable)

    def _reader(self, request: Request) -> Reader:
        return ResponseAnswer(
            request,
            new_call_id=lambda: self._ids.new("call"),
            functions_last=bool(response_items.provided(request, self._hosted)),
            secrets=self._endpoint.secrets,
        )
