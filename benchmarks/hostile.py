"""What hostile files cost a server: its memory, and that of all its processes, and how each ends.

    python -m benchmarks.hostile [--weights .locum/models]

A server of its own is given the files one after the other, and then all of them at once; its
memory (PSS, which counts what processes share once) is looked at every 20 ms.
"""

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ingestion import Client, served
from tests.tools.file_search import documents

_LOOK_EVERY_S = 0.02
_SETTLED_S = 3.0
_MB = 1e6


class Watch(threading.Thread):
    """The most memory that a process, and a process with all it started, was seen to have."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.alone = self.whole = 0

    def run(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        self.alone = max(self.alone, _pss(self._pid))
        self.whole = max(self.whole, sum(map(_pss, _family(self._pid))))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # It has ended.
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        started = [
            child
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in started:
        yield from _family(int(child))


def _files() -> dict[str, bytes]:
    zeros = b"<a>" + b"0" * (300 << 20)
    laughs = [f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12)]
    far = "".join(f'<row><c r="ZZZ{n}"><v>1</v></c></row>' for n in range(1, 30_000))
    return {
        "bomb.docx": documents.zipped({"word/document.xml": zeros}),
        "bomb.xlsx": documents.zipped({"xl/worksheets/sheet1.xml": zeros}),
        "laughs.docx": documents.zipped(
            {"word/document.xml": f"<!DOCTYPE a [<!ENTITY l0 'ha'>{''.join(laughs)}]><a>&l11;</a>"}
        ),
        "entries.docx": documents.zipped({f"{n}.xml": b"" for n in range(30_000)}),
        "deep.docx": documents.zipped({"word/document.xml": b"<q>" * 1_000_000}),
        "deep.html": b"<div>" * 1_000_000,
        "comments.html": b"<!--" * 1_000_000,
        "wide.xlsx": documents.xlsx([], far),
        "far.xlsx": documents.xlsx([], far.replace("ZZZ", "XFD")),
        "columns.csv": b"a," * 10_000_000 + b"\n" + b"1," * 10_000_000,
        "pages.pdf": documents.pdf(*["page"] * 10_000),
        "long.txt": b"word " * 5_000_000,
        "longer.txt": b"word " * 40_000_000,
        "program.pdf": b"MZ\x90\x00 a program" * 1_000,
        "picture.docx": b"\x89PNG\r\n\x1a\n" + bytes(1_000_000),
        "encrypted.pdf": documents.encrypted_pdf(),
        "encrypted.docx": documents.compound({"EncryptedPackage": b"x"}),
        "cut.pdf": documents.pdf(*["page"] * 1_000)[:50_000],
        "cut.docx": documents.docx("hello " * 999)[:150],
        "scan.pdf": documents.pdf("", ""),
        "blank.txt": b" \n\t ",
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--weights", type=Path)
    options = asked.parse_args()
    data = Path(tempfile.mkdtemp(prefix="locum-bench-"))
    if options.weights is not None:
        shutil.copytree(options.weights, data / "models")
    process, port = served(data)
    try:
        _measure(Client(port), process.pid)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data)


def _measure(client: Client, pid: int) -> None:
    # The first good file starts the processes that stay.
    _read(client, [client.upload("good.txt", b"word " * 2_000)])
    time.sleep(_SETTLED_S)
    idle = Watch(pid)
    idle.look()
    print(f"idle: server {idle.alone / _MB:.0f} MB, all processes {idle.whole / _MB:.0f} MB")
    print("| file | status | code | message | s | server | all processes |")
    print("|---|---|---|---|---|---|---|")
    kept = {name: client.upload(name, content) for name, content in _files().items()}
    for name, file_id in kept.items():
        [held], took, watch = _watched(client, pid, [file_id])
        error = held["last_error"] or {"code": "", "message": ""}
        print(
            f"| {name} | {held['status']} | {error['code']} | {error['message']} | {took:.1f} |"
            f" +{(watch.alone - idle.alone) / _MB:.0f} MB |"
            f" +{(watch.whole - idle.whole) / _MB:.0f} MB |"
        )
    _, took, watch = _watched(client, pid, list(kept.values()))
    print(
        f"all at once, {took:.0f} s: server +{(watch.alone - idle.alone) / _MB:.0f} MB,"
        f" all processes +{(watch.whole - idle.whole) / _MB:.0f} MB"
    )
    time.sleep(_SETTLED_S)
    after = Watch(pid)
    after.look()
    print(
        f"afterwards: server +{(after.alone - idle.alone) / _MB:.0f} MB,"
        f" all processes +{(after.whole - idle.whole) / _MB:.0f} MB"
    )


def _watched(client: Client, pid: int, file_ids: list[str]) -> tuple[list[Any], float, Watch]:
    watch = Watch(pid)
    watch.start()
    begun = time.perf_counter()
    held = _read(client, file_ids)
    watch.stop()
    return held, time.perf_counter() - begun, watch


def _read(client: Client, file_ids: list[str]) -> list[Any]:
    """Put files into a store of their own and wait until each has come to its end."""
    store = client.ask("POST", "/v1/vector_stores", {})["id"]
    path = f"/v1/vector_stores/{store}"
    client.ask("POST", f"{path}/file_batches", {"file_ids": file_ids})
    while client.ask("GET", path)["file_counts"]["in_progress"]:
        time.sleep(0.1)
    return [client.ask("GET", f"{path}/files/{file_id}") for file_id in file_ids]


if __name__ == "__main__":
    main()
