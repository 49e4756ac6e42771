from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.datapost.values import Fault
from gateway.lead import Lead
from gateway.settings.models import AnyField

TODAY = datetime.date(2026, 11, 24)

MISSING = "is missing"
REPEATED = "is given more than once or as a list"
UNKNOWN = Fault("", "unknown", "there are fields that are not known here")


def lead(*pairs: tuple[str, str], listed: frozenset[str] = frozenset()) -> Lead:
    return Lead(pairs, "form", listed)


EVERY_TYPE = {
    "name": {"type": "string", "max_length": 3},
    "email": {"type": "email"},
    "phone": {"type": "phone"},
    "state": {"type": "us_state"},
    "postal_code": {"type": "postal_code"},
    "dob": {"type": "date", "min_age": 18},
    "loan": {"type": "integer", "min": 1000},
    "rate": {"type": "decimal", "places": 2},
    "home": {"type": "enum", "values": ["own", "rent"]},
    "code": {"type": "string", "pattern": "[A-Z]+"},
}


def test_every_fault_of_every_field_is_told_at_once_in_configured_order(checker):
    check = checker({"first": {"type": "string", "required": True}, **EVERY_TYPE})
    faults = check(lead(*((name, "1") for name in reversed(EVERY_TYPE))), TODAY).faults
    assert [(fault.field, fault.kind) for fault in faults] == [
        ("first", "missing"),
        ("email", "format"),
        ("phone", "format"),
        ("state", "format"),
        ("postal_code", "format"),
        ("dob", "format"),
        ("loan", "range"),
        ("home", "enum"),
        ("code", "pattern"),
    ]


def test_a_faultless_lead_has_no_faults_and_every_value_typed(checker):
    sent = {
        "name": " Jo ", "email": "jo@Example.com", "phone": "415 555 2671", "state": "ca", "postal_code": "94103",
        "dob": "1985-07-14", "loan": "1000", "rate": "1.50", "home": "own", "code": "X",
    }  # fmt: skip
    checked = checker(EVERY_TYPE)(lead(*sent.items()), TODAY)
    assert checked.faults == ()
    assert checked.unknown == 0
    assert checked.fields == {name: text.strip() for name, text in sent.items()}
    assert list(checked.typed) == list(EVERY_TYPE)


TEXTS = st.sampled_from([" Jo", "1", "ca", "own", "94103", "1985-07-14", "2026-02-30", "415 555 2671", "a@b.com\t"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=10, max_size=10), st.sampled_from([None, "", " ", "\u00a0"]), st.integers(0, 9))
def test_a_complete_lead_is_checked_like_any_other(checker, texts, blank, place):
    check = checker(EVERY_TYPE, unknown_fields="drop")
    if blank is not None:
        texts[place] = blank
    sent = lead(*zip(EVERY_TYPE, texts, strict=True))
    # A further field, empty, shows nowhere; but with it the lead goes the long way.
    assert check(sent, TODAY) == check(lead(*sent.pairs, ("other", "")), TODAY)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\xa0", " \u2003\u3000 "])
def test_what_is_empty_after_trimming_is_absent(checker, text):
    check = checker({"a": {"type": "string", "required": True}, "b": {"type": "integer"}})
    checked = check(lead(("a", text), ("b", text)), TODAY)
    assert checked.faults == (Fault("a", "missing", MISSING),)
    assert checked.fields == {}
    assert checked.typed == {}


def test_blanks_of_ascii_are_trimmed_and_no_others(checker):
    check = checker({"a": {"type": "string"}, "zip": {"type": "postal_code"}})
    checked = check(lead(("a", " \t\xa0x\u2003\r\n"), ("zip", "94103\xa0")), TODAY)
    assert checked.fields == {"a": "\xa0x\u2003", "zip": "94103\xa0"}
    assert [fault.field for fault in checked.faults] == ["zip"]


def test_an_optional_field_may_be_missing(checker):
    assert checker(EVERY_TYPE)(lead(), TODAY).faults == ()


def test_names_are_case_sensitive(checker):
    check = checker({"email": {"type": "email", "required": True}})
    checked = check(lead(("Email", "jane@example.com")), TODAY)
    assert checked.faults == (Fault("email", "missing", MISSING),)
    assert checked.unknown == 1


# --- aliases and repetition ----------------------------------------------------------------------

ALIASED = {"email": {"type": "string", "required": True, "aliases": ["email_address", "contact[email]"]}}


@pytest.mark.parametrize("name", ["email", "email_address", "contact[email]"])
def test_a_field_arrives_under_any_of_its_names_and_is_called_by_its_own(checker, name):
    checked = checker(ALIASED)(lead((name, " x ")), TODAY)
    assert checked.fields == {"email": "x"}
    assert checked.typed == {"email": "x"}
    assert (checked.faults, checked.unknown) == ((), 0)


