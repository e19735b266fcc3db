"""Names that every object of JavaScript has: said by others, they change only what they name."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.node

# Loads what is asked, and fails if afterwards every object has something new.
_WATCHED = """
const { callOf } = await import(`file://${process.argv[1]}/snippets/sdk.js`);
const { merge } = await import(`file://${process.argv[1]}/timeline/run_state.js`);
const given = (body) => ({ path: {}, query: {}, body: JSON.parse(body) });
const operation = { id: "create_file", path: "/files" };
const asked = (body) => callOf({ operation, headers: [], given: given(body) });
const told = (delta) => { const into = {}; merge(into, JSON.parse(delta)); return into; };
CASE
if ({}.method !== undefined) throw new Error("every request would now be of another method");
"""


@pytest.mark.parametrize(
    "case",
    [
        """asked('{"__proto__[method]": "DELETE"}');""",
        """asked('{"constructor[prototype]": {"method": "DELETE"}}');""",
        """told('{"__proto__": {"method": "DELETE"}}');""",
        """told('{"constructor": {"prototype": {"method": "DELETE"}}}');""",
        """if (asked('{"expires_after[seconds]": 1}').rest.expires_after.seconds !== 1) throw 1;""",
        """if (told('{"content": [{"index": 0, "a": "b"}]}').content[0].a !== "b") throw 1;""",
    ],
)
def test_no_name_in_a_body_or_an_event_reaches_all_objects(scripts: Path, case: str) -> None:
    command = ["node", "--input-type=module", "-e", _WATCHED.replace("CASE", case), str(scripts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
