"""How fast files become searchable, and what other clients notice of it meanwhile.

    python -m benchmarks.ingestion --weights .locum/models [--files 500]

A server of its own reads files of 10 kB, all put in as one batch; another client polls a run of
its own every 10 ms all the while, and before, when the server is idle. `--weights` is where
`locum model get` has put the model; without it files are indexed by their words alone.
"""

import argparse
import http.client
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

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

    def upload(self, name: str, text: str) -> str:
        border = "----locum"
        form = (
            f'--{border}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
            f"{text}\r\n--{border}--\r\n"
        )
        headers = {**_HEADERS, "Content-Type": f"multipart/form-data; boundary={border}"}
        return str(self._send("POST", "/v1/files", form, headers)["id"])

    def _send(self, method: str, path: str, data: str | None, headers: dict[str, str]) -> Any:
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


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--weights", type=Path)
    asked.add_argument("--files", type=int, default=500)
    options = asked.parse_args()
    data = Path(tempfile.mkdtemp(prefix="locum-bench-"))
    if options.weights is not None:
        shutil.copytree(options.weights, data / "models")
    process, port = _served(data)
    try:
        _measure(port, options.files)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data)


def _served(data: Path) -> tuple["subprocess.Popen[str]", int]:
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


def _measure(port: int, count: int) -> None:
    client = Client(port)
    assistant = client.ask("POST", "/v1/assistants", {"model": "scripted"})
    thread = client.ask("POST", "/v1/threads", {"messages": [{"role": "user", "content": "hello"}]})
    path = f"/v1/threads/{thread['id']}/runs"
    run = client.ask("POST", path, {"assistant_id": assistant["id"]})
    chance = random.Random(7)
    file_ids = [client.upload(f"{n}.txt", _text(chance)) for n in range(count)]
    store = client.ask("POST", "/v1/vector_stores", {})["id"]

    idle = Poller(port, f"{path}/{run['id']}")
    for _ in range(_IDLE_POLLS):
        time.sleep(_POLL_EVERY_S)
        idle.once()
    poller = Poller(port, f"{path}/{run['id']}")
    poller.start()
    begun = time.perf_counter()
    batch = client.ask("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": file_ids})
    while batch["status"] == "in_progress":
        time.sleep(0.25)
        batch = client.ask("GET", f"/v1/vector_stores/{store}/file_batches/{batch['id']}")
    took = time.perf_counter() - begun
    busy = poller.stop()
    used = client.ask("GET", f"/v1/vector_stores/{store}")["usage_bytes"]
    counts = batch["file_counts"]
    print(f"{counts['completed']} files read, {counts['failed']} failed, in {took:.1f} s")
    print(f"{count / took:.2f} files/s; {used:,} bytes of usage, {used / took / 1e3:.1f} kB/s")
    for name, taken in (("idle", idle.taken_ms), ("reading", busy)):
        p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        print(f"poll while {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {max(taken):.1f} ms")


def _text(chance: random.Random) -> str:
    sentences: list[str] = []
    words = _WORDS.split()
    while sum(map(len, sentences)) < _FILE_BYTES:
        said = chance.choices(words, k=chance.randint(6, 16))
        sentences.append(f"{' '.join(said).capitalize()}. ")
    return "".join(sentences)[:_FILE_BYTES]


if __name__ == "__main__":
    main()
