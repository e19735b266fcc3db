"""Sixty documents and two hundred questions, the same every time."""

import random
from collections.abc import Iterator

from benchmarks.retrieval.facts import FILLER, FOREIGN, HANDBOOK, MONTHS, OWNERS, REFERENCE
from msgspec import Struct

_SEED = 20261125
_FAMILIES = {
    "Halden": ("pump", ["300", "310", "320", "400", "410"]),
    "Vesta": ("heater", ["S1", "S2", "S3", "X1", "X2"]),
    "Corvus": ("camera", ["11", "12", "21", "22"]),
    "Tern": ("saw", ["A", "B", "C", "D"]),
    "Marram": ("mower", ["40", "45", "50", "55"]),
}
_LIQUIDS = ["warm water", "alcohol", "vinegar", "soapy water", "distilled water", "paraffin oil"]
_PARTS = ["impeller", "burner", "lens", "chain", "blade", "housing"]
# What every manual says of its product, and what people ask.
_SENTENCES = {
    "warranty": (
        (
            "Faults of material and workmanship of the {name} are put right without charge for "
            "{months} months from the day of purchase."
        ),
        "How long is the guarantee on a {name}?",
    ),
    "cleaning": (
        "After each use, rinse the {part} of the {name} with {liquid} and let it dry in the shade.",
        "What do I wash the {name} with?",
    ),
    "noise": (
        "At full load the {name} emits {decibels} dB(A), measured at a distance of one metre.",
        "How loud is the {name}?",
    ),
    "cold": (
        "Keep the {name} above {cold} °C while it is out of service, or seals will burst.",
        "What is the lowest temperature the {name} survives in winter storage?",
    ),
    "weight": (
        "The {name} has a mass of {kilos} kg without packaging and is lifted by two persons.",
        "How heavy is the {name}?",
    ),
    "code": (
        (
            "Code {code} on the display of the {name}: the sensor of the {part} gives no signal; "
            "replace fuse {fuse}."
        ),
        "{code}",
    ),
    "part": (
        "The {part} of the {name} is ordered under part number {number}.",
        "part number {number}",
    ),
}
_PLAIN = ("warranty", "cleaning", "noise", "cold", "weight")


class Document(Struct, frozen=True):
    name: str
    text: str


class Question(Struct, frozen=True):
    kind: str
    text: str
    document: str
    answer: str


class Corpus(Struct, frozen=True):
    documents: list[Document]
    questions: list[Question]


def build() -> Corpus:
    chance = random.Random(_SEED)
    documents: list[Document] = []
    questions: list[Question] = []
    for name, kind, facts in _sources(chance):
        documents.append(Document(name, _page(chance, name, [fact for fact, _, _ in facts])))
        questions += [
            Question(asked_kind or kind, asked, name, fact)
            for fact, asked, asked_kind in facts
            if asked
        ]
    return Corpus(documents, questions)


_Fact = tuple[str, str, str]


def _sources(chance: random.Random) -> Iterator[tuple[str, str, list[_Fact]]]:
    for title, facts in HANDBOOK.items():
        yield f"{title}.md", "paraphrase", [(*fact, "") for fact in facts]
    for (language, title), facts in FOREIGN.items():
        kind = "across languages" if language == "en" else "other language"
        yield f"{title}.{language}.txt", kind, [(*fact, "") for fact in facts]
    for title, facts in REFERENCE.items():
        yield f"{title}.md", "reference", [(*fact, "") for fact in facts]
    asked = _whom_to_ask(chance)
    codes = iter(
        chance.sample([f"E-{a}{b}{c}" for a in "47" for b in "47" for c in range(10, 99)], 22)
    )
    for family, (sort, models) in _FAMILIES.items():
        for model in models:
            name = f"{family} {model}"
            yield f"{name} {sort}.txt", "product", _manual(chance, name, next(asked), next(codes))


def _whom_to_ask(chance: random.Random) -> Iterator[list[str]]:
    """Which attributes of each product are asked for: three or four of each, 68 in all."""
    for number in range(22):
        plain = chance.sample(_PLAIN, 2 if number < 20 else 3)
        yield [*plain, "code" if number % 2 else "part"]


def _manual(chance: random.Random, name: str, asked: list[str], code: str) -> list[_Fact]:
    values = {
        "name": name,
        "months": chance.randrange(12, 72, 6),
        "part": chance.choice(_PARTS),
        "liquid": chance.choice(_LIQUIDS),
        "decibels": chance.randrange(48, 104),
        "cold": chance.randrange(-25, 8),
        "kilos": chance.randrange(9, 90),
        "code": code,
        "fuse": f"F{chance.randrange(1, 30)}",
        "number": f"{chance.randrange(70, 79)}-{chance.randrange(1000, 9999)}-A",
    }
    facts = []
    for attribute, (sentence, question) in _SENTENCES.items():
        kind = "identifier" if attribute in {"code", "part"} else ""
        text = question.format(**values) if attribute in asked else ""
        facts.append((sentence.format(**values), text, kind))
    return facts


def _page(chance: random.Random, name: str, facts: list[str]) -> str:
    """The facts far apart, in paragraphs of filler, under the document's name."""
    parts = [f"# {name.rsplit('.', 1)[0]}"]
    for fact in chance.sample(facts, len(facts)):
        parts += [_filler(chance, 5) for _ in range(chance.randrange(1, 4))]
        parts.append(f"{_filler(chance, 1)} {fact} {_filler(chance, 2)}")
    parts.append(_filler(chance, 4))
    return "\n\n".join(parts)


def _filler(chance: random.Random, sentences: int) -> str:
    chosen = chance.sample(FILLER, sentences)
    return " ".join(
        one.format(owner=chance.choice(OWNERS), month=chance.choice(MONTHS)) for one in chosen
    )
