"""The body of a Chat Completions request, and what a server that refuses part of it gets next."""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from locum.llm import alternating
from locum.llm.faults import Fault
from locum.llm.kept import Given, Kept
from locum.llm.protocol import Assistant, Function, Message, Named, Offer, Request, ToolResult

# What may be left out without changing what is asked, or only how finely. A limit of tokens has
# two names, so the first refusal of one means the other.
_DROPPABLE = (
    "stream_options",
    "parallel_tool_calls",
    "max_completion_tokens",
    "max_tokens",
    "strict",
    "reasoning_effort",
    # Some take one of the next two, never both: the temperature is what people set.
    "top_p",
    "temperature",
)
_REFUSAL = re.compile(
    r"unsupported|not support|n.t support|unrecognized|unrecognised|unknown|unexpected|"
    r"not permitted|not allowed|extra (inputs|fields|parameter)|invalid (parameter|argument)|"
    r"only supported|not available|additional properties|cannot both be|deprecated|"
    r"is allowed for this model",
    re.IGNORECASE,
)
# Of a value that some other server knows.
_OTHER_VALUE = re.compile(r"must be one of|invalid value|supported values are", re.IGNORECASE)
# What xAI and Ollama call it.
_EFFORT = "reasoningEffort|support thinking|think value"
_ALSO_CALLED = {"reasoning_effort": _EFFORT, "reasoning": _EFFORT}
# None: within a stream that was accepted. Templates of llama.cpp refuse with 500.
_REFUSING_STATUSES = (None, 400, 404, 422, 500, 501)
# What some want to see again of their own answers, and how they ask for it.
_SIGNATURE = "thought_signature"
_THOUGHTS = "reasoning_content"
_MISSED = re.compile(r"missing|must be (passed|provided|included)|requires", re.IGNORECASE)
# Where it is lost: Google's own word for a call that it has not signed, and, as Kimi takes no
# empty text, next to nothing.
_UNSIGNED = {"google": {_SIGNATURE: "skip_thought_signature_validator"}}
_NOTHING = "."
# Mistral takes no ids of calls but those in its own form, OpenAI none longer than forty characters;
# other models' have another, and may be longer.
_SHORT_IDS = "tool_call_id"
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
# Whose turn it is, who may speak, who speaks last: in words of templates and of providers.
_TURNS = "turns"
_NO_SYSTEM = "system"
_USER_LAST = "user_last"
# What a tool has given, if it is nothing: Bedrock.
_FILLED = "filled"
# A text beside calls, if an empty one: LM Studio and Workers AI know no null there.
_CONTENT = "content"
# A tool beside calls of earlier runs, though this one has none: Bedrock, and LiteLLM before Claude.
_TOOL = "tool"
# That a user has spoken at all, wherever.
_SPOKEN_TO = r"must start with a user|no user query|contents.{0,9} (is|are) not specified"
_ASKED_FOR = {
    _SHORT_IDS: r"tool call id .+ with a length of 9|"
    r"(tool_calls\[\d+\]\.id|tool_call_id)\W+string too long|"
    r"tool_(use|call)(\.id|_id)\b.{0,40}should match pattern",
    _TURNS: r"(must|should) alternate|unexpected role '?user'? after role '?tool|" + _SPOKEN_TO,
    # Where the turns alternate, it may be the system that is one too many: Mixtral's template.
    _NO_SYSTEM: r"system role (is )?not supported|developer instruction is not enabled|"
    r"must alternate",
    _USER_LAST: r"must end with a user|\bprefill\b.+incompatible|(expected )?last role user|"
    r"last message must (be|have)|" + _SPOKEN_TO,
    _FILLED: r"(content|text)\b.{0,80}(non-?empty|(is|be) (blank|empty))",
    _CONTENT: r"content\b.{0,80}(must be|should be|not in) .{0,9}string",
    _TOOL: r"toolConfig field must be defined|tool calling without .?tools=",
}
_OF_MESSAGES = frozenset({_SIGNATURE, _THOUGHTS, *_ASKED_FOR})
_NO_TOOL = Offer(Function("no_tool", "Does nothing. It must not be called.", {}))
# A function that must be called, said in a word and by offering no other: LM Studio. That none
# must be: models that think.
_CHOICE_IN_A_WORD = "named_choice"
_NO_CHOICE = "forced_choice"
_OTHER_CHOICES = {
    _CHOICE_IN_A_WORD: r"tool_choice type: '?object",
    _NO_CHOICE: r"tool_choice\b.{0,100}(thinking|required or object)|thinking.{0,100}\btool_choice|"
    r"support this tool_choice",
}


def body(request: Request, *, kept: Kept, without: frozenset[str] = frozenset()) -> bytes:
    """Write the request, leaving out the parameters `without` names.

    What it wants of messages is named there as well: they are not sent without it.
    """
    document: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request, kept, without),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning_effort,
        "response_format": request.response_format,
        # The older name first: servers that do not know the newer one ignore it in silence.
        _name_of_limit(without): request.max_tokens,
    }
    if request.offers:
        offers, choice = _called_for(request, without)
        document["tools"] = [_tool(offer, without) for offer in offers]
        if choice != "auto":
            document["tool_choice"] = choice
        if not request.parallel:
            document["parallel_tool_calls"] = False
    elif _TOOL in without and any(isinstance(one, ToolResult) for one in request.messages):
        document["tools"] = [_tool(_NO_TOOL, without)]
    return msgspec.json.encode(
        {
            name: value
            for name, value in document.items()
            if value is not None and name not in without
        }
    )


