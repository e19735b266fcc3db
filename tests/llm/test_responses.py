"""What the adapter of the Responses API asks of a server, and what it makes of its answers."""

import asyncio
import json
from typing import Any

import pytest
from tests.kit.fake_model import FakeModel, Hanging, Reply, breaks_off, refuses, sends
from tests.kit.fake_responses import (
    browses,
    calls,
    check_request,
    codes,
    events,
    fails,
    finds,
    paints,
    reaches,
    responds,
    says,
    thinks,
    wants_approval,
    whole,
)
from tests.llm.asking_chat import KEY, Naps
from tests.llm.turns import PYTHON, SEARCH, WEATHER, asking, collect, fold

from locum.llm.endpoint import Timeouts
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Event,
    Finished,
    Function,
    Image,
    ImageURL,
    ModelError,
    Named,
    Offer,
    ProviderCallBegun,
    ProviderCallDelta,
    ProviderCallDone,
    Request,
    System,
    Text,
    TextDelta,
    ToolResult,
    Usage,
    User,
)
from locum.llm.responses import Responses
from locum.wire.steps import (
    Code,
    CodeInterpreterCall,
    FileSearchCall,
    FunctionCall,
    FunctionDone,
    LogOutput,
)

_CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
_FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}
_WEB = {"type": "web_search"}

# The first word of an answer, and no more.
_BEGINNING = "".join(f"data: {json.dumps(event)}\n\n" for event in events(says("Well"))[:4])


def ask(
    *replies: Reply, request: Request | None = None, **options: Any
) -> tuple[list[Event], FakeModel]:
    server = FakeModel(*replies)

    async def scene() -> list[Event]:
        async with server:
            backend = Responses(server.url, sleep=Naps(), **options)
            return await collect(backend, request or asking("Hello"))

    return asyncio.run(scene()), server


def failure_of(*replies: Reply, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as failure:
        ask(*replies, **options)
    return failure.value


# What is sent ------------------------------------------------------------------------------


def test_a_request_is_written_as_the_responses_api_has_it() -> None:
    picture = Image(ImageURL("data:image/png;base64,AA==", detail="low"))
    call = Call("call_1", CalledFunction("get_weather", "{}"))
    messages = (
        System("Be kind."),
        User((Text("What is this?"), picture)),
        Assistant("Let me see.", (call,)),
        ToolResult("call_1", "mild"),
        User("Thanks"),
    )
    request = Request(
        model="gpt-5",
        messages=messages,
        offers=(WEATHER, Offer(Function("noop", None, {}, strict=True))),
        choice=Named("noop"),
        parallel=False,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        temperature=0.0,
        top_p=0.5,
        reasoning_effort="low",
        max_tokens=300,
    )
    _, server = ask(responds(says("Hi")), request=request, key=KEY)
    (received,) = server.received
    assert received.path == "/v1/responses"
    assert received.headers["Authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "gpt-5",
        "instructions": "Be kind.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,AA==",
                        "detail": "low",
                    },
                ],
            },
            {"role": "assistant", "content": "Let me see."},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "get_weather",
                "arguments": "{}",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "mild"},
            {"role": "user", "content": "Thanks"},
        ],
        "stream": True,
        "store": False,
        "temperature": 0.0,
        "top_p": 0.5,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}},
        "max_output_tokens": 300,
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather of a city.",
                "parameters": WEATHER.function.parameters,
                "strict": False,
            },
            {
                "type": "function",
                "name": "noop",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        ],
        "tool_choice": {"type": "function", "name": "noop"},
        "parallel_tool_calls": False,
    }


