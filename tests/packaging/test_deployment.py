"""The Containerfile and the unit of systemd: linted, and fit for what they run."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import ROOT
from tests.kit.environments import tools

from locum.arguments import parser
from locum.settings import Settings

_DEPLOY: Final = ROOT / "deploy"
_LOOK_S: Final = 60
# As `systemd-analyze security` counts: 10 is no protection, and the walls of the code interpreter
# need namespaces and mounts.
_MOST_EXPOSURE: Final = 4.0


@pytest.mark.slow
def test_the_containerfile_has_nothing_a_linter_minds() -> None:
    command = [str(tools() / "hadolint"), "--failure-threshold", "style"]
    subprocess.run([*command, str(_DEPLOY / "Containerfile")], check=True, timeout=_LOOK_S)


def test_the_container_is_not_root_and_keeps_its_data_in_a_volume() -> None:
    told = (_DEPLOY / "Containerfile").read_text("utf-8")
    final = told.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", final, re.MULTILINE)
    assert "LOCUM_DATA=/data" in final


def test_whatever_the_containerfile_copies_is_sent_to_the_builder() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$",
        (_DEPLOY / "Containerfile").read_text("utf-8"),
        re.MULTILINE,
    )
    sent = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name in " ".join(copied).split():
        assert f"!{name}" in sent
        assert (ROOT / name).exists()


def test_the_commands_of_the_deployment_are_understood() -> None:
    told = (_DEPLOY / "Containerfile").read_text("utf-8")
    entry, command = (re.findall(rf"^{word} \[(.+)\]$", told, re.MULTILINE)[-1] for word in _WORDS)
    assert entry == '"locum"'
    parser().parse_args([part.strip().strip('"') for part in command.split(",")])
    started = _setting("ExecStart")[0]
    assert shlex.split(started)[0] == "/opt/locum/bin/locum"
    parser().parse_args(shlex.split(started)[1:])


_WORDS: Final = ("ENTRYPOINT", "CMD")


def test_the_settings_of_the_unit_are_settings_there_are() -> None:
    names = re.findall(r"LOCUM_([A-Z_]+)=", " ".join(_setting("Environment")))
    assert {name.lower() for name in names} <= set(Settings.__struct_fields__)
    assert len(names) == 2


@pytest.mark.slow
def test_the_unit_is_understood_and_well_protected(tmp_path: Path) -> None:
    """With a program that is there in place of ours: systemd looks whether it is."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        sys.stdout.write("No systemd-analyze here: the unit was not verified.\n")
        return
    unit = tmp_path / "locum.service"
    told = (_DEPLOY / "systemd" / "locum.service").read_text("utf-8")
    unit.write_text(re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", told), "utf-8")
    verified = subprocess.run(
        [analyze, "verify", unit], capture_output=True, text=True, timeout=_LOOK_S, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    weighed = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=_LOOK_S,
        check=True,
    )
    found = re.search(r"exposure level for locum\.service: ([\d.]+)", weighed.stdout)
    assert found
    assert float(found[1]) <= _MOST_EXPOSURE


def _setting(name: str) -> list[str]:
    told = (_DEPLOY / "systemd" / "locum.service").read_text("utf-8")
    return re.findall(rf"(?m)^{name}=(.+)$", told)
