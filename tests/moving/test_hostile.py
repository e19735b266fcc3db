"""Dumps that are broken or meant to hurt: a clear line in the report, and nothing half written."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.kit.moving import Place, at, said
from tests.moving.test_shapes import MESSAGES, NESTED, RUN, STEP, THREAD

from locum.moving import sources
from locum.moving.kinds import KINDS
from locum.moving.objects import Refused, made
from locum.moving.report import lines
from locum.moving.shapes import Around, pieces
from locum.moving.sources import SourceError, Sources

pytestmark = pytest.mark.slow

GOOD = {"good.json": {"thread": THREAD | {"id": "thread_good11"}}}


def _report(dump: Path, **files: Any) -> list[str]:
    """What is told of a dump in which something good stands beside the bad."""
    for name, value in (GOOD | files).items():
        path = dump / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        path.write_bytes(data)

    async def run(here: Place) -> list[str]:
        report = await here.take(dump)
        assert await here.store.threads.find("proj_default", "thread_good11") is not None
        assert list(lines(report))
        json.dumps([note.said for note in report.notes])
        again = await here.take(dump)
        assert again.objects.get("threads", {}).get("created") is None
        return list(said(report))

    found: list[str] = at(run)
    return found


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("a.json", b"", "it is not JSON"),
        ("a.json", b"\xff\xfe\x00", "it is not JSON"),
        ("a.jsonl", b'{"id": 1', "it is not JSON"),
        ("a.json", b"[" * 200_000, "nested too deeply"),
        ("a.json", 7, "neither an object nor an array"),
        ("a.json", {"a": 1}, "it was not recognised"),
        ("a.json", {"object": "chat.completion", "id": "chatcmpl-1"}, "no place for an object"),
        ("threads.json", [{"id": "chat_abc"}], "an id of threads begins with thread_"),
        ("threads.json", [{"id": "thread_../../etc"}], "an id of threads begins with thread_"),
        ("threads.json", [{"id": "thread_" + "x" * 500}], "an id of threads begins with thread_"),
        ("threads.json", [{"id": 7}], "it was not recognised"),
        ("a.json", THREAD | {"created_at": "yesterday"}, "created_at is no time"),
        ("a.json", THREAD | {"created_at": 10**30}, "created_at is no time"),
        ("a.json", THREAD | {"created_at": -1}, "created_at is no time"),
        ("a.json", THREAD | {"metadata": "x"}, "metadata: expected an object"),
        ("a.json", {"messages": [MESSAGES[0] | {"content": 7}]}, "content: expected an array"),
        ("a.json", {"messages": [MESSAGES[0] | {"role": "root"}]}, "Invalid enum value"),
        ("a.json", {"messages": [MESSAGES[0] | {"run_id": "\0"}]}, "its run_id is no id"),
        ("a.json", {"messages": [MESSAGES[0] | {"thread_id": None}]}, "it names no thread_id"),
        ("a.json", {"runs": [RUN | {"thread_id": "../x"}]}, "its thread did not come along"),
        ("a.json", {"runs": [RUN | {"status": "flying"}]}, "Invalid enum value"),
        ("a.json", {"runs": [RUN | {"tools": {"type": "function"}}]}, "tools: expected an array"),
        ("a.json", {"steps": [STEP]}, "its run did not come along"),
        ("a.json", THREAD | {"messages": [MESSAGES[0] | {"metadata": THREAD}]}, ""),
        ("conversations.json", [{"mapping": {}, "current_node": "x"}], "a ChatGPT conversation"),
        (
            "files.json",
            [{"id": "file-abcdef", "object": "file", "bytes": 1, "filename": "x"}],
            "its content is not in the dump",
        ),
    ],
)
def test_what_cannot_come_along_is_told_of(
    tmp_path: Path, name: str, value: object, says: str
) -> None:
    told = _report(tmp_path, **{name: value})
    assert any(says in line for line in told), told


def test_a_bad_message_leaves_the_good_ones(tmp_path: Path) -> None:
    dump = THREAD | {"messages": [MESSAGES[0], MESSAGES[1] | {"role": 7}, MESSAGES[2]]}
    told = _report(tmp_path, **{"a.json": dump})
    assert len(told) == 1
    assert told[0].startswith("not imported: ")


def test_what_stands_twice_counts_once(tmp_path: Path) -> None:
    told = _report(tmp_path, **{"a.json": [NESTED, NESTED, NESTED | {"metadata": {"a": "b"}}]})
    assert told == ["stands in the dump twice, differing: the first one counts"]


def test_unknown_fields_are_dropped_and_told_of_without_what_they_say(tmp_path: Path) -> None:
    value = THREAD | {"secret_field": "very secret", "tool_resources": {"code_interpreter": None}}
    assert _report(tmp_path, **{"a.json": value}) == [
        "secret_field is unknown here and was dropped"
    ]


def test_a_line_that_is_too_long_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_LINE_BYTES", 1_000)
    text = json.dumps(THREAD | {"metadata": {"a": "x" * 5_000}})
    good = json.dumps(THREAD | {"id": "thread_after1"})
    told = _report(tmp_path, **{"a.jsonl": f"{text}\n{good}\n".encode()})
    assert told == ["not imported: the line is longer than 1000 bytes"]


def test_a_folder_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "passwd.json").symlink_to("/etc/passwd")
    assert _report(tmp_path) == []


def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_HARMLESS_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", b"\0" * 20_000_000)
    with pytest.raises(SourceError, match="which no dump does"), Sources([tmp_path / "bomb.zip"]):
        pass


def test_a_damaged_archive_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", json.dumps(NESTED) * 50)
    data = bytearray(path.read_bytes())
    data[60:90] = struct.pack("30s", b"\xaa" * 30)
    path.write_bytes(data)

    async def run(here: Place) -> None:
        report = await here.take(path)
        assert any("it cannot be read" in line or "not JSON" in line for line in said(report))

    at(run)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    async def run(here: Place) -> None:
        with pytest.raises(SourceError, match="There is no"):
            await here.take(tmp_path / "nothing")

    at(run)


def test_a_file_of_another_size_than_was_said_has_its_own(tmp_path: Path) -> None:
    file = {"id": "file-abcdef", "object": "file", "bytes": 999, "filename": "a.json"}
    about = file | {"purpose": "assistants", "created_at": 1}
    told = _report(tmp_path, **{"files.json": [about], "contents/file-abcdef.json": {"own": 1}})
    assert told == ["it was said to have 999 bytes, not 10"]


def test_bytes_that_are_damaged_are_told_of(tmp_path: Path) -> None:
    line = {"object": "locum.file_content", "file_id": "file-abcdef", "base64": "!!"}
    assert _report(tmp_path, **{"a.jsonl": line}) == ["its bytes are damaged in the dump"]


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                [
                    "id",
                    "object",
                    "data",
                    "messages",
                    "content",
                    "text",
                    "type",
                    "runs",
                    "steps",
                    "tools",
                ]
            )
            | some.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
@settings(deadline=None, max_examples=150)
def test_no_json_at_all_breaks_the_reading_of_shapes(value: Any) -> None:
    for piece in pieces(value, Around()):
        assert piece.kind is None or isinstance(piece.value, dict)


@given(some.sampled_from(KINDS), some.dictionaries(some.text(max_size=6), ANYTHING), some.data())
@settings(deadline=None, max_examples=300)
def test_no_object_at_all_breaks_what_is_made_of_it(
    kind: Any, value: dict[str, Any], data: some.DataObject
) -> None:
    fields = kind.type.__struct_fields__
    for name in data.draw(some.lists(some.sampled_from(fields), max_size=4)):
        value[name] = data.draw(ANYTHING)
    value["id"] = f"{kind.prefixes[0]}abcdef"
    try:
        found, _ = made(kind, value, now=5)
    except Refused:
        return
    assert found.id == value["id"]
    again, _ = made(kind, json.loads(msgspec.json.encode(found)), now=9)
    assert again == found
