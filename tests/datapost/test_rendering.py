"""Bytes of an answer: whatever the members hold, both formats are well-formed, canonical and say the same."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.datapost import Format, render
from gateway.datapost.values import DataPostResponse

#: Any code points, the awkward ones often; lone surrogates too.
TEXT = st.text(
    st.one_of(
        st.sampled_from(list("\"\\&<>[]'/\x00\x08\t\n\r\x1f\x7f\x85\u2028\ud800\udfff\ufffe\uffff\u00e9\U0001f600")),
        st.characters(exclude_categories=()),
    ),
    max_size=60,
)
ANSWERS = st.builds(
    DataPostResponse,
    valid=st.booleans(),
    uniqueid=TEXT,
    sale_amount=TEXT,
    customerid=TEXT,
    email=TEXT,
    note=TEXT,
)
PLAIN = DataPostResponse(valid=True, uniqueid="98", note="Thank you")

_never_shown = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def read(body: bytes, format: Format) -> tuple[object, ...]:
    """The six members as an ordinary parser finds them."""
    if format is Format.JSON:
        return tuple(json.loads(body)["dataPostResponse"].values())
    root = etree.fromstring(body)
    valid, *texts = (child.text or "" for child in root)
    return ({"true": True, "false": False}[valid], *texts)


@given(ANSWERS)
def test_both_formats_parse_to_the_same_members_whatever_text_they_hold(answer: DataPostResponse) -> None:
    shown = tuple(_never_shown.sub("\ufffd", one) if isinstance(one, str) else one for one in tuple(answer))
    assert read(render(answer, Format.JSON), Format.JSON) == shown
    assert read(render(answer, Format.XML), Format.XML) == shown


@given(ANSWERS, st.sampled_from(Format))
def test_an_answer_is_one_line_without_control_characters(answer: DataPostResponse, format: Format) -> None:
    body = render(answer, format)
    assert not re.search(rb"[\x00-\x1f\x7f]", body)
    assert _never_shown.search(body.decode("utf-8")) is None


@given(ANSWERS)
def test_json_is_written_as_the_standard_library_would_with_blanks_and_without_ascii_escapes(
    answer: DataPostResponse,
) -> None:
    body = render(answer, Format.JSON)
    assert body == json.dumps(json.loads(body), ensure_ascii=False).encode()


@given(ANSWERS)
def test_xml_has_elements_and_text_and_nothing_else(answer: DataPostResponse) -> None:
    body = render(answer, Format.XML)
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?><dataPostResponse><valid>')
    assert body.endswith(b"</note></dataPostResponse>")
    inside = body.partition(b"?>")[2]
    tags = re.findall(rb"<[^>]*>", inside)
    assert len(tags) == 14
    assert all(re.fullmatch(rb"</?[a-zA-Z_]+>", tag) for tag in tags)


@pytest.mark.parametrize(
    ("text", "in_json", "in_xml"),
    [
        pytest.param('a"b', rb"a\"b", b'a"b', id="quote"),
        pytest.param("a\\b", rb"a\\b", b"a\\b", id="backslash"),
        pytest.param("a&b", b"a&b", b"a&amp;b", id="ampersand"),
        pytest.param("a<b>c", b"a<b>c", b"a&lt;b&gt;c", id="angle brackets"),
        pytest.param("]]>", b"]]>", b"]]&gt;", id="end of CDATA"),
        pytest.param("&amp;", b"&amp;", b"&amp;amp;", id="what is escaped already is escaped again"),
        pytest.param("Déjà 名 😀", "Déjà 名 😀".encode(), "Déjà 名 😀".encode(), id="not ASCII: as UTF-8"),
        pytest.param("a\u00a0b", b"a\xc2\xa0b", b"a\xc2\xa0b", id="no-break space stays"),
        pytest.param("a\nb\tc\rd", b"a\xef\xbf\xbdb\xef\xbf\xbdc\xef\xbf\xbdd", None, id="line ends and tabs"),
        pytest.param("a\x00b", b"a\xef\xbf\xbdb", None, id="NUL"),
        pytest.param("a\ud83db", b"a\xef\xbf\xbdb", None, id="half a surrogate pair"),
    ],
)
def test_a_member_is_escaped_as_its_format_asks(text: str, in_json: bytes, in_xml: bytes | None) -> None:
    answer = PLAIN._replace(customerid=text)
    assert b'"customerid": "' + in_json + b'", ' in render(answer, Format.JSON)
    assert b"<customerid>" + (in_json if in_xml is None else in_xml) + b"</customerid>" in render(answer, Format.XML)


def test_empty_members_are_written_out() -> None:
    answer = DataPostResponse(valid=False)
    assert render(answer, Format.JSON) == (
        b'{"dataPostResponse": {"valid": false, "uniqueid": "", "sale_amount": "", "customerid": "", "email": "",'
        b' "note": ""}}'
    )
    assert b"<uniqueid></uniqueid>" in render(answer, Format.XML)
