"""The scripted model: answers by rule, the same request always in the same way, with no network.

It is the test double of this project and of whoever builds on it. The user's own text, or a file
of rules, says what it does (`script.py` reads that); text that asks for nothing is echoed.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec.structs import replace

from locum.llm import script, tokens
from locum.llm.minimal import smallest, smallest_arguments
from locum.llm.protocol import (
    Assistant,
    CallBegun,
    CallDelta,
    Event,
    Finished,
    ModelError,
    Named,
    Offer,
    RefusalDelta,
    Request,
    System,
    Text,
    TextDelta,
    ToolResult,
    Usage,
    User,
)
from locum.llm.quoting import MARKER, quotation, words

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLACEHOLDER = re.compile(r"\{(result|marker)(?::([1-9]\d?))?\}|\{(user|instructions|model)\}")


class Scripted:
    name: ClassVar[str] = "scripted"

    def __init__(
        self,
        rules: Sequence[script.Rule] = (),
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._rules = [
            (re.compile(rule.when, re.IGNORECASE), script.read_script(rule.script))
            for rule in rules
        ]
        self._sleep = sleep

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        scene = _Scene(request)
        speech = _Speech(scene, budget=request.max_tokens)
        pace = 0.0
        for action in self._plan(scene):
            match action:
                case script.Think(seconds):
                    await self._sleep(seconds)
                case script.Pace(seconds):
                    pace = seconds
                case script.Fail(code, message):
                    raise ModelError(message, code=code)
                case script.Stop(reason):
                    yield speech.finish(reason)
                    return
                case script.Report(usage):
                    speech.reported = usage
                case script.Say() | script.Refuse() | script.Use():
                    for event in speech.events(action):
                        # A turn to the others at every word, as a model on a wire would give.
                        await self._sleep(pace)
                        yield event
                case script.Repeat():
                    pass
            if speech.is_cut:
                break
        yield speech.finish("length" if speech.is_cut else None)

    async def models(self) -> list[str]:
        return ["scripted"]

    async def check(self) -> str:
        return f"The scripted model answers here, by directive and {len(self._rules)} rules."

    async def close(self) -> None:
        """Nothing is held."""

    def _plan(self, scene: "_Scene") -> list[script.Action]:
        turns = script.read_script(scene.words)
        if not turns:
            found = (turns for pattern, turns in self._rules if pattern.search(scene.words))
            turns = next(found, ())
        turn = scene.allowed(_current(turns, answered=scene.answered))
        return [scene.filled(action) for action in turn] or [scene.unscripted()]


class _Scene:
    """What a request shows: what the user said last, and which of our calls were answered since."""

    def __init__(self, request: Request) -> None:
        self.request = request
        spoken = [at for at, one in enumerate(request.messages) if isinstance(one, User)]
        self.words = _text_of(request.messages[spoken[-1]]) if spoken else ""
        since = request.messages[spoken[-1] + 1 :] if spoken else request.messages
        self.results = [one.content for one in since if isinstance(one, ToolResult)]
        self.answered = sum(
            len(one.tool_calls or ()) for one in since if isinstance(one, Assistant)
        )
        self.markers = [mark for result in self.results for mark in MARKER.findall(result)]

    def allowed(self, turn: list[script.Action]) -> list[script.Action]:
        """`turn` as the choice of tools has it: no call, one call, or at least one."""
        choice = self.request.choice
        if choice == "none":
            turn = [one for one in turn if not isinstance(one, script.Use)]
        elif not self.request.parallel:
            turn = _with_first_call(turn)
        called = [one for one in turn if isinstance(one, script.Use)]
        ends_early = any(isinstance(one, script.Fail | script.Stop) for one in turn)
        if choice in ("none", "auto") or called or ends_early:
            return turn
        return [*turn, *self._forced()]

    def unscripted(self) -> script.Action:
        """Say something when nothing was asked for."""
        answer = quotation(self.results) if self.results else f"You said: {self.words}"
        wanted = self.request.response_format or {}
        if wanted.get("type") == "json_schema":
            schema = wanted.get("json_schema", {}).get("schema", {})
            return script.Say(_json(smallest(schema)))
        if wanted.get("type") == "json_object":
            return script.Say(_json({"answer": answer}))
        return script.Say(answer)

    def filled(self, action: script.Action) -> script.Action:
        """What a script says, with its placeholders replaced by what they stand for."""
        if not isinstance(action, script.Say | script.Refuse):
            return action
        return replace(action, text=_PLACEHOLDER.sub(self._placeholder, action.text))

    def tool(self, use: script.Use) -> tuple[str, str]:
        """Name a call and write its arguments. What was never offered is called all the same."""
        if use.kind == "function":
            return use.name, use.text
        offers = [one for one in self.request.offers if one.kind == use.kind]
        if not offers:
            word = "code" if use.kind == "code_interpreter" else "query"
            return use.name, _json({word: use.text})
        function = offers[0].function
        return function.name, _json(smallest_arguments(function.parameters, words=use.text))

    def _forced(self) -> list[script.Action]:
        choice = self.request.choice
        offers = self.request.offers
        if isinstance(choice, Named):
            offers = tuple(one for one in offers if one.function.name == choice.name)
        if not offers:
            return []
        function = offers[0].function
        arguments = smallest_arguments(function.parameters, words=self._words_for(offers[0]))
        return [script.Use(kind="function", name=function.name, text=_json(arguments))]

    def _words_for(self, offer: Offer) -> str | None:
        if offer.kind == "file_search":
            return self.words
        return f"print({self.words!r})" if offer.kind == "code_interpreter" else None

    def _placeholder(self, match: re.Match[str]) -> str:
        match match[3]:
            case "user":
                return self.words
            case "instructions":
                systems = [m.content for m in self.request.messages if isinstance(m, System)]
                return "\n".join(systems)
            case "model":
                return self.request.model
        found = self.results if match[1] == "result" else self.markers
        at = int(match[2] or 1) - 1
        return found[at] if at < len(found) else ""


class _Speech:
    """One turn as it is spoken: words and calls, counted, and cut where the tokens end."""

    def __init__(self, scene: _Scene, *, budget: int | None) -> None:
        self._scene = scene
        self._budget = budget
        self._spent = 0
        self._calls = 0
        self._kinds: set[type[TextDelta | RefusalDelta]] = set()
        self.is_cut = False
        self.reported: Usage | None = None

    def events(self, action: script.Say | script.Refuse | script.Use) -> Iterator[Event]:
        match action:
            case script.Say(text):
                return self._text(TextDelta, text)
            case script.Refuse(text):
                return self._text(RefusalDelta, text)
            case script.Use():
                return self._call(*self._scene.tool(action))

    def finish(self, reason: Literal["length", "content_filter"] | None) -> Finished:
        request = self._scene.request
        prompt = tokens.count_messages(request.messages, request.offers)
        usage = self.reported or Usage(prompt_tokens=prompt, completion_tokens=self._spent)
        return Finished(reason=reason or ("calls" if self._calls else "stop"), usage=usage)

    def _text(self, kind: type[TextDelta | RefusalDelta], text: str) -> Iterator[Event]:
        if kind in self._kinds:
            text = f"\n{text}"
        self._kinds.add(kind)
        for word in words(self._afforded(text)):
            yield kind(word)

    def _call(self, name: str, arguments: str) -> Iterator[Event]:
        index = self._calls
        self._calls += 1
        self._afforded(name)
        yield CallBegun(index=index, id=self._call_id(index), name=name)
        for word in words(self._afforded(arguments)):
            yield CallDelta(index=index, arguments=word)

    def _afforded(self, text: str) -> str:
        """Spend tokens on `text`, and give back as much of it as they pay for."""
        wanted = tokens.count(text)
        if self._budget is not None and self._spent + wanted > self._budget:
            left = max(self._budget - self._spent, 0)
            self.is_cut = True
            self._spent += left
            return tokens.head(text, left)
        self._spent += wanted
        return text

    def _call_id(self, index: int) -> str:
        """Make the id that belongs to this place in this conversation, the same every time."""
        said = msgspec.json.encode((self._scene.request.messages, index))
        number = int.from_bytes(hashlib.sha256(said).digest()[:20])
        letters = []
        for _ in range(24):
            number, digit = divmod(number, 62)
            letters.append(_BASE62[digit])
        return "call_" + "".join(letters)


def _current(turns: Sequence[script.Turn], *, answered: int) -> list[script.Action]:
    """Find the turn to take when so many calls of this script have been made before.

    Calls are counted, not turns: whoever asks may show the calls of one turn as several messages.
    """
    made = 0
    for turn in turns:
        calls = [action for action in turn if isinstance(action, script.Use)]
        if answered <= made or any(isinstance(action, script.Repeat) for action in turn):
            return list(turn)
        if answered < made + len(calls):
            return list(calls[answered - made :])
        made += len(calls)
    return []


def _with_first_call(turn: list[script.Action]) -> list[script.Action]:
    kept: list[script.Action] = []
    for action in turn:
        if not (isinstance(action, script.Use) and any(isinstance(a, script.Use) for a in kept)):
            kept.append(action)
    return kept


def _text_of(message: Any) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, Text))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
