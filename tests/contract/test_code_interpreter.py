"""The code interpreter through the official client: files in, code and outputs, files out."""

import asyncio
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.server import Server, running

from locum.tools.code_interpreter import packages

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

_TOOL: Any = [{"type": "code_interpreter"}]
_PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def coder() -> Iterator[OpenAI]:
    with running(sandbox_warm=0) as server, server.sdk(timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def painter() -> Iterator[OpenAI]:
    """A server with numpy, pandas, matplotlib and the others, kept between sessions of tests."""
    kept = Path(tempfile.gettempdir()) / f"locum-tests-{os.getuid()}"
    installed = asyncio.run(packages.install(kept))
    with (
        running(sandbox_warm=0, prepare=_linked(installed)) as server,
        server.sdk(timeout=120) as client,
    ):
        yield client


def _linked(installed: Path) -> Callable[[Path], None]:
    def link(data: Path) -> None:
        folder = data / "sandbox-packages"
        folder.mkdir(parents=True)
        (folder / installed.name).symlink_to(installed)

    return link


class Streamed:
    """A streamed run: what was told, and what the lists say."""

    def __init__(self, client: OpenAI, text: str, *, thread_id: str = "", **thread: Any) -> None:
        assistant = client.beta.assistants.create(model="scripted", tools=_TOOL)
        if thread_id:
            client.beta.threads.messages.create(thread_id, role="user", content=text)
        else:
            message: Any = {"role": "user", "content": text}
            thread_id = client.beta.threads.create(messages=[message], **thread).id
        self.thread_id = thread_id
        with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant.id
        ) as stream:
            self.events = [event.event for event in stream]
            self.run = stream.get_final_run()
            self.told: list[Any] = stream.get_final_run_steps()
        listed = client.beta.threads.runs.steps.list(self.run.id, thread_id=thread_id, order="asc")
        self.steps: list[Any] = list(listed)
        said = client.beta.threads.messages.list(thread_id, run_id=self.run.id, order="asc")
        self.messages: list[Any] = list(said)

    @property
    def calls(self) -> list[Any]:
        return [
            call.code_interpreter
            for step in self.steps
            if step.type == "tool_calls"
            for call in step.step_details.tool_calls
        ]

    @property
    def logs(self) -> str:
        outputs = [output for call in self.calls for output in call.outputs]
        return "".join(output.logs for output in outputs if output.type == "logs")


def _bare(step: Any) -> Any:
    """The calls of a step without what only deltas carry."""
    calls = step.to_dict()["step_details"]["tool_calls"]
    for call in calls:
        call.pop("index", None)
        for output in call["code_interpreter"]["outputs"]:
            output.pop("index", None)
    return calls


@covers("code_interpreter:stream", "code_interpreter:fold", "code_interpreter:logs")
def test_code_streams_and_its_deltas_add_up_to_the_listed_step(coder: OpenAI) -> None:
    streamed = Streamed(coder, "!python for n in range(3): print('né', n)\n6 * 7\n!then\n!say done")
    assert streamed.run.status == "completed"
    [told] = [step for step in streamed.told if step.type == "tool_calls"]
    assert _bare(told) == _bare(streamed.steps[0])
    [call] = streamed.calls
    assert call.input == "for n in range(3): print('né', n)\n6 * 7"
    assert streamed.logs == "né 0\nné 1\nné 2\n42"
    assert streamed.events.count("thread.run.step.completed") == 2


@covers("code_interpreter:logs")
def test_an_exception_is_a_log_and_the_run_goes_on(coder: OpenAI) -> None:
    streamed = Streamed(coder, "!python 1 / 0\n!then\n!python print('again')\n!then\n!say ok")
    assert streamed.run.status == "completed"
    assert [step.status for step in streamed.steps] == ["completed"] * 3
    assert "ZeroDivisionError" in streamed.logs
    assert streamed.logs.endswith("again\n")


@covers("code_interpreter:state")
def test_variables_stay_between_the_runs_of_a_thread(coder: OpenAI) -> None:
    first = Streamed(coder, "!python x = 41\n!then\n!say kept")
    second = Streamed(coder, "!python x + 1\n!then\n!say read", thread_id=first.thread_id)
    assert second.logs == "42"
    other = Streamed(coder, "!python x\n!then\n!say none")
    assert "NameError" in other.logs