def test_ids_of_calls_that_the_api_takes_for_too_long_are_told_shorter() -> None:
    ids = ["call_" + "x" * 5_000, "call_" + "x" * 4_999 + "y", "c" * 64]
    calls = tuple(Call(one, CalledFunction("get_weather", "{}")) for one in ids)
    results = [ToolResult(one, "mild") for one in ids]
    request = Request(model="m", messages=(User("Hi"), Assistant(None, calls), *results))
    _, server = ask(responds(says("Hi")), request=request)
    told = [item["call_id"] for item in server.bodies[0]["input"][1:]]
    assert told[:3] == told[3:]
    assert len(set(told)) == 3
    assert max(map(len, told)) == 64
    assert told[2] == ids[2]


def test_instructions_are_the_input_where_nothing_else_is() -> None:
    request = Request(model="gpt-5", messages=(System("Say hello."),), max_tokens=3)
    _, server = ask(responds(says("Hi")), request=request)
    assert server.bodies[0]["input"] == [{"role": "system", "content": "Say hello."}]
    assert "instructions" not in server.bodies[0]
    assert server.bodies[0]["max_output_tokens"] == 16


def test_a_provider_s_tools_stand_in_for_ours_where_the_run_has_them() -> None:
    hosted = (_CODE, _FILES, _WEB)
    request = asking("Hello", offers=(WEATHER, PYTHON), choice=Named("python"))
    _, server = ask(responds(says("Hi")), request=request, hosted_tools=hosted)
    (body,) = server.bodies
    assert [tool["type"] for tool in body["tools"]] == [
        "function",
        "code_interpreter",
        "web_search",
    ]
    assert body["tool_choice"] == {"type": "code_interpreter"}
    assert body["include"] == ["code_interpreter_call.outputs", "web_search_call.action.sources"]
    request = asking("Hello", offers=(SEARCH,), choice="required")
    _, server = ask(responds(says("Hi")), request=request, hosted_tools=(_CODE, _FILES))
    assert server.bodies[0]["tools"] == [_FILES]
    assert server.bodies[0]["tool_choice"] == "required"
    _, server = ask(responds(says("Hi")), request=asking("Hello", offers=(PYTHON,)))
    assert [tool["name"] for tool in server.bodies[0]["tools"]] == ["python"]


def test_what_a_server_refuses_is_not_sent_again() -> None:
    refusal = refuses(400, {"error": {"message": "Unsupported parameter: 'temperature'"}})
    request = asking("Hello", temperature=1.0)
    heard, server = ask(refusal, responds(says("Hi")), request=request)
    assert isinstance(heard[-1], Finished)
    assert ["temperature" in body for body in server.bodies] == [True, False]


# What is heard -----------------------------------------------------------------------------


def test_text_refusals_and_calls_are_heard_as_they_come() -> None:
    items = (thinks(), says("Let me see."), calls("get_weather", '{"city": "Paris"}'))
    heard, _ = ask(responds(*items), request=asking("Hello", offers=(WEATHER,)))
    assert [event.text for event in heard if isinstance(event, TextDelta)] == [
        "Let ",
        "me ",
        "see.",
    ]
    turn = fold(heard)
    assert turn.calls == [CalledFunction("get_weather", '{"city": "Paris"}')]
    assert turn.finished == Finished("calls", Usage(7, 5, 2, 1))
    refused, _ = ask(responds(says("I will not.", refusal=True)))
    assert fold(refused).refusal == "I will not."


def test_code_that_the_provider_ran_is_told_as_it_is_written_and_with_what_it_printed() -> None:
    image = "https://provider.example/cntr_1/plot.png"
    heard, _ = ask(responds(codes("print(6 * 7)", logs="42\n", image=image), says("It is 42.")))
    assert isinstance(heard[0], ProviderCallBegun)
    assert (heard[0].kind, heard[0].name) == ("code_interpreter", "")
    written = "".join(event.text for event in heard if isinstance(event, ProviderCallDelta))
    assert written == "print(6 * 7)"
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    outputs = (LogOutput("42\n"), LogOutput(f"[a picture: {image}]\n"))
    assert done.call == CodeInterpreterCall(
        id=heard[0].id, code_interpreter=Code("print(6 * 7)", outputs)
    )
    assert (done.name, done.arguments) == ("code_interpreter", "print(6 * 7)")
    assert "42" in done.result
    assert fold(heard).text == "It is 42."


