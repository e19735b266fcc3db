"""Objects of the Assistants API as the Responses API has them: pure translation of one object.

A thread is a conversation, a message or a call of a tool is an item, a run is a response. Ids keep
their letters behind a new prefix, so what held a thread's id finds its conversation.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from locum.wire.messages import (
    Annotation,
    FileCitation,
    ImageFilePart,
    ImageURLPart,
    Message,
    Part,
    Refusal,
    Text,
)
from locum.wire.runs import Run
from locum.wire.steps import (
    CodeInterpreterCall,
    FileSearchCall,
    FoundPassage,
    FunctionCall,
    LogOutput,
    RunStep,
    ToolCall,
    ToolCalls,
)
from locum.wire.threads import Thread
from locum.wire.tools import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    McpTool,
    McpToolFilter,
    Tool,
    ToolChoice,
    ToolResources,
)

Json = dict[str, Any]
Names = Mapping[str, str]

_STATUS: Final[Mapping[str, str]] = {
    "queued": "queued",
    "in_progress": "in_progress",
    "cancelling": "in_progress",
    # A response that calls functions has done its part.
    "requires_action": "completed",
    "completed": "completed",
    "incomplete": "incomplete",
    "cancelled": "cancelled",
    "failed": "failed",
    "expired": "failed",
}
_RANKER: Final = "default-2024-11-15"


def conversation_id(thread_id: str) -> str:
    return f"conv_{thread_id.removeprefix('thread_')}"


def conversation(thread: Thread) -> Json:
    return {
        "id": conversation_id(thread.id),
        "object": "conversation",
        "created_at": thread.created_at,
        "metadata": thread.metadata,
    }


def message_item(message: Message, names: Names) -> Json:
    is_said = message.role == "assistant"
    return {
        "id": message.id,
        "type": "message",
        "role": message.role,
        "status": message.status,
        "content": [
            _output(part, names) if is_said else _input(part)
            for part in message.content
            # A picture among what an assistant says has no place in a response.
            if not is_said or isinstance(part, Text | Refusal)
        ],
    }


def call_items(step: RunStep) -> Iterator[Json]:
    """The calls of a step, and after a call of a function what the client answered."""
    if not isinstance(step.step_details, ToolCalls):
        return
    status = "completed" if step.status == "completed" else "incomplete"
    for call in step.step_details.tool_calls:
        yield _call(call, step, status)
        if isinstance(call, FunctionCall) and call.function.output is not None:
            yield {
                "id": f"fco_{_letters(call.id)}",
                "type": "function_call_output",
                "call_id": call.id,
                "output": call.function.output,
                "status": "completed",
            }


def response(run: Run, output: Sequence[Json], *, resources: Sequence[ToolResources]) -> Json:
    """A run with what it wrote and called. What clients answered is input, and not in it."""
    return {
        "id": f"resp_{_letters(run.id)}",
        "object": "response",
        "created_at": run.created_at,
        "completed_at": run.completed_at,
        "status": _STATUS[run.status],
        "background": False,
        "conversation": {"id": conversation_id(run.thread_id)},
        "error": _error(run),
        "incomplete_details": _incomplete(run),
        "instructions": run.instructions,
        "max_output_tokens": run.max_completion_tokens,
        "metadata": run.metadata,
        "model": run.model,
        "output": [item for item in output if item["type"] != "function_call_output"],
        "parallel_tool_calls": run.parallel_tool_calls,
        "previous_response_id": None,
        "reasoning": {"effort": run.reasoning_effort},
        "temperature": run.temperature,
        "text": {"format": _format(run)},
        "tool_choice": _choice(run),
        "tools": [_tool(tool, resources) for tool in run.tools],
        "top_p": run.top_p,
        "truncation": "auto",
        "usage": _usage(run),
    }


def cited_files(message: Message) -> set[str]:
    return {
        one.file_citation.file_id
        for part in message.content
        if isinstance(part, Text)
        for one in part.text.annotations
        if isinstance(one, FileCitation)
    }


# ------------------------------------------------------------------------------ parts


def _input(part: Part) -> Json:
    match part:
        case ImageFilePart(image_file=image):
            return {"type": "input_image", "detail": image.detail, "file_id": image.file_id}
        case ImageURLPart(image_url=address):
            return {"type": "input_image", "detail": address.detail, "image_url": address.url}
        case Refusal(refusal=said):
            return {"type": "input_text", "text": said}
    return {"type": "input_text", "text": part.text.value}


def _output(part: Part, names: Names) -> Json:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.refusal}
    assert isinstance(part, Text)
    annotations = part.text.annotations
    return {
        "type": "output_text",
        "text": part.text.value,
        "annotations": [_annotation(one, number, names) for number, one in enumerate(annotations)],
    }


def _annotation(one: Annotation, number: int, names: Names) -> Json:
    if isinstance(one, FileCitation):
        file_id = one.file_citation.file_id
        return {
            "type": "file_citation",
            "file_id": file_id,
            "filename": names.get(file_id, file_id),
            "index": one.start_index,
        }
    return {"type": "file_path", "file_id": one.file_path.file_id, "index": number}


# ------------------------------------------------------------------------------ calls


def _call(call: ToolCall, step: RunStep, status: str) -> Json:
    match call:
        case FunctionCall():
            return {
                "id": f"fc_{_letters(call.id)}",
                "type": "function_call",
                "call_id": call.id,
                "name": call.function.name,
                "arguments": call.function.arguments,
                "status": status,
            }
        case FileSearchCall():
            return {
                "id": f"fs_{_letters(call.id)}",
                "type": "file_search_call",
                # What was searched for was never told.
                "queries": [],
                "status": status,
                "results": [_result(one) for one in call.file_search.results],
            }
        case CodeInterpreterCall():
            return {
                "id": f"ci_{_letters(call.id)}",
                "type": "code_interpreter_call",
                "code": call.code_interpreter.input,
                # Runs had no containers; calls of one run shared what they wrote.
                "container_id": f"cntr_{_letters(step.run_id)}",
                "status": status,
                "outputs": [
                    {"type": "logs", "logs": one.logs}
                    if isinstance(one, LogOutput)
                    else {"type": "image", "url": f"/v1/files/{one.image.file_id}/content"}
                    for one in call.code_interpreter.outputs
                ],
            }
    raise AssertionError(call)


def _result(one: FoundPassage) -> Json:
    content = () if one.content is UNSET else one.content
    return {
        "file_id": one.file_id,
        "filename": one.file_name,
        "score": one.score,
        "attributes": one.attributes,
        "text": "\n".join(part.text for part in content) or None,
    }


# -------------------------------------------------------------------------- responses


def _error(run: Run) -> Json | None:
    if run.last_error is not None:
        return {"code": run.last_error.code, "message": run.last_error.message}
    if run.status == "expired":
        return {"code": "server_error", "message": "The run has expired."}
    return None


def _incomplete(run: Run) -> Json | None:
    if run.incomplete_details is None:
        return None
    is_filtered = run.incomplete_details.reason == "content_filter"
    return {"reason": "content_filter" if is_filtered else "max_output_tokens"}


def _usage(run: Run) -> Json | None:
    if run.usage is None:
        return None
    usage = run.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.prompt_token_details.cached_tokens,
            "cache_write_tokens": 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {
            "reasoning_tokens": usage.completion_tokens_details.reasoning_tokens
        },
        "total_tokens": usage.total_tokens,
    }


def _format(run: Run) -> Json:
    match run.response_format:
        case JsonObjectFormat():
            return {"type": "json_object"}
        case JsonSchemaFormat(json_schema=asked):
            schema: Json = msgspec.to_builtins(asked)
            return {"type": "json_schema", "schema": {}} | schema
    return {"type": "text"}


def _choice(run: Run) -> str | Json:
    choice = run.tool_choice
    if not isinstance(choice, ToolChoice):
        return choice
    if choice.function is not UNSET:
        return {"type": "function", "name": choice.function.name}
    if choice.type == "mcp":
        labels = [tool.server_label for tool in run.tools if isinstance(tool, McpTool)]
        return {"type": "mcp", "server_label": labels[0]} if labels else "auto"
    return {"type": choice.type}


def _tool(tool: Tool, resources: Sequence[ToolResources]) -> Json:
    match tool:
        case CodeInterpreterTool():
            file_ids = [
                file_id
                for held in resources
                if held.code_interpreter is not UNSET
                for file_id in held.code_interpreter.file_ids
            ]
            container = {"type": "auto", "file_ids": list(dict.fromkeys(file_ids))}
            return {"type": "code_interpreter", "container": container}
        case FileSearchTool(options=options):
            return _file_search(options.max_num_results, resources) | {
                "ranking_options": {
                    "ranker": _RANKER,
                    "score_threshold": options.ranking.score_threshold,
                }
            }
        case FunctionTool(function=function):
            definition: Json = msgspec.to_builtins(function)
            return {"type": "function"} | definition
    return _mcp(tool)


def _file_search(most: object, resources: Sequence[ToolResources]) -> Json:
    store_ids = [
        store_id
        for held in resources
        if held.file_search is not UNSET
        for store_id in held.file_search.vector_store_ids
    ]
    tool: Json = {
        "type": "file_search",
        "vector_store_ids": list(dict.fromkeys(store_ids)),
    }
    return tool | ({} if most is UNSET else {"max_num_results": most})


def _mcp(tool: McpTool) -> Json:
    """Without headers, which are secrets."""
    allowed = tool.allowed_tools
    if isinstance(allowed, McpToolFilter):
        allowed = allowed.tool_names
    return {
        "type": "mcp",
        "server_label": tool.server_label,
        "server_url": tool.server_url,
        "allowed_tools": None if allowed is None else list(allowed),
        "require_approval": "never",
    }


def _letters(object_id: str) -> str:
    """An id without its prefix."""
    return object_id.partition("_")[2] or object_id
