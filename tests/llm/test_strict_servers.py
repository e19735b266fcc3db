"""What servers refuse of messages and parameters, in their words, and what they get then."""

from typing import Any

import pytest
from tests.kit.fake_model import refuses, sends, speaks
from tests.llm.asking_chat import ask, failure_of
from tests.llm.turns import WEATHER, asking

from locum.llm.faults import TOO_LONG
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Function,
    Image,
    ImageURL,
    Message,
    Named,
    Offer,
    Request,
    System,
    Text,
    ToolResult,
    User,
)

CALLED = Assistant(None, (Call("call_1", CalledFunction("get_weather", "{}")),))
ANSWERED = ToolResult("call_1", "mild")


def sent_after(words: str, *messages: Message, status: int = 400) -> list[dict[str, Any]]:
    """The messages that a server gets which has refused the first request in these words."""
    request = Request(model="any", messages=messages, offers=(WEATHER,))
    _, server = ask(refuses(status, {"error": {"message": words}}), speaks(), request=request)
    assert len(server.bodies) == 2
    sent: list[dict[str, Any]] = server.bodies[1]["messages"]
    return sent


# Parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "words", "status"),
    [
        ("top_p", "invalid top_p: only 0.95 is allowed for this model", 400),
        ("temperature", "invalid temperature: only 1 is allowed for this model", 400),
        ("reasoning_effort", "Model grok-4 does not support parameter reasoningEffort.", 400),
        ("reasoning_effort", '"llama3.1:8b" does not support thinking', 400),
        ("reasoning_effort", 'think value "medium" is not supported for this model', 500),
    ],
    ids=["Kimi", "Kimi, again", "xAI", "Ollama", "Ollama, again"],
)
def test_what_is_refused_in_other_words_is_left_out(
    parameter: str, words: str, status: int
) -> None:
    request = asking("!say Hi", temperature=0.7, top_p=1.0, reasoning_effort="medium")
    refusal = refuses(status, {"error": {"message": words}})
    turn, server = ask(refusal, speaks(), request=request)
    assert turn.text == "Hi"
    assert set(server.bodies[0]) - set(server.bodies[1]) == {parameter}


@pytest.mark.parametrize(
    "words",
    [
        "Invalid value: 'minimal' (reasoning_effort). Supported values are: 'low', 'high'.",
        "reasoning_effort must be one of low, high",
    ],
    ids=["OpenAI", "Groq"],
)
def test_an_effort_that_a_model_does_not_know_is_left_to_it(words: str) -> None:
    request = asking("!say Hi", reasoning_effort="minimal")
    turn, server = ask(refuses(400, {"error": {"message": words}}), speaks(), request=request)
    assert (turn.text, "reasoning_effort" in server.bodies[1]) == ("Hi", False)


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 20000. This model supports at most 16384 completion tokens.",
        "maximum context length is 8192 tokens (200 in the messages, 20000 in the completion)",
        "'max_tokens' or 'max_completion_tokens' is too large: 20000. The context has",
        "max_tokens: 20000 > 8192, which is the maximum allowed number of output tokens",
        "`max_tokens` must be less than or equal to `8192`",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "The maximum tokens you requested exceeds the model limit of 4096.",
    ],
    ids=[
        *("OpenAI", "older OpenAI", "vLLM", "Anthropic", "Groq", "DeepSeek", "DashScope"),
        *("Anthropic, together", "Bedrock"),
    ],
)
def test_a_limit_that_no_answer_can_reach_is_left_out_of_this_request_alone(words: str) -> None:
    refusal = refuses(400, {"error": {"message": words}})
    request = asking("!say Hi", max_tokens=20_000)
    turn, server = ask(refusal, speaks(), request=request)
    assert turn.text == "Hi"
    assert [body.get("max_tokens") for body in server.bodies] == [20_000, None]


def test_a_prompt_that_is_too_long_without_a_limit_as_well_is_too_long() -> None:
    words = "maximum context length is 8192 tokens (9000 in the messages, 20000 in the completion)"
    refusal = refuses(400, {"error": {"message": words}})
    error = failure_of(refusal, refusal, request=asking("!say Hi", max_tokens=20_000))
    assert TOO_LONG.search(error.message)


