"""A model's server that wants to see again what it gave with a call, or refuses."""

from typing import Any

from aiohttp import web
from tests.kit.fake_model import Reply, refuses, streams

SIGNED = {"google": {"thought_signature": "c2lnbmVk"}}
MISSES_SIGNATURE = (
    "Function call is missing a thought_signature in functionCall parts. This is required for"
    " tools to work correctly. Additional data, function call `default_api:get_weather`,"
    " position 2."
)
MISSES_THOUGHTS = (
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"
)
SUNNY = streams({"choices": [{"delta": {"content": "Sunny."}, "finish_reason": "stop"}]})
ALL_THOUGHTS = "The `reasoning_content` in the thinking mode must be passed back to the API."


def calls(*cities: str, first: dict[str, Any] | None = None, **said: Any) -> Reply:
    """A call for each city, numbered like those of every other answer; fields of the first."""
    pieces: list[dict[str, Any]] = [
        {
            "id": f"call_{place}",
            "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'},
        }
        for place, city in enumerate(cities)
    ]
    pieces[0] |= first or {}
    thought = {"choices": [{"delta": said}]} if said else {}
    made = {"choices": [{"delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}]}
    return streams(thought, made)


def insists(check: str, words: str) -> Reply:
    """Answer only who has given back what was given."""

    async def reply(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answers = [one for one in body["messages"] if one["role"] == "assistant"]
        given = [
            one["tool_calls"][0].get("extra_content")
            if check == "extra_content"
            else one.get(check)
            for one in answers
        ]
        chosen = SUNNY if all(given) else refuses(400, [{"error": {"message": words}}])
        return await chosen(request, body)

    return reply
