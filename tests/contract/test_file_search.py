"""File search through the official client: files in, passages found, answers that cite them."""

import asyncio
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from openai import BadRequestError, OpenAI
from tests.contract.requirements import covers
from tests.kit.embedders import HashEmbedder
from tests.kit.server import running
from tests.kit.shelf import FIGS, PLUMS, POLL_MS, filled_store

from locum.app import Parts
from locum.tools.file_search import minilm

CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
_DAY_S = 86_400


@pytest.fixture(scope="module")
def client(reading_sdk: OpenAI) -> OpenAI:
    return reading_sdk


def _ask(client: OpenAI, text: str, *, store_id: str | None = None, **tool: Any) -> Any:
    """A finished run on a new thread whose assistant has the store."""
    assistant = _assistant(client, store_id, **tool)
    return client.beta.threads.create_and_run_poll(
        assistant_id=assistant,
        thread={"messages": [{"role": "user", "content": text}]},
        poll_interval_ms=POLL_MS,
    )


def _assistant(client: OpenAI, store_id: str | None, **tool: Any) -> str:
    resources: Any = {} if store_id is None else {"file_search": {"vector_store_ids": [store_id]}}
    options: Any = {"type": "file_search", **({"file_search": tool} if tool else {})}
    created = client.beta.assistants.create(
        model="scripted", tools=[options], tool_resources=resources
    )
    return created.id


def _searches(client: OpenAI, run: Any, **options: Any) -> list[Any]:
    steps = client.beta.threads.runs.steps.list(
        run.id, thread_id=run.thread_id, order="asc", **options
    )
    return [step for step in steps if step.type == "tool_calls"]


def _found(client: OpenAI, run: Any, **options: Any) -> list[Any]:
    [step] = _searches(client, run, **options)
    return list(step.step_details.tool_calls[0].file_search.results)


@covers("file_search:include", "file_search:options")
def test_content_of_results_is_given_to_those_who_ask_for_it(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS, plums=PLUMS)
    run = _ask(client, "!search who likes figs\n!then\n!say {marker}", store_id=store_id)
    assert run.status == "completed"
    plain, full = _found(client, run), _found(client, run, include=CONTENT)
    assert [one.content for one in plain] == [None, None]
    assert [one.content[0].text for one in full] == [FIGS, PLUMS]
    assert [one.file_name for one in plain] == ["figs.txt", "plums.txt"]
    assert 1 >= plain[0].score > plain[1].score > 0
    [step] = _searches(client, run)
    options = step.step_details.tool_calls[0].file_search.ranking_options
    assert options.to_dict() == {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    one: Any = client.beta.threads.runs.steps.retrieve(
        step.id, thread_id=run.thread_id, run_id=run.id, include=CONTENT
    )
    cited = _message(client, run).content[0].text.annotations[0].file_citation.file_id
    [shown] = [
        found
        for found in one.step_details.tool_calls[0].file_search.results
        if found.file_id == cited
    ]
    assert shown.content[0].text == FIGS


@covers("file_search:options")
def test_no_more_results_than_the_tool_asks_for_and_none_below_its_threshold(
    client: OpenAI,
) -> None:
    store_id = filled_store(client, figs=FIGS, plums=PLUMS)
    run = _ask(client, "!search likes", store_id=store_id, max_num_results=1)
    assert len(_found(client, run)) == 1
    strict = {"score_threshold": 0.99}
    run = _ask(client, "!search likes", store_id=store_id, ranking_options=strict)
    [step] = _searches(client, run)
    search = step.step_details.tool_calls[0].file_search
    assert search.results == []
    assert search.ranking_options.score_threshold == 0.99


@covers("file_search:stream")
@pytest.mark.parametrize("include", [None, CONTENT])
def test_a_search_streams_one_delta_and_its_results_with_the_ended_step(
    client: OpenAI, include: Any
) -> None:
    store_id = filled_store(client, figs=FIGS)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "!search figs"}])
    events: list[Any] = list(
        client.beta.threads.runs.create(
            thread.id,
            assistant_id=_assistant(client, store_id),
            stream=True,
            **({"include": include} if include else {}),
        )
    )
    [delta] = [event.data for event in events if event.event == "thread.run.step.delta"]
    [call] = delta.delta.step_details.tool_calls
    assert call.id.startswith("call_")
    assert call.to_dict() == {
        "index": 0,
        "id": call.id,
        "type": "file_search",
        "file_search": {
            "ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0},
            "results": [],
        },
    }
    ended = next(event.data for event in events if event.event == "thread.run.step.completed")
    [found] = ended.step_details.tool_calls[0].file_search.results
    assert found.file_name == "figs.txt"
    assert (found.content is not None) == (include is not None)


