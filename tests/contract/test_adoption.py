"""Thread ids that nobody exported: adopted on first use, where the operator allows it."""

from collections.abc import Callable

import pytest
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import Server

UNKNOWN = "thread_" + "Ab1" * 8
HEADER = "x-locum-adopted"


@pytest.fixture
def adopting(make_server: Callable[..., Server]) -> Server:
    return make_server(adopt_unknown_threads=True)


@covers("threads:adopt")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"metadata": {"a": "b"}}),
        ("GET", "/messages", None),
        ("POST", "/messages", {"role": "user", "content": "Still there?"}),
        ("GET", "/runs", None),
    ],
)
def test_an_unknown_thread_is_adopted_on_its_first_use(
    adopting: Server, method: str, path: str, body: object
) -> None:
    http = adopting.http()
    first = http.send(method, f"/v1/threads/{UNKNOWN}{path}", body)
    assert first.status == 200
    assert first.headers[HEADER] == UNKNOWN
    again = http.send(method, f"/v1/threads/{UNKNOWN}{path}", body)
    assert again.status == 200
    assert HEADER not in again.headers


@covers("threads:adopt")
def test_the_official_client_goes_on_with_an_adopted_thread(adopting: Server) -> None:
    with adopting.sdk() as sdk:
        assistant = sdk.beta.assistants.create(model="gpt-4o")
        sdk.beta.threads.messages.create(UNKNOWN, role="user", content="Hello?")
        run = sdk.beta.threads.runs.create_and_poll(thread_id=UNKNOWN, assistant_id=assistant.id)
        assert run.status == "completed"
        assert len(sdk.beta.threads.messages.list(UNKNOWN).data) == 2


@covers("threads:adopt")
def test_an_error_tells_of_the_adoption_too(adopting: Server) -> None:
    answer = adopting.http().send("POST", f"/v1/threads/{UNKNOWN}/messages", {"role": "user"})
    assert answer.status == 400
    assert answer.headers[HEADER] == UNKNOWN


@covers("threads:adopt")
def test_without_the_setting_nothing_is_adopted(http: Http) -> None:
    answer = http.send("GET", f"/v1/threads/{UNKNOWN}")
    assert answer.status == 404
    assert HEADER not in answer.headers


@covers("threads:adopt")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/threads/thread_short"),
        ("GET", f"/v1/threads/{UNKNOWN}-"),
        ("DELETE", f"/v1/threads/{UNKNOWN}"),
        ("GET", f"/v1/threads/{UNKNOWN}/runs/run_abc"),
        ("GET", f"/v1/threads/{UNKNOWN}/messages/msg_abc"),
    ],
)
def test_what_is_no_first_use_of_a_thread_adopts_none(
    adopting: Server, method: str, path: str
) -> None:
    answer = adopting.http().send(method, path)
    assert answer.status == 404
    assert HEADER not in answer.headers


@covers("threads:adopt")
def test_a_deleted_thread_stays_deleted(adopting: Server) -> None:
    http = adopting.http()
    thread_id = http.send("POST", "/v1/threads", {}).json["id"]
    http.send("DELETE", f"/v1/threads/{thread_id}")
    answer = http.send("GET", f"/v1/threads/{thread_id}")
    assert answer.status == 404
    assert HEADER not in answer.headers


@covers("threads:adopt")
def test_another_projects_thread_is_neither_touched_nor_betrayed(adopting: Server) -> None:
    theirs = adopting.http(adopting.add_key("proj_theirs")[0])
    mine = adopting.http(adopting.add_key("proj_mine")[0])
    theirs.send("POST", f"/v1/threads/{UNKNOWN}/messages", {"role": "user", "content": "Secret"})
    answer = mine.send("GET", f"/v1/threads/{UNKNOWN}/messages")
    assert answer.headers[HEADER] == UNKNOWN
    assert answer.json["data"] == []
    assert len(theirs.send("GET", f"/v1/threads/{UNKNOWN}/messages").json["data"]) == 1


@covers("threads:adopt")
def test_a_key_that_may_only_read_adopts_nothing(adopting: Server) -> None:
    http = adopting.http(adopting.add_key("proj_a", read_only=True)[0])
    assert http.send("GET", f"/v1/threads/{UNKNOWN}").status == 404
