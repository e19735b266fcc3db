"""Streams: every sequence in its order, every frame in its form, every delta in its place."""

from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.http import Frame, Http
from tests.kit.server import running
from tests.kit.talk import Talk, folded, function, last, outline, path_of

_RUN = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
_SPEAK = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta ×n",
]
_SAID = [*_SPEAK, "thread.message.completed", "thread.run.step.completed"]
_CALL = ["thread.run.step.created", "thread.run.step.in_progress", "thread.run.step.delta ×n"]
_F = [function("f")]


@covers("streams:plain", "streams:framing")
def test_a_plain_answer(talk: Talk) -> None:
    frames = talk.frames("hello")
    assert outline(frames) == [*_RUN, *_SAID, "thread.run.completed", "done"]
    for frame in frames[:-1]:
        assert frame.fields == ["event", "data"]
        assert b"\n" not in frame.text.encode()
    assert frames[-1].raw == b"event: done\ndata: [DONE]\n\n"
    assert frames[0].text == frames[1].text
    assert frames[3].text == frames[4].text


@covers("streams:message_form", "streams:step_form", "streams:run_form")
def test_objects_in_a_stream_are_as_they_are_at_that_moment(talk: Talk) -> None:
    frames = talk.frames("hello")
    run = last(frames, "thread.run.completed")
    begun = last(frames, "thread.message.created")
    assert (begun["status"], begun["content"], begun["completed_at"]) == ("in_progress", [], None)
    step = last(frames, "thread.run.step.completed")
    assert step["expires_at"] == frames[0].data["expires_at"]
    assert frames[0].data["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    assert step | {"expires_at": None} == talk.steps(run)[0]
    assert last(frames, "thread.message.completed") == talk.messages(run["thread_id"])[1]
    assert run | {"tool_resources": {}} == talk.read(run)


@covers("streams:message_form")
def test_the_end_of_a_message_tells_the_metadata_it_was_given_meanwhile(talk: Talk) -> None:
    stream = talk.open("!say half\n!think 60")
    before = stream.until("thread.message.delta")
    run, message = before[0].data, before[-2].data
    path = f"/v1/threads/{run['thread_id']}/messages/{message['id']}"
    assert talk.http.post(path, {"metadata": {"rated": "good"}}).status == 200
    assert talk.cancel(run).status == 200
    ended = last(list(stream), "thread.message.incomplete")
    assert ended["metadata"] == {"rated": "good"}
    assert talk.http.get(path).json == ended


@covers("streams:text_deltas")
def test_only_the_first_delta_of_a_text_has_annotations(talk: Talk) -> None:
    deltas = [f.data for f in talk.frames("!say one two") if f.event == "thread.message.delta"]
    assert [list(delta) for delta in deltas] == [["id", "object", "delta"]] * 2
    assert [delta["delta"]["content"] for delta in deltas] == [
        [{"index": 0, "type": "text", "text": {"value": "one", "annotations": []}}],
        [{"index": 0, "type": "text", "text": {"value": " two"}}],
    ]


@covers("streams:thread_created")
def test_a_thread_made_for_the_run_comes_first(http: Http, talk: Talk) -> None:
    asked = {
        "assistant_id": talk.assistant(),
        "thread": {"messages": [{"role": "user", "content": "hello"}]},
    }
    frames = http.frames("/v1/threads/runs", asked)
    assert outline(frames)[:2] == ["thread.created", "thread.run.created"]
    thread = http.get(f"/v1/threads/{frames[0].data['id']}").json
    assert frames[0].data == thread


@covers("streams:function", "streams:submit")
def test_a_function_call_and_its_answer(talk: Talk) -> None:
    frames = talk.frames('!call f {"a":1}\n!then\n!say {result}', tools=_F)
    assert outline(frames) == [*_RUN, *_CALL, "thread.run.requires_action", "done"]
    run = last(frames, "thread.run.requires_action")
    assert run["usage"] is None
    deltas = _calls(frames)
    call_id = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    first = {"name": "f", "arguments": "", "output": None}
    assert deltas[0] == {"index": 0, "id": call_id, "type": "function", "function": first}
    assert all(list(delta) == ["index", "type", "function"] for delta in deltas[1:])
    assert all(list(delta["function"]) == ["arguments"] for delta in deltas[1:])
    rest = talk.submit_frames(run, ["42"])
    assert outline(rest) == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        *_SAID,
        "thread.run.completed",
        "done",
    ]
    step = rest[0].data
    assert step["step_details"]["tool_calls"][0]["function"]["output"] == "42"
    assert step["usage"] is not None
    assert folded(rest, "thread.message.delta").popitem()[1] == {
        "content": [{"type": "text", "text": {"value": "42", "annotations": []}}]
    }


