"""Secrets are taken out of what passes by, however it is cut and however servers write them."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.settings import UpstreamSettings
from locum.web.redaction import Redactor
from locum.web.upstreams import Upstream, passed_back

# As keys are that hold bytes in base64.
_KEY = "abcD+/efGH1234<5678=="
_MIXED = st.lists(st.sampled_from([b"one-secret", b"one-secret-more", b"secret", b"one-", b"x"]))


def _upstream(**settings: object) -> Upstream:
    return Upstream("other", UpstreamSettings(url="http://127.0.0.1:1/v1", **settings))  # type: ignore[arg-type]  # a test names the settings it is about


def _read(redactor: Redactor, *pieces: bytes) -> bytes:
    return b"".join([*(redactor.feed(piece) for piece in pieces), redactor.end()])


@given(_MIXED, st.integers(1, 12))
def test_what_is_cut_anywhere_reads_like_what_comes_whole(words: list[bytes], size: int) -> None:
    """Also where one secret is the beginning of another, and the cut is behind it."""
    text = b" ".join(words)
    secrets = ("one-secret", "one-secret-more")
    whole = _read(Redactor(secrets), text)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert _read(Redactor(secrets), *pieces) == whole
    assert b"one-secret" not in whole
    assert b"-more" not in whole


def test_a_secret_that_ends_as_it_begins_is_taken_out_at_once() -> None:
    redactor = Redactor(("twice-twice",))
    assert redactor.feed(b"So twice-twice") == b"So ********"
    assert _read(redactor, b"-twice and tw", b"ice") == b"-twice and twice"


@pytest.mark.parametrize(
    "written",
    [
        _KEY,
        _KEY.replace("/", "\\/"),
        _KEY.replace("+", "\\u002B").replace("<", "\\u003C"),
        _KEY.replace("=", "\\u003d").replace("<", "\\u003c"),
        quote(_KEY),
        quote(_KEY, safe=""),
        "abcD%2b%2fefGH1234%3c5678%3d%3d",
    ],
)
def test_a_key_is_taken_out_as_servers_of_all_languages_write_it(written: str) -> None:
    """Some escape a slash in JSON, some what could be markup; addresses have signs of their own."""
    told = f'{{"message":"Wrong key {written}."}}'.encode()
    for settings in ({"key": _KEY}, {"headers": {"x-key": _KEY}}, {"query": {"sig": _KEY}}):
        secrets = _upstream(**settings).secrets
        assert _read(Redactor(secrets), told) == b'{"message":"Wrong key ********."}'
        assert passed_back({"x-request-id": written}, secrets) == {}


def test_a_version_is_no_secret_whatever_its_length() -> None:
    """Or every text that says this day would be told without it."""
    upstream = _upstream(
        kind="anthropic",
        key=_KEY,
        headers={"Anthropic-Version": "2023-06-01", "OpenAI-Beta": "assistants=v2"},
        query={"api-version": "2024-10-21"},
    )
    said = json.dumps({"text": "From 2023-06-01 to 2024-10-21 with assistants=v2"}).encode()
    assert _read(Redactor(upstream.secrets), said) == said


def test_what_the_settings_say_in_a_header_cannot_be_said_twice() -> None:
    """A server may read the first of two, which would be the caller's."""
    upstream = _upstream(key=_KEY, headers={"OpenAI-Beta": "assistants=v2", "User-Agent": "ours"})
    sent = upstream.headers({"openai-beta": "assistants=v1", "accept": "*/*"})
    assert sent == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "openai-beta": "assistants=v2",
        "user-agent": "ours",
        "authorization": f"Bearer {_KEY}",
    }
