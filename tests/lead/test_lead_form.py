from __future__ import annotations

from urllib.parse import parse_qsl, quote_plus, unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.lead import Lead, Undecodable
from gateway.lead.form import BAD_ESCAPE, read_form
from gateway.lead.texts import CONTROL_CHARACTER, NOT_IN_CHARSET, NOT_TEXT, TOO_MANY_FIELDS


def pairs(body: bytes, codec: str | None = None) -> list[tuple[str, str]]:
    lead = read_form(body, codec, 100)
    assert isinstance(lead, Lead), lead
    assert lead.encoding == "form"
    assert lead.listed == frozenset()
    return list(lead.pairs)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", [], id="empty body"),
        pytest.param(b"a=1&b=2", [("a", "1"), ("b", "2")], id="two pairs"),
        pytest.param(b"b=2&a=1&b=3", [("b", "2"), ("a", "1"), ("b", "3")], id="order and repetition are kept"),
        pytest.param(b"a", [("a", "")], id="no equals sign"),
        pytest.param(b"a=", [("a", "")], id="no value"),
        pytest.param(b"=1", [("", "1")], id="no name"),
        pytest.param(b"&&a=1&", [("a", "1")], id="empty pairs are skipped"),
        pytest.param(b"a=1=2==", [("a", "1=2==")], id="the first equals sign separates"),
        pytest.param(b"a=1;b=2", [("a", "1;b=2")], id="a semicolon separates nothing"),
        pytest.param(b"a+b=c+d", [("a b", "c d")], id="plus is a space"),
        pytest.param(b"a=%2B%26%3d%25", [("a", "+&=%")], id="escaped signs"),
        pytest.param(b"a=%2541", [("a", "%41")], id="unescaped once"),
        pytest.param(b"%61=%4A", [("a", "J")], id="names are unescaped, hex in either case"),
        pytest.param(b"a=John Smith", [("a", "John Smith")], id="raw space"),
        pytest.param(b"a=1\r\n", [("a", "1\r\n")], id="raw line end"),
        pytest.param(b"a=%09%0A%0D", [("a", "\t\n\r")], id="TAB, LF, CR"),
        pytest.param(b"a=Jos%C3%A9", [("a", "José")], id="UTF-8 escapes"),
        pytest.param("a=José".encode(), [("a", "José")], id="raw UTF-8"),
        pytest.param("é=%C3%A9+é%3D".encode(), [("é", "é é=")], id="raw and escaped"),
        pytest.param(b"a=%F0%9F%98%80", [("a", "\U0001f600")], id="beyond the basic plane"),
        pytest.param(
            b"a=%EF%BF%BD&b=%3D=", [("a", "\ufffd"), ("b", "==")], id="a replacement character that was meant"
        ),
        pytest.param(b"a=%E2%80%AE", [("a", "\u202e")], id="format characters are text"),
    ],
)
def test_a_form_becomes_its_pairs_in_order(body, expected):
    assert pairs(body) == expected


@pytest.mark.parametrize(
    ("codec", "body", "expected"),
    [
        pytest.param("cp1252", b"a=Jos%E9", "José", id="escaped"),
        pytest.param("cp1252", b"a=Jos\xe9+%3D=", "José ==", id="raw"),
        pytest.param("cp1252", b"a=O%92Brien", "O’Brien", id="windows quotes, however the label"),
        pytest.param("cp1252", b"a=%C3%A9", "Ã©", id="never guessed to be UTF-8"),
        pytest.param("cp1252", b"a=x%40y", "x@y", id="ASCII"),
        pytest.param("utf-8", b"a=%C3%A9", "é", id="UTF-8 said aloud"),
    ],
)
def test_text_is_read_in_the_charset_of_the_header(codec, body, expected):
    assert pairs(body, codec) == [("a", expected)]


