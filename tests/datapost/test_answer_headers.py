"""The headers that go with an answer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost import Format, answer_headers, content_type
from gateway.datapost.reasons import Reason

REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
EACH_REASON = pytest.mark.parametrize("reason", list(Reason), ids=[reason.slug for reason in Reason])


@EACH_REASON
def test_every_answer_names_its_reference_and_is_not_stored(reason: Reason) -> None:
    headers = answer_headers(reason, REFERENCE)
    assert headers[:2] == (("X-Request-Id", REFERENCE), ("Cache-Control", "no-store"))


@EACH_REASON
def test_what_a_status_asks_for_goes_with_its_reason_and_with_no_other(reason: Reason) -> None:
    more = {name for name, _ in answer_headers(reason, REFERENCE)[2:]}
    asked = {401: {"WWW-Authenticate"}, 405: {"Allow"}, 429: {"Retry-After"}, 503: {"Retry-After"}}
    assert more == asked.get(reason.status, set())


def test_only_post_is_allowed() -> None:
    assert answer_headers(Reason.METHOD_NOT_ALLOWED, REFERENCE)[2] == ("Allow", "POST")


@pytest.mark.parametrize(
    ("seconds", "value"), [(None, "10"), (3, "3"), (0, "0"), (-2, "0")], ids=["usual", "given", "at once", "past"]
)
def test_retry_after_is_in_whole_seconds(seconds: int | None, value: str) -> None:
    assert answer_headers(Reason.CIRCUIT_OPEN, REFERENCE, retry_after_s=seconds)[2] == ("Retry-After", value)


@pytest.mark.parametrize(
    ("realm", "quoted"),
    [
        pytest.param("Auto leads", '"Auto leads"', id="plain"),
        pytest.param("", '"leads"', id="none"),
        pytest.param('say "hi"', '"say \\"hi\\""', id="quotes"),
        pytest.param("a\\b", '"a\\\\b"', id="backslash"),
        pytest.param("a\r\nSet-Cookie: b", '"a??Set-Cookie: b"', id="line end"),
        pytest.param("Zürich", '"Z?rich"', id="not ASCII"),
    ],
)
def test_the_realm_is_a_quoted_string_on_one_line(realm: str, quoted: str) -> None:
    challenge = ("WWW-Authenticate", f'Basic realm={quoted}, charset="UTF-8"')
    assert answer_headers(Reason.UNAUTHORIZED, REFERENCE, realm=realm)[2] == challenge


@given(st.text(st.characters(exclude_categories=())))
def test_no_realm_breaks_out_of_its_quotes(realm: str) -> None:
    value = answer_headers(Reason.UNAUTHORIZED, REFERENCE, realm=realm)[2][1]
    assert re.fullmatch(r'Basic realm="(?:[ !#-\[\]-~]|\\["\\])+", charset="UTF-8"', value)


def test_the_content_type_names_the_charset() -> None:
    assert content_type(Format.JSON) == "application/json; charset=utf-8"
    assert content_type(Format.XML) == "application/xml; charset=utf-8"
