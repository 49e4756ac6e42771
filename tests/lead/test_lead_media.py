from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.lead import Lead, Undecodable, compile_decoder
from gateway.lead.media import MISSING, NOT_TAKEN, UNREADABLE, USUAL, Media, read_media
from gateway.lead.texts import UNKNOWN_CHARSET
from gateway.settings.models import LeadSettings

ALL = ("form", "json", "xml")
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("header", "media"),
    [
        (FORM, Media("form", None)),
        ("Application/X-WWW-Form-UrlEncoded", Media("form", None)),
        ("application/json", Media("json", None)),
        ("application/vnd.partner.lead+json", Media("json", None)),
        ("application/problem+JSON;charset=utf-8", Media("json", "utf-8")),
        ("application/xml", Media("xml", None)),
        ("text/xml", Media("xml", None)),
        ("application/soap+xml; charset=utf-8; action=x", Media("xml", "utf-8")),
        ("text/xml ; charset=ISO-8859-1", Media("xml", "cp1252")),
        (FORM + ";charset=UTF8", Media("form", "utf-8")),
        (FORM + '; charset="utf-8"', Media("form", "utf-8")),
        (FORM + '; charset="u\\tf-8"', Media("form", "utf-8")),
        (FORM + "; CHARSET=Windows-1252", Media("form", "cp1252")),
        (FORM + ";charset=latin1", Media("form", "cp1252")),
        (FORM + ";", Media("form", None)),
        (FORM + " ; ; \t; charset=utf-8 ;", Media("form", "utf-8")),
        (FORM + '; boundary="a;charset=utf-7"; charset=utf-8', Media("form", "utf-8")),
        (FORM + "; charsets=utf-7", Media("form", None)),
    ],
)
def test_a_content_type_names_encoding_and_charset_in_any_legal_spelling(header, media):
    assert read_media(header, ALL) == media


@pytest.mark.parametrize(
    ("header", "why"),
    [
        pytest.param(None, MISSING, id="missing"),
        pytest.param("", MISSING, id="empty"),
        pytest.param("text/plain", NOT_TAKEN, id="plain text"),
        pytest.param("text/json", NOT_TAKEN, id="no registered type"),
        pytest.param("text/html", NOT_TAKEN, id="html"),
        pytest.param("multipart/form-data; boundary=x", NOT_TAKEN, id="multipart"),
        pytest.param("application/x-www-form-urlencoded+json2", NOT_TAKEN, id="look-alike suffix"),
        pytest.param("*/*", NOT_TAKEN, id="a range"),
        pytest.param("json", UNREADABLE, id="no slash"),
        pytest.param("application/", UNREADABLE, id="no subtype"),
        pytest.param("/json", UNREADABLE, id="no type"),
        pytest.param("application/json, text/xml", UNREADABLE, id="two types"),
        pytest.param("application / json", UNREADABLE, id="blanks around the slash"),
        pytest.param("application/json charset=utf-8", UNREADABLE, id="no semicolon"),
        pytest.param("application/json; charset", UNREADABLE, id="no value"),
        pytest.param("application/json; charset=", UNREADABLE, id="empty value"),
        pytest.param("application/json; charset =utf-8", UNREADABLE, id="blank before ="),
        pytest.param("application/json; charset= utf-8", UNREADABLE, id="blank behind ="),
        pytest.param('application/json; charset="utf-8', UNREADABLE, id="open quote"),
        pytest.param('application/json; charset="utf-8"x', UNREADABLE, id="text behind a quote"),
        pytest.param("application/json; charset=utf-8; charset=latin1", UNREADABLE, id="two charsets"),
        pytest.param("application/json; charset=utf-8; Charset=utf-8", UNREADABLE, id="the same charset twice"),
        pytest.param("application/json\n", UNREADABLE, id="line feed"),
        pytest.param("application/json\x00", UNREADABLE, id="NUL"),
        pytest.param("application/j\udce9son", UNREADABLE, id="a byte that is no ASCII"),
        pytest.param("application/json; charset=utf-16", UNKNOWN_CHARSET, id="UTF-16"),
        pytest.param("application/json; charset=utf-7", UNKNOWN_CHARSET, id="UTF-7"),
        pytest.param("application/json; charset=us-ascii", UNKNOWN_CHARSET, id="US-ASCII"),
        pytest.param("application/json; charset=iso-8859-15", UNKNOWN_CHARSET, id="ISO-8859-15"),
        pytest.param('application/json; charset=""', UNKNOWN_CHARSET, id="empty in quotes"),
        pytest.param("application/json; charset=hex", UNKNOWN_CHARSET, id="a Python codec that is no charset"),
    ],
)
def test_a_content_type_that_is_missing_unreadable_or_not_taken_is_an_unsupported_media_type(header, why):
    assert read_media(header, ALL) == why
    assert why.reason is Reason.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("header", USUAL)
def test_the_usual_headers_are_known_word_for_word_and_mean_what_reading_them_means(header):
    body = {"form": b"a=1", "json": b'{"a":1}', "xml": b"<r><a>1</a></r>"}
    encoding = read_media(header, ALL).encoding
    decoded = compile_decoder(LeadSettings(), max_fields=10)(header, body[encoding])
    assert decoded == Lead((("a", "1"),), encoding)


@pytest.mark.parametrize(
    ("accept", "refused"),
    [(("form",), "application/json"), (("json",), "application/xml"), (("xml", "json"), FORM)],
)
def test_an_encoding_that_the_program_does_not_accept_is_not_taken(accept, refused):
    decode = compile_decoder(LeadSettings(accept=accept), max_fields=10)
    assert decode(refused, b"") == NOT_TAKEN
    assert decode(refused + "; a=b", b"") == NOT_TAKEN


@given(st.text())
def test_reading_a_content_type_is_total(header):
    assert isinstance(read_media(header, ALL), (Media, Undecodable))


def test_a_hostile_header_is_read_in_linear_time():
    header = 'application/json; a="' + "\\" * 16_001
    assert read_media(header, ALL) == UNREADABLE
    assert read_media("application/json" + "; " * 8000, ALL) == Media("json", None)