@covers("file_search:citations")
def test_each_marker_is_cited_in_code_points_whole_in_one_delta(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    thread = client.beta.threads.create(
        messages=[
            {
                "role": "user",
                "content": "!search figs\n!then\n!say 👩‍🚀日本 {marker} – {marker} 【9:9†x】.",
            }
        ]
    )
    marker = "【0:0†figs.txt】"
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=_assistant(client, store_id)
    ) as stream:
        events: list[Any] = list(stream)
        final: Any = stream.get_final_messages()[0]
    parts = [
        event.data.delta.content[0].text
        for event in events
        if event.event == "thread.message.delta"
    ]
    told = [part for part in parts if part.annotations]
    assert [part.value for part in told] == [marker, marker]
    assert told[0].annotations[0].file_citation.to_dict()["quote"] == ""
    text = final.content[0].text
    assert text.value == f"👩‍🚀日本 {marker} – {marker} 【9:9†x】."
    spans = [(one.start_index, one.end_index) for one in text.annotations]
    assert [text.value[start:end] for start, end in spans] == [marker, marker]
    assert spans[0][0] == 6
    stored = client.beta.threads.messages.list(thread.id).data[0].to_dict()
    annotations = stored["content"][0]["text"]["annotations"]  # type: ignore[index]  # plain JSON
    assert [list(one["file_citation"]) for one in annotations] == [["file_id"], ["file_id"]]


@covers("file_search:citations")
def test_a_citation_stands_where_it_stands_in_its_own_part(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    asked = "!search figs\n!then\n!say abc 【\n!refuse no\n!say x {marker}"
    first, refused, last = _message(client, _ask(client, asked, store_id=store_id)).content
    assert (first.text.value, refused.refusal) == ("abc 【", "no")
    [cited] = last.text.annotations
    assert last.text.value[cited.start_index : cited.end_index] == cited.text == "【0:0†figs.txt】"


@covers("file_search:citations", "streams:late_words")
def test_words_that_are_told_when_nobody_answers_a_function_cite_too(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    assistant: Any = client.beta.assistants.create(
        model="scripted",
        tools=[{"type": "file_search"}, {"type": "function", "function": {"name": "f"}}],
        tool_resources={"file_search": {"vector_store_ids": [store_id]}},
    )
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id,
        thread={
            "messages": [
                {"role": "user", "content": "!search figs\n!then\n!call f\n!say See {marker}."}
            ]
        },
        parallel_tool_calls=False,
        poll_interval_ms=POLL_MS,
    )
    assert run.status == "requires_action"
    client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    text = _message(client, run).content[0].text
    [cited] = text.annotations
    assert text.value == f"See {cited.text}."
    assert (cited.start_index, cited.end_index) == (4, 4 + len(cited.text))


@covers("file_search:citations")
def test_a_later_run_may_cite_what_an_earlier_one_found(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    first = _ask(client, "!search figs\n!then\n!say ok", store_id=store_id)
    client.beta.threads.messages.create(
        first.thread_id,
        role="user",
        content="!search figs\n!then\n!say 【0:0†figs.txt】 {marker}",
    )
    second = client.beta.threads.runs.create_and_poll(
        thread_id=first.thread_id, assistant_id=first.assistant_id, poll_interval_ms=POLL_MS
    )
    text = _message(client, second).content[0].text
    assert text.value == "【0:0†figs.txt】 【1:0†figs.txt】"
    assert len(text.annotations) == 2


@covers("file_search:together")
def test_the_assistants_store_and_the_threads_are_searched_together(client: OpenAI) -> None:
    assistant = _assistant(client, filled_store(client, figs=FIGS))
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant,
        thread={
            "messages": [{"role": "user", "content": "!search likes"}],
            "tool_resources": {
                "file_search": {"vector_store_ids": [filled_store(client, plums=PLUMS)]}
            },
        },
        poll_interval_ms=POLL_MS,
    )
    assert {one.file_name for one in _found(client, run)} == {"figs.txt", "plums.txt"}


@covers("file_search:gone")
def test_a_store_that_was_deleted_gives_nothing(client: OpenAI) -> None:
    store_id = filled_store(client, figs=FIGS)
    assistant = _assistant(client, store_id)
    client.vector_stores.delete(store_id)
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant,
        thread={"messages": [{"role": "user", "content": "!search figs"}]},
        poll_interval_ms=POLL_MS,
    )
    assert run.status == "completed"
    assert _found(client, run) == []


@covers("vector_stores.search:expired", "file_search:gone")
def test_a_store_that_has_expired_is_neither_searched_nor_run_with() -> None:
    with (
        running(Parts(embedder=HashEmbedder()), files_at_once=2) as server,
        server.sdk() as client,
    ):
        store_id = filled_store(client, figs=FIGS)
        client.vector_stores.update(store_id, expires_after={"anchor": "last_active_at", "days": 1})
        server.clock.advance(_DAY_S - 1)
        assert client.vector_stores.search(store_id, query="figs").data != []
        server.clock.advance(_DAY_S - 1)
        assert client.vector_stores.retrieve(store_id).status == "completed"
        server.clock.advance(1)
        assert client.vector_stores.retrieve(store_id).status == "expired"
        with pytest.raises(BadRequestError, match="has expired"):
            client.vector_stores.search(store_id, query="figs")
        with pytest.raises(BadRequestError, match="is expired"):
            _ask(client, "!search figs", store_id=store_id)
        # A run that does not search is in no need of it.
        resources: Any = {"file_search": {"vector_store_ids": [store_id]}}
        thread = client.beta.threads.create(tool_resources=resources)
        client.beta.threads.messages.create(thread.id, role="user", content="hello")
        assistant = client.beta.assistants.create(model="scripted")
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=POLL_MS
        )
        assert run.status == "completed"


