"""What Locum is made of is listed, licensed for this, and honestly audited."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from tests.kit.environments import tools
from tests.packaging.supply import CLEAN, NOT_AUDITED, WEAK, judge, pins, write_sbom

_LOOK_S: Final = 120
# Licences under which anybody may use Locum as the Apache License says; weak copyleft stays within
# the package that has it, which we neither change nor link into ours.
_GOOD: Final = re.compile(
    r"MIT(-0)?|BSD([ -][23]-Clause)?|[23]-Clause BSD|0BSD|Apache([ -]2\.0)?|ISC|Zlib|CC0-1\.0"
    r"|PSF-2\.0|Python Software Foundation|Unlicense"
    r"|MPL[ -]2\.0|Mozilla Public License 2\.0 MPL 2\.0"
    r"|LGPL[\w.-]*|GNU Library or Lesser General Public License LGPL"
)
# What a package says in words of its own, read by a person once.
_READ: Final = {
    "pypdfium2": "BSD-3-Clause or Apache-2.0; PDFium and what it includes are permissive",
}
_BETWEEN: Final = re.compile(r"\s*(?:;|,| AND | OR | WITH )\s*")


@pytest.mark.slow
def test_the_bill_of_materials_names_every_pin_with_its_hashes(tmp_path: Path) -> None:
    write_sbom(tmp_path / "locum.cdx.json")
    told = json.loads((tmp_path / "locum.cdx.json").read_text("utf-8"))
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "locum"
    assert {part["name"]: part["version"] for part in told["components"]} == pins()
    assert all(part["externalReferences"] for part in told["components"])
    write_sbom(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "locum.cdx.json").read_bytes()


@pytest.mark.slow
def test_every_package_that_is_installed_with_locum_may_be_used_so() -> None:
    listed = subprocess.run(
        [
            *(tools() / "pip-licenses", f"--python={sys.executable}", "--from=mixed"),
            *("--format=json", "--with-system", "--packages", *pins()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=_LOOK_S,
    )
    told = {package["Name"].lower(): package["License"] for package in json.loads(listed.stdout)}
    assert len(told) > 20
    strange = {
        name: words for name, words in told.items() if name not in _READ and not _is_good(words)
    }
    assert not strange


def _is_good(words: str) -> bool:
    said = re.sub(r"[()]|(?<=MIT|BSD) License|(?<=Apache) Software License| License$", "", words)
    return all(_GOOD.fullmatch(part) for part in _BETWEEN.split(said))


@pytest.mark.parametrize("words", ["GPL-3.0", "UNKNOWN", "AGPL-3.0-only", "MIT AND GPL-2.0"])
def test_a_licence_that_binds_others_is_found(words: str) -> None:
    assert not _is_good(words)


def _looked_up(**more: Any) -> dict[str, Any]:
    return {"name": "a", "version": "1", "vulns": []} | more


def test_an_audit_is_clean_only_when_every_package_was_looked_up() -> None:
    assert judge([_looked_up()]) == CLEAN
    assert judge([_looked_up(vulns=[{"id": "CVE-1"}]), {"name": "b", "skip_reason": "x"}]) == WEAK
    assert judge([_looked_up(), {"name": "b", "skip_reason": "not found"}]) == NOT_AUDITED
    assert judge([]) == NOT_AUDITED
