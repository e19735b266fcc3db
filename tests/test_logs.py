"""Lines of the log: whole, at once, and never in the way of a request."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys

import pytest

from locum import logs

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


def _configured(*, as_json: bool = False) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(as_json=as_json, stream=stream)
    return stream


def test_a_line_for_people_is_the_time_the_level_the_event_and_its_fields() -> None:
    stream = _configured()
    logs.info("request", status=200, ms=1.5)
    logs.warning("store.checkpoint_failed", reason="busy")
    logs.info("started")
    told = re.sub(_TIME, "TIME", stream.getvalue())
    assert told == (
        "TIME INFO    request status=200 ms=1.5\n"
        "TIME WARNING store.checkpoint_failed reason=busy\n"
        "TIME INFO    started\n"
    )


def test_a_line_for_machines_is_one_json_object() -> None:
    stream = _configured(as_json=True)
    logs.info("request", status=200, path="/v1/files")
    line = json.loads(stream.getvalue())
    assert re.fullmatch(_TIME, line.pop("time"))
    assert line == {"level": "info", "event": "request", "status": 200, "path": "/v1/files"}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_brings_its_traceback(as_json: bool) -> None:
    stream = _configured(as_json=as_json)
    try:
        {"x": 1}["what broke"]
    except KeyError as failure:
        logs.error("request.broke", failure=failure, request_id="req_1")
    told = stream.getvalue()
    assert "request.broke" in told
    assert "Traceback (most recent call last)" in told
    assert "what broke" in told


def test_what_other_modules_log_is_written_in_the_same_way() -> None:
    stream = _configured()
    logging.getLogger("locum.llm.chat").warning("model.parameters_refused without=%s", "stop")
    assert stream.getvalue().endswith("WARNING model.parameters_refused without=stop\n")


def test_lines_told_in_a_loop_are_written_together_and_a_warning_does_not_wait() -> None:
    stream = _configured()

    async def tell() -> None:
        logs.info("first")
        logs.info("second")
        assert stream.getvalue() == ""
        logs.warning("third")
        assert [line.split()[3] for line in stream.getvalue().splitlines()] == [
            "first",
            "second",
            "third",
        ]
        logs.info("fourth")
        async with asyncio.timeout(30):
            while "fourth" not in stream.getvalue():  # noqa: ASYNC110  # a stream tells nobody
                await asyncio.sleep(0)

    asyncio.run(tell())


def test_what_waits_when_the_process_ends_is_written() -> None:
    code = (
        "import asyncio; from locum import logs; logs.configure(as_json=False)\n"
        "async def tell(): logs.info('last', number=1)\n"
        "asyncio.run(tell())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.endswith("INFO    last number=1\n")


def test_many_lines_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str, /) -> int:
            written.append(text)
            return super().write(text)

    logs.configure(as_json=False, stream=Stream())

    async def tell() -> None:
        for number in range(200):
            logs.info("request", number=number)
        logs.warning("end")

    asyncio.run(tell())
    assert len(written) < 10
    assert max(map(len, written)) <= 4_096
    assert all(piece.endswith("\n") for piece in written)
    assert "".join(written).count("\n") == 201


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    stream = _configured()
    stream.close()
    logs.info("request", status=200)
    logs.error("request.broke", failure=ValueError("x"))


def test_a_log_that_could_not_be_written_goes_on_when_it_can() -> None:
    class Stream(io.StringIO):
        failed = False

        def write(self, text: str, /) -> int:
            if not self.failed:
                self.failed = True
                raise OSError("no space left")
            return super().write(text)

    stream = Stream()
    logs.configure(as_json=False, stream=stream)

    async def tell() -> None:
        for number in range(200):
            logs.info("lost", number=number)
        async with asyncio.timeout(30):
            while not stream.failed:  # noqa: ASYNC110  # a stream tells nobody
                await asyncio.sleep(0)
            logs.info("kept")
            while "kept" not in stream.getvalue():  # noqa: ASYNC110
                await asyncio.sleep(0)

    asyncio.run(tell())


def test_lines_within_a_second_share_it_and_the_next_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = _configured()
    times = iter([1_700_000_000.25, 1_700_000_000.75, 1_700_000_001.0])
    monkeypatch.setattr("time.time", lambda: next(times))
    for _ in range(3):
        logs.info("tick")
    first, second, third = (line[17:23] for line in stream.getvalue().splitlines())
    assert (first[-3:], second[-3:], third[-3:]) == ("250", "750", "000")
    assert first[:2] == second[:2] != third[:2]
