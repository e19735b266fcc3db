"""A chat in one file: FastAPI keeps the keys, a thread keeps the talk, the page shows it coming.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=any uvicorn chat:app --port 8080
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

_PAGE = Path(__file__).with_name("chat.html")


class Said(BaseModel):
    text: str = Field(min_length=1, max_length=10_000)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncOpenAI() as client:
        app.state.client = client
        app.state.assistant = await client.beta.assistants.create(
            model="gpt-4o", instructions="You are a friend. Be brief."
        )
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(_PAGE)


@app.post("/threads")
async def begin() -> dict[str, str]:
    thread = await app.state.client.beta.threads.create()
    return {"thread_id": thread.id}


@app.post("/threads/{thread_id}/messages")
async def say(thread_id: str, said: Said) -> StreamingResponse:
    """The answer, piece by piece, as plain text."""
    client: AsyncOpenAI = app.state.client
    await client.beta.threads.messages.create(thread_id, role="user", content=said.text)
    return StreamingResponse(_answer(client, thread_id), media_type="text/plain")


async def _answer(client: AsyncOpenAI, thread_id: str) -> AsyncIterator[str]:
    runs = client.beta.threads.runs
    async with runs.stream(thread_id=thread_id, assistant_id=app.state.assistant.id) as stream:
        async for text in stream.text_deltas:
            yield text
