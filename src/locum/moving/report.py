"""What an import tells at its end: what came, what did not, and why."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from locum.moving.kinds import KINDS
from locum.moving.writing import STATES
from locum.store.staging import Note, Staging

_SHOWN_OF_EACH: Final = 5


class Report(Struct, frozen=True, kw_only=True):
    dry_run: bool
    # By kind, then by what became of the objects: created, replaced, unchanged, differs, refused.
    objects: dict[str, dict[str, int]]
    notes: list[Note]

    @property
    def is_whole(self) -> bool:
        """Whether everything that was in the dump is here now."""
        return not any(
            states.get("refused") or states.get("differs") for states in self.objects.values()
        ) and not any(note.said.startswith("not imported") for note in self.notes)


def report(staging: Staging, *, dry: bool) -> Report:
    counted = staging.counts()
    return Report(
        dry_run=dry,
        objects={kind.name: counted[kind.name] for kind in KINDS if kind.name in counted},
        notes=list(staging.notes()),
    )


def lines(report: Report) -> Iterator[str]:
    """The report for people: a table, and each reason once with a few of those it befell."""
    if report.dry_run:
        yield "A dry run: nothing was written."
    if not report.objects:
        yield "Nothing was found that could be imported."
    for kind, states in report.objects.items():
        told = ", ".join(f"{states[state]} {state}" for state in STATES if states.get(state))
        yield f"{kind.replace('_', ' '):<19} {told}"
    by_reason: dict[tuple[str, str], list[str]] = {}
    for note in report.notes:
        times = f" ({note.times} times)" if note.times > 1 else ""
        by_reason.setdefault((note.kind, note.said), []).append(f"{note.id}{times}")
    for (kind, said), named in by_reason.items():
        some = ", ".join(named[:_SHOWN_OF_EACH])
        more = len(named) - _SHOWN_OF_EACH
        yield f"! {kind.replace('_', ' ')}: {said}: {some}{f' and {more} more' if more > 0 else ''}"
