"""The whole API, one row an operation."""

from typing import Final

from locum.api.operation import Route, operation
from locum.service import assistant_files, assistants, messages, runs, steps, threads, vector_stores
from locum.wire.assistants import AttachAssistantFile, CreateAssistant, ModifyAssistant
from locum.wire.fields import ModifyMetadata
from locum.wire.messages import CreateMessage, ListMessages
from locum.wire.paging import PageQuery
from locum.wire.runs import CreateRun, CreateRunQuery, CreateThreadAndRun, SubmitToolOutputs
from locum.wire.steps import GetStep, ListSteps
from locum.wire.threads import CreateThread, ListThreads, ModifyThread
from locum.wire.vector_stores import CreateVectorStore, ModifyVectorStore

_ASSISTANT: Final = "/assistants/{assistant_id}"
_THREAD: Final = "/threads/{thread_id}"
_MESSAGE: Final = f"{_THREAD}/messages/{{message_id}}"
_RUN: Final = f"{_THREAD}/runs/{{run_id}}"
_STORE: Final = "/vector_stores/{vector_store_id}"

ROUTES: Final[tuple[Route, ...]] = (
    operation("POST", "/assistants", assistants.create_assistant, body=CreateAssistant),
    operation("GET", "/assistants", assistants.list_assistants, query=PageQuery),
    operation("GET", _ASSISTANT, assistants.get_assistant),
    operation("POST", _ASSISTANT, assistants.modify_assistant, body=ModifyAssistant),
    operation("DELETE", _ASSISTANT, assistants.delete_assistant),
    operation(
        "POST",
        f"{_ASSISTANT}/files",
        assistant_files.create_assistant_file,
        body=AttachAssistantFile,
        only_v1=True,
    ),
    operation(
        "GET",
        f"{_ASSISTANT}/files",
        assistant_files.list_assistant_files,
        query=PageQuery,
        only_v1=True,
    ),
    operation(
        "GET",
        f"{_ASSISTANT}/files/{{file_id}}",
        assistant_files.get_assistant_file,
        only_v1=True,
    ),
    operation(
        "DELETE",
        f"{_ASSISTANT}/files/{{file_id}}",
        assistant_files.delete_assistant_file,
        only_v1=True,
    ),
    operation("POST", "/threads", threads.create_thread, body=CreateThread),
    operation("GET", "/threads", threads.list_threads, query=ListThreads),
    operation("GET", _THREAD, threads.get_thread),
    operation("POST", _THREAD, threads.modify_thread, body=ModifyThread),
    operation("DELETE", _THREAD, threads.delete_thread),
    operation("POST", f"{_THREAD}/messages", messages.create_message, body=CreateMessage),
    operation("GET", f"{_THREAD}/messages", messages.list_messages, query=ListMessages),
    operation("GET", _MESSAGE, messages.get_message),
    operation("POST", _MESSAGE, messages.modify_message, body=ModifyMetadata),
    operation("DELETE", _MESSAGE, messages.delete_message),
    operation(
        "GET",
        f"{_MESSAGE}/files",
        assistant_files.list_message_files,
        query=PageQuery,
        only_v1=True,
    ),
    operation(
        "GET",
        f"{_MESSAGE}/files/{{file_id}}",
        assistant_files.get_message_file,
        only_v1=True,
    ),
    operation(
        "POST",
        "/threads/runs",
        runs.create_thread_and_run,
        body=CreateThreadAndRun,
        query=CreateRunQuery,
        polled=True,
    ),
    operation(
        "POST",
        f"{_THREAD}/runs",
        runs.create_run,
        body=CreateRun,
        query=CreateRunQuery,
        polled=True,
    ),
    operation("GET", f"{_THREAD}/runs", runs.list_runs, query=PageQuery),
    operation("GET", _RUN, runs.get_run, polled=True),
    operation("POST", _RUN, runs.modify_run, body=ModifyMetadata),
    operation("POST", f"{_RUN}/cancel", runs.cancel_run, polled=True),
    operation(
        "POST",
        f"{_RUN}/submit_tool_outputs",
        runs.submit_tool_outputs,
        body=SubmitToolOutputs,
        polled=True,
    ),
    operation("GET", f"{_RUN}/events", runs.follow_run, query=runs.FollowQuery),
    operation("GET", f"{_RUN}/steps", steps.list_steps, query=ListSteps),
    operation("GET", f"{_RUN}/steps/{{step_id}}", steps.get_step, query=GetStep),
    operation("POST", "/vector_stores", vector_stores.create_vector_store, body=CreateVectorStore),
    operation("GET", "/vector_stores", vector_stores.list_vector_stores, query=PageQuery),
    operation("GET", _STORE, vector_stores.get_vector_store),
    operation("POST", _STORE, vector_stores.modify_vector_store, body=ModifyVectorStore),
    operation("DELETE", _STORE, vector_stores.delete_vector_store),
)
