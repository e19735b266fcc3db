"""Two hundred streams at once, one of whose readers does not read."""

import asyncio
import json

import pytest
from tests.contract.requirements import covers
from tests.kit.server import Server
from tests.kit.talk import Talk

_STREAMS = 200
_WORDS = 40
_LIMIT_S = 60


@pytest.mark.slow
@covers("streams:many")
def test_a_reader_that_sleeps_keeps_nobody_else_waiting(server: Server, talk: Talk) -> None:
    assistant_id = talk.assistant()
    text = f"!pace 0.01\n!words {_WORDS}"
    threads = [talk.thread(text) for _ in range(_STREAMS)]

    async def scene() -> list[bytes]:
        opened = await asyncio.gather(
            *(_open(server.port, thread_id, assistant_id) for thread_id in threads)
        )
        (sleeper, sleeping), *others = opened
        async with asyncio.timeout(_LIMIT_S):
            told = await asyncio.gather(*(reader.read() for reader, _ in others))
            told.append(await sleeper.read())
        for _, writer in [*others, (sleeper, sleeping)]:
            writer.close()
        return told

    told = asyncio.run(scene())
    assert len(told) == _STREAMS
    for answer in told:
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.count(b"event: thread.message.delta") >= _WORDS
        assert answer.count(b"event: thread.run.completed") == 1
        assert b"event: done\ndata: [DONE]\n\n" in answer


async def _open(
    port: int, thread_id: str, assistant_id: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    body = json.dumps({"assistant_id": assistant_id, "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    writer.write(
        f"POST /v1/threads/{thread_id}/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"authorization: Bearer sk-any\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    return reader, writer
