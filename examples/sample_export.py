"""Write a sample export: a thousand threads in the shapes that dumps made with the SDK have.

    python examples/sample_export.py sample

The same every time, so that what an import makes of it can be compared.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
THREADS: Final = 1_000
_BEGIN: Final = 1_704_067_200
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_QUESTIONS: Final = (
    "How many days of leave do I have?",
    "What is 17 times 23?",
    "Where is order 4711?",
    "Summarise the handbook in one sentence.",
    "Which of our shops is open on Sunday?",
)
_HANDBOOK: Final = "Employees have twenty days of leave. Shops are open from nine to six.\n"


class Sample:
    """Ids, times and words, drawn from one seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.assistant_id = self.new_id("asst_")
        self.file_id = self.new_id("file-")
        self.store_id = self.new_id("vs_")

    def new_id(self, prefix: str) -> str:
        return prefix + "".join(self._random.choices(_LETTERS, k=24))

    def assistant(self) -> Json:
        return {
            "id": self.assistant_id,
            "object": "assistant",
            "created_at": _BEGIN,
            "name": "Help desk",
            "description": None,
            "model": "gpt-4o",
            "instructions": "Answer briefly.",
            "tools": [
                {"type": "code_interpreter"},
                {"type": "file_search", "file_search": None},
                {
                    "type": "function",
                    "function": {"name": "find_order", "description": None, "parameters": None},
                },
            ],
            "tool_resources": {
                "code_interpreter": None,
                "file_search": {"vector_store_ids": [self.store_id]},
            },
            "metadata": {},
            "temperature": 1.0,
            "top_p": 1.0,
            "response_format": "auto",
        }

    def file(self) -> Json:
        return {
            "id": self.file_id,
            "object": "file",
            "bytes": len(_HANDBOOK),
            "created_at": _BEGIN,
            "filename": "handbook.txt",
            "purpose": "assistants",
            "status": "processed",
            "status_details": None,
        }

    def vector_store(self) -> Json:
        counts = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
        return {
            "id": self.store_id,
            "object": "vector_store",
            "created_at": _BEGIN,
            "name": "Handbook",
            "usage_bytes": 320,
            "file_counts": counts,
            "status": "completed",
            "last_active_at": _BEGIN,
            "metadata": {},
        }

    def vector_store_file(self) -> Json:
        sizes = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}
        return {
            "id": self.file_id,
            "object": "vector_store.file",
            "created_at": _BEGIN,
            "vector_store_id": self.store_id,
            "status": "completed",
            "usage_bytes": 320,
            "last_error": None,
            "chunking_strategy": {"type": "static", "static": sizes},
            "attributes": {"language": "en"},
        }

    def thread(self, number: int) -> Json:
        """A thread with what hangs on it, newest first: so clients list it."""
        at = _BEGIN + number * 60
        thread_id = self.new_id("thread_")
        question = self._random.choice(_QUESTIONS)
        run = self._run(thread_id, at + 1)
        answer = self._message(thread_id, "assistant", f"It depends, said {number}.", at + 3)
        answer |= {"assistant_id": self.assistant_id, "run_id": run["id"]}
        return {
            "id": thread_id,
            "object": "thread",
            "created_at": at,
            "metadata": {"customer": str(number % 50)},
            "tool_resources": {"code_interpreter": None, "file_search": None},
            "messages": [answer, self._message(thread_id, "user", question, at)],
            "runs": [run | {"steps": self._steps(run, answer["id"], question)}],
        }

    def _message(self, thread_id: str, role: str, text: str, at: int) -> Json:
        return {
            "id": self.new_id("msg_"),
            "object": "thread.message",
            "created_at": at,
            "thread_id": thread_id,
            "role": role,
            "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
            "assistant_id": None,
            "run_id": None,
            "attachments": [],
            "metadata": {},
            "completed_at": None,
            "incomplete_at": None,
            "incomplete_details": None,
            "status": None,
        }

    def _run(self, thread_id: str, at: int) -> Json:
        used = {"prompt_tokens": 120, "completion_tokens": 20, "total_tokens": 140}
        return {
            "id": self.new_id("run_"),
            "object": "thread.run",
            "created_at": at,
            "assistant_id": self.assistant_id,
            "thread_id": thread_id,
            "status": "completed",
            "started_at": at,
            "completed_at": at + 3,
            "model": "gpt-4o",
            "instructions": "Answer briefly.",
            "tools": [{"type": "code_interpreter"}],
            "metadata": {},
            "usage": used,
            "temperature": 1.0,
            "top_p": 1.0,
            "truncation_strategy": {"type": "auto", "last_messages": None},
            "response_format": "auto",
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        }

    def _steps(self, run: Json, message_id: str, question: str) -> list[Json]:
        calls = {"type": "tool_calls", "tool_calls": [self._call(question)]}
        wrote = {"type": "message_creation", "message_creation": {"message_id": message_id}}
        at = run["created_at"]
        return [self._step(run, wrote, at + 2), self._step(run, calls, at + 1)]

    def _step(self, run: Json, details: Json, at: int) -> Json:
        return {
            "id": self.new_id("step_"),
            "object": "thread.run.step",
            "created_at": at,
            "run_id": run["id"],
            "assistant_id": run["assistant_id"],
            "thread_id": run["thread_id"],
            "type": details["type"],
            "status": "completed",
            "completed_at": at,
            "step_details": details,
            "usage": {"prompt_tokens": 60, "completion_tokens": 10, "total_tokens": 70},
        }

    def _call(self, question: str) -> Json:
        call_id = self.new_id("call_")
        if "times" in question:
            logs = [{"type": "logs", "logs": "391"}]
            code = {"input": "print(17 * 23)", "outputs": logs}
            return {"id": call_id, "type": "code_interpreter", "code_interpreter": code}
        if "order" in question:
            done = {"name": "find_order", "arguments": '{"id": 4711}', "output": "On its way."}
            return {"id": call_id, "type": "function", "function": done}
        found = {"file_id": self.file_id, "file_name": "handbook.txt", "score": 0.8}
        return {"id": call_id, "type": "file_search", "file_search": {"results": [found]}}


def write(folder: Path, *, threads: int = THREADS) -> None:
    """The whole export: one file a kind, threads nested, the bytes of the file beside them."""
    sample = Sample()
    (folder / "files").mkdir(parents=True, exist_ok=True)
    _lines(folder / "assistants.jsonl", [sample.assistant()])
    _lines(folder / "files.jsonl", [sample.file()])
    (folder / "files" / f"{sample.file_id}.txt").write_text(_HANDBOOK, "utf-8")
    page = {"object": "list", "data": [sample.vector_store()], "has_more": False}
    (folder / "vector_stores.json").write_text(json.dumps(page, indent=2), "utf-8")
    _lines(folder / "vector_store_files.jsonl", [sample.vector_store_file()])
    _lines(folder / "threads.jsonl", (sample.thread(number) for number in range(threads)))


def _lines(path: Path, values: list[Json] | Iterator[Json]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(value) + "\n" for value in values)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "sample"))
    print("The sample is written.")
