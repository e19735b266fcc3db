"""What Locum is made of: `python -m tests.packaging.supply sbom FILE`, or `… audit`.

The bill of materials is made of the lock, so that it names exactly what is installed. The audit
asks a service on the network for known weaknesses; where that cannot be had it says so, loudly,
and is not green.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.docs.pages import ROOT
from tests.kit.environments import tools

LOCK: Final = ROOT / "requirements" / "runtime.txt"
_TAKES_S: Final = 300
_PIN: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
# How the audit ended; the second is for continuous integration to tell from a weakness.
CLEAN, WEAK, NOT_AUDITED = 0, 1, 3


def pins() -> dict[str, str]:
    return dict(_PIN.findall(LOCK.read_text("utf-8")))


def write_sbom(into: Path) -> None:
    """CycloneDX, the same bytes for the same lock."""
    command: list[str] = [str(tools() / "cyclonedx-py"), "requirements", str(LOCK)]
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    form = ["--output-reproducible", "--output-file", str(into)]
    subprocess.run([*command, *about, *form], check=True, timeout=_TAKES_S)


def audit() -> int:
    command = [str(tools() / "pip-audit"), "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--requirement", str(LOCK)],
        capture_output=True,
        text=True,
        timeout=_TAKES_S,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _not_audited(done.stderr.strip().splitlines()[-1:] or ["no answer"])
    return judge(found)


def judge(found: list[dict[str, Any]]) -> int:
    """A package that nobody could look up is no package without weaknesses."""
    weak = [package for package in found if package.get("vulns")]
    for package in weak:
        ids = ", ".join(weakness["id"] for weakness in package["vulns"])
        sys.stdout.write(f"{package['name']} {package['version']}: {ids}\n")
    skipped = [package["name"] for package in found if "skip_reason" in package]
    if weak:
        return WEAK
    if skipped or not found:
        return _not_audited([f"{len(skipped)} of {len(found)} packages could not be looked up"])
    sys.stdout.write(f"No known weakness in {len(found)} packages.\n")
    return CLEAN


def _not_audited(why: list[str]) -> int:
    sys.stdout.write(f"NOT AUDITED: {'; '.join(why)}. Nothing is said of known weaknesses.\n")
    return NOT_AUDITED


if __name__ == "__main__":
    if sys.argv[1] == "audit":
        sys.exit(audit())
    write_sbom(Path(sys.argv[2]))
