"""What a refusal costs: as much in a long body as in a short one."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.kit.costs import calls_of

from locum.api import validation
from locum.errors import InvalidRequest
from locum.wire.runs import CreateRun
from locum.wire.threads import CreateThread

_PART = {"type": "text", "text": "a"}
_HELLO = {"role": "user", "content": [_PART]}
_FEW, _MANY = 3, 900
_FAR = f"a`$.messages[{10**8}].role"


def _threads(last: Any, **more: Any) -> Callable[[int], tuple[type, Any]]:
    return lambda number: (CreateThread, {"messages": [*[_HELLO] * number, last], **more})


def _run(number: int) -> tuple[type, Any]:
    return CreateRun, {"additional_messages": [_HELLO] * number}


def _part(number: int) -> tuple[type, Any]:
    content = [*[_PART] * number, {"type": "text"}]
    return CreateThread, {"messages": [_HELLO | {"content": content}, *[_HELLO] * number]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_threads(_HELLO | {"role": "x"}), "Supported values are: 'user' and 'assistant'."),
        (_threads({"role": "user"}), "Missing required parameter: 'messages[{}].content'."),
        (_threads(7), "'messages[{}]': expected an object, but got an integer"),
        (_threads(_HELLO, metadata={"k": 1}), "Invalid type for 'metadata.k': expected a string"),
        (_threads(_HELLO, foo=1), "Unknown parameter: 'foo'."),
        (_run, "Missing required parameter: 'assistant_id'."),
        (_part, "Missing required parameter: 'messages[0].content[{}].text'."),
        # Keys that read like a place: one that is good, and one that is not there.
        (_threads(_HELLO, **{"a`$.messages[1]": 1}), "Unknown parameter: 'a`$.messages[1]'."),
        (_threads(_HELLO, **{_FAR: 1}), f"Unknown parameter: '{_FAR}'."),
    ],
)
def test_to_say_what_is_wrong_takes_no_walk_through_what_is_good(
    body: Callable[[int], tuple[type, Any]], message: str
) -> None:
    async def calls(number: int) -> int:
        kind, value = body(number)
        content = json.dumps(value).encode()

        async def refuse() -> None:
            with pytest.raises(InvalidRequest) as refused:
                validation.decode_body(kind, content)
            assert message.format(number) in refused.value.message

        return await calls_of(refuse)

    few, many = (asyncio.run(calls(number)) for number in (_FEW, _MANY))
    assert many - few < _MANY / 4
