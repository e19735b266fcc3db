"""Any server that speaks OpenAI's Chat Completions: vLLM, llama.cpp, Ollama, OpenAI, Azure …

`server.py` asks it, `answers.py` reads its dialect, `quirks.py` writes it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import msgspec

from locum.llm import quirks
from locum.llm.answers import Answer, Chunk
from locum.llm.faults import Fault, read_fault, tells_fault
from locum.llm.halves import Halves
from locum.llm.kept import Kept
from locum.llm.protocol import Event, Request
from locum.llm.server import ModelServer, Reader
from locum.unreadable import UNREADABLE

# Some servers put in a null.
_chunks = msgspec.json.Decoder(Chunk | None)


class ChatCompletions(ModelServer):
    name: ClassVar[str] = "chat"
    path: ClassVar[str] = "chat/completions"

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._kept = Kept()

    def _body(self, request: Request, without: frozenset[str]) -> bytes:
        return quirks.body(request, kept=self._kept, without=without)

    def _refused(self, fault: Fault, without: frozenset[str], sent: bytes) -> str | None:
        missed = quirks.missed(fault, without=without, sent=sent)
        return missed or quirks.refused(fault, without=without, sent=sent)

    def _reader(self, request: Request) -> Reader:
        answer = Answer(request, new_call_id=lambda: self._ids.new("call"), kept=self._kept)
        return _Chunks(answer, secrets=self._endpoint.secrets)


class _Chunks:
    def __init__(self, answer: Answer, *, secrets: Iterable[str]) -> None:
        self._answer = answer
        self._secrets = secrets
        self._halves = Halves()

    @property
    def is_over(self) -> bool:
        return self._answer.is_over

    def read(self, document: bytes) -> Iterator[Event]:
        try:
            chunk = _chunks.decode(document)
        except UNREADABLE as error:
            document = self._halves.mended(document)
            try:
                chunk = _chunks.decode(document)
            except UNREADABLE:
                message = f"The model's server sent what is no part of an answer: {error}"
                raise Fault(message) from error
        if chunk is None:
            return
        choices = chunk.choices
        if chunk.error or chunk.object == "error":
            raise self._fault(msgspec.json.decode(document))
        if choices is None and tells_fault(told := msgspec.json.decode(document)):
            fault = self._fault(told)
            # As an answer that ends before it begins, unless it says what it is.
            fault.is_transient |= fault.status is None and fault.code is None
            raise fault
        if choices and choices[0].error:
            raise self._fault(choices[0].error)
        yield from self._answer.read(chunk)

    def finish(self, *, is_whole: bool) -> Iterator[Event]:
        yield from self._answer.finish(is_whole=is_whole)

    def _fault(self, told: Any) -> Fault:
        otherwise = "The model's server reported an error."
        return read_fault(told, status=None, otherwise=otherwise, secrets=self._secrets)