@covers("file_search:attachments")
def test_an_attached_file_makes_a_store_of_seven_days_that_a_run_awaits(client: OpenAI) -> None:
    file = client.files.create(file=("plums.txt", PLUMS.encode()), purpose="assistants")
    run: Any = client.beta.threads.create_and_run_poll(
        assistant_id=_assistant(client, None),
        thread={
            "messages": [
                {
                    "role": "user",
                    "content": "!search plums",
                    "attachments": [{"file_id": file.id, "tools": [{"type": "file_search"}]}],
                }
            ]
        },
        poll_interval_ms=POLL_MS,
    )
    assert run.status == "completed"
    assert [one.file_id for one in _found(client, run)] == [file.id]
    thread: Any = client.beta.threads.retrieve(run.thread_id)
    [store_id] = thread.tool_resources.file_search.vector_store_ids
    store = client.vector_stores.retrieve(store_id)
    assert store.expires_after is not None
    assert (store.expires_after.anchor, store.expires_after.days) == ("last_active_at", 7)


@covers("file_search:attachments", "file_search:gone")
def test_an_attachment_makes_a_new_store_when_that_of_the_thread_has_expired() -> None:
    with (
        running(Parts(embedder=HashEmbedder()), files_at_once=2) as server,
        server.sdk() as client,
    ):
        message, _ = _attaching(client, "figs.txt", FIGS)
        thread: Any = client.beta.threads.create(messages=[message])
        [expired] = thread.tool_resources.file_search.vector_store_ids
        server.clock.advance(7 * _DAY_S)
        message, file_id = _attaching(client, "plums.txt", PLUMS)
        client.beta.threads.messages.create(thread.id, **message)
        thread = client.beta.threads.retrieve(thread.id)
        [store_id] = thread.tool_resources.file_search.vector_store_ids
        assert store_id != expired
        assert client.vector_stores.retrieve(store_id).expires_at == server.clock.now() + 7 * _DAY_S
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=_assistant(client, None), poll_interval_ms=POLL_MS
        )
        assert [one.file_id for one in _found(client, run)] == [file_id]


def _attaching(client: OpenAI, name: str, text: str) -> tuple[Any, str]:
    """A message that searches for plums and brings a file, and the file."""
    file = client.files.create(file=(name, text.encode()), purpose="assistants")
    attached = {"file_id": file.id, "tools": [{"type": "file_search"}]}
    return {"role": "user", "content": "!search plums", "attachments": [attached]}, file.id


class HeldEmbedder(HashEmbedder):
    """Embeds no passage until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        while kind == "passage" and not self.may_go_on.is_set():  # noqa: ASYNC110  # of a thread
            await asyncio.sleep(0.005)
        return await super().embed(texts, kind=kind)


@covers("file_search:attachments")
def test_a_run_waits_for_a_file_of_its_thread_and_then_finds_it() -> None:
    embedder = HeldEmbedder()
    with running(Parts(embedder=embedder), files_at_once=2) as server, server.sdk() as client:
        asked, file_id = _attaching(client, "plums.txt", PLUMS)
        thread = client.beta.threads.create(messages=[asked])
        stream = client.beta.threads.runs.create(
            thread.id, assistant_id=_assistant(client, None), stream=True
        )
        events = [next(stream) for _ in range(3)]
        assert [event.event for event in events][-1] == "thread.run.in_progress"
        run: Any = events[-1].data
        for _ in range(20):
            waiting = client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
            assert waiting.status == "in_progress"
            assert client.beta.threads.runs.steps.list(run.id, thread_id=thread.id).data == []
        embedder.may_go_on.set()
        assert list(stream)[-1].event == "thread.run.completed"
        assert [one.file_id for one in _found(client, run)] == [file_id]


@pytest.mark.slow
@covers("file_search:citations", "file_search:include")
def test_with_the_embedded_model_the_right_passage_is_found_by_its_meaning_and_cited() -> None:
    def fetched(data: Path) -> None:
        asyncio.run(minilm.fetch(data / "models"))

    with running(prepare=fetched, files_at_once=2) as server, server.sdk(timeout=60) as client:
        store_id = filled_store(
            client,
            leave="Employees may stay at home for twenty days each year without losing pay.",
            boats="The ferry leaves the harbour at noon and returns before dark.",
            bread="Knead the dough, let it rise for an hour, and bake it until it is brown.",
        )
        asked = "!search How much holiday do workers get?\n!then\n!say {marker}"
        run = _ask(client, asked, store_id=store_id)
        best = _found(client, run, include=CONTENT)[0]
        assert best.file_name == "leave.txt"
        [cited] = _message(client, run).content[0].text.annotations
        assert cited.file_citation.file_id == best.file_id
        assert "twenty days" in best.content[0].text


def _message(client: OpenAI, run: Any) -> Any:
    return client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0]