@pytest.mark.parametrize(
    ("sent", "repeated"),
    [
        pytest.param(lead(("email", "x"), ("email", "x")), True, id="twice, the same"),
        pytest.param(lead(("email", "x"), ("email", "")), True, id="twice, once empty"),
        pytest.param(lead(("email", " "), ("email", "x")), True, id="twice, once blank"),
        pytest.param(lead(("email_address", "x"), ("email_address", "y")), True, id="an alias twice"),
        pytest.param(lead(("email", "x"), ("email_address", "x")), True, id="two names"),
        pytest.param(lead(("email", "x"), ("email_address", "")), False, id="two names, one empty"),
        pytest.param(lead(("email", ""), ("email_address", "x")), False, id="the other one empty"),
        pytest.param(lead(("email", "x"), listed=frozenset({"email"})), True, id="a list of one"),
        pytest.param(
            lead(("email_address", "x"), listed=frozenset({"email_address"})), True, id="a list under an alias"
        ),
        pytest.param(lead(("email", "x"), listed=frozenset({"email_address"})), True, id="an empty list beside"),
        pytest.param(lead(("email", "x"), listed=frozenset({"other"})), False, id="another list"),
    ],
)
def test_a_field_has_one_value_or_a_fault(checker, sent, repeated):
    checked = checker(ALIASED)(sent, TODAY)
    assert checked.faults == ((Fault("email", "repeated", REPEATED),) if repeated else ())
    assert checked.fields == ({} if repeated else {"email": "x"})


@pytest.mark.parametrize(
    "sent",
    [
        lead(("email", ""), ("email", " ")),
        lead(("email", ""), ("email_address", "")),
        lead(listed=frozenset({"email"})),
        lead(("email", ""), listed=frozenset({"email"})),
    ],
)
def test_nothing_given_more_than_once_is_still_nothing(checker, sent):
    assert checker(ALIASED)(sent, TODAY).faults == (Fault("email", "missing", MISSING),)


def test_a_repeated_optional_field_is_a_fault_too(checker):
    check = checker({"a": {"type": "integer"}})
    assert check(lead(("a", "1"), ("a", "x")), TODAY).faults == (Fault("a", "repeated", REPEATED),)


# --- unknown fields ------------------------------------------------------------------------------


def test_unknown_fields_are_forwarded_and_counted_where_nothing_else_is_said(checker):
    checked = checker({"a": {"type": "string"}})(lead(("x", " 1 "), ("a", "2"), ("y", ""), ("z", "\xa0")), TODAY)
    assert checked.fields == {"a": "2", "x": "1"}
    assert checked.typed == {"a": "2"}
    assert (checked.faults, checked.unknown) == ((), 1)


def test_unknown_fields_can_be_rejected_without_naming_them(checker):
    check = checker({"a": {"type": "string", "required": True}}, unknown_fields="reject")
    checked = check(lead(("secret_name", "1"), ("other", "2"), ("empty", "")), TODAY)
    assert checked.faults == (Fault("a", "missing", MISSING), UNKNOWN)
    assert checked.unknown == 2
    assert checked.fields == {}
    assert check(lead(("a", "1"), ("empty", " ")), TODAY).faults == ()


def test_unknown_fields_can_be_dropped(checker):
    checked = checker({"a": {"type": "string"}}, unknown_fields="drop")(lead(("x", "1"), ("x", "2"), ("a", "2")), TODAY)
    assert checked.fields == {"a": "2"}
    assert (checked.faults, checked.unknown) == ((), 1)


def test_a_repeated_unknown_field_is_no_fault_and_keeps_all_its_values(checker):
    sent = lead(("x", "1"), ("x", " 2 "), ("x[1]", "3"), ("x", ""), ("x", "5"), ("a", "a"))
    checked = checker({"a": {"type": "string"}})(sent, TODAY)
    assert checked.fields == {"a": "a", "x": "1", "x[1]": "3", "x[2]": "2", "x[3]": "5"}
    assert (checked.faults, checked.unknown) == ((), 2)


def test_a_list_under_an_unknown_name_is_no_fault(checker):
    checked = checker({"a": {"type": "string"}})(lead(("v.m", "1"), listed=frozenset({"v", "v.m"})), TODAY)
    assert checked.faults == ()
    assert checked.fields == {"v.m": "1"}


def test_a_program_without_fields_takes_any_lead(checker):
    assert checker({})(lead(("x", "1")), TODAY).fields == {"x": "1"}


# --- privacy -------------------------------------------------------------------------------------


def test_no_value_shows_in_a_fault_or_in_a_repr(checker):
    canary = "CANARY7f3a"
    sent = lead(*((name, canary) for name in EVERY_TYPE), (canary, canary))
    checked = checker(EVERY_TYPE, unknown_fields="reject")(sent, TODAY)
    assert len(checked.faults) == len(EVERY_TYPE) + 1
    assert canary not in repr(sent) + repr(checked)


def test_fault_texts_need_no_escaping_in_json_or_xml(checker):
    fields: dict[str, dict[str, object]] = {
        **EVERY_TYPE,
        "ca": {"type": "postal_code", "country": "CA"},
        "gb": {"type": "postal_code", "country": "GB"},
        "low": {"type": "decimal", "min": "-1.5"},
        "whole": {"type": "decimal", "places": 0},
    }
    texts = set()
    check = checker({name: {**field, "required": True} for name, field in fields.items()}, unknown_fields="reject")
    for text in ("", "1", "x", "-9.999", "abcd", "2026-11-24", "1800-01-01"):
        texts |= {fault.text for fault in check(lead(*((name, text) for name in fields), ("u", "1")), TODAY).faults}
    texts |= {fault.text for fault in check(lead(*((name, "1") for name in [*fields, *fields])), TODAY).faults}
    assert len(texts) > 15
    assert all(re.fullmatch(r"[A-Za-z0-9 .,;:'()/-]+", text) for text in texts)


def test_every_type_of_field_is_covered_by_these_tests():
    from typing import get_args

    union = get_args(AnyField)[0]
    types = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(union)}
    assert types == {field["type"] for field in EVERY_TYPE.values()}
