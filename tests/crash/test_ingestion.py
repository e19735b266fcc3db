"""The process is killed while it reads a large batch; the next reads the rest, nothing twice."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

_FILES = 500
_KILLED_AT = (60, 240)
_START_S = 30
_MOST_POLLS = 20_000


@contextmanager
def _serving(data: Path) -> Iterator[tuple["subprocess.Popen[str]", OpenAI]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "locum", "serve", "--port", "0", "--model", "scripted"),
            *("--data", str(data)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://127.0.0.1:" in line)
        port = line.split("http://127.0.0.1:")[1].split("/")[0]
        with OpenAI(
            api_key="sk-any", base_url=f"http://127.0.0.1:{port}/v1", timeout=_START_S
        ) as client:
            yield process, client
    finally:
        process.kill()
        process.wait(_START_S)
        assert process.stdout is not None
        process.stdout.close()


def _until(client: OpenAI, batch: Any, *, done: int) -> Any:
    for _ in range(_MOST_POLLS):
        batch = client.vector_stores.file_batches.retrieve(
            batch.id, vector_store_id=batch.vector_store_id
        )
        if batch.file_counts.completed >= done:
            return batch
    raise AssertionError(f"still {batch.file_counts}")


@pytest.mark.slow
def test_a_server_killed_twice_in_a_batch_of_500_reads_every_file_once(tmp_path: Path) -> None:
    with _serving(tmp_path) as (process, client):
        file_ids = [
            client.files.create(
                file=(f"{n}.txt", f"the report number {n}, at length".encode()),
                purpose="assistants",
            ).id
            for n in range(_FILES)
        ]
        store = client.vector_stores.create()
        batch: Any = client.vector_stores.file_batches.create(store.id, file_ids=file_ids)
        _until(client, batch, done=_KILLED_AT[0])
        process.kill()
    with _serving(tmp_path) as (process, client):
        _until(client, batch, done=_KILLED_AT[1])
        process.kill()
    with _serving(tmp_path) as (_, client):
        batch = _until(client, batch, done=_FILES)
        assert (batch.status, batch.file_counts.total) == ("completed", _FILES)
        found = client.vector_stores.search(store.id, query="report 499", max_num_results=50)
        assert found.data[0].filename == "499.txt"
        assert len({one.file_id for one in found.data}) == len(found.data)
    # Not asked of the server, which shows only what is live: nothing else may be left either.
    with closing(sqlite3.connect(tmp_path / "locum.db")) as connection:
        live = connection.execute(
            "SELECT COUNT(*), COUNT(DISTINCT file_id) FROM passage_files WHERE state = 'live'"
        ).fetchone()
        assert live == (_FILES, _FILES)
        assert connection.execute("SELECT COUNT(*) FROM passages").fetchone() == (_FILES,)