def test_passages_that_the_provider_found_bear_their_scores() -> None:
    heard, _ = ask(responds(finds(("lease.txt", "Rent is due on the 3rd.", 0.91))))
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    assert isinstance(done.call, FileSearchCall)
    (passage,) = done.call.file_search.results
    assert (passage.file_id, passage.file_name) == ("file-lease.txt", "lease.txt")
    assert passage.score == 0.91
    assert done.arguments == '{"queries":["rent"]}'
    assert "Rent is due" in done.result


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (
            browses("news", "https://a.example"),
            FunctionDone(
                "web_search",
                '{"type":"search","query":"news"}',
                '{"sources":[{"type":"url","url":"https://a.example"}]}',
            ),
        ),
        (
            browses("news"),
            FunctionDone("web_search", '{"type":"search","query":"news"}', None),
        ),
        (
            reaches("my notes", "read", '{"n": 1}', output="Rent."),
            FunctionDone("my_notes__read", '{"n": 1}', "Rent."),
        ),
        (
            paints("a cat"),
            FunctionDone(
                "image_generation",
                '{"prompt":"a cat"}',
                "[a picture, 12 characters of base64]",
            ),
        ),
    ],
    ids=["web_search", "web_search_without_sources", "mcp", "image"],
)
def test_what_the_original_api_had_no_tool_for_is_told_as_a_function(
    made: Any, shown: FunctionDone
) -> None:
    heard, _ = ask(responds(made, says("So.")))
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    assert done.call == FunctionCall(id=done.id, function=shown)
    assert done.error is None
    written = "".join(event.text for event in heard if isinstance(event, ProviderCallDelta))
    assert written == shown.arguments


def test_a_call_that_fails_at_the_provider_says_why() -> None:
    heard, _ = ask(responds(reaches("notes", "read", "{}", error="Bad gateway"), says("Sorry.")))
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    assert done.error == "Bad gateway"
    assert done.result == "Error: Bad gateway"
    heard, _ = ask(responds(codes("1/0", status="failed"), says("Sorry.")))
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    assert done.error == "The provider of the model could not carry out this call."


def test_a_server_that_does_not_stream_is_understood() -> None:
    document = whole(says("Well."), codes("1", logs="1"), calls("get_weather", "{}"))
    heard, _ = ask(sends(json.dumps(document), content_type="application/json"))
    turn = fold(heard)
    assert (turn.text, turn.calls) == ("Well.", [CalledFunction("get_weather", "{}")])
    assert [type(event).__name__ for event in heard if "Provider" in type(event).__name__] == [
        "ProviderCallBegun",
        "ProviderCallDelta",
        "ProviderCallDone",
    ]
    assert turn.finished.reason == "calls"


def test_a_stream_whose_events_have_no_deltas_loses_nothing() -> None:
    told = [
        event
        for event in events(says("Well."), calls("get_weather", "{}"), codes("1", logs="1"))
        if not event["type"].endswith((".delta", "output_item.added"))
    ]
    heard, _ = ask(sends(*(f"data: {json.dumps(event)}\n\n" for event in told)))
    turn = fold(heard)
    assert (turn.text, turn.calls) == ("Well.", [CalledFunction("get_weather", "{}")])
    assert not turn.finished.counted_by_backend
    assert turn.finished.usage.completion_tokens > 0


def test_an_answer_that_is_numbered_in_two_ways_is_heard_once() -> None:
    """As LiteLLM sums up: where the reasoning comes first, which its stream has given no number."""
    document = whole(thinks(), says("Well."), calls("get_weather", "{}"))
    told = events(thinks(), says("Well."), calls("get_weather", "{}"))
    for event in told:
        if event.get("output_index"):
            event["output_index"] -= 1
    told[-1]["response"] = document
    heard, _ = ask(sends(*(f"data: {json.dumps(event)}\n\n" for event in told)))
    turn = fold(heard)
    assert (turn.text, turn.calls) == ("Well.", [CalledFunction("get_weather", "{}")])


