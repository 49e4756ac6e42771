"""A legacy message that repeats a value of the lead shows the field's name instead."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.datapost import Contract
from gateway.datapost.masking import WINDOW, compile_mask
from gateway.datapost.values import Reading, Verdict
from gateway.datapost.wording import clean

REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
LEAD = {
    "email": "Jane@Example.com",
    "first_name": "Jane",
    "last_name": "O'Neil-D\u00fcmmler",
    "street": "12 Main  Street",
    "employer": "Smith & Sons <b>",
    "phone": "(212) 555-0123",
    "zip": "10001",
    "state": "NY",
    "pin": "123",
    "ward": "Stra\u00dfe",
    "tracking": "zzz-9999",
}
FIELDS = ("email", "first_name", "last_name", "street", "employer", "phone", "zip", "state", "pin", "ward")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("jane@example.com is already known", "(email) is already known", id="another case"),
        pytest.param("JANE@EXAMPLE.COM: known", "(email): known", id="capitals"),
        pytest.param("Jane, you are known", "(first_name), you are known", id="four characters"),
        pytest.param("Leads from NY with 123", "Leads from NY with 123", id="fewer than four stay"),
        pytest.param("Hi o'neil-d\u00dcmmler", "Hi (last_name)", id="not ASCII, another case"),
        pytest.param("12 main street is no address", "(street) is no address", id="blanks differ"),
        pytest.param("12\nMain\tStreet", "(street)", id="blanks of other kinds"),
        pytest.param("Employer smith & sons <b>!", "Employer (employer)!", id="with stand-ins"),
        pytest.param("In der STRASSE", "In der (ward)", id="a value with a letter that folds into two"),
        pytest.param("In der Stra\u00dfe", "in der (ward)", id="a message with a letter that folds into two"),
        pytest.param("In der Ma\u00dfgasse", "In der Ma\u00dfgasse", id="such a letter and no value"),
        pytest.param("xJanex", "x(first_name)x", id="within a word"),
        pytest.param("JaneJane", "(first_name)(first_name)", id="twice"),
        pytest.param("jane@example.comjane", "(email)(first_name)", id="side by side"),
        pytest.param("click zzz-9999", "click (field)", id="an unknown field is not named"),
        pytest.param("2125550123 is known", "(phone) is known", id="digits alone"),
        pytest.param("+1 212-555-0123 is known", "(phone) is known", id="other punctuation, a country code"),
        pytest.param("tel:12125550123.", "tel:(phone).", id="a country code without a plus"),
        pytest.param("555-0123 is known", "(phone) is known", id="without the area code"),
        pytest.param("order 7654321", "order 7654321", id="another number"),
        pytest.param("zip 10001, 10002", "zip (zip), 10002", id="a short number"),
        pytest.param("Nothing of it", "Nothing of it", id="nothing"),
    ],
)
def test_a_value_of_four_or_more_characters_gives_way_to_its_fields_name(message: str, shown: str) -> None:
    assert compile_mask(FIELDS)(message, LEAD) == shown


SPELLED = {
    "email": "jané+x@example.com",
    "first_name": "Zoë",  # too short
    "last_name": "Dümmler",
    "street": "12 Main Street",
    "phone": "(212) 555-0123",
    "employer": "ＡＣＭＥ ﬁnance",
}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("Hi Du\u0308mmler, hello", "Hi (last_name), hello", id="NFD, value in NFC"),
        pytest.param("Hi DU\u0308MMLER", "Hi (last_name)", id="NFD in capitals"),
        pytest.param("Acme finance is known", "(employer) is known", id="NFKC of the value"),
        pytest.param("１２ Ｍａｉｎ Street is known", "(street) is known", id="value is the NFKC of it"),
        pytest.param("½ price ﬁnally", "½ price ﬁnally", id="odd characters stay where no value is"),
        pytest.param(f"/?e={quote(SPELLED['email'])}!", "/?e=(email)!", id="quote"),
        pytest.param(f"e={quote_plus(SPELLED['email'])}&x", "e=(email)+x", id="quote_plus"),
        pytest.param(f"e={quote(SPELLED['email']).lower()}", "e=(email)", id="hexadecimal in small letters"),
        pytest.param("e=jan%E9+x@example.com", "e=(email)", id="latin-1"),
        pytest.param("s=12+Main+Street", "s=(street)", id="blanks as plus"),
        pytest.param("s=12%20main%20street", "s=(street)", id="blanks as percent"),
        pytest.param("s=%31%32 Main Street", "s=(street)", id="what needed no escape"),
        pytest.param("p=%28212%29+555-0123", "p=(phone)", id="a number"),
        pytest.param("l=Du%CC%88mmler", "l=(last_name)", id="NFD and escaped"),
        pytest.param("5+6 is 100% of 11", "5+6 is 100% of 11", id="such characters and no value"),
    ],
)
def test_a_value_in_another_spelling_gives_way_too(message: str, shown: str) -> None:
    assert compile_mask(SPELLED)(message, SPELLED) == shown


@given(
    st.text(st.sampled_from("abé ü+&/ﬁＡ@ß\u0308"), min_size=6, max_size=12),
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
    st.sampled_from([quote, quote_plus, str, str.upper]),
)
def test_no_spelling_of_a_value_leaves_it_readable(
    value: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"], spell: Callable[[str], str]
) -> None:
    word = reduced(value)
    assume(len(word) >= 6)
    shown = compile_mask(("f",))(f"known: {spell(unicodedata.normalize(form, value))}.", {"f": value})
    for read in (str, unquote, unquote_plus):
        assert word not in reduced(read(shown))


def reduced(text: str) -> str:
    """Written out once more: a text without what tells its spellings apart."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", clean(text)).casefold())
    return clean(text)


