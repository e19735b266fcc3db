"""The promises of the API, one line each: how they are called, and what they say.

A test says `@covers("…")` of the promises it proves; `test_manifest.py` holds both to each other.
Sources: sections of the behaviour contract, the official SDKs, or Locum, which promises more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Requirement:
    id: str
    source: str
    sentence: str
    # What of it does not hold yet, and is told in the documentation.
    gap: str | None = None

    @property
    def resource(self) -> str:
        return self.id.partition(":")[0]


def covers(*ids: str) -> Callable[[T], T]:
    """Say which promises a test proves."""
    for requirement_id in ids:
        assert requirement_id in BY_ID, f"no requirement is called '{requirement_id}'"

    def unchanged(test: T) -> T:
        return test

    return unchanged


def _of(source: str, lines: str) -> tuple[Requirement, ...]:
    """Requirements of one source, written `id — sentence`, one a line."""
    found = []
    for line in lines.strip().splitlines():
        requirement_id, _, sentence = line.strip().partition(" — ")
        found.append(Requirement(requirement_id, source, sentence))
    return tuple(found)


REQUIREMENTS: Final = (
    *_of(
        "contract §4",
        """
        objects:key_order — Keys of an object come in the order in which the original sent them.
        objects:floats — Floats keep their point, as in 1.0.
        tools:function_echo — A function comes back with description, parameters and strict.
        tools:file_search_echo — File search comes back with its ranking options.
        tools:code_interpreter_resources — The code interpreter brings an empty list of files.
        """,
    ),
    *_of(
        "contract §5",
        """
        assistants.create:defaults — What is left out has its default.
        assistants.create:echo — What is given comes back.
        assistants.get:same — Reading an assistant gives what creating it gave.
        assistants.list:walk — Pages together are all assistants, each once.
        assistants.modify:partial — What is left out stays; metadata and tools are replaced whole.
        assistants.modify:null — Null clears, or brings the default back.
        assistants.delete:shape — Deleting answers with the id and `assistant.deleted`.
        assistants.delete:gone — A deleted assistant is not found.
        """,
    ),
    *_of(
        "contract §6",
        """
        threads.create:empty_body — A body that is missing or empty makes an empty thread.
        threads.create:messages — First messages are stored in their order.
        threads.get:resources — Reading spells out an empty code interpreter.
        threads.modify:resources — Modifying answers as creating does.
        threads.delete:cascade — Messages, runs and steps go with their thread.
        threads.messages.create:string — A string becomes one text part.
        threads.messages.create:parts — Parts are echoed, with the detail `auto` if none is given.
        threads.messages.create:refusals — Roles, lengths, types and missing keys are refused.
        threads.messages.create:locked — No message is added while a run is active.
        threads.messages.get:same — Reading a message gives what creating it gave.
        threads.messages.list:order — Messages of one second keep their order, newest first.
        threads.messages.list:run_id — The messages of one run can be asked for.
        threads.messages.list:walk — Pages together are all messages, each once.
        threads.messages.modify:metadata — Metadata may be changed, and nothing else.
        threads.messages.delete:shape — A deleted message answers with its id and is gone.
        """,
    ),
    *_of(
        "contract §7",
        """
        threads.runs.create:defaults — A new run is queued, expires in 600 s and has its defaults.
        threads.runs.create:overrides — What the request says goes before the assistant's own.
        threads.runs.create:additional — Additional messages and instructions are appended.
        threads.runs.create:invalid_thread — Without user message or instructions there is no run.
        threads.runs.create:assistant — The assistant must exist, and its id look like one.
        threads.runs.create:tool_choice — A choice must be among the tools; it forces one turn.
        threads.runs.create:locked — A thread has one active run at most.
        threads.runs.create_with_thread:run — Thread and run are made in one request.
        threads.runs.create:last_messages — So many from before the run, and all of its own.
        threads.runs.create_with_thread:resources — Those of the request and of the thread, by tool.
        threads.runs.create_with_thread:empty — Without a thread the instructions must do.
        threads.runs.list:order — Runs of one second keep their order.
        threads.runs.get:lifecycle — Timestamps and usage are set by the transitions, and only so.
        threads.runs.modify:active — An active run cannot be modified.
        threads.runs.modify:metadata — Of a run that has ended the metadata may be changed.
        threads.runs.cancel:states — A run is cancelled wherever it stands, with its open step.
        threads.runs.cancel:refusals — A run that has ended cannot be cancelled.
        threads.runs.submit:requires_action — A run waits with its calls; their step is open.
        threads.runs.submit:answer — Outputs complete the step and queue the run.
        threads.runs.submit:refusals — All calls must be answered, once, while the run waits.
        """,
    ),
    *_of(
        "contract §8",
        """
        threads.runs.steps.list:default_order — The newest step comes first.
        threads.runs.steps.list:order — `order` turns the list round.
        threads.runs.steps.list:limit — A page holds `limit` steps, and says if there are more.
        threads.runs.steps.list:after — `after` goes on behind a step.
        threads.runs.steps.list:before — `before` gives the page in front of a step.
        threads.runs.steps.list:both — Both give what lies between.
        threads.runs.steps.list:empty — A run that has done nothing has an empty list.
        threads.runs.steps.list:foreign — A run of another thread is not found.
        threads.runs.steps.list:foreign_cursor — A step of another run is no cursor.
        threads.runs.steps.get:same — Reading a step gives what the list says.
        threads.runs.steps.get:foreign — A step of another run is not found.
        """,
    ),
    *_of(
        "contract §9",
        """
        lists:shape — A list has object, data, first_id, last_id and has_more.
        lists:empty — The ids of an empty list are null.
        lists:bounds — A limit or an order out of bounds is refused.
        lists:unknown_query — Unknown query parameters are ignored, empty ones count as absent.
        lists:unknown_cursor — A cursor that never was in the list is not found.
        lists:deleted_cursor — A cursor that has been deleted since pages on.
        include:values — `include` knows one value, in three spellings.
        """,
    ),
    *_of(
        "contract §11",
        """
        runs:failure — A failed model fails run and step in its own words; a message is cut.
        runs:token_limit — Out of tokens a run is incomplete, its message too, its step is not.
        runs:expiry — A run expires 600 s after it was created, also as seen by a reader.
        runs:auto — Messages in the middle make room, and never the question of the run.
        runs:unknown_function — Where the client has no functions, a call of one fails here.
        locks:released — The lock is gone before the end is told.
        """,
    ),
    *_of(
        "contract §13",
        """
        streams:framing — An event is its name and one line of data; `done` is the last.
        streams:plain — The events of a plain answer come in their order.
        streams:thread_created — A thread made for the run is told first.
        streams:function — A function call streams its arguments and ends in requires_action.
        streams:submit — Outputs complete the step, queue the run and go on.
        streams:parallel_calls — Parallel calls share one step; ids are told once.
        streams:parallel_off — Without parallel calls there is one a turn.
        streams:one_after_another — A turn's calls of tools end before its next step begins.
        streams:text_before_calls — Text before a call is a message and a step of its own.
        streams:late_words — Words after a call are told when its step has ended.
        streams:refusal — A refusal is a part of its own kind.
        streams:text_deltas — Only the first delta of a text has annotations.
        streams:message_form — Messages show their status and are whole at their end.
        streams:step_form — Steps show the deadline of their run.
        streams:run_form — Runs spell out an empty code interpreter, whatever their assistant holds.
        streams:failure — A failure ends message, step and run, in this order.
        streams:cancel — A cancellation is told, then ends message, step and run.
        streams:expiry — Expiry ends message, step and run.
        streams:token_limit — Out of tokens the message is incomplete, the step completed.
        streams:content_filter — A filtered message is incomplete, and so is its run.
        streams:leaving — A client that leaves does not stop its run.
        """,
    ),
    *_of(
        "contract §14",
        """
        polling:header — Answers that will change say when to ask again.
        polling:monotonic — Whoever polls never sees a run go back.
        """,
    ),
    *_of(
        "contract §2",
        """
        errors:envelope — An error has a message, a type, a param and a code, in this order.
        errors:grammar — A wrong body is told what is wrong, where, and what would be right.
        errors:not_found — What is not there is named.
        errors:id_prefix — An id of the wrong kind is told its prefix.
        errors:routing — Unknown paths are 404, unknown methods 405.
        errors:json — A body that is not JSON is told so.
        errors:content_type — A body that does not claim to be JSON is refused.
        errors:beta — A version that is none is refused.
        errors:order — The body is checked before what it is about.
        """,
    ),
    *_of(
        "contract §1",
        """
        auth:missing — Without a key nobody comes in.
        auth:wrong — A wrong key is refused.
        auth:masked — A wrong key is shown masked.
        auth:bearer — A key is taken from a bearer header.
        auth:basic — A key is taken from the password of basic authentication.
        auth:api_key_header — A key is taken from `api-key`.
        auth:project_header — Organization and project must be the key's own.
        headers:every — Every answer bears the request id, the version, the time, and whose it is.
        azure:mounts — The API is also below /openai, /openai/v1 and any deployment.
        azure:client — The Azure client runs an assistant.
        azure:version — On its paths a date before the second version means the first.
        urls:slashes — Slashes too many do not matter.
        """,
    ),
    *_of(
        "contract §15",
        """
        files.create:shape — A file is processed at once, and keeps its name in any script.
        files.create:purpose — An unknown purpose is refused in words of its own.
        files.list:purpose — Files are listed, and found by their purpose.
        files.get:unknown — An unknown file is told in words of its own.
        files.delete:shape — Deleting answers with `file`.
        files.content.list:refusal — Files for assistants are not given out.
        files.content.list:bytes — Other files are given out byte for byte.
        uploads.create:parts — Parts become a file in the order in which they are named.
        uploads.parts.create:closed — An upload that was cancelled takes no part.
        uploads.complete:size — Parts that are not as long as was said are refused.
        uploads.cancel:shape — Cancelling answers with the upload, cancelled.
        vector_stores.create:shape — A store has its counts, its status and no size at first.
        vector_stores.list:walk — Stores are listed.
        vector_stores.get:same — Reading a store gives what creating it gave.
        vector_stores.modify:expiry — An expiry counts from the last activity.
        vector_stores.delete:shape — Deleting answers with `vector_store.deleted`.
        vector_stores.files.create:shape — A file begins in progress, `auto` chunks spelled out.
        vector_stores.files.create:unsupported — A file that cannot be read is refused.
        vector_stores.files.list:filter — Files are listed by their status.
        vector_stores.files.get:attributes — Attributes come back.
        vector_stores.files.modify:attributes — Attributes are replaced.
        vector_stores.files.delete:unknown — A file that is not in the store is told so.
        vector_stores.files.content.list:text — The text of a file is given out when it is read.
        vector_stores.file_batches.create:counts — A batch counts its files.
        vector_stores.file_batches.get:same — Reading a batch gives its counts.
        vector_stores.file_batches.cancel:shape — Cancelling answers with the batch.
        vector_stores.file_batches.files.list:all — The files of a batch are listed.
        models.list:shape — Models are listed without cursors.
        models.get:unknown — An unknown model is told so.
        models.delete:unknown — So is one that is to be deleted.
        """,
    ),
    *_of(
        "contract §15.4–15.7",
        """
        vector_stores.files.create:read — A file is read, and sized as its text and 1024 a chunk.
        vector_stores.files.create:broken — A file that cannot be read fails, and says why.
        vector_stores.files.create:hostile — Hostile files fail while the server keeps answering.
        vector_stores.files.delete:found — What is taken out of a store is not found any more.
        vector_stores.file_batches.create:read — A batch ends when each of its files has an end.
        vector_stores.search:results — A store is searched without an assistant.
        vector_stores.search:filters — Attributes narrow a search, by every operator.
        vector_stores.search:filter_errors — A filter that cannot be says which part is wrong.
        vector_stores.search:options — Threshold, number, rewriting and several queries are heeded.
        vector_stores.search:expired — A store that has expired is not searched.
        """,
    ),
    *_of(
        "contract §10",
        """
        file_search:include — Content of results is given to those who ask for it.
        file_search:options — A step has the ranking options of its tool, and no more results.
        file_search:together — The assistant's store and the thread's are searched together.
        file_search:gone — A store that was deleted gives nothing, one that expired refuses the run.
        """,
    ),
    *_of(
        "contract §13.3",
        """
        file_search:stream — A search streams one delta, its results come with the ended step.
        file_search:citations — Each marker is cited, in code points, whole in one delta.
        """,
    ),
    *_of(
        "contract §6.1",
        """
        file_search:attachments — An attached file makes a store of seven days, which a run awaits.
        """,
    ),
    *_of(
        "contract §16",
        """
        v1:objects — The first version shows file_ids, and no tool_resources.
        v1:retrieval — The first version calls file search retrieval.
        v1:metadata — The first version makes strings of metadata.
        v1:tools_later — A tool that is switched on later has the files of the assistant.
        v1:one_store — The files of an assistant come and go in one vector store.
        v1:message_files — A message brings ten files, a thread any number.
        v1:errors — Errors speak of the tools and the places that the first version knew.
        v1:only — Its own endpoints are there for the first version only.
        assistants.files.create:v1 — A file is put on an assistant.
        assistants.files.list:v1 — The files of an assistant are listed.
        assistants.files.get:v1 — A file of an assistant is read.
        assistants.files.delete:v1 — A file is taken off an assistant, and stays.
        threads.messages.files.list:v1 — The files of a message are listed.
        threads.messages.files.get:v1 — A file of a message is read.
        """,
    ),
    *_of(
        "contract §12, §13.3(c)",
        """
        code_interpreter:stream — Code streams as it is written, outputs as they come.
        code_interpreter:fold — The deltas add up to the step that lists show.
        code_interpreter:logs — Prints, last values and tracebacks are logs, and the run goes on.
        code_interpreter:state — Variables stay between the runs of a thread.
        code_interpreter:files — Files are found under their id and under their name.
        code_interpreter:taken_away — Files deleted or detached since are gone at the next call.
        code_interpreter:written — What code writes becomes a file, and links to it annotations.
        code_interpreter:images — Pictures are outputs, and stand before the text that follows.
        code_interpreter:refused — Where no walls can be built the step fails and says why.
        code_interpreter:cancel — A cancelled run stops its code at once.
        """,
    ),
    *_of(
        "SDK",
        """
        sdk:event_handler — Event handlers hear what the lists say.
        sdk:submit_stream — A handler submits outputs and streams on.
        sdk:async — The asynchronous client streams, polls and pages.
        sdk:raw — Raw responses show headers and parse.
        sdk:stream_iteration — A stream is iterated to its end.
        sdk:errors — Errors are raised as the client's own kinds.
        sdk:stream_error — An error in mid-stream is raised.
        sdk:parameters — Every parameter of the client's methods is one of ours.
        sdk:fields — Every field of the client's objects is one of ours.
        sdk:python_generations — Programs for the newest 1.x and 2.x, and of 2024, run unchanged.
        sdk:node_generations — Programs for the newest node client and for 4.x run unchanged.
        sdk:node_files — Files are searched and cited for the node clients as they were.
        sdk:paths — Every call of the client is one of our routes.
        """,
    ),
    *_of(
        "Locum",
        """
        runs.list:project — The runs of all threads are listed, newest first.
        runs.get:by_id — A run is found by its id alone, within its project.
        threads.list:metadata — Threads are listed, and found by their metadata.
        threads.runs.events:replay — The events of a run are told again from any place.
        threads.runs.events:last_event_id — `Last-Event-ID` says the place, too.
        threads.runs.events:refusals — A place that cannot be is refused.
        runs:pictures — A run reads a picture once, and shows the newest as far as there is room.
        streams:ids — Events that are told again are numbered without a gap.
        backends:provider_calls — What a provider carries out itself is a step, in its place.
        backends:provider_streams — Its deltas add up to the step that lists show.
        backends:given_back — What a model wants to see again with its calls' results goes back.
        backends:real_server — A real OpenAI-compatible server gives the same shapes of steps.
        streams:many — Two hundred streams and a sleeping reader disturb nobody.
        streams:keep_alive — Long silence is filled with comments, unless none are wanted.
        mcp:echo — A server comes back as it was sent; of a header only the name is shown.
        mcp:calls — A call is a step, streamed as every step and listed as it was streamed.
        mcp:with_functions — Calls beside functions are done before the client is asked.
        mcp:failures — A server that fails or lies fails its call, and not the run.
        mcp:cancel — A cancelled run hangs up on its servers at once.
        mcp:hosts — Only hosts that the operator has named are called.
        mcp:secrets — What a header says is in no answer, no event, no log and no document.
        mcp:once — A call that was lost with its worker is not made again.
        threads:adopt — Where the operator allows it, an unknown thread id becomes an empty thread.
        auth:read_only — A read-only key reads, and does nothing else.
        auth:revoked — A revoked key is a wrong key.
        auth:expired — A key that has expired is a wrong key.
        auth:local — Without any key made, every key is as good.
        limits:requests — Requests beyond the limit are refused, and told when to return.
        limits:retry — The official client returns when it is told to, and is answered.
        limits:projects — A project at its limit is no other project's concern.
        limits:queue — Runs are refused when too many of their project wait.
        limits:share — A project has no more runs driven than its share; the others stay queued.
        errors:bounds — A body holds so many values, messages, parts and characters, and no more.
        auth:local_names — Without any key made, no web page of others gets an answer.
        beta:strict — A strict server refuses whoever sends no beta header.
        manifest:tests — Every promise has a test, every contract test a promise.
        manifest:routes — Every route has a promise.
        manifest:readme — The README shows how many promises are kept.
        """,
    ),
    *_of(
        "Locum, against the defects of the field",
        """
        field:ids — Ids have the prefixes and the length that clients check.
        field:timestamps — Timestamps are whole seconds.
        field:requires_action_is_no_end — A run that waits is not told to be completed.
        field:no_blocking — A stream that waits for its model holds nobody up.
        field:cancel_interrupts — A cancellation interrupts the model; no step is then completed.
        field:no_instructions — An assistant without instructions answers.
        field:path_shadowing — Creating thread and run is no thread called `runs`.
        field:usage — Steps say what they cost, and the run the sum.
        """,
    ),
)

BY_ID: Final = {requirement.id: requirement for requirement in REQUIREMENTS}
