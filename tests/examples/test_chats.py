"""The example of a chat with FastAPI: a page, a thread, answers that come piece by piece."""

import subprocess
from collections.abc import Iterator

import pytest
from tests.examples.conftest import EXAMPLES
from tests.kit.environments import environment as made_of
from tests.kit.http import Http

pytestmark = pytest.mark.slow

_STOP_S = 20


@pytest.fixture
def chat(environment: dict[str, str]) -> Iterator[Http]:
    python = made_of(EXAMPLES.parent / "requirements" / "examples.txt")
    command = [str(python), "-m", "uvicorn", "chat:app", "--port", "0", "--no-use-colors"]
    with subprocess.Popen(
        command,
        cwd=EXAMPLES / "fastapi_chat",
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            told = next((line for line in process.stderr if "running on" in line), "")
            assert told, "it did not start"
            yield Http(int(told.partition("127.0.0.1:")[2].split()[0]), {})
        finally:
            process.terminate()
            process.wait(_STOP_S)


def test_the_chat_answers_again_and_again(chat: Http) -> None:
    assert b"<title>Chat</title>" in chat.get("/").body
    path = f"/threads/{chat.post('/threads').json['thread_id']}/messages"
    assert chat.post(path, {"text": "Good morning."}).body == b"You said: Good morning."
    story = chat.post(path, {"text": "Tell me a story."})
    assert story.headers["content-type"].startswith("text/plain")
    assert story.body.startswith(b"Once upon a time")
    assert chat.post(path, {"text": ""}).status == 422