# Choices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        (
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
            "required",
        ),
        ("deepseek-reasoner does not support this tool_choice", None),
        ("tool_choice does not support being set to required or object in thinking mode", None),
    ],
    ids=["LM Studio", "DeepSeek", "Qwen"],
)
def test_who_takes_no_named_function_is_offered_no_other(words: str, choice: str | None) -> None:
    other = Offer(Function("get_time", None, {}))
    request = Request(
        model="any",
        messages=(User("Paris?"),),
        offers=(other, WEATHER),
        choice=Named("get_weather"),
    )
    _, server = ask(refuses(400, {"error": {"message": words}}), speaks(), request=request)
    first, second = server.bodies
    assert first["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert second.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in second["tools"]] == ["get_weather"]


def test_that_nothing_may_be_called_is_still_said_to_who_takes_no_choice() -> None:
    words = "deepseek-reasoner does not support this tool_choice"
    request = Request(model="any", messages=(User("Paris?"),), offers=(WEATHER,), choice="required")
    refusal = refuses(400, {"error": {"message": words}})
    _, server = ask(refusal, speaks(), request=request)
    assert "tool_choice" not in server.bodies[1]
    assert len(server.bodies[1]["tools"]) == 1


def test_what_is_refused_within_the_stream_is_left_out() -> None:
    refusal = sends('data: {"error": {"message": "Unsupported parameter: top_p"}}\n\n')
    turn, server = ask(refusal, speaks(), request=asking("!say Hi", top_p=1.0))
    assert (turn.text, "top_p" in server.bodies[1]) == ("Hi", False)


# Messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "Invalid 'content': 'content' field must be a string or an array of objects.",
        "AiError: Bad input: Error: Type mismatch of '/messages/1/content', 'null' not in 'string'",
        '[{"loc":["body","messages",1,"content"],"msg":"Input should be a valid string"}]',
    ],
    ids=["LM Studio", "Workers AI", "pydantic"],
)
def test_calls_without_text_have_an_empty_one_where_there_must_be_one(words: str) -> None:
    told = sent_after(words, User("Paris?"), CALLED, ANSWERED)
    assert [message["content"] for message in told] == ["Paris?", "", "mild"]


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ((), ["user"]),
        ((System("Be kind."),), ["system", "user"]),
        ((System("Be kind."), Assistant("Hello!")), ["system", "user", "assistant"]),
    ],
    ids=["nothing", "system", "assistant"],
)
@pytest.mark.parametrize(
    "words",
    [
        "* GenerateContentRequest.contents: contents is not specified",
        "A conversation must start with a user message. Try again with a conversation that does.",
        "No user query found in messages.",
    ],
    ids=["Gemini", "Bedrock", "Qwen"],
)
def test_somebody_asks_where_nobody_has(
    words: str, messages: tuple[Message, ...], roles: list[str]
) -> None:
    refusal = refuses(400, {"error": {"message": words}})
    request = Request(model="any", messages=messages)
    replies = [refusal, speaks()] if Assistant("Hello!") in messages else [refusal] * 2 + [speaks()]
    _, server = ask(*replies, request=request)
    assert [message["role"] for message in server.bodies[-1]["messages"]] == roles


@pytest.mark.parametrize("place", ["tool_calls[0].id", "tool_call_id"])
def test_ids_that_are_too_long_are_shortened(place: str) -> None:
    """As Gemini's are at some gateways, and OpenAI takes forty characters."""
    words = f"Invalid 'messages[1].{place}': string too long. Expected a string with maximum length"
    long = "call_" + "x" * 60
    called = Assistant(None, (Call(long, CalledFunction("get_weather", "{}")),))
    told = sent_after(words, User("Paris?"), called, ToolResult(long, "mild"))
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]
    assert len(told[2]["tool_call_id"]) < 40


def test_ids_of_others_that_claude_does_not_take_are_shortened() -> None:
    """As Kimi's are, which name the function."""
    words = "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    theirs = "functions.get_weather:0"
    called = Assistant(None, (Call(theirs, CalledFunction("get_weather", "{}")),))
    told = sent_after(words, User("Paris?"), called, ToolResult(theirs, "mild"))
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]
    assert told[2]["tool_call_id"].isalnum()


@pytest.mark.parametrize(
    "words",
    [
        "messages: text content blocks must be non-empty",
        "The text field in the ContentBlock object at messages.2.content.0 is blank.",
    ],
    ids=["Anthropic", "Bedrock"],
)
def test_a_tool_that_gave_nothing_has_given_a_sign_where_there_must_be_one(words: str) -> None:
    told = sent_after(words, User("Paris?"), CALLED, ToolResult("call_1", ""))
    assert told[2] == {"role": "tool", "tool_call_id": "call_1", "content": "."}


