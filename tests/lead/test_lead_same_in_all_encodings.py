from __future__ import annotations

import datetime
import json
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.lead import Checked, Lead, Undecodable, compile_checker, compile_decoder
from gateway.settings.models import LeadSettings
from gateway.settings.problems import loose_report

TODAY = datetime.date(2026, 11, 24)

SETTINGS = {
    policy: LeadSettings.model_validate(
        {
            "unknown_fields": policy,
            "fields": {
                "email": {"type": "email", "required": True, "aliases": ["email_address"]},
                "phone": {"type": "phone", "required": True},
                "state": {"type": "us_state"},
                "address.zip": {"type": "postal_code", "required": True},
                "address.city": {"type": "string", "max_length": 20, "pattern": "[^0-9]*"},
                "dob": {"type": "date", "formats": ["%Y-%m-%d", "%m/%d/%Y"], "min_age": 18},
                "loan": {"type": "integer", "min": 1000, "max": 50000},
                "rate": {"type": "decimal", "places": 2},
                "home": {"type": "enum", "values": ["own", "rent"]},
            },
        }
    )
    for policy in ("forward", "reject")
}
CHECK = {policy: compile_checker(block, loose_report()) for policy, block in SETTINGS.items()}
DECODE = compile_decoder(SETTINGS["forward"], max_fields=200)

# Carriage returns are left out: XML turns them into line feeds, as it must.
texts = st.text(st.characters(exclude_categories=("C",)), max_size=12)
VALUES = [
    "", " ", "jane@example.com", "JANE@example.com", "jane@", "415 555 2671", "1-800-FLOWERS", "ca", "ZZ", "94103",
    "9410", "1985-07-14", "2020-01-01", "07/14/1985", "1985-7-14", "2500", "999", "1e4", "12.50", "1.005", "own",
    "Own", "true",
]  # fmt: skip
NAMES = [*SETTINGS["forward"].fields, "email_address", "address.more", "Email", "utm_source", "click_id"]
values = st.sampled_from(VALUES) | texts
names = st.sampled_from(NAMES)
leads = st.dictionaries(names, st.lists(values, min_size=1, max_size=3) | values, max_size=12)


def as_form(lead: dict[str, str | list[str]]) -> bytes:
    return urlencode(lead, doseq=True).encode()


def as_json(lead: dict[str, str | list[str]]) -> bytes:
    tree: dict[str, object] = {}
    for name, value in lead.items():
        *outer, inner = name.split(".")
        node = tree
        for part in outer:
            node = node.setdefault(part, {})  # type: ignore[assignment]
        node[inner] = value
    return json.dumps(tree).encode()


def as_xml(lead: dict[str, str | list[str]]) -> bytes:
    inside: dict[str, str] = {}
    for name, value in lead.items():
        outer, _, inner = name.rpartition(".")
        for text in value if isinstance(value, list) else [value]:
            inside[outer] = inside.get(outer, "") + f"<{inner}>{escape(text)}</{inner}>"
    fields = inside.pop("", "") + "".join(f"<{name}>{body}</{name}>" for name, body in inside.items())
    return f"<lead>{fields}</lead>".encode()


WAYS = {
    "form": ("application/x-www-form-urlencoded", as_form),
    "json": ("application/json; charset=utf-8", as_json),
    "xml": ("text/xml", as_xml),
}


def checked(lead: dict[str, str | list[str]], way: str, policy: str) -> Checked:
    content_type, encode = WAYS[way]
    decoded = DECODE(content_type, encode(lead))
    assert isinstance(decoded, Lead), decoded
    assert decoded.encoding == way
    return CHECK[policy](decoded, TODAY)


@settings(max_examples=500, deadline=None)
@given(leads, st.sampled_from(["forward", "reject"]))
def test_the_same_lead_in_three_encodings_has_the_same_faults(lead, policy):
    # A list of one is a list only where lists exist; everywhere else it is a value.
    lead = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in lead.items()}
    form, jason, xml = (checked(lead, way, policy) for way in WAYS)
    assert form.faults == jason.faults == xml.faults
    assert form.unknown == jason.unknown == xml.unknown
    assert form.fields == jason.fields == xml.fields
    assert form.typed == jason.typed == xml.typed


@pytest.mark.parametrize("way", WAYS)
def test_a_list_is_the_same_fault_in_every_encoding(way):
    faults = checked({"email": ["a@example.com", "b@example.com"]}, way, "forward").faults
    assert [(fault.field, fault.kind) for fault in faults] == [
        ("email", "repeated"),
        ("phone", "missing"),
        ("address.zip", "missing"),
    ]


@pytest.mark.parametrize(("way", "read"), [("form", True), ("json", False), ("xml", False)])
def test_an_empty_body_is_an_empty_lead_in_a_form_alone(way, read):
    found = DECODE(WAYS[way][0], b"")
    assert found == Lead((), "form") if read else found.reason is Reason.MALFORMED


CONTENT_TYPES = [
    None,
    "",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=latin1",
    "application/json",
    "application/ld+json; charset=windows-1252",
    "text/xml",
    "application/xml; charset=iso-8859-1",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
]


def spoilt(body: bytes) -> st.SearchStrategy[bytes]:
    """A good body with a few bytes put in anywhere."""
    return st.builds(
        lambda cut, more: body[:cut] + more + body[cut:], st.integers(0, len(body)), st.binary(min_size=1, max_size=3)
    )


GOOD = [b'{"a":[1,{"b":"\\ud800"}]}', b"<l><a>1</a></l>", b"a=1&b=%C3%A9"]


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(CONTENT_TYPES) | st.text(), st.binary() | st.sampled_from(GOOD).flatmap(spoilt))
def test_decoding_and_checking_are_total(content_type, body):
    found = DECODE(content_type, body)
    if isinstance(found, Undecodable):
        assert found.reason in {Reason.MALFORMED, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.TOO_LARGE}
        assert found.text.isascii()
    else:
        CHECK["reject"](found, TODAY)
        for name, text in found.pairs:
            (name + text).encode()  # no lone surrogates: what was read can be stored and sent


@settings(max_examples=500, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(list(SETTINGS["forward"].fields)), st.text(st.characters(exclude_categories=("Cs",)))
    )
)
def test_checking_is_total_over_any_text(lead):
    found = CHECK["forward"](Lead(tuple(lead.items()), "form"), TODAY)
    assert {fault.field for fault in found.faults}.isdisjoint(found.typed)
