"""Servers that repeat the name of a call with every piece: when is the call another one?"""

from collections.abc import Iterable

import pytest
from tests.kit.fake_model import streams
from tests.llm.hearing import calls, ends, hear, piece
from tests.llm.turns import asking

from locum.llm.answers import Answer, CalledPiece, CallPiece, Choice, Chunk, Delta
from locum.llm.kept import Kept
from locum.llm.protocol import CallDelta, CalledFunction


def heard(pieces: Iterable[str]) -> list[str]:
    """The arguments of each call."""
    answer = Answer(asking("Hi"), new_call_id=lambda: "call_1", kept=Kept())
    written: dict[int, list[str]] = {}
    for arguments in pieces:
        call = CallPiece(index=0, function=CalledPiece("f", arguments))
        for event in answer.read(Chunk(choices=[Choice(delta=Delta(tool_calls=[call]))])):
            if isinstance(event, CallDelta):
                written.setdefault(event.index, []).append(event.arguments)
    return ["".join(one) for one in written.values()]


@pytest.mark.parametrize("sign", ["x", "}"])
def test_a_very_long_call_is_not_read_through_with_every_piece(sign: str) -> None:
    """Were it, this would take minutes."""
    more = "x" * 3_999 + sign
    (arguments,) = heard(['{"a":"', *[more] * 8_000, '"}'])
    assert arguments == '{"a":"' + more * 8_000 + '"}'


def test_arguments_that_are_whole_are_followed_by_another_call() -> None:
    assert heard(['{"a":', "1}\n", '{"b":2}', "[3]", "{}"]) == [
        '{"a":1}\n',
        '{"b":2}',
        "[3]",
        "{}",
    ]


def test_arguments_nested_without_end_are_one_call() -> None:
    deep = "[" * 100_000
    turn = hear(
        streams(
            calls(piece("f", deep, index=0)),
            calls(piece("f", "]" * 100_000, index=0)),
            calls(piece("f", "}", index=0)),
            ends("tool_calls"),
        )
    )
    assert turn.calls == [CalledFunction("f", deep + "]" * 100_000 + "}")]