@pytest.mark.parametrize(
    "words",
    [
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        "Anthropic doesn't support tool calling without `tools=` param specified. Pass `tools=` …",
    ],
    ids=["Bedrock", "LiteLLM"],
)
def test_a_tool_is_offered_where_there_must_be_one_beside_calls(words: str) -> None:
    """The calls are an earlier run's; this one has no tools."""
    refusal = refuses(400, {"error": {"message": words}})
    request = Request(model="any", messages=(User("Paris?"), CALLED, ANSWERED, User("Thanks!")))
    _, server = ask(refusal, speaks(), request=request)
    (tool,) = server.bodies[1]["tools"]
    assert "tools" not in server.bodies[0]
    assert tool["function"]["name"] == "no_tool"
    assert server.bodies[1] == {**server.bodies[0], "tools": [tool]}


def test_no_tool_is_offered_where_no_call_was_made() -> None:
    words = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    request = Request(model="any", messages=(User("Paris?"),))
    refusal = refuses(400, {"error": {"message": words}})
    assert failure_of(refusal, request=request).message == words


def test_content_that_is_no_text_is_not_taken_for_none() -> None:
    words = "'content' must be a string"
    picture = User((Text("What?"), Image(ImageURL("https://a.example/b.png"))))
    error = failure_of(
        refuses(400, {"error": {"message": words}}), request=Request(model="m", messages=(picture,))
    )
    assert error.message == words


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Conversation roles must alternate user/assistant/user/assistant/...", 400),
        (
            "Jinja Exception: After the optional system message, conversation roles must alternate",
            500,
        ),
        (
            "user or tool message(s) should alternate with assistant message(s).",
            400,
        ),
    ],
    ids=["Gemma", "llama.cpp", "Perplexity"],
)
def test_turns_alternate_where_they_must(words: str, status: int) -> None:
    picture = Image(ImageURL("https://a.example/b.png"))
    messages = (
        System("Be kind."),
        Assistant("Hello!"),
        User("One."),
        User((Text("Two."), picture)),
        Assistant("Let me see."),
        Assistant("Yes."),
        User("Paris?"),
        User("Now!"),
        CALLED,
        ANSWERED,
        User("And?"),
    )
    told = sent_after(words, *messages, status=status)
    assert [(message["role"], message["content"]) for message in told] == [
        ("system", "Be kind."),
        ("user", "."),
        ("assistant", "Hello!"),
        (
            "user",
            [
                {"type": "text", "text": "One."},
                {"type": "text", "text": "Two."},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            ],
        ),
        ("assistant", "Let me see.\n\nYes."),
        ("user", "Paris?\n\nNow!"),
        ("assistant", None),
        ("tool", "mild"),
        ("assistant", "."),
        ("user", "And?"),
    ]


@pytest.mark.parametrize(
    "words",
    ["System role not supported", "Developer instruction is not enabled for models/gemma-3-27b-it"],
    ids=["Gemma", "Gemma at Google"],
)
def test_instructions_are_said_by_the_user_where_no_system_may_speak(words: str) -> None:
    told = sent_after(words, System("Be kind."), User("Hi"), Assistant("Yes?"), User("Paris?"))
    assert [(message["role"], message["content"]) for message in told] == [
        ("user", "Be kind.\n\nHi"),
        ("assistant", "Yes?"),
        ("user", "Paris?"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        "No assistant message prefill. The conversation must end with a user message.",
        "Expected last role User or Tool (or Assistant with prefix True) but got assistant",
        "Assistant response prefill is incompatible with enable_thinking.",
    ],
    ids=["Anthropic", "Mistral", "llama.cpp"],
)
def test_somebody_asks_where_nobody_has_and_somebody_must(words: str) -> None:
    told = sent_after(words, User("Hi"), Assistant("Hello."))
    assert [message["role"] for message in told] == ["user", "assistant", "user"]


def test_instructions_are_said_by_the_user_where_turns_alternate_and_are_refused() -> None:
    """Mixtral's template counts the system as a turn."""
    words = "Conversation roles must alternate user/assistant/user/assistant/..."
    refusal = refuses(400, {"error": {"message": words}})
    request = Request(model="m", messages=(System("Be kind."), User("Paris?")))
    _, server = ask(refusal, refusal, speaks(), request=request)
    assert server.bodies[2]["messages"] == [{"role": "user", "content": "Be kind.\n\nParis?"}]


def test_what_was_learnt_is_remembered_together() -> None:
    words = ("System role not supported", "Conversation roles must alternate user/assistant")
    refusals = [refuses(400, {"error": {"message": told}}) for told in words]
    request = Request(model="m", messages=(System("Be kind."), User("One."), User("Two.")))
    _, server = ask(*refusals, speaks(), request=request)
    assert server.bodies[2]["messages"] == [{"role": "user", "content": "Be kind.\n\nOne.\n\nTwo."}]
