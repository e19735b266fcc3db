"""How fast files become searchable, and what other clients notice of it meanwhile.

    python -m benchmarks.ingestion --weights .locum/models [--files 500] [--rounds 1]

A server of its own reads files of 10 kB, all put in as one batch; another client polls a run of
its own every 10 ms all the while, and before, when the server is idle. Rounds alternate the two,
for a machine that is not quiet; their median is told. `--weights` is where `locum model get` has
put the model; without it files are indexed by their words alone.
"""

import argparse
import http.client
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_FILE_BYTES = 10_000
_IDLE_POLLS = 500
_POLL_EVERY_S = 0.01
_HEADERS = {
    "Authorization": "Bearer sk-any",
    "OpenAI-Beta": "assistants=v2",
    "Content-Type": "application/json",
}
_WORDS = """
    account adjust annual approve archive audit balance branch budget certain change claim client
    contract customer deliver deposit detail due enter estimate expense figure file holiday hour
    invoice issue item journal ledger letter limit manager meeting month notice office order parcel
    payment period policy price project quarter question receipt record refund report request
    review salary schedule season section service ship staff stock supply table tax term transfer
    travel update value vendor week weight year
"""


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        return self._send(method, path, data, _HEADERS)

    def upload(self, name: str, data: bytes) -> str:
        border = "----locum"
        head = (
            f'--{border}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        )
        form = head.encode() + data + f"\r\n--{border}--\r\n".encode()
        headers = {**_HEADERS, "Content-Type": f"multipart/form-data; boundary={border}"}
        return str(self._send("POST", "/v1/files", form, headers)["id"])

    def _send(
        self, method: str, path: str, data: str | bytes | None, headers: dict[str, str]
    ) -> Any:
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)


class Poller(threading.Thread):
    """Reads one object over and over, and notes how long each answer took."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self._client = Client(port)
        self._path = path
        self._over = threading.Event()
        self.taken_ms: list[float] = []

    def run(self) -> None:
        while not self._over.wait(_POLL_EVERY_S):
            self.once()

    def once(self) -> None:
        begun = time.perf_counter()
        self._client.ask("GET", self._path)
        self.taken_ms.append((time.perf_counter() - begun) * 1_000)

    def stop(self) -> list[float]:
        self._over.set()
        self.join()
        return self.taken_ms


class Round(NamedTuple):
    files_per_s: float
    idle_ms: list[float]
    busy_ms: list[float]

    @property
    def slowdown(self) -> float:
        return _p99(self.busy_ms) / _p99(self.idle_ms)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--weights", type=Path)
    asked.add_argument("--files", type=int, default=500)
    asked.add_argument("--rounds", type=int, default=1)
    options = asked.parse_args()
    data = Path(tempfile.mkdtemp(prefix="locum-bench-"))
    if options.weights is not None:
        shutil.copytree(options.weights, data / "models")
    process, port = served(data)
    try:
        path = _a_run(Client(port))
        rounds = [_measure(port, path, options.files) for _ in range(options.rounds)]
        with sqlite3.connect(data / "locum.db") as database:
            [(chunks,)] = database.execute("SELECT COUNT(*) FROM passages")
            [(vectors,)] = database.execute("SELECT SUM(LENGTH(spans)) / 8 FROM passage_vectors")
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data)
    files = options.files * options.rounds
    rate = statistics.median(one.files_per_s for one in rounds)
    print(
        f"{rate:.2f} files/s, {rate * chunks / files:.1f} chunks/s,"
        f" {rate * (vectors or 0) / files:.1f} vectors/s"
    )
    for name, taken in (
        ("idle", [one.idle_ms for one in rounds]),
        ("reading", [one.busy_ms for one in rounds]),
    ):
        p50 = statistics.median(map(statistics.median, taken))
        p99 = statistics.median(map(_p99, taken))
        most = max(map(max, taken))
        print(f"poll while {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {most:.1f} ms")
    slowdowns = sorted(one.slowdown for one in rounds)
    each = ", ".join(f"{one:.2f}" for one in slowdowns)
    print(f"p99 while reading / p99 idle: {statistics.median(slowdowns):.2f} ({each})")


def served(data: Path) -> tuple["subprocess.Popen[str]", int]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "locum", "serve", "--port", "0"),
            *("--model", "scripted", "--data", str(data)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "http://127.0.0.1:" in line:
            return process, int(line.split("http://127.0.0.1:")[1].split("/")[0].split()[0])
    raise AssertionError("the server did not start")


def _a_run(client: Client) -> str:
    assistant = client.ask("POST", "/v1/assistants", {"model": "scripted"})
    thread = client.ask("POST", "/v1/threads", {"messages": [{"role": "user", "content": "hello"}]})
    path = f"/v1/threads/{thread['id']}/runs"
    run = client.ask("POST", path, {"assistant_id": assistant["id"]})
    return f"{path}/{run['id']}"


def _measure(port: int, path: str, count: int) -> Round:
    client, chance = Client(port), random.Random(7)
    file_ids = [client.upload(f"{n}.txt", _text(chance).encode()) for n in range(count)]
    store = client.ask("POST", "/v1/vector_stores", {})["id"]
    idle = Poller(port, path)
    for _ in range(_IDLE_POLLS):
        time.sleep(_POLL_EVERY_S)
        idle.once()
    poller = Poller(port, path)
    poller.start()
    begun = time.perf_counter()
    batch = client.ask("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": file_ids})
    while batch["status"] == "in_progress":
        time.sleep(0.25)
        batch = client.ask("GET", f"/v1/vector_stores/{store}/file_batches/{batch['id']}")
    took = time.perf_counter() - begun
    assert batch["file_counts"]["completed"] == count, batch
    return Round(count / took, idle.taken_ms, poller.stop())


def _p99(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def _text(chance: random.Random) -> str:
    sentences: list[str] = []
    words = _WORDS.split()
    while sum(map(len, sentences)) < _FILE_BYTES:
        said = chance.choices(words, k=chance.randint(6, 16))
        sentences.append(f"{' '.join(said).capitalize()}. ")
    return "".join(sentences)[:_FILE_BYTES]


if __name__ == "__main__":
    main()
