import asyncio
from pathlib import Path

from locum.llm.weights import SMOLLM2, demo_weights, fetch


def test_weights_lie_under_a_name_of_their_own_version(tmp_path: Path) -> None:
    assert SMOLLM2.version in demo_weights(tmp_path).name


def test_weights_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    path = demo_weights(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    assert asyncio.run(fetch(tmp_path)) == path
    assert path.read_bytes() == b"mine"
