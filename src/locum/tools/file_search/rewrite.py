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
_CLOSINGS = re.compile(r"(?:[\s?!.,]|\b(?:thanks|thank you|please)\b)+$", re.IGNORECASE)


def rewrite(query: str) -> str:
    """What is left to search for; the query itself when nothing would be."""
    plain = " ".join(query.split())
    short = _CLOSINGS.sub("", _OPENINGS.sub("", plain))
    return short if re.search(r"\w{2}", short) else plain
