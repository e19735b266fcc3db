"""What servers refuse of messages and parameters, in their words, and what they get then."""

from typing import Any

import pytest
from tests.kit.fake_model import refuses, sends, speaks
from tests.llm.asking_chat import ask, failure_of
from tests.llm.turns import WEATHER, asking

from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Image,
    ImageURL,
    Message,
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


@pytest.mark.parametrize("place", ["tool_calls[0].id", "tool_call_id"])
def test_ids_that_are_too_long_are_shortened(place: str) -> None:
    """As Gemini's are at some gateways, and OpenAI takes forty characters."""
    words = f"Invalid 'messages[1].{place}': string too long. Expected a string with maximum length"
    long = "call_" + "x" * 60
    called = Assistant(None, (Call(long, CalledFunction("get_weather", "{}")),))
    told = sent_after(words, User("Paris?"), called, ToolResult(long, "mild"))
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]
    assert len(told[2]["tool_call_id"]) < 40


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


def test_what_was_learnt_is_remembered_together() -> None:
    words = ("System role not supported", "Conversation roles must alternate user/assistant")
    refusals = [refuses(400, {"error": {"message": told}}) for told in words]
    request = Request(model="m", messages=(System("Be kind."), User("One."), User("Two.")))
    _, server = ask(*refusals, speaks(), request=request)
    assert server.bodies[2]["messages"] == [{"role": "user", "content": "Be kind.\n\nOne.\n\nTwo."}]
