"""Times as the page writes them."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.node

_ASKED = """
const { duration } = await import(`file://${process.argv[1]}/core/format.js`);
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(duration)));
"""
_DURATIONS = [
    (None, "—"),
    (0, "< 1 s"),
    (0.99, "< 1 s"),
    (1, "1 s"),
    (59.4, "59 s"),
    (59.7, "1 min 00 s"),
    (119.6, "2 min 00 s"),
    (539.8, "9 min 00 s"),
    (3_599.7, "1 h 0 min"),
    (7_260, "2 h 1 min"),
]


def test_no_duration_has_sixty_seconds(scripts: Path) -> None:
    asked = json.dumps([seconds for seconds, _ in _DURATIONS])
    command = ["node", "--input-type=module", "-e", _ASKED, str(scripts), asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [words for _, words in _DURATIONS]
