"""Files in vector stores through the official client: read, sized, failed, searched."""

import io
import zipfile
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from tests.contract.requirements import covers
from tests.kit.shelf import FIGS, PLUMS, POLL_MS, filled_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(reading_sdk: OpenAI) -> OpenAI:
    return reading_sdk


@covers("vector_stores.files.create:read", "vector_stores.files.content.list:text")
def test_a_file_is_read_and_its_size_is_that_of_text_and_vectors(client: OpenAI) -> None:
    store = client.vector_stores.create()
    text = "Twenty-one letters…😀"
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("a.txt", text.encode()), poll_interval_ms=POLL_MS
    )
    assert (file.status, file.last_error) == ("completed", None)
    assert file.usage_bytes == len(text.encode()) + 1024
    read = client.vector_stores.retrieve(store.id)
    assert (read.status, read.usage_bytes) == ("completed", file.usage_bytes)
    assert (read.file_counts.completed, read.file_counts.total) == (1, 1)
    pages = client.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert [page.text for page in pages] == [text]


@covers("vector_stores.files.create:broken")
@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("broken.pdf", b"%PDF-1.7 and nothing else", "invalid_file"),
        ("empty.txt", b"   \n", "invalid_file"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "invalid_file"),
    ],
)
def test_a_file_that_cannot_be_read_fails_and_says_why(
    client: OpenAI, name: str, data: bytes, code: str
) -> None:
    store = client.vector_stores.create()
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=(name, data), poll_interval_ms=POLL_MS
    )
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code == code
    assert file.last_error.message.endswith(".")
    read = client.vector_stores.retrieve(store.id)
    assert (read.status, read.file_counts.failed, read.usage_bytes) == ("completed", 1, 0)


@covers("vector_stores.files.create:hostile")
def test_hostile_files_fail_while_the_server_keeps_answering(client: OpenAI) -> None:
    store = client.vector_stores.create()
    hostile = [
        ("bomb.docx", _zip({"word/document.xml": b"<a>" + b"0" * 300_000_000})),
        ("laughs.docx", _zip({"word/document.xml": _laughs()})),
        ("deep.html", b"<div>" * 200_000),
        ("wrong.xlsx", b"MZ\x90\x00 a program"),
    ]
    files = [client.files.create(file=file, purpose="assistants") for file in hostile]
    batch = client.vector_stores.file_batches.create(store.id, file_ids=[file.id for file in files])
    answered = 0
    while batch.status == "in_progress" and answered < 5_000:
        batch = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        answered += 1
    assert batch.status == "failed"
    assert (batch.file_counts.failed, batch.file_counts.total) == (4, 4)
    codes = {f.last_error and f.last_error.code for f in client.vector_stores.files.list(store.id)}
    assert codes == {"invalid_file"}


def _zip(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def _laughs() -> bytes:
    lines = ["<!DOCTYPE a [<!ENTITY l0 'ha'>"]
    lines += [f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12)]
    return ("".join(lines) + "]><a>&l11;</a>").encode()


@covers("vector_stores.file_batches.create:read")
def test_a_batch_ends_when_each_of_its_files_has_an_end(client: OpenAI) -> None:
    store = client.vector_stores.create()
    batch = client.vector_stores.file_batches.upload_and_poll(
        vector_store_id=store.id,
        files=[("a.txt", b"apples"), ("b.md", b"bananas"), ("c.json", b"[1, 2]")],
        file_ids=[client.files.create(file=("d.pdf", b"no"), purpose="assistants").id],
        poll_interval_ms=POLL_MS,
    )
    assert batch.status == "completed"
    assert batch.file_counts.to_dict() == {
        "in_progress": 0, "completed": 3, "failed": 1, "cancelled": 0, "total": 4,
    }  # fmt: skip
    failed = client.vector_stores.files.list(store.id, filter="failed").data
    assert [file.status for file in failed] == ["failed"]


@covers("vector_stores.files.delete:found")
def test_what_is_taken_out_of_a_store_is_not_found_any_more(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS, plums=PLUMS)
    best = client.vector_stores.search(store_id, query="Bob likes plums").data[0]
    client.vector_stores.files.delete(best.file_id, vector_store_id=store_id)
    left = client.vector_stores.search(store_id, query="Bob likes plums").data
    assert [one.filename for one in left] == ["figs.txt"]
    [figs] = client.vector_stores.files.list(store_id).data
    client.files.delete(figs.id)
    assert client.vector_stores.search(store_id, query="figs").data == []


# ------------------------------------------------------------------------- search


@covers("vector_stores.search:results")
def test_a_store_is_searched_without_an_assistant(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS, plums=PLUMS)
    page = client.vector_stores.search(store_id, query="Who likes ERR-2041?")
    assert [one.filename for one in page.data] == ["plums.txt", "figs.txt"]
    best = page.data[0]
    assert best.content[0].to_dict() == {"type": "text", "text": PLUMS}
    assert best.attributes == {}
    assert 1 >= best.score > page.data[1].score > 0
    raw = page.to_dict()
    assert raw["search_query"] == ["Who likes ERR-2041?"]
    assert (raw["object"], raw["has_more"], raw["next_page"]) == (
        "vector_store.search_results.page",
        False,
        None,
    )


