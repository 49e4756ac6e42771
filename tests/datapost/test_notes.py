"""The note: what it says, in which order, and what gives way when it is too long."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost import Contract
from gateway.datapost.reasons import Reason
from gateway.datapost.values import Fault, Reading, Verdict
from gateway.datapost.wording import capital, clean, shorten
from tests.support.contract import FORBIDDEN, check_note

REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
MakeContract = Callable[..., Contract]
MISSING = Fault("email", "missing", "is missing")
PHONE = Fault("phone", "format", "is not a US number")


@pytest.fixture
def invalid(make_contract: MakeContract) -> Callable[..., str]:
    """The note of an invalid lead with these faults."""
    contract = make_contract(fields=("email", "phone", "postal_code"))

    def note(*faults: Fault, unknown: int = 0) -> str:
        return contract.refuse(Reason.LEAD_INVALID, REFERENCE, faults=faults, unknown=unknown).note

    return note


def machine_part(note: str) -> str:
    return note[note.rindex(" [") + 1 :]


@pytest.mark.parametrize("reason", list(Reason), ids=[reason.slug for reason in Reason])
def test_every_reason_has_one_sentence_of_its_own_that_needs_no_escape(reason: Reason) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9/., ;]+", reason.sentence)
    assert len(reason.sentence) <= 255 - 160 - 1
    assert not FORBIDDEN & set(reason.sentence)
    assert re.fullmatch("[a-z_]{1,24}", reason.slug)


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.ACCEPTED], ids=lambda one: one.slug)
def test_a_refusal_says_its_sentence_and_then_reason_and_reference(reason: Reason, make_contract: MakeContract) -> None:
    assert make_contract().refuse(reason, REFERENCE).note == f"{reason.sentence} [{reason.slug} ref={REFERENCE}]"


@pytest.mark.parametrize(
    ("faults", "unknown", "sentence", "machine"),
    [
        pytest.param(
            (MISSING, PHONE), 0, "Email is missing; phone is not a US number.", "email=missing phone=format", id="two"
        ),
        pytest.param(
            (Fault("postal_code", "length", "is longer than 5 characters"),),
            0,
            "Postal code is longer than 5 characters.",
            "postal_code=length",
            id="an underscore is read as a blank",
        ),
        pytest.param(
            (MISSING, Fault("email", "repeated", "is given more than once")),
            0,
            "Email is missing; email is given more than once.",
            "email=missing email=repeated",
            id="two of one field",
        ),
        pytest.param(
            (Fault("", "unknown", "there are fields that are not known here"), MISSING),
            3,
            "There are fields that are not known here; email is missing.",
            "email=missing unknown=3",
            id="unknown fields are told by their number",
        ),
        pytest.param(
            (Fault("", "unknown", "there are fields that are not known here"),),
            0,
            "There are fields that are not known here.",
            "lead=unknown",
            id="unknown fields without their number",
        ),
        pytest.param(
            (Fault("", "income_for_large_loans", "more is needed for a large loan"),),
            0,
            "More is needed for a large loan.",
            "lead=income_for_large_loans",
            id="the lead as a whole",
        ),
        pytest.param((), 1, "1 field is not known.", "unknown=1", id="one unknown field, no fault"),
        pytest.param((), 2, "2 fields are not known.", "unknown=2", id="unknown fields, no fault"),
        pytest.param((MISSING,), 2, "Email is missing.", "email=missing unknown=2", id="a fault and unknown fields"),
        pytest.param(
            (Fault("an odd[=]\"&name'", "missing", "is missing"),),
            0,
            "An odd(=)'+name' is missing.",
            "an_odd(_)'+name'=missing",
            id="a name that would break the machine part",
        ),
        pytest.param(
            (Fault("größe", "missing", "is missing"),), 0, "Größe is missing.", "größe=missing", id="a name not ASCII"
        ),
        pytest.param((Fault("\x00", "missing", "is missing"),), 0, "Field is missing.", "field=missing", id="no name"),
        pytest.param(
            (Fault("ref", "missing", "is missing"), Fault("more", "format", "is not a date")),
            0,
            "Ref is missing; more is not a date.",
            "ref=missing more=format",
            id="names that the machine part uses, too",
        ),
    ],
)
def test_an_invalid_lead_is_told_in_a_sentence_and_in_words_for_machines(
    faults: tuple[Fault, ...], unknown: int, sentence: str, machine: str, invalid: Callable[..., str]
) -> None:
    assert invalid(*faults, unknown=unknown) == f"{sentence} [lead_invalid ref={REFERENCE} {machine}]"


def test_an_invalid_lead_without_details_has_the_reasons_sentence(invalid: Callable[..., str]) -> None:
    assert invalid() == f"The lead is not valid. [lead_invalid ref={REFERENCE}]"


def test_faults_are_told_with_lead_invalid_alone(make_contract: MakeContract) -> None:
    note = make_contract().refuse(Reason.INTERNAL, REFERENCE, faults=(MISSING,), unknown=2).note
    assert note == f"{Reason.INTERNAL.sentence} [internal ref={REFERENCE}]"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the body is not well-formed JSON", "The body is not well-formed JSON."),
        ("Already a sentence.", "Already a sentence."),
        ("a\nb [c] <d>", "A b (c) ‹d›."),
        ("\x00", "The request could not be read."),
    ],
)
def test_a_clause_is_said_in_place_of_the_sentence(text: str, sentence: str, make_contract: MakeContract) -> None:
    note = make_contract().refuse(Reason.MALFORMED, REFERENCE, text=text).note
    assert note == f"{sentence} [malformed ref={REFERENCE}]"


def test_the_machine_part_holds_whole_faults_in_order_and_then_how_many_more(invalid: Callable[..., str]) -> None:
    faults = [Fault(f"field_{number:02}", "missing", "is missing") for number in range(20)]
    note = invalid(*faults, unknown=7)
    told = re.findall(r"field_(\d\d)=missing", machine_part(note))
    assert told == [f"{number:02}" for number in range(len(told))]
    assert machine_part(note).endswith(f" more={20 - len(told)} unknown=7]")
    # Not one more would have fitted.
    assert 160 - len(" field_00=missing") < len(machine_part(note)) <= 160
    assert note.startswith("Field 00 is missing; field 01 is missing; ")
    assert note.count("...") == 1
    assert len(note) <= 255


@pytest.mark.parametrize("length", range(30, 130))
def test_a_fault_stands_in_the_machine_part_whole_or_not_at_all(length: int, invalid: Callable[..., str]) -> None:
    fault = Fault("f" * length, "missing", "is missing")
    fits = len(f"[lead_invalid ref={REFERENCE} {fault.field}=missing]") <= 160
    expected = f"{fault.field}=missing]" if fits else "more=1]"
    assert machine_part(invalid(fault)).split(" ")[2] == expected


def test_the_last_fault_needs_no_room_for_a_count(invalid: Callable[..., str]) -> None:
    head = f"[lead_invalid ref={REFERENCE} a=missing "
    long = "f" * (160 - len(head) - len("=missing]"))
    note = invalid(Fault("a", "missing", "is missing"), Fault(long, "missing", "is missing"))
    assert machine_part(note) == f"{head}{long}=missing]"
    assert len(machine_part(note)) == 160


@given(
    st.lists(st.builds(Fault, st.text(max_size=40), st.from_regex("[a-z_]{1,12}", fullmatch=True), st.just("is odd"))),
    st.integers(0, 10**6),
)
def test_told_and_untold_faults_make_up_all_of_them(
    make_contract: MakeContract, faults: list[Fault], unknown: int
) -> None:
    note = make_contract().refuse(Reason.LEAD_INVALID, REFERENCE, faults=faults, unknown=unknown).note
    check_note(note, valid=False)
    words = machine_part(note)[1:-1].split(" ")
    assert words[:2] == ["lead_invalid", f"ref={REFERENCE}"]
    if unknown:
        assert words.pop() == f"unknown={unknown}"
    left_out = sum(1 for one in faults if unknown and one.kind == "unknown" and not one.field)
    more = int(words.pop().removeprefix("more=")) if re.fullmatch(r"more=\d+", words[-1]) else 0
    assert len(words) - 2 + more == len(faults) - left_out


@pytest.mark.parametrize(
    ("text", "room", "short"),
    [
        pytest.param("short", 10, "short", id="fits"),
        pytest.param("just ten c", 10, "just ten c", id="fits exactly"),
        pytest.param("one two three", 12, "one two...", id="whole words"),
        pytest.param("one two three", 10, "one two...", id="a word that just fits"),
        pytest.param("one, two, three", 12, "one, two...", id="no comma before the dots"),
        pytest.param("abcdefghijklmnop", 10, "abcdefg...", id="one long word"),
        pytest.param("a bcdefghijklmnop", 12, "a bcdefgh...", id="a word that is most of it"),
        pytest.param("abcdefe\u0301ghijk", 10, "abcdef...", id="an accent stays with its letter"),
        pytest.param("e" + "\u0301" * 20, 10, "...", id="accents only"),
    ],
)
def test_a_text_is_shortened_on_a_character_boundary(text: str, room: int, short: str) -> None:
    assert shorten(text, room) == short


@given(st.text(min_size=1, max_size=300), st.integers(8, 255))
def test_a_shortened_text_fits(text: str, room: int) -> None:
    assert len(shorten(text, room)) <= room


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("  a   b  ", "a b", id="blanks"),
        pytest.param("a\r\n\tb", "a b", id="line ends and tabs"),
        pytest.param("a\u00a0b\u2028c\u3000d", "a b c d", id="other blanks"),
        pytest.param("a\x00b\x1bc\x7fd\x85e", "a b c d e", id="control characters"),
        pytest.param("a\ud800b\ufffec", "a b c", id="no characters"),
        pytest.param("Kon\u00adtakt \u202eabc\u202c\u200d", "Kontakt abc", id="soft hyphen, direction, joiner"),
        pytest.param('[a] <b> & "c" \\d', "(a) ‹b› + 'c' /d", id="stand-ins"),
        pytest.param("Déjà vu 名 😀 it's 5% (ok) a=b;c", "Déjà vu 名 😀 it's 5% (ok) a=b;c", id="all else stays"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_free_text_is_cleaned_for_both_formats(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(st.characters(exclude_categories=())))
def test_cleaned_text_holds_nothing_forbidden_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert not FORBIDDEN & set(cleaned)
    assert "  " not in cleaned
    assert cleaned == cleaned.strip(" ")
    assert clean(cleaned) == cleaned


def test_a_capital_begins_a_sentence_and_the_rest_keeps_its_case() -> None:
    assert [capital(one) for one in ("", "a", "eMail USA", "élan")] == ["", "A", "EMail USA", "Élan"]


@given(st.text(st.characters(exclude_categories=()), max_size=600), st.sampled_from(list(Verdict)))
def test_any_message_makes_a_note_that_keeps_the_contract(
    make_contract: MakeContract, message: str, verdict: Verdict
) -> None:
    answer = make_contract().conclude(Reading(verdict=verdict, uniqueid="98", note=message), {}, REFERENCE).answer
    check_note(answer.note, valid=answer.valid)
