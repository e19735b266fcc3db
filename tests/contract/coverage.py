"""The table of promises that the README shows. `python -m tests.contract.coverage` writes it."""

from collections import defaultdict
from pathlib import Path

from tests.contract.requirements import REQUIREMENTS, Requirement

from locum.api.operation import Route

_BEGIN, _END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
_SPECIAL = {
    "/threads/runs": "threads.runs.create_with_thread",
    "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs": "threads.runs.submit",
    "/threads/{thread_id}/runs/{run_id}/cancel": "threads.runs.cancel",
    "/threads/{thread_id}/runs/{run_id}/events": "threads.runs.events",
}
_ACTIONS = ("cancel", "complete", "search")
_VERBS = {
    ("POST", False): "create",
    ("GET", False): "list",
    ("GET", True): "get",
    ("POST", True): "modify",
    ("DELETE", True): "delete",
}


def route_resource(route: Route) -> str:
    """The name under which the manifest knows an operation, such as `threads.runs.steps.list`."""
    if route.path in _SPECIAL:
        return _SPECIAL[route.path]
    words = [part for part in route.path.split("/") if part and not part.startswith("{")]
    if words[-1] in _ACTIONS:
        return ".".join(words)
    verb = _VERBS[route.method, route.path.endswith("}")]
    return ".".join([*words, verb])


def coverage_table() -> str:
    groups: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in REQUIREMENTS:
        groups[_group(requirement)].append(requirement)
    lines = ["| | promises | proven by tests | gaps |", "|---|---|---|---|"]
    for group, held in groups.items():
        gaps = sum(requirement.gap is not None for requirement in held)
        lines.append(f"| {group} | {len(held)} | {len(held) - gaps} | {gaps or '–'} |")
    lines += [f"\n{r.sentence} Not yet: {r.gap}" for r in REQUIREMENTS if r.gap is not None]
    return "\n".join(lines)


def shown_in(readme: Path) -> str:
    _, found, rest = readme.read_text("utf-8").partition(_BEGIN)
    assert found, f"{readme.name} has no {_BEGIN}"
    return rest.partition(_END)[0].strip()


def _group(requirement: Requirement) -> str:
    words = requirement.resource.split(".")
    for inner, name in (("steps", "run steps"), ("runs", "runs"), ("messages", "messages")):
        if inner in words:
            return name
    return words[0].replace("_", " ")


def _write(readme: Path) -> None:
    before, _, rest = readme.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    readme.write_text(f"{before}{_BEGIN}\n{coverage_table()}\n{_END}{after}", "utf-8")


if __name__ == "__main__":
    _write(Path("README.md"))
