"""The manifest and the tests hold each other: nothing promised untested, nothing tested unsaid."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.contract.coverage import coverage_table, route_resource, shown_in
from tests.contract.requirements import BY_ID, REQUIREMENTS, covers

from locum.api.routes import ROUTES

_ROOT = Path(__file__).parents[2]


@covers("manifest:tests")
def test_every_promise_has_a_test_or_a_gap_and_every_contract_test_a_promise() -> None:
    assert len(BY_ID) == len(REQUIREMENTS)
    covered: Counter[str] = Counter()
    silent = []
    for path in sorted((_ROOT / "tests").rglob("test_*.py")):
        for name, ids in _claims(path):
            covered.update(ids)
            if not ids and path.parent.name == "contract":
                silent.append(f"{path.name}::{name}")
    assert not silent, f"tests without a promise: {silent}"
    untested = [r.id for r in REQUIREMENTS if r.gap is None and r.id not in covered]
    assert not untested, f"promises without a test: {untested}"
    assert set(covered) <= set(BY_ID)


@covers("manifest:routes")
def test_every_route_has_a_promise() -> None:
    promised = {requirement.resource for requirement in REQUIREMENTS}
    missing = {route_resource(route) for route in ROUTES} - promised
    assert not missing, f"routes without a promise: {sorted(missing)}"


@covers("manifest:readme")
def test_the_readme_shows_the_coverage() -> None:
    assert shown_in(_ROOT / "README.md") == coverage_table(), (
        "Run `python -m tests.contract.coverage` to write it anew."
    )


def _claims(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every test of a file, and what it says it covers; read, not imported."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield (
                node.name,
                [
                    argument.value
                    for decorator in node.decorator_list
                    if isinstance(decorator, ast.Call)
                    and isinstance(decorator.func, ast.Name)
                    and decorator.func.id == "covers"
                    for argument in decorator.args
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                ],
            )
