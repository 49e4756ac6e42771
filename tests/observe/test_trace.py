"""W3C Trace Context: what is continued, what begins anew, and what goes on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.observe.trace import continued

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"
WELL_FORMED = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        pytest.param(HEADER, "01", id="sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-00", "00", id="not sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-03", "03", id="sampled, random id"),
        pytest.param(f"00-{TRACE}-{PARENT}-ff", "03", id="unknown flags are not repeated"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01", "01", id="a later version"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01-what-will-be", "01", id="a later version with more fields"),
    ],
)
def test_a_trace_is_continued_with_a_parent_of_ours(header: str, flags: str) -> None:
    found = continued(header)
    assert found.trace_id == TRACE
    assert found.traceparent == f"00-{TRACE}-{found.span_id}-{flags}"
    assert found.span_id not in (PARENT, "0" * 16)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("ff" + HEADER[2:], id="version ff"),
        pytest.param(HEADER + "-more", id="version 00 with more fields"),
        pytest.param(HEADER + "-", id="version 00 with a dash"),
        pytest.param(HEADER.replace("01", "1"), id="short"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01.more", id="a later version with something else"),
        pytest.param(HEADER.upper(), id="upper case"),
        pytest.param(f"00-{'0' * 32}-{PARENT}-01", id="no trace id"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no parent id"),
        pytest.param(f" {HEADER}", id="space before"),
        pytest.param(f"{HEADER}\n", id="line end"),
        pytest.param(HEADER.replace("-", "_"), id="other separators"),
        pytest.param(f"{HEADER}, {HEADER}", id="two of them"),
        pytest.param(HEADER.replace("c", "٣"), id="digits of another script"),
        pytest.param("00-" + "g" * 32 + f"-{PARENT}-01", id="not hexadecimal"),
    ],
)
def test_anything_else_begins_a_new_trace(header: str | None) -> None:
    found = continued(header, "vendor=1")
    assert found.trace_id != TRACE
    assert WELL_FORMED.fullmatch(found.traceparent)
    assert found.traceparent.endswith("-01")
    assert found.tracestate == ""  # it would belong to no trace


@pytest.mark.parametrize(
    ("tracestate", "passed"),
    [
        pytest.param(None, "", id="none"),
        pytest.param("", "", id="empty"),
        pytest.param(
            "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", id="as it came"
        ),
        pytest.param("a=1, b=2", "a=1, b=2", id="two lines, joined"),
        pytest.param("a=" + "x" * 510, "a=" + "x" * 510, id="512 characters"),
        pytest.param("a=" + "x" * 511, "", id="513 characters"),
        pytest.param(
            ",".join(f"k{number}=v" for number in range(32)),
            ",".join(f"k{number}=v" for number in range(32)),
            id="32 members",
        ),
        pytest.param(",".join(f"k{number}=v" for number in range(33)), "", id="33 members"),
        pytest.param("a=é", "", id="beyond ASCII"),
        pytest.param("a=\udcff", "", id="raw bytes"),
        pytest.param("a=1\r\nX-Evil: 1", "", id="line ends"),
    ],
)
def test_a_tracestate_goes_on_as_it_came_or_not_at_all(tracestate: str | None, passed: str) -> None:
    assert continued(HEADER, tracestate).tracestate == passed


def test_randomness_that_happens_to_be_nothing_is_no_id() -> None:
    assert WELL_FORMED.fullmatch(continued(None, None, lambda size: 0).traceparent)
    assert WELL_FORMED.fullmatch(continued(HEADER, None, lambda size: 0).traceparent)


def test_two_submissions_have_two_spans() -> None:
    assert continued(HEADER).span_id != continued(HEADER).span_id
    assert continued(None).trace_id != continued(None).trace_id


@settings(deadline=None)
@given(
    st.none() | st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?"), st.none() | st.text()
)
def test_any_headers_give_headers_that_can_be_sent(header: str | None, tracestate: str | None) -> None:
    found = continued(header, tracestate)
    assert WELL_FORMED.fullmatch(found.traceparent)
    assert found.tracestate.isascii()
    assert found.tracestate == "" or found.tracestate.isprintable()