@covers("code_interpreter:files", "code_interpreter:written")
def test_a_file_goes_in_and_another_comes_out(coder: OpenAI) -> None:
    file = coder.files.create(file=("räte ü.csv", b"a,b\n1,2\n"), purpose="assistants")
    streamed = Streamed(
        coder,
        f"!python by_name = open('/mnt/data/räte ü.csv').read()\n"
        f"by_id = open('/mnt/data/{file.id}').read()\n"
        "open('/mnt/data/out.txt', 'w').write(by_name.upper())\n"
        "print(by_name == by_id)\n!then\n"
        "!say 😀 [out](sandbox:/mnt/data/out.txt) and [no](sandbox:/mnt/data/none.txt).",
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    assert streamed.logs == "True\n"
    text = streamed.messages[-1].content[0].text
    [link] = text.annotations
    assert link.type == "file_path"
    assert text.value[link.start_index : link.end_index] == "sandbox:/mnt/data/out.txt" == link.text
    written = coder.files.retrieve(link.file_path.file_id)
    assert (written.purpose, written.filename) == ("assistants_output", "out.txt")
    assert coder.files.content(written.id).read() == b"A,B\n1,2\n"


@covers("code_interpreter:taken_away")
def test_a_deleted_file_is_gone_from_the_session_under_whatever_name(coder: OpenAI) -> None:
    file = coder.files.create(file=("secret.csv", b"a,b\n1,2\n"), purpose="assistants")
    first = Streamed(
        coder,
        "!python import os\nos.chdir('/mnt/data')\n"
        "os.mkdir('deep'); os.rename('secret.csv', 'deep/renamed')\n"
        f"os.link('{file.id}', 'linked')\n"
        "_ = open('own.txt', 'w').write('mine')\n!then\n!say kept",
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    coder.files.delete(file.id)
    second = Streamed(
        coder,
        "!python print(sorted(os.listdir('.')), os.listdir('deep'))\n!then\n!say gone",
        thread_id=first.thread_id,
    )
    assert second.logs == "['deep', 'own.txt'] []\n"


@covers("code_interpreter:files")
def test_of_files_of_one_name_the_model_is_told_where_each_is(coder: OpenAI) -> None:
    old = coder.files.create(file=("table.csv", b"old"), purpose="assistants")
    new = coder.files.create(file=("table.csv", b"newer"), purpose="assistants")
    told = Streamed(
        coder,
        "!say {instructions}",
        tool_resources={"code_interpreter": {"file_ids": [new.id, old.id]}},
    )
    text = told.messages[-1].content[0].text.value
    assert f"- /mnt/data/{new.id} (table.csv)\n- /mnt/data/table.csv" in text


@covers("code_interpreter:taken_away")
def test_a_file_that_is_no_longer_attached_makes_way_for_one_of_its_name(coder: OpenAI) -> None:
    old = coder.files.create(file=("table.csv", b"old"), purpose="assistants")
    new = coder.files.create(file=("table.csv", b"newer"), purpose="assistants")
    first = Streamed(
        coder,
        "!python open('/mnt/data/table.csv').read()\n!then\n!say read",
        tool_resources={"code_interpreter": {"file_ids": [new.id, old.id]}},
    )
    assert first.logs == "'old'"
    coder.beta.threads.update(
        first.thread_id, tool_resources={"code_interpreter": {"file_ids": [new.id]}}
    )
    second = Streamed(
        coder,
        "!python import os\nprint(len(os.listdir('/mnt/data')), open('/mnt/data/table.csv').read())"
        "\n!then\n!say read",
        thread_id=first.thread_id,
    )
    assert second.logs == "2 newer\n"


@covers("code_interpreter:taken_away")
def test_a_file_that_code_has_changed_is_its_own(coder: OpenAI) -> None:
    file = coder.files.create(file=("table.csv", b"a,b\n"), purpose="assistants")
    first = Streamed(
        coder,
        "!python _ = open('/mnt/data/table.csv', 'a').write('1,2\\n')\n!then\n!say changed",
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    coder.files.delete(file.id)
    second = Streamed(
        coder,
        "!python import os\nos.listdir('/mnt/data')\n!then\n!say kept",
        thread_id=first.thread_id,
    )
    assert second.logs == "['table.csv']"


@covers("code_interpreter:refused")
def test_without_walls_the_step_fails_and_says_why(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.tools.code_interpreter.choose.candidates", list)
    with make_server(sandbox_warm=0).sdk(timeout=60) as client:
        streamed = Streamed(client, "!python print(1)\n!then\n!say I could not.")
    assert streamed.run.status == "completed"
    failed = streamed.steps[0]
    assert failed.status == "failed"
    assert failed.last_error.code == "server_error"
    assert "bubblewrap" in failed.last_error.message
    assert streamed.logs == ""


@covers("code_interpreter:cancel")
def test_a_cancelled_run_stops_its_code(coder: OpenAI) -> None:
    assistant = coder.beta.assistants.create(model="scripted", tools=_TOOL)
    message: Any = {
        "role": "user",
        "content": "!python print('begun', flush=True)\nwhile True: pass\n!then\n!say never",
    }
    thread = coder.beta.threads.create(messages=[message])
    with coder.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            if event.event == "thread.run.step.delta" and "begun" in event.data.to_json():
                coder.beta.threads.runs.cancel(_run_of(stream), thread_id=thread.id)
    run = stream.get_final_run()
    assert run.status == "cancelled"
    [step] = coder.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert step.status == "cancelled"
    again = Streamed(coder, "!python print('free')\n!then\n!say ok", thread_id=thread.id)
    assert again.logs.endswith("free\n")


@covers("code_interpreter:written", "streams:late_words")
def test_words_after_a_call_in_the_same_answer_link_to_what_it_has_written(coder: OpenAI) -> None:
    streamed = Streamed(
        coder,
        "!python open('/mnt/data/sum.txt', 'w').write('14')\n"
        "!say See [the sum](sandbox:/mnt/data/sum.txt).\n!then\n!say Done.",
    )
    told, done = streamed.messages
    assert done.content[0].text.value == "Done."
    [link] = told.content[0].text.annotations
    assert coder.files.content(link.file_path.file_id).read() == b"14"


@covers("code_interpreter:written")
def test_programs_that_add_up_every_piece_of_text_pass_a_link_to_a_file(coder: OpenAI) -> None:
    assistant = coder.beta.assistants.create(model="scripted", tools=_TOOL)
    text = (
        "!python open('/mnt/data/sum.txt', 'w').write('14')\n!then\n"
        "!say See [the sum](sandbox:/mnt/data/sum.txt), please."
    )
    with coder.beta.threads.create_and_run_stream(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": text}]}
    ) as stream:
        deltas = [event.data.delta for event in stream if event.event == "thread.message.delta"]
    parts: list[Any] = [part for delta in deltas for part in delta.content or ()]
    assert sum(len(part.text.annotations or ()) for part in parts) == 1
    said = "".join([part.text.value for part in parts])
    assert said == "See [the sum](sandbox:/mnt/data/sum.txt), please."


def _run_of(stream: Any) -> str:
    return str(stream.current_run.id)


@pytest.mark.slow
@covers("code_interpreter:images", "code_interpreter:written", "code_interpreter:fold")
def test_a_table_goes_in_and_a_chart_and_a_workbook_come_out(painter: OpenAI) -> None:
    table = "city,sun\nParis,5\nRome,9\n"
    file = painter.files.create(file=("sun.csv", table.encode()), purpose="assistants")
    streamed = Streamed(
        painter,
        "!python import pandas as pd, matplotlib.pyplot as plt\n"
        "table = pd.read_csv('/mnt/data/sun.csv')\n"
        "table.plot.bar(x='city', y='sun')\nplt.show()\n"
        "table.to_excel('/mnt/data/sun.xlsx', index=False)\nprint(table.sun.sum())\n!then\n"
        "!say The chart, and [the workbook](sandbox:/mnt/data/sun.xlsx).",
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    assert streamed.run.status == "completed"
    assert streamed.logs == "14\n"
    [told] = [step for step in streamed.told if step.type == "tool_calls"]
    assert _bare(told) == _bare(streamed.steps[0])
    [shown] = [o for o in streamed.calls[0].outputs if o.type == "image"]
    image, text = streamed.messages[-1].content
    assert image.type == "image_file"
    assert image.image_file.file_id == shown.image.file_id
    assert painter.files.content(shown.image.file_id).read().startswith(_PNG)
    [link] = text.text.annotations
    workbook = painter.files.content(link.file_path.file_id).read()
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        assert "xl/workbook.xml" in archive.namelist()
        assert b"Rome" in b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.slow
@covers("code_interpreter:images", "streams:late_words")
def test_a_picture_is_in_the_words_after_its_call_and_in_no_others(painter: OpenAI) -> None:
    streamed = Streamed(
        painter,
        "!python import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n"
        "!say The line.\n!then\n!say Done.",
    )
    told, done = streamed.messages
    assert [part.type for part in told.content] == ["image_file", "text"]
    assert [part.type for part in done.content] == ["text"]
