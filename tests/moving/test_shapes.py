"""The shapes dumps have: whatever the shape, the same thread comes out of it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from openai.types.beta import Thread
from openai.types.beta.threads import Message
from tests.kit.moving import Contents, Place, at, contents, said
from tests.kit.server import running

from locum.store.vector_store_files import Entry
from locum.wire.messages import Message as Stored

THREAD: dict[str, Any] = {"id": "thread_aaaaaa", "object": "thread", "created_at": 100}
MESSAGES: list[dict[str, Any]] = [
    {
        "id": f"msg_{number}00",
        "object": "thread.message",
        "created_at": at_s,
        "thread_id": "thread_aaaaaa",
        "role": role,
        "content": [{"type": "text", "text": {"value": f"{number}", "annotations": []}}],
    }
    for number, (role, at_s) in enumerate([("user", 101), ("assistant", 102), ("user", 102)])
]
RUN: dict[str, Any] = {
    "id": "run_aaa",
    "object": "thread.run",
    "created_at": 101,
    "thread_id": "thread_aaaaaa",
    "assistant_id": "asst_aaa",
    "status": "completed",
    "model": "gpt-4o",
}
STEP: dict[str, Any] = {
    "id": "step_aaa",
    "object": "thread.run.step",
    "created_at": 102,
    "thread_id": "thread_aaaaaa",
    "run_id": "run_aaa",
    "assistant_id": "asst_aaa",
    "type": "message_creation",
    "status": "completed",
    "step_details": {
        "type": "message_creation",
        "message_creation": {"message_id": "msg_100"},
    },
}


def _bare(value: dict[str, Any], *without: str) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in ("object", *without)}


def _page(data: list[dict[str, Any]]) -> dict[str, Any]:
    ids = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
    return {"object": "list", "data": data} | ids


NEWEST_FIRST = MESSAGES[::-1]
NESTED = THREAD | {"messages": MESSAGES, "runs": [RUN | {"steps": [STEP]}]}
SHAPES: dict[str, dict[str, Any]] = {
    "one file a kind": {
        "threads.json": [THREAD],
        "messages.json": MESSAGES,
        "runs.json": [RUN],
        "steps.json": [STEP],
    },
    "lists as clients get them, the newest first": {
        "threads.json": [THREAD],
        "messages.json": _page(NEWEST_FIRST),
        "runs.json": _page([RUN]),
        "run_steps.json": _page([STEP]),
    },
    "one thread a file": {"thread_aaaaaa.json": NESTED},
    "pages inside of the thread": {
        "export.json": THREAD
        | {"messages": _page(NEWEST_FIRST), "runs": _page([RUN | {"run_steps": _page([STEP])}])}
    },
    "a bundle": {
        "x.json": {"thread": THREAD, "messages": MESSAGES, "runs": [RUN], "run_steps": [STEP]}
    },
    "everything in one": {
        "x.json": {"threads": [THREAD], "messages": MESSAGES, "runs": [RUN], "steps": [STEP]}
    },
    "by id": {
        "threads.json": {"thread_aaaaaa": NESTED},
    },
    "a folder a thread, objects without a word of what they are": {
        "thread_aaaaaa/thread.json": _bare(THREAD),
        "thread_aaaaaa/messages.json": [_bare(one, "thread_id") for one in MESSAGES],
        "thread_aaaaaa/runs.json": [_bare(RUN, "thread_id")],
        "thread_aaaaaa/run_aaaaaa/steps.json": [_bare(STEP)],
    },
    "run and steps together": {
        "a.json": [THREAD, *MESSAGES],
        "b.json": {"run": RUN, "steps": [STEP]},
    },
}


def _write(folder: Path, files: dict[str, Any], *, indent: int | None = None) -> Path:
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=indent), "utf-8")
    return folder


def _taken(dump: Path) -> Contents:
    async def run(here: Place) -> Contents:
        report = await here.take(dump)
        assert report.is_whole, report
        assert report.notes == []
        return contents(await here.give())

    found: Contents = at(run)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return _taken(_write(tmp_path_factory.mktemp("dump"), {"thread_aaaaaa.json": NESTED}))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("indent", [None, 2])
def test_every_shape_gives_the_same(
    tmp_path: Path, expected: Contents, shape: str, indent: int | None
) -> None:
    assert _taken(_write(tmp_path / "d", SHAPES[shape], indent=indent)) == expected
    order = expected["projects/proj_default/messages.jsonl"].decode().splitlines()
    assert [json.loads(line)["id"] for line in order] == ["msg_000", "msg_100", "msg_200"]


def test_lines_and_archives_give_the_same(tmp_path: Path, expected: Contents) -> None:
    lines = "".join(f"{json.dumps(one)}\n" for one in [THREAD, *MESSAGES, RUN, STEP])
    (tmp_path / "all.jsonl").write_text(f"\ufeff{lines}", "utf-8")
    assert _taken(tmp_path / "all.jsonl") == expected
    with zipfile.ZipFile(tmp_path / "dump.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/all.jsonl", lines)
        archive.writestr("__MACOSX/export/._all.jsonl", "\0")
    assert _taken(tmp_path / "dump.zip") == expected


def test_what_the_official_client_dumps_comes_along(tmp_path: Path, expected: Contents) -> None:
    """`model_dump_json` writes every field it knows, most of them as null."""
    with running() as server, server.sdk() as sdk:
        made = sdk.beta.threads.create(messages=[{"role": "user", "content": "0"}])
        thread = sdk.beta.threads.retrieve(made.id)
        page = sdk.beta.threads.messages.list(made.id)
    assert isinstance(thread, Thread)
    assert isinstance(page.data[0], Message)
    (tmp_path / "threads.jsonl").write_text(thread.model_dump_json(), "utf-8")
    (tmp_path / "messages.json").write_text(page.model_dump_json(indent=1), "utf-8")

    async def run(here: Place) -> None:
        report = await here.take(tmp_path)
        assert report.notes == []
        assert report.objects["messages"] == {"created": 1}

    at(run)
    assert expected


def test_messages_alone_make_their_thread(tmp_path: Path) -> None:
    flat = [
        {
            "thread_id": "thread_flat1",
            "assistant_id": "asst_aaa",
            "message_id": f"msg_{number}xx",
            "role": "user",
            "text": f"Hello {number}",
            "created_at": 100 + number,
        }
        for number in range(3)
    ]
    (tmp_path / "messages.ndjson").write_text("\n".join(map(json.dumps, flat)), "utf-8")

    async def run(here: Place) -> None:
        report = await here.take(tmp_path)
        assert report.objects == {"threads": {"created": 1}, "messages": {"created": 3}}
        assert said(report, "threads") == ["it is not in the dump: an empty one was made"]
        again = await here.take(tmp_path)
        assert again.objects == {"threads": {"unchanged": 1}, "messages": {"unchanged": 3}}

    at(run)


BUNDLES: dict[str, dict[str, Any]] = {
    "with its run": {
        "x.json": {
            "thread": THREAD,
            "messages": MESSAGES,
            "run": RUN | {"assistant_id": "asst_aaa"},
        }
    },
    "with the ids of its run and its assistant": {
        "x.json": {
            "thread_id": "thread_aaaaaa",
            "run_id": "run_aaa",
            "assistant_id": "asst_aaa",
            "messages": MESSAGES,
        }
    },
    "inside of its run": {"x.json": THREAD | {"runs": [RUN | {"messages": MESSAGES}]}},
    "in a folder of its run": {"thread_aaaaaa/run_aaaaaa/messages.json": MESSAGES},
}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_what_a_user_wrote_is_of_no_run_whatever_it_was_bundled_with(
    tmp_path: Path, bundle: str
) -> None:
    found = _written(_write(tmp_path, BUNDLES[bundle]))
    assert [(found[one].assistant_id, found[one].run_id) for one in ("msg_000", "msg_200")] == [
        (None, None),
        (None, None),
    ]
    # Whose answer it is, nothing but the bundle says.
    assert found["msg_100"].run_id in {"run_aaa", "run_aaaaaa"}


def test_a_message_that_says_it_is_of_no_run_is_of_none(tmp_path: Path) -> None:
    told = [one | {"run_id": None, "assistant_id": None} for one in MESSAGES]
    bundle = {"thread": THREAD, "run_id": "run_aaa", "assistant_id": "asst_aaa", "messages": told}
    found = _written(_write(tmp_path, {"x.json": bundle}))
    assert {(one.assistant_id, one.run_id) for one in found.values()} == {(None, None)}


def _written(dump: Path) -> dict[str, Stored]:
    """The messages of a dump, as they are here afterwards."""

    async def run(here: Place) -> dict[str, Stored]:
        await here.take(dump)
        table, ids = here.store.messages, [one["id"] for one in MESSAGES]
        held = [await table.get("proj_default", one, owner_id=THREAD["id"]) for one in ids]
        return {one.id: one.read() for one in held}

    found: dict[str, Stored] = at(run)
    return found


OLD: dict[str, Any] = {
    "assistant.json": {
        "id": "asst_old",
        "object": "assistant",
        "created_at": 1,
        "model": "gpt-4",
        "tools": [{"type": "retrieval"}, {"type": "code_interpreter"}],
        "file_ids": ["file-old111"],
        "metadata": {"count": 3},
    },
    "thread.json": THREAD
    | {
        "messages": [
            _bare(MESSAGES[0]) | {"file_ids": ["file-old111"]},
        ],
        "runs": [
            RUN
            | {
                "file_ids": [],
                "steps": [
                    STEP
                    | {
                        "type": "tool_calls",
                        "step_details": {
                            "type": "tool_calls",
                            "tool_calls": [{"id": "call_1", "type": "retrieval", "retrieval": {}}],
                        },
                    }
                ],
            }
        ],
    },
}


def test_the_first_version_of_the_api_becomes_the_second(tmp_path: Path) -> None:
    _write(tmp_path, OLD)

    async def run(here: Place) -> Contents:
        await here.take(tmp_path)
        return contents(await here.give())

    found = at(run)

    def one(kind: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(found[f"projects/proj_default/{kind}.jsonl"])
        return value

    assistant = one("assistants")
    assert [tool["type"] for tool in assistant["tools"]] == ["file_search", "code_interpreter"]
    assert assistant["tool_resources"] == {"code_interpreter": {"file_ids": ["file-old111"]}}
    assert assistant["metadata"] == {"count": "3"}
    assert one("messages")["attachments"] == [
        {"file_id": "file-old111", "tools": [{"type": "code_interpreter"}]}
    ]
    call = one("steps")["step_details"]["tool_calls"][0]
    assert call["type"] == "file_search"
    assert call["file_search"]["results"] == []


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action", "cancelling"])
def test_a_run_that_was_going_on_has_expired(tmp_path: Path, status: str) -> None:
    step = STEP | {"status": "in_progress"}
    message = MESSAGES[1] | {"status": "in_progress"}
    dump = THREAD | {"messages": [message], "runs": [RUN | {"status": status, "steps": [step]}]}
    _write(tmp_path, {"thread.json": dump})

    async def run(here: Place) -> None:
        report = await here.take(tmp_path)
        assert said(report, "runs") == [f"it was {status} when it was exported, and is expired now"]
        held = await here.store.runs.get("proj_default", "run_aaa", owner_id="thread_aaaaaa")
        assert held.read().status == "expired"
        assert held.read().last_error is not None
        found = await here.store.steps.get("proj_default", "step_aaa", owner_id="run_aaa")
        assert found.read().status == "expired"
        told = await here.store.messages.get("proj_default", "msg_100", owner_id="thread_aaaaaa")
        assert told.read().status == "incomplete"
        again = await here.take(tmp_path)
        assert again.objects["runs"] == {"unchanged": 1}

    at(run)


def test_another_object_is_told_of_and_replaced_only_on_demand(tmp_path: Path) -> None:
    _write(tmp_path / "a", {"thread.json": NESTED})
    changed = THREAD | {"metadata": {"a": "b"}, "messages": [MESSAGES[0] | {"role": "assistant"}]}
    _write(tmp_path / "b", {"thread.json": changed})

    async def run(here: Place) -> None:
        await here.take(tmp_path / "a")
        before = contents(await here.give())
        report = await here.take(tmp_path / "b")
        assert report.objects == {"threads": {"differs": 1}, "messages": {"differs": 1}}
        assert said(report, "threads") == ["another one is here: metadata differ; see --replace"]
        assert contents(await here.give()) == before
        report = await here.take(tmp_path / "b", replaces=True)
        assert report.objects == {"threads": {"replaced": 1}, "messages": {"replaced": 1}}
        held = await here.store.messages.get("proj_default", "msg_000", owner_id="thread_aaaaaa")
        assert held.read().role == "assistant"
        assert (await here.take(tmp_path / "b")).objects["threads"] == {"unchanged": 1}

    at(run)


def test_the_same_ids_in_two_projects_are_two_threads(tmp_path: Path) -> None:
    _write(tmp_path, {"thread.json": NESTED})

    async def run(here: Place) -> None:
        await here.take(tmp_path, project="proj_one")
        before = await here.store.threads.get("proj_one", "thread_aaaaaa")
        report = await here.take(tmp_path, project="proj_two")
        assert report.objects["threads"] == {"created": 1}
        assert await here.store.threads.find("proj_default", "thread_aaaaaa") is None
        after = await here.store.threads.get("proj_one", "thread_aaaaaa")
        assert after.text == before.text

    at(run)


def test_a_file_of_a_store_is_read_anew_when_its_chunks_are_to_be_others(tmp_path: Path) -> None:
    file = {"id": "file-abcdef", "object": "file", "bytes": 5, "filename": "a.txt"}
    store = {"id": "vs_one", "object": "vector_store", "created_at": 1, "name": "One"}
    held = {"id": "file-abcdef", "object": "vector_store.file", "created_at": 1}
    held |= {"vector_store_id": "vs_one", "status": "completed"}
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}
    other = held | {"chunking_strategy": {"type": "static", "static": sizes}}
    dump = {"files": [file | {"created_at": 1}], "vector_stores": [store]}
    _write(tmp_path / "a", {"dump.json": dump | {"vector_store_files": [held]}})
    _write(tmp_path / "b", {"dump.json": {"vector_store_files": [other]}})
    (tmp_path / "a" / "file-abcdef.txt").write_text("Hello", "utf-8")

    async def run(here: Place) -> None:
        table = here.store.vector_store_files
        await here.take(tmp_path / "a")
        first = await table.get("proj_default", "file-abcdef", owner_id="vs_one")
        read = replace(first.read(), status="completed", usage_bytes=9)
        async with here.store.transaction() as tx:
            await table.put(tx, "proj_default", Entry(read, None))
        # The same again leaves what has been read as it is.
        assert (await here.take(tmp_path / "a")).is_whole
        again = await table.get("proj_default", "file-abcdef", owner_id="vs_one")
        assert again.read() == read
        report = await here.take(tmp_path / "b", replaces=True)
        assert report.objects == {"vector_store_files": {"replaced": 1}}
        changed = await table.get("proj_default", "file-abcdef", owner_id="vs_one")
        assert changed.read().status == "in_progress"
        counted = await here.store.vector_stores.get("proj_default", "vs_one")
        assert counted.read().file_counts.in_progress == 1

    at(run)