def refused(
    fault: Fault,
    *,
    without: frozenset[str],
    sent: bytes,
    droppable: Iterable[str] = _DROPPABLE,
) -> str | None:
    """Name the parameter this fault is about, if it is one we can do without."""
    if fault.status not in _REFUSING_STATUSES:
        return None
    is_unknown = _REFUSAL.search(fault.message)
    is_other_value = _OTHER_VALUE.search(fault.message)
    for name in droppable:
        if not (is_unknown or (is_other_value and name in _ALSO_CALLED)):
            continue
        names = "|".join([name, *filter(None, [_ALSO_CALLED.get(name)])])
        is_named = fault.param == name or re.search(rf"\b({names})\b", fault.message)
        if is_named and name not in without and f'"{name}":'.encode() in sent:
            return name
    return None


def missed(fault: Fault, *, without: frozenset[str], sent: bytes) -> str | None:
    """Name what this fault misses of the messages, if it does."""
    if fault.status not in _REFUSING_STATUSES:
        return None
    wanted = _found(_ASKED_FOR, fault)
    if _CONTENT in wanted and b'"content":null' not in sent:
        wanted.remove(_CONTENT)  # It is about another content.
    if _TOOL in wanted and (b'"tools":' in sent or b'"tool_calls":' not in sent):
        wanted.remove(_TOOL)
    if b'"tool_choice":' in sent:
        wanted += _found(_OTHER_CHOICES, fault)
    if _MISSED.search(fault.message):
        wanted += [name for name in (_SIGNATURE, _THOUGHTS) if name in fault.message]
    return next((name for name in wanted if name not in without), None)


def _found(known: Mapping[str, str], fault: Fault) -> list[str]:
    return [name for name, words in known.items() if re.search(words, fault.message, re.IGNORECASE)]


def _messages(request: Request, kept: Kept, without: frozenset[str]) -> Sequence[Any]:
    given = kept.of(request)
    if not given and without.isdisjoint(_OF_MESSAGES):
        return request.messages
    told = [(message, given.get(place)) for place, message in enumerate(request.messages)]
    if _NO_SYSTEM in without:
        told = alternating.without_system(told)
    if _TURNS in without:
        told = alternating.alternating(told)
    if _USER_LAST in without:
        told = alternating.ending_with_user(told)
    return [_wanted(message, found, without) for message, found in told]


def _wanted(message: Message, given: Given | None, without: frozenset[str]) -> Any:
    match message:
        case Assistant():
            return _given_back(message, given, without)
        case ToolResult(call_id, content):
            return ToolResult(
                _short(call_id) if _SHORT_IDS in without else call_id,
                content or (_NOTHING if _FILLED in without else content),
            )
    return message


def _given_back(message: Assistant, given: Given | None, without: frozenset[str]) -> dict[str, Any]:
    """An answer with what its server wants to see again.

    Signatures and details go to whoever has given them, thoughts only to who asks: others refuse
    them.
    """
    document: dict[str, Any] = msgspec.to_builtins(message)
    if _THOUGHTS in without:
        document[_THOUGHTS] = (given and given.thoughts) or _NOTHING
    if _CONTENT in without:
        document["content"] = message.content or ""
    if given and given.details:
        document["reasoning_details"] = given.details
    extras = given.extras if given else ()
    if _SIGNATURE in without and not any(extras):
        extras = (_UNSIGNED,)  # Of calls made together only the first is signed.
    for call, extra in zip(document.get("tool_calls", ()), extras, strict=False):
        if extra:
            call["extra_content"] = extra
    if _SHORT_IDS in without:
        for call in document.get("tool_calls", ()):
            call["id"] = _short(call["id"])
    return document


def _short(call_id: str) -> str:
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return blake2b(call_id.encode(), digest_size=5).hexdigest()[:9]


def _name_of_limit(without: frozenset[str]) -> str:
    return "max_completion_tokens" if "max_tokens" in without else "max_tokens"


def _tool(offer: Offer, without: frozenset[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"name": offer.function.name}
    if offer.function.description:
        described["description"] = offer.function.description
    # An empty schema means no parameters to OpenAI, and an error to others.
    described["parameters"] = offer.function.parameters or {"type": "object", "properties": {}}
    if offer.function.strict and "strict" not in without:
        described["strict"] = True
    return {"type": "function", "function": described}


def _called_for(request: Request, without: frozenset[str]) -> tuple[Sequence[Offer], Any]:
    """What is offered, and what of it must be called."""
    offers, choice = request.offers, request.choice
    if isinstance(choice, Named):
        if without.isdisjoint(_OTHER_CHOICES):
            return offers, {"type": "function", "function": {"name": choice.name}}
        offers = tuple(offer for offer in offers if offer.function.name == choice.name) or offers
        choice = "required"
    return offers, "auto" if choice == "required" and _NO_CHOICE in without else choice