@pytest.mark.parametrize(
    ("body", "codec", "why"),
    [
        pytest.param(b"a=%", None, BAD_ESCAPE, id="lone percent sign"),
        pytest.param(b"a=%4", None, BAD_ESCAPE, id="cut escape"),
        pytest.param(b"a=%zz", None, BAD_ESCAPE, id="no hex"),
        pytest.param(b"a=%4&b=1", None, BAD_ESCAPE, id="escape cut by a separator"),
        pytest.param(b"a=%u00e9", None, BAD_ESCAPE, id="JavaScript escape"),
        pytest.param(b"100%=1", None, BAD_ESCAPE, id="in a name"),
        pytest.param(b"a=%%32", None, BAD_ESCAPE, id="escaped escape"),
        pytest.param("a=%４１".encode(), None, BAD_ESCAPE, id="full-width digits"),
        pytest.param(b"a=%FF", None, NOT_IN_CHARSET, id="no UTF-8"),
        pytest.param(b"a=%C3", None, NOT_IN_CHARSET, id="cut UTF-8"),
        pytest.param(b"a=%C3&b=%A9", None, NOT_IN_CHARSET, id="UTF-8 across a separator"),
        pytest.param(b"a=%C0%80", None, NOT_IN_CHARSET, id="overlong"),
        pytest.param(b"a=%ED%A0%80", None, NOT_IN_CHARSET, id="surrogate"),
        pytest.param(b"a=%F4%90%80%80", None, NOT_IN_CHARSET, id="beyond Unicode"),
        pytest.param(b"a=\xe9", None, NOT_IN_CHARSET, id="raw latin-1 said to be UTF-8"),
        pytest.param(b"a=\xc3%A9", None, NOT_IN_CHARSET, id="half raw, half escaped"),
        pytest.param(b"a=%81", "cp1252", NOT_IN_CHARSET, id="not assigned in windows-1252"),
        pytest.param(b"a=%00", None, CONTROL_CHARACTER, id="NUL"),
        pytest.param(b"a=\x00", None, CONTROL_CHARACTER, id="raw NUL"),
        pytest.param(b"a%00=1", None, CONTROL_CHARACTER, id="NUL in a name"),
        pytest.param(b"a=%1B%5B", None, CONTROL_CHARACTER, id="escape character"),
        pytest.param(b"a=%0b", None, CONTROL_CHARACTER, id="vertical tab"),
        pytest.param(b"a=%7f", None, CONTROL_CHARACTER, id="DEL"),
        pytest.param(b"a=\x7f", "cp1252", CONTROL_CHARACTER, id="raw DEL"),
        pytest.param(b"a=%C2%85", None, CONTROL_CHARACTER, id="C1"),
        pytest.param(b"a=%EF%BF%BE", None, NOT_TEXT, id="U+FFFE"),
        pytest.param(b"a=%EF%B7%90", None, NOT_TEXT, id="U+FDD0"),
        pytest.param(b"a=%F4%8F%BF%BF", None, NOT_TEXT, id="U+10FFFF"),
    ],
)
def test_a_form_that_is_no_strict_text_is_malformed(body, codec, why):
    assert read_form(body, codec, 100) == why
    assert why.reason is Reason.MALFORMED


def test_the_number_of_fields_is_bounded_empty_pairs_included():
    assert isinstance(read_form(b"a=1&" * 9 + b"a=1", None, 10), Lead)
    assert read_form(b"a=1&" * 10 + b"a=1", None, 10) == TOO_MANY_FIELDS
    assert read_form(b"&" * 10, None, 10) == TOO_MANY_FIELDS
    assert TOO_MANY_FIELDS.reason is Reason.TOO_LARGE


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("C",))), st.text(st.characters(exclude_categories=("C",)))
    )
)
def test_what_a_client_encodes_comes_out_as_it_went_in(fields):
    assert pairs(urlencode(fields).encode()) == list(fields.items())


def as_specified(body: bytes, codec: str) -> list[tuple[str, str]] | None:
    """The rules in their plainest form: split, unescape to bytes, decode; None for what is no text."""

    def unescaped(part: bytes) -> str:
        part.decode(codec)  # raw bytes have to be text by themselves
        return unquote_to_bytes(part.replace(b"+", b" ")).decode(codec)

    try:
        halves = [pair.partition(b"=") for pair in body.split(b"&") if pair]
        return [(unescaped(name), unescaped(value)) for name, _, value in halves]
    except UnicodeDecodeError:
        return None


PIECES = [
    b"a", b"%41", b"=", b"&", b"+", b"%", b"%4", b"%3D", b"%26", b"%25", b"%2B", b" ", b"\r\n", b"%0A", b"_", b"=\n",
    b"%C3%A9", b"%C3", b"%A9", "é".encode(), b"\xe9", b"%EF%BF%BD", b"%E2%82", b"%F0%9F%98%80", b" \n", b"%0D\n",
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.sampled_from(["utf-8", "cp1252"]),
)
def test_every_short_way_gives_what_the_plainest_way_gives(body, codec):
    found = read_form(body, codec, 1000)
    if found == BAD_ESCAPE:
        assert unquote_to_bytes(body).count(b"%") > body.count(b"%25")
    elif found == NOT_IN_CHARSET:
        assert as_specified(body, codec) is None
    elif found in (CONTROL_CHARACTER, NOT_TEXT):
        assert any(not (name + value).isprintable() for name, value in as_specified(body, codec) or [])
    else:
        assert list(found.pairs) == as_specified(body, codec)


@given(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20)))
def test_ascii_forms_agree_with_the_standard_library(text):
    body = f"a={quote_plus(text)}&b={text.replace('%', '')}"
    assert pairs(body.encode()) == parse_qsl(body, keep_blank_values=True)


@settings(max_examples=300, deadline=None)
@given(st.binary(), st.sampled_from([None, "utf-8", "cp1252"]))
def test_reading_a_form_is_total(body, codec):
    assert isinstance(read_form(body, codec, 50), (Lead, Undecodable))
