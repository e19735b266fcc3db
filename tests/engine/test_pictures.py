"""Pictures of a thread: read once, and no more of them than a request may carry."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.listening import Listening
from tests.kit.server import Server
from tests.kit.talk import Talk, function

from locum.app import Parts
from locum.llm.protocol import Image, Request, System, Text, User
from locum.store.blobs import BlobMissing
from locum.store.blobs.local import LocalBlobs

_PNG = b"\x89PNG\r\n\x1a\n"
# Three of them are what a request may carry, written as text.
_LARGE = 12 << 20
_ADDRESS = f"data:image/png;base64,{base64.b64encode(_PNG).decode()}"


class _Room:
    """A server whose model keeps what it is shown, and a count of what it has read for that."""

    def __init__(self, server: Server, model: Listening, opened: list[str]) -> None:
        self.model = model
        self.opened = opened
        self.http: Http = server.http()
        self.talk = Talk(self.http)
        self._sdk = server.sdk()

    def upload(self, name: str, data: bytes = _PNG) -> str:
        file_id = self._sdk.files.create(file=(name, data), purpose="vision").id
        self.opened.clear()
        return file_id

    def delete(self, file_id: str) -> None:
        self._sdk.files.delete(file_id)

    def run(self, *messages: list[dict[str, Any]], **body: Any) -> Any:
        """A run on a thread of these messages, when it has nothing more to do."""
        said = [{"role": "user", "content": parts} for parts in messages]
        thread = self.http.post("/v1/threads", {"messages": said}).json
        tools = [{"type": "file_search"}, function("f")]
        asked = {"assistant_id": self.talk.assistant(tools=tools), **body}
        run = self.http.post(f"/v1/threads/{thread['id']}/runs", asked).json
        return self.talk.until(run, "completed", "requires_action", "failed")

    def shown(self) -> list[list[str]]:
        """Per message of the last request: its texts, and a sign for each picture."""
        return _told(self.model.requests[-1])


@pytest.fixture
def room(make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> _Room:
    opened: list[str] = []
    read = LocalBlobs.open

    async def counted(blobs: LocalBlobs, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        opened.append(key)
        async for piece in read(blobs, key, start=start):
            yield piece

    monkeypatch.setattr(LocalBlobs, "open", counted)
    model = Listening()
    return _Room(make_server(Parts(backend=model)), model, opened)


@covers("runs:pictures")
def test_a_picture_is_read_once_for_all_that_a_run_shows_of_it(room: _Room) -> None:
    """Three times in a message, and again after the client has answered a call."""
    picture = _shows(room.upload("cat.png"))
    said = _says("!search cats\n!then\n!call f\n!then\n!say Done.")
    run = room.run([said, picture, picture, picture])
    assert (len(room.model.requests), len(room.opened)) == (2, 1)
    room.talk.until(room.talk.submit(run, ["ok"]).json, "completed")
    # Once more: whoever drives the run on may be another.
    assert (len(room.model.requests), len(room.opened)) == (3, 2)
    for request in room.model.requests:
        (message,) = (one for one in request.messages if isinstance(one, User))
        shown = [part.image_url.url for part in message.content if isinstance(part, Image)]
        assert shown == [_ADDRESS] * 3


@covers("runs:pictures")
def test_the_newest_pictures_are_shown_and_the_others_named(room: _Room) -> None:
    old = room.upload("old.png", _PNG + bytes(_LARGE))
    new = room.upload("new.png", _PNG + bytes(_LARGE))
    small = room.upload("small.png")
    run = room.run([_shows(small), _shows(old), _shows(old)], [_shows(new), _shows(new)])
    assert run["status"] == "completed"
    gone = "[The picture old.png is no longer shown: there is no room for it.]"
    assert room.shown() == [["picture", gone, "picture"], ["picture", "picture"]]
    assert len(room.opened) == 3


def test_a_picture_that_came_in_its_address_takes_room_as_well(room: _Room) -> None:
    large = _shows(room.upload("large.png", _PNG + bytes(_LARGE)))
    here = {"type": "image_url", "image_url": {"url": f"{_ADDRESS}{'A' * (20 << 20)}"}}
    away = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    room.run([here, away], [large, large])
    gone = "[A picture that is no longer shown: there is no room for it.]"
    assert room.shown() == [[gone, "picture"], ["picture", "picture"]]


@covers("runs:pictures")
def test_what_is_cut_off_is_never_read(room: _Room) -> None:
    old, new = room.upload("old.png"), room.upload("new.png")
    last = {"type": "last_messages", "last_messages": 1}
    room.run([_shows(old)], [_shows(new)], truncation_strategy=last)
    assert room.shown() == [["picture"]]
    assert len(room.opened) == 1


def test_the_model_is_told_of_pictures_that_it_cannot_be_shown(
    room: _Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, lost = room.upload("deleted.png"), room.upload("lost.png")
    huge = room.upload("huge.png", _PNG + bytes(20 << 20))
    thread = room.talk.thread()
    content = [_says("See:"), _shows(deleted), _shows(lost), _shows(huge)]
    room.http.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": content})
    room.delete(deleted)
    monkeypatch.setattr(LocalBlobs, "open", _nothing_there)
    asked = {"assistant_id": room.talk.assistant()}
    run = room.http.post(f"/v1/threads/{thread}/runs", asked).json
    assert room.talk.until(run, "completed", "failed")["status"] == "completed"
    gone = "[A picture that has been deleted.]"
    large = "[The picture huge.png is too large to be shown.]"
    assert room.shown() == [[f"See:\n{gone}\n{gone}\n{large}"]]


def test_pictures_of_an_assistant_are_not_read(room: _Room) -> None:
    """No model is shown what it is said to have drawn."""
    drawn = [_shows(room.upload("drawn.png"))]
    said = {"role": "assistant", "content": [*drawn, _says("Here it is.")]}
    alone = {"role": "assistant", "content": drawn}
    asked = {"role": "user", "content": "And now?"}
    thread = room.http.post("/v1/threads", {"messages": [alone, said, asked]}).json
    body = {"assistant_id": room.talk.assistant()}
    run = room.http.post(f"/v1/threads/{thread['id']}/runs", body).json
    room.talk.until(run, "completed")
    assert room.shown() == [["Here it is."], ["And now?"]]
    assert room.opened == []


@covers("runs:pictures")
@pytest.mark.parametrize(
    ("name", "data", "media"),
    [
        ("photo.jpg", _PNG, "image/png"),
        ("photo.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("photo.png", b"GIF89a", "image/gif"),
        ("photo.png", b"RIFF\x04\x00\x00\x00WEBP", "image/webp"),
        ("photo.webp", b"?", "image/webp"),
    ],
)
def test_a_picture_is_what_it_begins_with_and_not_what_it_is_called(
    room: _Room, name: str, data: bytes, media: str
) -> None:
    room.run([_shows(room.upload(name, data))])
    message = room.model.requests[-1].messages[-1]
    assert isinstance(message, User)
    part = message.content[0]
    assert isinstance(part, Image)
    assert part.image_url.url == f"data:{media};base64,{base64.b64encode(data).decode()}"


async def _nothing_there(blobs: LocalBlobs, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
    raise BlobMissing(key)
    yield b""


def _says(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _shows(file_id: str) -> dict[str, Any]:
    return {"type": "image_file", "image_file": {"file_id": file_id}}


def _told(request: Request) -> list[list[str]]:
    told: list[list[str]] = []
    for message in request.messages:
        if isinstance(message.content, tuple):
            told.append([p.text if isinstance(p, Text) else "picture" for p in message.content])
        elif not isinstance(message, System):
            told.append([message.content or ""])
    return told