@pytest.fixture(scope="module")
def shelf(client: OpenAI) -> str:
    """Reports of three years, of which one has no year."""
    store = client.vector_stores.create()
    years: dict[str, dict[str, Any]] = {
        "old": {"year": 2020, "draft": False, "author": "ann"},
        "new": {"year": 2024, "draft": True, "author": "bob"},
        "bare": {},
    }
    for name, attributes in years.items():
        file = client.files.create(
            file=(f"{name}.txt", f"the report {name}".encode()), purpose="assistants"
        )
        client.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, attributes=attributes, poll_interval_ms=POLL_MS
        )
    return store.id


@covers("vector_stores.search:filters")
@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ({"type": "eq", "key": "year", "value": 2024}, {"new"}),
        ({"type": "ne", "key": "year", "value": 2024}, {"old", "bare"}),
        ({"type": "gt", "key": "year", "value": 2020}, {"new"}),
        ({"type": "gte", "key": "year", "value": 2020}, {"old", "new"}),
        ({"type": "lt", "key": "year", "value": 2024}, {"old"}),
        ({"type": "lte", "key": "year", "value": 2024}, {"old", "new"}),
        ({"type": "in", "key": "author", "value": ["ann", "eve"]}, {"old"}),
        ({"type": "nin", "key": "author", "value": ["ann"]}, {"new", "bare"}),
        ({"type": "eq", "key": "draft", "value": True}, {"new"}),
        ({"type": "eq", "key": "draft", "value": 1}, set()),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "gte", "key": "year", "value": 2000},
                    {
                        "type": "or",
                        "filters": [
                            {"type": "eq", "key": "author", "value": "bob"},
                            {"type": "eq", "key": "author", "value": "eve"},
                        ],
                    },
                ],
            },
            {"new"},
        ),
    ],
)
def test_attributes_narrow_a_search(client: OpenAI, shelf: str, rule: Any, names: set[str]) -> None:
    page = client.vector_stores.search(shelf, query="report", filters=rule)
    assert {one.filename.removesuffix(".txt") for one in page.data} == names


@covers("vector_stores.search:filters")
def test_attributes_that_were_modified_count_at_once(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    [file] = client.vector_stores.files.list(store_id).data
    wanted: Any = {"type": "eq", "key": "fruit", "value": "fig"}
    assert client.vector_stores.search(store_id, query="figs", filters=wanted).data == []
    client.vector_stores.files.update(
        file.id, vector_store_id=store_id, attributes={"fruit": "fig"}
    )
    [found] = client.vector_stores.search(store_id, query="figs", filters=wanted).data
    assert found.attributes == {"fruit": "fig"}


@covers("vector_stores.search:filter_errors")
@pytest.mark.parametrize(
    ("rule", "param"),
    [
        ({"type": "like", "key": "a", "value": 1}, "filters.type"),
        ({"type": "eq", "value": 1}, "filters.key"),
        ({"type": "in", "key": "a", "value": "x"}, "filters.value"),
        ({"type": "in", "key": "a", "value": ["x"] * 10_001}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        (
            {"type": "or", "filters": [{"type": "gt", "key": "a", "value": True}]},
            "filters.filters[0].value",
        ),
    ],
)
def test_a_filter_that_cannot_be_says_which_part_is_wrong(
    client: OpenAI, shelf: str, rule: Any, param: str
) -> None:
    with pytest.raises(BadRequestError) as refusal:
        client.vector_stores.search(shelf, query="report", filters=rule)
    assert refusal.value.param == param


@covers("vector_stores.search:options")
def test_threshold_number_rewriting_and_several_queries_are_heeded(
    client: OpenAI, shelf: str
) -> None:
    search = client.vector_stores.search
    assert len(search(shelf, query="report", max_num_results=2).data) == 2
    best = search(shelf, query="the report old").data[0]
    kept = search(
        shelf, query="the report old", ranking_options={"score_threshold": best.score}
    ).data
    assert [one.file_id for one in kept] == [best.file_id]
    rewritten = search(
        shelf, query="Could you please tell me about the report?", rewrite_query=True
    )
    assert rewritten.to_dict()["search_query"] == ["the report"]
    several = search(shelf, query=["the report old", "the report new"])
    assert several.to_dict()["search_query"] == ["the report old", "the report new"]
    assert {one.filename for one in several.data[:2]} == {"old.txt", "new.txt"}
    with pytest.raises(BadRequestError) as refusal:
        search(shelf, query=["x"] * 33)
    assert refusal.value.param == "query"
    with pytest.raises(BadRequestError, match="string too long") as refusal:
        search(shelf, query=["x", "a" * 16_385])
    assert (refusal.value.param, refusal.value.code) == ("query", "string_above_max_length")