@covers("streams:parallel_calls")
def test_parallel_calls_share_a_step_and_tell_their_ids_once(talk: Talk) -> None:
    frames = talk.frames('!call f {"a":1}\n!call g {"b":2}', tools=[*_F, function("g")])
    assert outline(frames).count("thread.run.step.created") == 1
    deltas = _calls(frames)
    ids = [delta["id"] for delta in deltas if "id" in delta]
    assert len(ids) == len(set(ids)) == 2
    run = last(frames, "thread.run.requires_action")
    [step] = talk.steps(run)
    [told] = folded(frames, "thread.run.step.delta").values()
    assert told["step_details"] == step["step_details"]
    assert [call["id"] for call in step["step_details"]["tool_calls"]] == ids


@covers("streams:one_after_another")
@pytest.mark.parametrize(
    "script",
    [
        '!search a\n!search b\n!call f {"a":1}\n!call f',
        '!call f {"a":1}\n!search a\n!call f\n!search b',
    ],
)
def test_calls_of_tools_end_one_after_the_other_before_functions_begin(
    talk: Talk, script: str
) -> None:
    """The newest client for Node takes no step while another is open."""
    search = [*_CALL, "thread.run.step.completed"]
    frames = talk.frames(script, tools=[{"type": "file_search"}, *_F])
    told = [*_RUN, *search, *search, *_CALL, "thread.run.requires_action", "done"]
    assert outline(frames) == told
    run = last(frames, "thread.run.requires_action")
    [*_, called] = talk.steps(run)
    deltas = folded(frames, "thread.run.step.delta")
    assert deltas[called["id"]]["step_details"] == called["step_details"]
    arguments = [call["function"]["arguments"] for call in called["step_details"]["tool_calls"]]
    assert arguments == ['{"a":1}', "{}"]
    assert talk.until(talk.submit(run, ["1", "2"]).json, "completed")["status"] == "completed"


@covers("streams:one_after_another")
def test_arguments_that_had_to_wait_are_told_in_one_piece(talk: Talk) -> None:
    """Told one by one at once, long ones would leave a client too far behind."""
    arguments = '{"text":"' + "word " * 50 + '"}'
    tools = [{"type": "file_search"}, *_F]
    frames = talk.frames(f"!search a\n!call f {arguments}\n!call f", tools=tools)
    _, called = talk.steps(last(frames, "thread.run.requires_action"))
    deltas = [f.data for f in frames if f.event == "thread.run.step.delta"]
    told = [
        call["function"]["arguments"]
        for delta in deltas
        if delta["id"] == called["id"]
        for call in delta["delta"]["step_details"]["tool_calls"]
    ]
    assert told == ["", arguments, "", "{}"]


@covers("streams:one_after_another", "streams:token_limit")
def test_functions_that_are_cut_are_shown_beside_tools_too(talk: Talk) -> None:
    frames = talk.frames("!call f\n!cut", tools=[{"type": "file_search"}, *_F])
    told = [*_RUN, *_CALL, "thread.run.step.completed", "thread.run.incomplete", "done"]
    assert outline(frames) == told


@covers("streams:parallel_off")
def test_a_run_without_parallel_calls_makes_one_at_a_time(talk: Talk) -> None:
    run = talk.run("!call f\n!call f", tools=_F, parallel_tool_calls=False)
    assert len(run["required_action"]["submit_tool_outputs"]["tool_calls"]) == 1


@covers("streams:text_before_calls")
def test_text_before_a_call_is_a_message_of_its_own(talk: Talk) -> None:
    frames = talk.frames("!say Let me see.\n!call f", tools=_F)
    assert outline(frames) == [*_RUN, *_SAID, *_CALL, "thread.run.requires_action", "done"]


@covers("streams:refusal")
def test_a_refusal_is_no_text(talk: Talk) -> None:
    frames = talk.frames("!refuse I will not.")
    assert outline(frames) == [*_RUN, *_SAID, "thread.run.completed", "done"]
    deltas = [f.data["delta"]["content"][0] for f in frames if f.event == "thread.message.delta"]
    assert deltas[0] == {"index": 0, "type": "refusal", "refusal": "I"}
    refused = [{"type": "refusal", "refusal": "I will not."}]
    assert last(frames, "thread.message.completed")["content"] == refused


_GO_ON = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]


@covers("streams:late_words", "streams:one_after_another")
@pytest.mark.parametrize(
    ("said", "then", "content"),
    [
        ("!say Wait.", "!say Done.", ["Wait.\n\nDone."]),
        ("!refuse Never.", "!say Done.", ["Never.", "Done."]),
        ("!say Wait.", "!refuse Never.", ["Wait.", "Never."]),
        ("!say Wait.", "!usage 1 1", ["Wait."]),
    ],
)
def test_words_after_a_function_begin_the_answer_to_its_output(
    talk: Talk, said: str, then: str, content: list[str]
) -> None:
    frames = talk.frames(f"!call f\n{said}\n!then\n{then}", tools=_F)
    assert outline(frames) == [*_RUN, *_CALL, "thread.run.requires_action", "done"]
    rest = talk.submit_frames(last(frames, "thread.run.requires_action"), ["ok"])
    assert outline(rest) == [*_GO_ON, *_SAID, "thread.run.completed", "done"]
    message = last(rest, "thread.message.completed")
    told = [part.get("refusal") or part["text"]["value"] for part in message["content"]]
    assert told == content
    assert folded(rest, "thread.message.delta")[message["id"]]["content"] == message["content"]


