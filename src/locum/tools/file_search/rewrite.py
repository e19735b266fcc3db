"""Rewriting a query without a model: courtesies and question words go, the matter stays."""

import re

_OPENINGS = re.compile(
    r"^(?:(?:hello|hi|hey|please|thanks|thank you|ok|okay|so|and|"
    r"(?:can|could|would|will) you(?: please)?(?: kindly)?|"
    r"(?:i(?:'d| would) like|i want|i need) to know|do you know|"
    r"(?:tell|show|explain to|remind) me(?: about)?|explain|"
    r"(?:what|who|where|when|which|why)(?:'s| is| are| was| were| does| do| did)?|"
    r"how (?:do|does|did|can|could|should|would) (?:i|we|you|one)|how (?:is|are))\b[\s,:!.]*)+",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"\b(?:thanks|thank you|please)$", re.IGNORECASE)
# The longest of them, and what stands before it.
_CLOSING_CHARS = len("thank you") + 1


def rewrite(query: str) -> str:
    """What is left to search for; the query itself when nothing would be."""
    plain = " ".join(query.split())
    short = _without_closings(_OPENINGS.sub("", plain))
    return short if re.search(r"\w{2}", short) else plain


def _without_closings(text: str) -> str:
    while True:
        text = text.rstrip(" ?!.,")
        closing = _CLOSING.search(text, max(0, len(text) - _CLOSING_CHARS))
        if closing is None:
            return text
        text = text[: closing.start()]
