"""Where spans stand, as W3C's header tells it."""

import pytest

from locum.telemetry.spans import SpanContext, read_traceparent

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "is_sampled"),
    [
        (f"00-{_TRACE}-{_SPAN}-01", True),
        (f" 00-{_TRACE}-{_SPAN}-03 ", True),
        (f"00-{_TRACE}-{_SPAN}-00", False),
        # A later version may go on after what we know of it.
        (f"cc-{_TRACE}-{_SPAN}-01-what-comes-later", True),
    ],
)
def test_a_caller_says_where_he_stands(text: str, is_sampled: bool) -> None:
    assert read_traceparent(text) == SpanContext(_TRACE, _SPAN, is_sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"ff-{_TRACE}-{_SPAN}-01",
        f"00-{_TRACE}-{_SPAN}-01-more",
        f"00-{_TRACE.upper()}-{_SPAN}-01",
        f"00-{'0' * 32}-{_SPAN}-01",
        f"00-{_TRACE}-{'0' * 16}-01",
        f"00-{_TRACE}-{_SPAN}-0g",
    ],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert read_traceparent(text) is None


def test_a_span_has_the_id_that_follows_from_its_name() -> None:
    place = SpanContext(_TRACE, _SPAN, is_sampled=False)
    beside = place.beside("step_1")
    assert beside == place.beside("step_1")
    assert beside != place.beside("step_2")
    assert (beside.trace_id, len(beside.span_id), beside.is_sampled) == (_TRACE, 16, False)
