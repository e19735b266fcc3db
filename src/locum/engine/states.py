"""The states of runs and steps, as tables, and the one function that moves a run."""

from typing import Any, Final

from msgspec.structs import replace

from locum.wire.runs import Run, RunStatus

NEXT: Final[dict[RunStatus, frozenset[RunStatus]]] = {
    "queued": frozenset({"in_progress", "cancelling", "failed", "expired"}),
    "in_progress": frozenset(
        {"requires_action", "completed", "incomplete", "failed", "cancelling", "expired"}
    ),
    "requires_action": frozenset({"queued", "cancelling", "failed", "expired"}),
    # Work that ended before the cancellation reached it stays ended.
    "cancelling": frozenset({"cancelled", "completed", "incomplete", "failed", "expired"}),
    "cancelled": frozenset(),
    "failed": frozenset(),
    "completed": frozenset(),
    "incomplete": frozenset(),
    "expired": frozenset(),
}

TERMINAL: Final = frozenset(status for status, following in NEXT.items() if not following)
ACTIVE: Final = frozenset(NEXT) - TERMINAL


def move(run: Run, status: RunStatus, *, now: int, **changes: Any) -> Run:
    """The run in its next state, with the timestamps that belong to it."""
    assert status in NEXT[run.status], f"{run.id}: {run.status} -> {status}"
    if status in TERMINAL:
        changes = {"expires_at": None, "required_action": None} | changes
    match status:
        case "in_progress":
            changes["started_at"] = now
        case "completed" | "incomplete":
            changes["completed_at"] = now
        case "failed":
            changes["failed_at"] = now
        case "cancelled":
            changes["cancelled_at"] = now
        case "queued" | "cancelling":
            changes["required_action"] = None
    return replace(run, status=status, **changes)
