"""The Accept header: XML for who asks for it and for nothing that JSON would satisfy."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost import Contract, Format
from gateway.datapost.negotiate import negotiated

XML, JSON = Format.XML, Format.JSON


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        pytest.param(None, JSON, id="no header"),
        pytest.param("", JSON, id="empty"),
        pytest.param(" , ,", JSON, id="empty elements only"),
        pytest.param("application/xml", XML, id="application/xml"),
        pytest.param("text/xml", XML, id="text/xml"),
        pytest.param("application/soap+xml", XML, id="by suffix"),
        pytest.param("Application/XML", XML, id="case does not count"),
        pytest.param("application/xml;charset=utf-8", XML, id="parameter"),
        pytest.param('application/xml; profile="a,b;c\\"d"', XML, id="quoted parameter"),
        pytest.param("application/xml ; q=0.1", XML, id="low weight is a weight"),
        pytest.param("application/xml;Q=0.5", XML, id="q in capitals"),
        pytest.param("application/xml;q=1.000", XML, id="q of one"),
        pytest.param("application/xml;;", XML, id="empty parameters"),
        pytest.param(", application/xml,,", XML, id="empty elements around"),
        pytest.param("text/html, application/xml", XML, id="beside another type"),
        pytest.param("text/*, application/xml", XML, id="a wildcard that does not cover JSON"),
        pytest.param("application/xmlx", JSON, id="another subtype"),
        pytest.param("image/xml", JSON, id="another type"),
        pytest.param("image/svg+xml", XML, id="an XML type of another kind"),
        pytest.param("application/json", JSON, id="JSON"),
        pytest.param("application/xml, application/json", JSON, id="both"),
        pytest.param("application/xml;q=1, application/json;q=0.1", JSON, id="both, XML preferred"),
        pytest.param("application/xml, text/json", JSON, id="JSON by its other name"),
        pytest.param("application/xml, application/problem+json", JSON, id="JSON by suffix"),
        pytest.param("*/*", JSON, id="anything"),
        pytest.param("application/*", JSON, id="any application"),
        pytest.param("text/xml, */*;q=0.1", JSON, id="XML and anything"),
        pytest.param("text/xml, application/*;q=0.1", JSON, id="XML and any application"),
        pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON, id="a browser"),
        pytest.param("application/xml;q=0", JSON, id="XML excluded"),
        pytest.param("application/xml;q=0.000", JSON, id="XML excluded to three places"),
        pytest.param("application/xml, application/json;q=0", XML, id="JSON excluded"),
        pytest.param("application/xml, application/json;q=0, */*", XML, id="JSON excluded from anything"),
        pytest.param("application/xml, application/*;q=0, */*", XML, id="any application excluded from anything"),
        pytest.param("application/xml, */*;q=0", XML, id="anything else excluded"),
        pytest.param("application/xml, application/json;q=0, application/*", XML, id="JSON excluded from applications"),
        pytest.param("application/xml, application/json;v=1;q=0, */*", JSON, id="one version of JSON excluded"),
        pytest.param("application/xml;q=0, application/xml", XML, id="excluded and asked for"),
        pytest.param("application/xml, application/xml;q=0", XML, id="asked for and excluded"),
        pytest.param("application/xml;q=2", JSON, id="bad: q above one"),
        pytest.param("application/xml;q=1.001", JSON, id="bad: q a little above one"),
        pytest.param("application/xml;q=0.1234", JSON, id="bad: four places"),
        pytest.param("application/xml;q=.5", JSON, id="bad: no leading digit"),
        pytest.param("application/xml;q=-1", JSON, id="bad: negative"),
        pytest.param('application/xml;q="1"', JSON, id="bad: quoted q"),
        pytest.param("application/xml;q=1;q=1", JSON, id="bad: two weights"),
        pytest.param("application/xml;q", JSON, id="bad: parameter without value"),
        pytest.param("application/xml;a b", JSON, id="bad: blank in a parameter"),
        pytest.param("application/xml;a = b", JSON, id="bad: blanks around the equals sign"),
        pytest.param('application/xml;a="b', JSON, id="bad: open quotes"),
        pytest.param("application/xml text/xml", JSON, id="bad: no comma"),
        pytest.param("application", JSON, id="bad: no subtype"),
        pytest.param("application/", JSON, id="bad: empty subtype"),
        pytest.param("/xml", JSON, id="bad: empty type"),
        pytest.param("*/xml", JSON, id="bad: wildcard before a subtype"),
        pytest.param("application/xml, *;q=.2", JSON, id="bad: a lone star"),
        pytest.param("application/xml/x", JSON, id="bad: two slashes"),
        pytest.param("application/xml, \x00", JSON, id="bad: NUL"),
        pytest.param("application/xml\u00e9", JSON, id="bad: not ASCII"),
    ],
)
def test_negotiation_gives_xml_only_where_nothing_asks_for_json(accept: str | None, format: Format) -> None:
    assert negotiated(accept) is format


@pytest.mark.parametrize(("setting", "format"), [("json", JSON), ("xml", XML)])
@pytest.mark.parametrize("accept", [None, "application/xml", "application/json", "nonsense"])
def test_a_program_with_a_fixed_format_does_not_negotiate(
    setting: str, format: Format, accept: str | None, make_contract: Callable[..., Contract]
) -> None:
    assert make_contract(format=setting).format_for(accept) is format


def test_a_program_that_negotiates_reads_the_header(make_contract: Callable[..., Contract]) -> None:
    contract = make_contract(format="negotiate")
    assert contract.format_for("text/xml") is XML
    assert contract.format_for(None) is JSON


@given(st.text(st.one_of(st.sampled_from('application/xml*;q=0."\\, \t+'), st.characters(exclude_categories=()))))
def test_any_header_gives_a_format(accept: str) -> None:
    assert negotiated(accept) in (XML, JSON)


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param("a/b" + "; \t" * 5000, id="empty parameters"),
        pytest.param("a/b;" + " " * 15000 + "x", id="blanks"),
        pytest.param("a/b;c=" + '"' + '\\"' * 7000, id="open quotes"),
        pytest.param(", " * 8000 + "\x00", id="empty elements"),
        pytest.param("a/b;c=d" * 2000 + "\x00", id="parameters run together"),
    ],
)
def test_a_header_made_to_be_slow_is_read_in_passing(accept: str) -> None:
    began = time.process_time()
    assert negotiated(accept) is JSON
    assert time.process_time() - began < 0.1
