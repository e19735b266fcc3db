"""Every key that the official client allows in a request is one that we take, at any depth."""

import typing
from collections.abc import Iterator
from typing import Any

import pytest
import typing_extensions
from msgspec import inspect as shapes
from openai.types import vector_store_create_params, vector_store_update_params
from openai.types.beta import (
    assistant_create_params,
    assistant_update_params,
    thread_create_and_run_params,
    thread_create_params,
    thread_update_params,
)
from openai.types.beta.threads import (
    message_create_params,
    run_create_params,
    run_submit_tool_outputs_params,
)
from openai.types.vector_stores import file_batch_create_params, file_create_params
from tests.contract.requirements import covers

from locum.wire import assistants, messages, runs, threads
from locum.wire import vector_stores as stores

_BODIES: list[tuple[Any, type]] = [
    (assistant_create_params.AssistantCreateParams, assistants.CreateAssistant),
    (assistant_update_params.AssistantUpdateParams, assistants.ModifyAssistant),
    (thread_create_params.ThreadCreateParams, threads.CreateThread),
    (thread_update_params.ThreadUpdateParams, threads.ModifyThread),
    (message_create_params.MessageCreateParams, messages.CreateMessage),
    (run_create_params.RunCreateParamsNonStreaming, runs.CreateRun),
    (
        thread_create_and_run_params.ThreadCreateAndRunParamsNonStreaming,
        runs.CreateThreadAndRun,
    ),
    (
        run_submit_tool_outputs_params.RunSubmitToolOutputsParamsNonStreaming,
        runs.SubmitToolOutputs,
    ),
    (vector_store_create_params.VectorStoreCreateParams, stores.CreateVectorStore),
    (vector_store_update_params.VectorStoreUpdateParams, stores.ModifyVectorStore),
    (file_create_params.FileCreateParams, stores.AttachFile),
    (file_batch_create_params.FileBatchCreateParams, stores.CreateFileBatch),
]
# They stand in the path or in the query.
_ELSEWHERE = {"thread_id", "include"}


@covers("sdk:parameters")
@pytest.mark.parametrize(("theirs", "ours"), _BODIES, ids=lambda kind: kind.__name__)
def test_every_key_of_a_request_is_taken(theirs: Any, ours: type) -> None:
    lacking = [
        path
        for path in _lacking(theirs, [shapes.type_info(ours)], "")
        if path.strip(".") not in _ELSEWHERE
    ]
    assert not lacking


def _lacking(params: Any, kinds: list[shapes.Type], path: str) -> Iterator[str]:
    """Keys of the client's type that no struct of ours takes at this place."""
    structs = [struct for kind in kinds for struct in _structs(kind)]
    for key, annotation in typing_extensions.get_type_hints(params).items():
        if any(struct.tag_field == key for struct in structs):
            continue
        held = [f.type for struct in structs for f in struct.fields if f.encode_name == key]
        if not held:
            yield f"{path}.{key}"
        for inner in _typed_dicts(annotation):
            found = [struct for kind in held for struct in _structs(kind)]
            if held and found:
                yield from _lacking(inner, _like(inner, found), f"{path}.{key}")


def _typed_dicts(annotation: Any) -> Iterator[Any]:
    if typing_extensions.is_typeddict(annotation):
        yield annotation
    else:
        for inner in typing.get_args(annotation):
            yield from _typed_dicts(inner)


def _like(params: Any, structs: list[shapes.StructType]) -> list[shapes.Type]:
    """Of several structs those with the tag of the client's type, if it has one."""
    tag = typing.get_args(typing_extensions.get_type_hints(params).get("type"))
    tagged = [struct for struct in structs if struct.tag in tag]
    return list(tagged or structs)


def _structs(kind: shapes.Type) -> Iterator[shapes.StructType]:
    match kind:
        case shapes.StructType():
            yield kind
        case shapes.UnionType():
            for inner in kind.types:
                yield from _structs(inner)
        case shapes.VarTupleType() | shapes.ListType():
            yield from _structs(kind.item_type)
