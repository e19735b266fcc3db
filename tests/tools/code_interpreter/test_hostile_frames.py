"""Code that takes the place of the runner and speaks to the server itself."""

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter.frames import (
    Done,
    Frame,
    FrameReader,
    HostileFrameError,
    Ready,
    Said,
    Shown,
)
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import Logs, Picture

BROKEN = "The interpreter was stopped: it broke the rules of its protocol."
# Finds the runner's own object, as code in the same process always can.
SPEAK = """
import gc, json, os
host = next(thing for thing in gc.get_objects() if type(thing).__name__ == 'Host')
def send(data):
    try:
        os.write(host._frames, data)
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"{}\n",
        b"\n",
        b"\xff\xfe\n",
        b'{"kind":"ready"}\n',
        b'{"kind":"done","call":"another"}\n',
        b'{"kind":"said","call":"another","text":"forged"}\n',
        b'{"kind":"said","call":7,"text":[]}\n',
        b'{"kind":"run","call":"x"}\n',
        b"[" * 60_000 + b"\n",
    ],
)
def test_what_is_no_frame_of_this_call_ends_the_interpreter(walled: Rig, line: bytes) -> None:
    session = walled.session()
    walled.run(session, SPEAK)

    text = walled.logs(session, f"send({line!r})\nwhile True: pass")

    assert text == BROKEN
    assert walled.logs(session, "1 + 1").endswith("2")


def test_a_frame_without_end_ends_the_interpreter(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(output_bytes=1000, picture_bytes=1000))
    session = rig.session()
    rig.run(session, SPEAK)

    assert rig.logs(session, "while True: send(b'x' * 1000)") == BROKEN


def test_sending_without_reading_the_answers_does_not_hold_the_server_up(walled: Rig) -> None:
    session = walled.session()
    walled.run(session, SPEAK)
    said = "frame = json.dumps({'kind': 'said', 'call': host.call, 'text': ''}).encode() + b'\\n'"

    text = walled.logs(session, f"{said}\nfor _ in range(100_000): send(frame)\nwhile True: pass")

    assert text == BROKEN


def test_a_call_that_says_it_is_done_and_goes_on_is_found_out(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(wall_s=0.3, grace_s=0.0))
    session = rig.session()
    rig.run(session, SPEAK)
    forged = "send(json.dumps({'kind': 'done', 'call': host.call}).encode() + b'\\n')"

    assert "timed out" not in rig.logs(session, f"{forged}\nwhile True: pass")
    # It stood still in between; now it runs on in place of the call, up to the call's time.
    assert rig.logs(session, "1 + 1").endswith("timed out after 0.3 s")
    assert rig.logs(session, "1 + 1").endswith("2")


def test_pictures_that_are_none_are_not_shown(walled: Rig) -> None:
    session = walled.session()
    walled.run(session, SPEAK)

    outputs = walled.run(session, "host.show(b'GIF89a')\nhost.show(b'\\x89PNG\\r\\n\\x1a\\nfine')")

    assert outputs == [
        Logs("[a picture was not shown: no PNG, or too large]"),
        Picture(b"\x89PNG\r\n\x1a\nfine"),
    ]


def test_pictures_have_a_number_and_a_size(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(pictures=2, picture_bytes=100))
    session = rig.session()
    rig.run(session, SPEAK)
    png = r"b'\x89PNG\r\n\x1a\n'"

    assert len(rig.pictures(session, f"for _ in range(5): host.show({png})")) == 2
    assert rig.pictures(session, f"host.show({png} + b'x' * 100)") == []


def test_pictures_that_are_not_shown_count_as_output(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(output_bytes=1000, wall_s=0.5))
    session = rig.session()
    rig.run(session, SPEAK)

    text = rig.logs(session, "for _ in range(50): host.show(b'GIF89a')\nhost.say('the end')")

    assert len(text) < 1200
    assert "[output cut after 1000 bytes]" in text


@pytest.mark.parametrize("flood", ["host.say('')", r"host.show(b'\x89PNG\r\n\x1a\n')"])
def test_a_flood_of_frames_that_tell_nothing_is_slowed_down(
    build_walled: Build, flood: str
) -> None:
    rig = build_walled(limits=Limits(wall_s=0.5, pictures=1))
    session = rig.session()
    rig.run(session, f"{SPEAK}\nn = 0")

    rig.run(session, f"while True:\n  {flood}\n  n += 1")

    assert rig.logs(session, "0 < n < 100") == "True"


@pytest.mark.parametrize(
    "close",
    [
        "os.closerange(3, 300)",
        "os.closerange(0, 300)",
        "os.close(host._frames)",
        "os.close(host._requests.fileno())\nwhile True: host.say('x')",
    ],
)
def test_closing_the_pipes_is_a_death(walled: Rig, close: str) -> None:
    session = walled.session()
    walled.run(session, SPEAK)

    assert "The interpreter died." in walled.logs(session, close)
    assert walled.logs(session, "1 + 1").endswith("2")


def test_closing_the_streams_only_silences(walled: Rig) -> None:
    session = walled.session()

    assert walled.logs(session, "import os\nos.close(1)\nos.close(2)\n6 * 7") == "42"
    assert walled.logs(session, "x = 1\nx") == "1"


def test_frames_are_cut_wherever_they_are_split() -> None:
    data = (
        b'{"kind":"ready"}\n{"kind":"said","call":"c","text":"t"}\n'
        b'{"kind":"shown","call":"c","data":"AAE="}\n{"kind":"done","call":"c"}\n'
    )
    expected = [Ready(), Said("c", "t"), Shown("c", b"\0\1"), Done("c")]
    for size in range(1, len(data)):
        reader = FrameReader(longest_text=100, largest_picture=100)
        frames: list[Frame] = []
        for start in range(0, len(data), size):
            frames += reader.feed(data[start : start + size])
        assert frames == expected


def test_a_frame_that_is_too_long_is_not_kept() -> None:
    reader = FrameReader(longest_text=10, largest_picture=10)

    for _ in range(10):
        reader.feed(b"x" * 100)

    with pytest.raises(HostileFrameError):
        reader.feed(b"x" * 1000)