def test_the_longest_value_is_named_where_several_begin_together() -> None:
    mask = compile_mask(("short", "long"))
    assert mask("abcdefgh", {"short": "abcd", "long": "abcdefgh"}) == "(long)"


def test_values_that_overlap_leave_nothing_between_them() -> None:
    mask = compile_mask(("a", "b"))
    assert mask("x12345678y", {"a": "12345", "b": "45678"}) == "x(a)y"


def test_a_country_code_that_the_message_leaves_out_does_not_hide_the_number() -> None:
    mask = compile_mask(("phone",))
    assert mask("212 555 0123 is known", {"phone": "+12125550123"}) == "(phone) is known"


def test_a_value_that_is_cut_where_the_message_is_cut_does_not_show_its_beginning() -> None:
    mask = compile_mask(("long", "email"))
    message = "y" * (WINDOW - 10) + " jane@example.com"
    # The first value makes room: what stood at the far end of the message comes into the note.
    lead = {"long": "y" * (WINDOW - 10), "email": "jane@example.com"}
    assert mask(message, lead) == "(long) (email)"
    assert mask(message[:WINDOW], lead) == "(long) (email)"
    assert mask("jane@example.com " + message[17:], lead) == "(email) " + "y" * (WINDOW - 27) + " (email)"


def test_a_beginning_shows_where_the_message_is_whole() -> None:
    assert compile_mask(("email",))("not jane@", {"email": "jane@example.com"}) == "not jane@"


def test_a_field_name_that_needs_cleaning_is_shown_clean() -> None:
    assert compile_mask(('a"[b]',))("is abcd", {'a"[b]': "abcd"}) == "is (a'(b))"


def test_notes_of_all_verdicts_are_masked(make_contract: Callable[..., Contract]) -> None:
    contract = make_contract(fields=FIELDS)
    for verdict in Verdict:
        reading = Reading(verdict=verdict, uniqueid="98", note="Known: jane@example.com")
        assert contract.conclude(reading, LEAD, REFERENCE).answer.note.startswith("Known: (email)")


VALUES = st.text(
    st.one_of(st.sampled_from("abAB12 &<\u00df\u0130\u1e9e\u00e9\ufb03"), st.characters(exclude_categories=())),
    max_size=12,
)


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_what_a_message_shows_beside_names_holds_no_value(values: list[str], data: st.DataObject) -> None:
    lead = {f"f{number}": value for number, value in enumerate(values)}
    pieces = st.one_of(st.sampled_from(values), st.sampled_from(values).map(str.upper), st.text(max_size=4))
    message = "".join(data.draw(st.lists(pieces, max_size=8)))
    # A name that no value can hold parts the message where something gave way.
    shown = compile_mask(lead)(message, lead)
    rest = re.split(r"\(f[0-3]\)", shown)
    for value in lead.values():
        word = clean(value).casefold()
        if len(word) >= 4:
            assert not any(word in fragment.casefold() for fragment in rest)


@given(st.text("0123456789", min_size=7, max_size=15), st.text(" .-/", max_size=2))
def test_a_number_is_found_whatever_parts_its_digits(digits: str, mark: str) -> None:
    shown = compile_mask(("phone",))(f"known: {mark.join(digits)}!", {"phone": digits})
    assert shown == "known: (phone)!"


def test_a_message_made_to_be_slow_is_masked_in_passing() -> None:
    mask = compile_mask(())
    lead = {f"f{number}": "a" * (4 + number) for number in range(200)}
    began = time.process_time()
    assert mask("a" * 400_000, lead) == "(field)" * mask("a" * 400_000, lead).count("(field)")
    mask("1 (" * 100_000, {"n": "1234567"})
    assert time.process_time() - began < 1