@pytest.mark.parametrize("unsaid", ["nothing", "response.output_item.added"])
def test_items_that_share_a_number_are_told_apart_by_kind(unsaid: str) -> None:
    told = [
        event | {"output_index": 0} if "output_index" in event else event
        for event in events(thinks(), says("Well."), calls("get_weather", "{}"))
        if event["type"] != unsaid
    ]
    heard, _ = ask(sends(*(f"data: {json.dumps(event)}\n\n" for event in told)))
    turn = fold(heard)
    assert (turn.text, turn.calls) == ("Well.", [CalledFunction("get_weather", "{}")])


@pytest.mark.parametrize(
    ("reason", "ours"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_answer_that_is_cut_says_why(reason: str, ours: str) -> None:
    heard, _ = ask(responds(says("Half"), status="incomplete", reason=reason))
    assert fold(heard).finished.reason == ours


# What goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("server_error", "server_error"),
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("invalid_image_url", "invalid_prompt"),
        ("bio_policy", "server_error"),
    ],
)
def test_a_response_that_fails_says_why(code: str, ours: str) -> None:
    error = failure_of(fails(code, f"No, {KEY}.", says("Half")), key=KEY)
    assert (error.message, error.code) == ("No, ***.", ours)


def test_what_fails_before_its_first_word_is_asked_again() -> None:
    error = {"type": "error", "code": "server_error", "message": "Busy", "param": None}
    broken = sends(f"data: {json.dumps(error | {'sequence_number': 0})}\n\n")
    early = breaks_off(f"data: {json.dumps(events()[0])}\n\n")
    heard, server = ask(
        broken, fails("server_error", "Busy"), early, responds(says("Hi")), retries=3
    )
    assert fold(heard).text == "Hi"
    assert len(server.bodies) == 4
    refused = failure_of(refuses(429, {"error": {"message": "Slow down"}}), retries=0)
    assert refused.code == "rate_limit_exceeded"


def test_an_answer_that_ends_before_its_last_event_is_none() -> None:
    told = events(says("Half"))[:-1]
    error = failure_of(sends(*(f"data: {json.dumps(event)}\n\n" for event in told)))
    assert error.message == "The model's server ended its answer before it was whole."
    assert failure_of(sends("data: 1\n\n")).message.startswith("The model's server sent what is no")


def test_what_nobody_here_can_carry_out_ends_the_turn() -> None:
    error = failure_of(responds(wants_approval()))
    assert (
        error.message
        == "The model asks for a 'mcp_approval_request', which nobody here carries out."
    )


def test_whoever_stops_listening_closes_the_connection() -> None:
    hanging = Hanging(
        "".join(f"data: {json.dumps(event)}\n\n" for event in events(says("Well"))[:4])
    )

    async def scene() -> None:
        async with FakeModel(hanging) as server, asyncio.timeout(30):
            backend = Responses(server.url)
            stream = backend.stream(asking("Hello"))
            assert await anext(stream) == TextDelta("Well")
            await stream.aclose()
            await hanging.left.wait()
            await backend.close()

    asyncio.run(scene())


def test_a_server_that_falls_silent_is_given_up() -> None:
    hanging = Hanging(
        "".join(f"data: {json.dumps(event)}\n\n" for event in events(says("Well"))[:4])
    )
    error = failure_of(hanging, timeouts=Timeouts(idle_s=0.05))
    assert error.message == "The model said nothing for 0.05 s in mid-answer."


def test_the_test_s_own_server_knows_what_may_be_asked() -> None:
    with pytest.raises(AssertionError):
        check_request({"model": "a", "input": "b", "stream": True, "bogus": 1})
