"""What the tests of the page share: its scripts where Node can load them, and an upstream."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.server import Server
from tests.web.upstream import Upstream, upstream

from locum.web.page import STATIC

_HERE = Path(__file__).parent
_WITHIN_S = 60


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's scripts, in a folder that tells Node that they are modules."""
    folder = tmp_path_factory.mktemp("static") / "static"
    shutil.copytree(STATIC, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


Write = Callable[..., Any]


@pytest.fixture(scope="session")
def write_code(server: Server, scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Requests as code: every operation with words that are hard to quote, or those given."""
    document = tmp_path_factory.mktemp("openapi") / "openapi.json"
    document.write_bytes(server.http(None).get("/openapi.json").body)

    def write(base: str, wanted: list[dict[str, Any]] | None = None) -> Any:
        asked = "" if wanted is None else json.dumps(wanted)
        command = ["node", str(_HERE / "snippets.mjs"), str(scripts), str(document), base]
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, check=False, timeout=_WITHIN_S
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return write


@pytest.fixture(scope="module")
def listening() -> Iterator[Upstream]:
    with upstream() as told:
        yield told


@pytest.fixture
def behind(listening: Upstream) -> Upstream:
    """The upstream as if nobody had asked it anything."""
    return listening.afresh()