@covers("streams:late_words")
def test_words_after_a_function_are_told_once(talk: Talk) -> None:
    frames = talk.frames("!call f\n!say Wait.\n!then\n!call f\n!then\n!say Done.", tools=_F)
    rest = talk.submit_frames(last(frames, "thread.run.requires_action"), ["ok"])
    assert outline(rest) == [*_GO_ON, *_SAID, *_CALL, "thread.run.requires_action", "done"]
    assert last(rest, "thread.message.completed")["content"][0]["text"]["value"] == "Wait."
    rest = talk.submit_frames(last(rest, "thread.run.requires_action"), ["ok"])
    assert last(rest, "thread.message.completed")["content"][0]["text"]["value"] == "Done."


@covers("streams:late_words")
def test_words_after_calls_of_tools_and_functions_are_told_between_them(talk: Talk) -> None:
    tools = [{"type": "file_search"}, *_F]
    frames = talk.frames("!call f\n!search a\n!say Wait.", tools=tools)
    search = [*_CALL, "thread.run.step.completed"]
    told = [*_RUN, *search, *_SAID, *_CALL, "thread.run.requires_action", "done"]
    assert outline(frames) == told


@covers("streams:failure")
@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("!error server_error Broken.", []),
        (
            "!say half\n!error server_error Broken.",
            [*_SPEAK, "thread.message.incomplete", "thread.run.step.failed"],
        ),
        ("!call f\n!error server_error Broken.", [*_CALL, "thread.run.step.failed"]),
        (
            "!call f\n!say Wait.\n!error server_error Broken.",
            [
                *_CALL,
                "thread.run.step.failed",
                *_SPEAK,
                "thread.message.incomplete",
                "thread.run.step.failed",
            ],
        ),
    ],
)
def test_a_failure_closes_what_is_open(talk: Talk, text: str, opened: list[str]) -> None:
    frames = talk.frames(text, tools=_F)
    assert outline(frames) == [*_RUN, *opened, "thread.run.failed", "done"]
    failed = last(frames, "thread.run.failed")
    assert failed["last_error"] == {"code": "server_error", "message": "Broken."}
    assert failed["usage"] is not None


@covers("streams:failure", "field:usage")
def test_functions_of_an_answer_that_fails_are_shown_beside_tools_too(talk: Talk) -> None:
    tools = [{"type": "file_search"}, *_F]
    frames = talk.frames("!call f\n!error server_error Broken.", tools=tools)
    told = [*_RUN, *_CALL, "thread.run.step.failed", "thread.run.failed", "done"]
    assert outline(frames) == told
    failed = last(frames, "thread.run.failed")
    assert failed["usage"] == last(frames, "thread.run.step.failed")["usage"]
    assert failed["usage"]["prompt_tokens"] > 0


@covers("streams:cancel")
@pytest.mark.parametrize(
    ("text", "seen", "opened"),
    [
        ("!think 60", "thread.run.in_progress", []),
        (
            "!say half\n!think 60",
            "thread.message.delta",
            ["thread.message.incomplete", "thread.run.step.cancelled"],
        ),
        ("!call f\n!think 60", "thread.run.step.delta", ["thread.run.step.cancelled"]),
    ],
)
def test_a_cancellation_from_another_connection(
    talk: Talk, text: str, seen: str, opened: list[str]
) -> None:
    stream = talk.open(text, tools=_F)
    before = stream.until(seen)
    assert talk.cancel(before[0].data).status == 200
    rest = outline([f for f in stream if not f.event.endswith(".delta")])
    assert rest == ["thread.run.cancelling", *opened, "thread.run.cancelled", "done"]


@covers("streams:expiry")
def test_expiry_while_streaming() -> None:
    with running() as server:
        talk = Talk(server.http())
        stream = talk.open("!say half\n!think 600")
        run = stream.until("thread.message.delta")[0].data
        server.clock.advance(600)
        assert talk.read(run)["status"] == "expired"
        rest = list(stream)
        assert outline(rest) == [
            "thread.message.incomplete",
            "thread.run.step.expired",
            "thread.run.expired",
            "done",
        ]
        assert rest[0].data["incomplete_details"] == {"reason": "run_expired"}
        stream.close()


