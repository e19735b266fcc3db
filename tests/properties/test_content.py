"""What passages say is cut out of a step's text as if the step had been read and written anew."""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from locum.wire.steps import (
    FileSearchCall,
    FoundPassage,
    FunctionCall,
    FunctionDone,
    Ranking,
    RunStep,
    SearchDone,
    ToolCall,
    ToolCalls,
    text_of,
    without_content,
)
from locum.wire.vector_stores import TextContent

# With what could be taken for the marks that the cut goes by.
_texts = st.lists(
    st.sampled_from(
        [
            ',"content":[',
            '"}]',
            "}]",
            '{"type":"text","text":"',
            "}",
            "]",
            '"',
            "\\",
            "\n",
            "é",
            "word",
        ]
    ),
    max_size=8,
).map("".join)
_passages = st.builds(
    FoundPassage,
    file_id=_texts,
    file_name=_texts,
    score=st.just(0.5),
    attributes=st.dictionaries(st.just("content") | _texts, _texts, max_size=2),
    content=st.lists(st.builds(TextContent, text=_texts), max_size=2).map(tuple),
)


def _search(found: list[FoundPassage]) -> FileSearchCall:
    ranking = Ranking(ranker="auto", score_threshold=0.0)
    return FileSearchCall(id="call_1", file_search=SearchDone(ranking, tuple(found)))


_searches = st.builds(_search, st.lists(_passages, max_size=3))
_functions = st.builds(
    lambda text: FunctionCall(
        id="call_2", function=FunctionDone(name="f", arguments=text, output=text)
    ),
    _texts,
)


def _step(calls: list[ToolCall]) -> RunStep:
    return RunStep(
        id="step_1",
        created_at=1,
        run_id="run_1",
        assistant_id="asst_1",
        thread_id="thread_1",
        type="tool_calls",
        status="completed",
        cancelled_at=None,
        completed_at=2,
        expires_at=None,
        expired_at=None,
        failed_at=None,
        last_error=None,
        step_details=ToolCalls(tuple(calls)),
        usage=None,
        metadata={},
    )


def _bare(call: ToolCall) -> ToolCall:
    if not isinstance(call, FileSearchCall):
        return call
    found = tuple(replace(one, content=UNSET) for one in call.file_search.results)
    return replace(call, file_search=replace(call.file_search, results=found))


def _says(*texts: str) -> FileSearchCall:
    content = tuple(map(TextContent, texts))
    passage = FoundPassage(file_id="f", file_name="f", score=0.5, attributes={}, content=content)
    return _search([passage])


@given(st.lists(_searches | _functions, max_size=3))
@example([_says("}]")])
@example([_says("", "}]")])
def test_only_what_passages_say_is_cut_out(calls: list[ToolCall]) -> None:
    whole, bare = text_of(_step(calls)), text_of(_step([_bare(call) for call in calls]))
    assert without_content(whole) == bare
    assert without_content(f"{whole},{whole}") == f"{bare},{bare}"


@given(_texts, _texts)
@example('c"1\\ x', '{"type":"function","id":"c"}')
def test_the_id_of_a_call_stands_before_its_type_whatever_it_is(call_id: str, said: str) -> None:
    function = FunctionDone(name="f", arguments=said, output=said)
    text = text_of(_step([FunctionCall(id=call_id, function=function)]))
    (call,) = msgspec.json.decode(text)["step_details"]["tool_calls"]
    assert list(call) == ["id", "type", "function"]
    assert call["id"] == call_id
    assert call["function"] == {"name": "f", "arguments": said, "output": said}
