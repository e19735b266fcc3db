"""Where the explorer says that a body is no JSON."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.node

_ASKED = """
const { fault } = await import(`file://${process.argv[1]}/explorer/fault.js`);
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(fault)));
"""
_PLACES = {
    '{"a": [1, -2.5e3, true, null, "\\u00e9\\n"]}': None,
    "": "line 1, column 1",
    "{}x": "line 1, column 3",
    '{"a": 1,}': "line 1, column 9",
    '{"a": 1\n"b": 2}': "line 2, column 1",
    "{a: 1}": "line 1, column 2",
    '{"a" 1}': "line 1, column 6",
    '{\n "a": "open\n}': "line 2, column 7",
    "[01]": "line 1, column 3",
    "[1, tru]": "line 1, column 5",
    "[" * 100_000: "line 1, column 1002",
}


def test_the_place_is_where_a_text_stops_being_json(scripts: Path) -> None:
    command = ["node", "--input-type=module", "-e", _ASKED, str(scripts), json.dumps([*_PLACES])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert dict(zip(_PLACES, json.loads(done.stdout), strict=True)) == _PLACES
