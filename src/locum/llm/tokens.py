"""How many tokens a text is, by the tables of cl100k, which come with a package of ours.

Exact for models that use that encoding, a fair estimate for the others. Nothing is downloaded.
"""

from collections.abc import Iterable
from functools import cache

import msgspec
import quicktok

from locum.llm.protocol import Assistant, Message, Offer, Text, User

# What Chat Completions adds around every message, its role included, and before the answer.
_PER_MESSAGE = 4
_PRIMING = 3
# A picture at low detail. Its true price depends on pixels nobody here has looked at.
_PER_IMAGE = 85
# Characters that are counted of what belongs together, and of each text after that.
_MOST_COUNTED = 512 << 10
_BEGINS = 512


def count(text: str) -> int:
    counted: int = _encoding().count(_encodable(text))
    return counted


def encode(text: str) -> list[int]:
    """The tokens of a text that can be encoded: one without half a surrogate pair."""
    ids: list[int] = _encoding().encode_ordinary(text)
    return ids


def token_bytes(token: int) -> bytes:
    single: bytes = _encoding().decode_single_token_bytes(token)
    return single


def head(text: str, tokens: int) -> str:
    """Cut `text` to its first so many tokens, never inside a character."""
    ids = encode(_encodable(text))
    if len(ids) <= tokens:
        return text
    kept: bytes = _encoding().decode_bytes(ids[: max(tokens, 0)])
    return kept.decode(errors="ignore")


def count_messages(messages: Iterable[Message], offers: Iterable[Offer] = ()) -> int:
    """Count a prompt: its messages, and the functions offered with them."""
    return Tally().messages(messages, offers)


class Tally:
    """Counts what belongs together, and goes on by its beginnings once it has counted much.

    Sixty megabytes of letters without a space take half a minute, in which nobody else is
    answered. Nothing depends on the last token of as much: no server that tells no count reads it.
    """

    def __init__(self) -> None:
        self._left = _MOST_COUNTED

    def text(self, text: str) -> int:
        if len(text) <= self._left:
            self._left -= len(text)
            return count(text)
        self._left = 0
        begins = text[:_BEGINS]
        return count(begins) * len(text) // len(begins)

    def messages(self, messages: Iterable[Message], offers: Iterable[Offer] = ()) -> int:
        total = _PRIMING
        for message in messages:
            total += _PER_MESSAGE + self._message(message)
        for offer in offers:
            total += _PER_MESSAGE + self.text(msgspec.json.encode(offer.function).decode())
        return total

    def _message(self, message: Message) -> int:
        total = 0
        if isinstance(message, User) and not isinstance(message.content, str):
            for part in message.content:
                total += self.text(part.text) if isinstance(part, Text) else _PER_IMAGE
        elif isinstance(message.content, str):
            total += self.text(message.content)
        if isinstance(message, Assistant) and message.tool_calls:
            for call in message.tool_calls:
                total += _PER_MESSAGE + self.text(call.function.name)
                total += self.text(call.function.arguments)
        return total


def _encodable(text: str) -> str:
    # A lone surrogate, which JSON can carry, has no bytes to count; it counts as a question mark.
    return text if text.isascii() else text.encode(errors="replace").decode()


@cache
def _encoding() -> quicktok.Tokenizer:
    # A quarter of a second: paid by the first count, not by the import.
    return quicktok.get_encoding("cl100k_base")