@covers("streams:token_limit")
def test_the_end_of_the_tokens(talk: Talk) -> None:
    frames = talk.frames("!words 100", max_completion_tokens=16)
    assert outline(frames) == [
        *_RUN,
        *_SPEAK,
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
        "done",
    ]
    cut = last(frames, "thread.message.incomplete")
    assert cut["incomplete_details"] == {"reason": "max_tokens"}
    assert folded(frames, "thread.message.delta")[cut["id"]]["content"] == cut["content"]


@covers("streams:token_limit")
def test_an_answer_that_is_cut_before_its_first_word_still_bears_its_cost(talk: Talk) -> None:
    frames = talk.frames("!cut")
    assert outline(frames)[-4:] == [
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
        "done",
    ]
    run = last(frames, "thread.run.incomplete")
    assert run["usage"] == last(frames, "thread.run.step.completed")["usage"]


@covers("streams:late_words", "streams:token_limit", "streams:one_after_another")
def test_words_after_a_call_are_told_though_the_answer_is_cut(talk: Talk) -> None:
    frames = talk.frames("!call f\n!say Wait.\n!cut", tools=_F)
    assert outline(frames)[len([*_RUN, *_CALL]) :] == [
        "thread.run.step.completed",
        *_SPEAK,
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
        "done",
    ]
    message = last(frames, "thread.message.incomplete")
    assert message["content"][0]["text"]["value"] == "Wait."


@covers("streams:content_filter")
def test_a_filtered_answer(talk: Talk) -> None:
    frames = talk.frames("!say half\n!filter")
    assert last(frames, "thread.message.incomplete")["incomplete_details"] == {
        "reason": "content_filter"
    }
    assert outline(frames)[-2:] == ["thread.run.incomplete", "done"]


@covers("streams:keep_alive")
def test_silence_is_filled_with_comments() -> None:
    with running(keep_alive_s=0.02) as server:
        talk = Talk(server.http())
        stream = talk.open("!think 0.2\n!say done")
        assert outline(list(stream))[-1] == "done"
        assert stream.comments
        assert set(stream.comments) == {b": keep-alive"}
        stream.close()


@covers("streams:keep_alive")
def test_silence_is_kept_where_no_comments_are_wanted() -> None:
    with running(keep_alive_s=0) as server:
        stream = Talk(server.http()).open("!think 0.2\n!say done")
        assert outline(list(stream))[-1] == "done"
        assert not stream.comments
        stream.close()


@covers("streams:leaving")
def test_a_client_that_leaves_does_not_stop_the_run(talk: Talk) -> None:
    stream = talk.open("!pace 0.001\n!words 50")
    run = stream.until("thread.message.delta")[0].data
    stream.close()
    assert talk.until(run, "completed", "cancelled", "failed")["status"] == "completed"


@covers("threads.runs.events:replay", "threads.runs.events:last_event_id", "streams:ids")
def test_a_stream_is_taken_up_after_any_of_its_events(http: Http, talk: Talk) -> None:
    frames = talk.frames("!say one\n!call f", tools=_F)
    run = last(frames, "thread.run.requires_action")
    frames = frames[:-1] + talk.submit_frames(run, ["ok"])
    told = [b"id: %d\n%b" % (number, frame.raw) for number, frame in enumerate(frames[:-1], 1)]
    told.append(frames[-1].raw)
    path = f"{path_of(run)}/events"
    for seen in range(len(told)):
        for query, headers in ((f"?after={seen}", {}), ("", {"Last-Event-ID": str(seen)})):
            with_id: Any = headers
            stream = http.stream("GET", path + query, headers=with_id)
            assert [frame.raw for frame in stream] == told[seen:]
            stream.close()


@covers("threads.runs.events:last_event_id")
def test_a_place_in_a_stream_says_nothing_about_a_list(http: Http, talk: Talk) -> None:
    """A client that gives the header with every request gets whole lists."""
    run = talk.run("hello")
    for told in ("3", run["id"]):
        answer = http.get(f"{path_of(run)}/steps", headers={"Last-Event-ID": told})
        assert len(answer.json["data"]) == 1
        answer = http.get(f"/v1/threads/{run['thread_id']}/runs", headers={"Last-Event-ID": told})
        assert len(answer.json["data"]) == 1


@covers("threads.runs.events:refusals")
def test_a_place_that_cannot_be_is_refused(http: Http, talk: Talk) -> None:
    run = talk.run("hello")
    assert http.get(f"{path_of(run)}/events?after=x").error["param"] == "after"
    assert http.get(f"/v1/threads/{run['thread_id']}/runs/run_x/events").status == 404


def _calls(frames: list[Frame]) -> list[dict[str, Any]]:
    return [
        call
        for frame in frames
        if frame.event == "thread.run.step.delta"
        for call in frame.data["delta"]["step_details"]["tool_calls"]
    ]
