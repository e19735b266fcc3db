import random
import string

import pytest
from tests.llm.turns import WEATHER

from locum.llm import tokens
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Image,
    ImageURL,
    System,
    Text,
    ToolResult,
    User,
)


def test_known_texts_have_their_known_counts() -> None:
    assert tokens.count("") == 0
    assert tokens.count("tiktoken is great!") == 6
    assert tokens.count("antidisestablishmentarianism") == 6
    assert tokens.count("2 + 2 = 4") == 7
    assert tokens.count("お誕生日おめでとう") == 9


def test_names_of_special_tokens_are_plain_text() -> None:
    assert tokens.count("<|endoftext|>") > 1


def test_half_a_character_can_be_counted() -> None:
    assert tokens.count("a\ud800b") == tokens.count("a?b")


def test_a_head_is_cut_between_characters() -> None:
    text = "お誕生日おめでとう"
    for most in range(-1, 12):
        head = tokens.head(text, most)
        assert text.startswith(head)
        assert tokens.count(head) <= max(most, 0)
    assert tokens.head(text, 9) == text


def test_every_part_of_a_prompt_counts() -> None:
    call = Call("call_1", CalledFunction("get_weather", '{"city":"Paris"}'))
    prompt = (
        System("Be kind."),
        User((Text("What is this?"), Image(ImageURL("https://example.org/a.png")))),
        Assistant(None, (call,)),
        ToolResult("call_1", "18"),
        Assistant("Mild."),
    )
    counts = [tokens.count_messages(prompt[:length]) for length in range(len(prompt) + 1)]
    assert counts == sorted(set(counts))
    assert tokens.count_messages(prompt, [WEATHER]) > counts[-1] + 20


def test_what_is_very_long_is_counted_by_its_beginnings() -> None:
    """Were all of it counted, this would take minutes, in which nobody else is answered."""
    letters = random.Random(1).choices(string.ascii_lowercase, k=256_000)
    jumble = "".join(letters)
    each = tokens.count(jumble)
    assert tokens.count_messages([User(jumble)] * 2) == 3 + 2 * (4 + each)
    counted = tokens.count_messages([User(jumble)] * 2_000)
    assert abs(counted - 2_000 * each) < 2_000 * each // 10
    assert tokens.Tally().text("word " * 1_000_000) == pytest.approx(1_000_000, rel=0.01)


def test_a_chat_prompt_has_its_known_count() -> None:
    # OpenAI counts three tokens a message, its role, its text, and three before the answer.
    assert tokens.count_messages([User("hello")]) == 3 + 1 + 1 + 3
