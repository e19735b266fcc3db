"""The whole API, one row an operation."""

from typing import Final

from locum.api import uploads as receiving
from locum.api.operation import Route, operation
from locum.service import (
    assistant_files,
    assistants,
    file_batches,
    files,
    messages,
    models,
    runs,
    search,
    steps,
    threads,
    uploads,
    vector_store_files,
    vector_stores,
)
from locum.wire.assistants import AttachAssistantFile, CreateAssistant, ModifyAssistant
from locum.wire.fields import ModifyMetadata
from locum.wire.files import ListFiles
from locum.wire.messages import CreateMessage, ListMessages
from locum.wire.paging import PageQuery
from locum.wire.runs import CreateRun, CreateRunQuery, CreateThreadAndRun, SubmitToolOutputs
from locum.wire.steps import GetStep, ListSteps
from locum.wire.threads import CreateThread, ListThreads, ModifyThread
from locum.wire.uploads import CompleteUpload, CreateUpload
from locum.wire.vector_stores import (
    AttachFile,
    CreateFileBatch,
    CreateVectorStore,
    ListStoreFiles,
    ModifyAttributes,
    ModifyVectorStore,
    Search,
)

_ASSISTANT: Final = "/assistants/{assistant_id}"
_THREAD: Final = "/threads/{thread_id}"
_MESSAGE: Final = f"{_THREAD}/messages/{{message_id}}"
_RUN: Final = f"{_THREAD}/runs/{{run_id}}"
_STORE: Final = "/vector_stores/{vector_store_id}"
_STORE_FILE: Final = f"{_STORE}/files/{{file_id}}"
_BATCH: Final = f"{_STORE}/file_batches/{{batch_id}}"
_FILE: Final = "/files/{file_id}"
_UPLOAD: Final = "/uploads/{upload_id}"

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
    operation("GET", "/runs", runs.list_project_runs, query=PageQuery),
    operation("GET", "/runs/{run_id}", runs.find_run, polled=True),
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
    operation("POST", f"{_STORE}/search", search.search_vector_store, body=Search),
    operation(
        "POST",
        f"{_STORE}/files",
        vector_store_files.create_vector_store_file,
        body=AttachFile,
        polled=True,
    ),
    operation(
        "GET",
        f"{_STORE}/files",
        vector_store_files.list_vector_store_files,
        query=ListStoreFiles,
    ),
    operation("GET", _STORE_FILE, vector_store_files.get_vector_store_file, polled=True),
    operation(
        "POST",
        _STORE_FILE,
        vector_store_files.modify_vector_store_file,
        body=ModifyAttributes,
        polled=True,
    ),
    operation("DELETE", _STORE_FILE, vector_store_files.delete_vector_store_file),
    operation("GET", f"{_STORE_FILE}/content", vector_store_files.get_vector_store_file_content),
    operation(
        "POST",
        f"{_STORE}/file_batches",
        file_batches.create_file_batch,
        body=CreateFileBatch,
        polled=True,
    ),
    operation("GET", _BATCH, file_batches.get_file_batch, polled=True),
    operation("POST", f"{_BATCH}/cancel", file_batches.cancel_file_batch, polled=True),
    operation("GET", f"{_BATCH}/files", file_batches.list_file_batch_files, query=ListStoreFiles),
    operation("POST", "/files", files.create_file, handler=receiving.receive_file),
    operation("GET", "/files", files.list_files, query=ListFiles),
    operation("GET", _FILE, files.get_file),
    operation("DELETE", _FILE, files.delete_file),
    operation("GET", f"{_FILE}/content", files.get_file_content),
    operation("POST", "/uploads", uploads.create_upload, body=CreateUpload),
    operation("POST", f"{_UPLOAD}/parts", uploads.create_part, handler=receiving.receive_part),
    operation("POST", f"{_UPLOAD}/complete", uploads.complete_upload, body=CompleteUpload),
    operation("POST", f"{_UPLOAD}/cancel", uploads.cancel_upload),
    operation("GET", "/models", models.list_models),
    operation("GET", "/models/{model}", models.get_model),
    operation("DELETE", "/models/{model}", models.delete_model),
)
