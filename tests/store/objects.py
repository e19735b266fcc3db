"""Objects to store, complete and dull."""

from typing import Any

import msgspec

from locum.wire.assistants import AssistantFile
from locum.wire.files import File
from locum.wire.messages import Message, Text, TextValue
from locum.wire.runs import Run
from locum.wire.steps import MessageCreation, MessageRef, RunStep
from locum.wire.threads import Thread
from locum.wire.tools import ToolResources

_RUN: dict[str, Any] = {
    "created_at": 1,
    "assistant_id": "asst_1",
    "started_at": None,
    "cancelled_at": None,
    "failed_at": None,
    "completed_at": None,
    "required_action": None,
    "last_error": None,
    "model": "echo",
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "reasoning_effort": None,
    "max_completion_tokens": None,
    "max_prompt_tokens": None,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "incomplete_details": None,
    "usage": None,
    "response_format": "auto",
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}


def thread(thread_id: str, **metadata: str) -> Thread:
    return Thread(id=thread_id, created_at=1, metadata=metadata, tool_resources=ToolResources())


def message(message_id: str, *, thread_id: str = "thread_1", text: str = "hello") -> Message:
    return Message(
        id=message_id,
        created_at=1,
        assistant_id=None,
        thread_id=thread_id,
        run_id=None,
        status="completed",
        incomplete_details=None,
        incomplete_at=None,
        completed_at=1,
        role="user",
        content=(Text(TextValue(text, ())),),
        attachments=(),
        metadata={},
    )


def run(
    run_id: str, *, thread_id: str = "thread_1", status: str = "queued", expires_at: int = 600
) -> Run:
    return msgspec.convert(
        {
            **_RUN,
            "id": run_id,
            "thread_id": thread_id,
            "status": status,
            "expires_at": expires_at,
        },
        Run,
    )


def step(step_id: str, *, run_id: str = "run_1", thread_id: str = "thread_1") -> RunStep:
    return RunStep(
        id=step_id,
        created_at=1,
        run_id=run_id,
        assistant_id="asst_1",
        thread_id=thread_id,
        type="message_creation",
        status="completed",
        cancelled_at=None,
        completed_at=1,
        expires_at=None,
        expired_at=None,
        failed_at=None,
        last_error=None,
        step_details=MessageCreation(MessageRef("msg_1")),
        usage=None,
        metadata={},
    )


def file(file_id: str, *, purpose: str = "assistants", expires_at: int | None = None) -> File:
    return File(
        id=file_id,
        purpose=purpose,
        filename="a.txt",
        bytes=1,
        created_at=1,
        expires_at=expires_at,
        status="processed",
        status_details=None,
    )


def assistant_file(file_id: str, *, assistant_id: str = "asst_1") -> AssistantFile:
    return AssistantFile(id=file_id, created_at=1, assistant_id=assistant_id)
