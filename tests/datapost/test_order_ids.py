"""The uniqueid: shown as the legacy gave it, mapped whole, or replaced by the reference; never cut."""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost import Contract
from gateway.datapost.order_id import BASE32, CROCKFORD, compile_order_id, mapped_ids, references
from gateway.datapost.reasons import Reason
from gateway.datapost.values import Reading, Verdict
from gateway.settings.models import UniqueIdSettings
from gateway.settings.problems import loose_report

KEY = b"0123456789abcdef0123456789abcdef"
REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
MakeContract = Callable[..., Contract]
Problems = Callable[..., list[str]]


def mapped(legacy: str, program: str = "auto") -> str:
    """The mapping, written out once more."""
    digest = hmac.new(KEY, program.encode() + b"\0" + legacy.encode("utf-8", "surrogatepass"), "sha256").digest()
    return b32encode(digest).decode()[:26]


def accept(contract: Contract, uniqueid: str | None) -> tuple[Reason, str, str | None, bool]:
    done = contract.conclude(Reading(verdict=Verdict.ACCEPTED, uniqueid=uniqueid), {}, REFERENCE)
    return done.reason, done.answer.uniqueid, done.legacy_id, done.mapped


@pytest.mark.parametrize("uniqueid", ["98", "a", "3d5d6498-1fb4-4d2a-8973-493a9f0ac6b8", "0", "x" * 64, "-"])
def test_an_id_that_fits_is_shown_as_it_is(uniqueid: str, make_contract: MakeContract) -> None:
    assert accept(make_contract(), uniqueid) == (Reason.ACCEPTED, uniqueid, uniqueid, False)


@pytest.mark.parametrize(
    "uniqueid",
    [
        pytest.param("x" * 65, id="65 characters"),
        pytest.param("98/5", id="a slash"),
        pytest.param("98 ", id="a blank"),
        pytest.param("98\n", id="a line end behind"),
        pytest.param("９８", id="wide digits"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("x" * 100_000, id="very long"),
        pytest.param("a&b", id="an ampersand"),
    ],
)
def test_an_id_that_does_not_fit_is_mapped_whole_and_kept_beside(uniqueid: str, make_contract: MakeContract) -> None:
    assert accept(make_contract(), uniqueid) == (Reason.ACCEPTED, mapped(uniqueid), uniqueid, True)


@pytest.mark.parametrize(
    "uniqueid", ["a&b", "a<b", "a>b", 'a"b', "a\\b", "a\nb", "a\x00b", "a\u2028b", "a\ud800b", "y" * 65]
)
def test_an_id_that_needs_an_escape_or_is_too_long_is_mapped_though_the_pattern_takes_it(
    uniqueid: str, make_contract: MakeContract
) -> None:
    contract = make_contract(uniqueid={"order_id_pattern": "(?s).*"})
    assert accept(contract, uniqueid)[1] == mapped(uniqueid)


def test_the_pattern_is_matched_against_the_whole_id(make_contract: MakeContract) -> None:
    contract = make_contract(uniqueid={"order_id_pattern": "[0-9A-Z]{1,30}"})
    assert accept(contract, "98")[3] is False
    assert accept(contract, "98-99")[3] is True


def test_mapped_ids_differ_by_program_and_by_key(make_contract: MakeContract) -> None:
    def show(program: str, key: bytes) -> str:
        shown = compile_order_id(UniqueIdSettings(), program=program, id_key=key, report=loose_report())(
            "98/5", REFERENCE
        )
        assert shown is not None
        return shown.text

    assert len({show("auto", KEY), show("home", KEY), show("auto", KEY[::-1])}) == 3
    assert show("home", KEY) == mapped("98/5", "home")


@pytest.mark.parametrize("uniqueid", [None, ""])
def test_a_missing_id_is_the_reference_or_an_unknown_outcome(uniqueid: str | None, make_contract: MakeContract) -> None:
    assert accept(make_contract(), uniqueid) == (Reason.ACCEPTED, REFERENCE, None, False)
    strict = make_contract(uniqueid={"when_missing": "unknown"})
    assert accept(strict, uniqueid) == (Reason.UNRECOGNIZED_ANSWER, "", None, False)


def test_without_a_key_an_id_that_does_not_fit_is_as_missing_and_check_says_so(
    make_contract: MakeContract, problems: Problems
) -> None:
    assert accept(make_contract(id_key=None), "98/5") == (Reason.ACCEPTED, REFERENCE, "98/5", False)
    strict = make_contract(id_key=None, uniqueid={"when_missing": "unknown"})
    assert accept(strict, "98/5") == (Reason.UNRECOGNIZED_ANSWER, "", "98/5", False)
    (warning,) = problems(id_key=None)
    assert warning.startswith("warning: without id_key")


def test_an_id_of_ours_that_the_pattern_refuses_never_goes_out(make_contract: MakeContract) -> None:
    contract = make_contract(uniqueid={"when_missing": "unknown", "order_id_pattern": "[0-9]{1,10}"})
    assert accept(contract, "98") == (Reason.ACCEPTED, "98", "98", False)
    assert accept(contract, "98/5") == (Reason.UNRECOGNIZED_ANSWER, "", "98/5", False)


def test_a_refusal_too_rare_for_the_proof_is_caught_when_it_happens(make_contract: MakeContract) -> None:
    # All IDs but those that begin as this reference does.
    others = "|".join(f"{REFERENCE[:at]}[^{REFERENCE[at]}][0-9A-Z]{{{25 - at}}}" for at in range(12))
    contract = make_contract(uniqueid={"order_id_pattern": others})
    assert accept(contract, None) == (Reason.UNRECOGNIZED_ANSWER, "", None, False)


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        pytest.param("[0-9]{1,64}", ["a reference", "a mapped ID"], id="digits only"),
        pytest.param("[0-9A-Za-z-]{1,25}", ["a reference", "a mapped ID"], id="a character too short"),
        pytest.param("[0-9A-Za-z-]{27,64}", ["a reference", "a mapped ID"], id="a character too long"),
        pytest.param("[0-9a-z-]{1,64}", ["a reference", "a mapped ID"], id="small letters only"),
        pytest.param("[0-9][0-9A-Z]{0,63}", ["a mapped ID"], id="a digit first"),
        pytest.param("0[0-9A-Z]{25}", ["a reference", "a mapped ID"], id="nought first"),
        pytest.param("[0-9A-Y]{26}", ["a reference", "a mapped ID"], id="no Z"),
        pytest.param("[A-Z2-7]{26}", ["a reference"], id="the mapped alphabet alone"),
        pytest.param("[0-9A-HJKMNP-TV-Z]{26}", ["a mapped ID"], id="the reference's alphabet alone"),
        pytest.param("[0-9A-Z]{12}[0-9A-Y][0-9A-Z]{13}", ["a reference", "a mapped ID"], id="no Z in the middle"),
        pytest.param("[0-9A-Z]*[A-Z]", ["a reference", "a mapped ID"], id="a letter last"),
        pytest.param("[0-9A-Z]*[A-Z][0-9A-Z]*", ["a reference", "a mapped ID"], id="a letter somewhere"),
        pytest.param("98", ["a reference", "a mapped ID"], id="one ID"),
    ],
)
def test_a_pattern_that_refuses_what_the_gateway_makes_is_an_error_unless_missing_is_unknown(
    pattern: str, wrong: list[str], problems: Problems
) -> None:
    found = problems(uniqueid={"order_id_pattern": pattern})
    assert [one.partition(" such as ")[0] for one in found] == [f"refuses {what}" for what in wrong]
    assert all("when_missing: unknown" in one for one in found)
    assert problems(uniqueid={"order_id_pattern": pattern, "when_missing": "unknown"}) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "^[0-9A-Za-z-]{1,64}$",
        "[0-9A-Z]{26}|[0-9]+",
        r"\w+",
        "(?i)[0-9a-z]*",
        r"(?:\pL|\pN){1,12}(?:\pL|\pN){1,20}",
        # Takes more room than a set of patterns has for its program: matched in the other way.
        r"(?:[\pL\pN]{1,10}){1,14}",
    ],
)
def test_a_pattern_that_takes_all_of_them_is_fine(
    pattern: str, problems: Problems, make_contract: MakeContract
) -> None:
    assert problems(uniqueid={"order_id_pattern": pattern}) == []
    assert accept(make_contract(uniqueid={"order_id_pattern": pattern}), "98")[1] == "98"


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", "[z-a]", "a{2000}", r"(\pL{1,100}){1,9}"])
def test_what_is_no_re2_pattern_is_an_error(pattern: str, problems: Problems) -> None:
    (found,) = problems(uniqueid={"order_id_pattern": pattern})
    assert found.startswith("is no RE2 pattern: ")


def test_a_contract_whose_pattern_is_none_concludes_nothing() -> None:
    settings = UniqueIdSettings(order_id_pattern="(")
    assert compile_order_id(settings, program="auto", id_key=KEY, report=loose_report())("98", REFERENCE) is None


@pytest.mark.parametrize(
    ("made", "alphabet", "first"), [(references, CROCKFORD, CROCKFORD[:8]), (mapped_ids, BASE32, BASE32)]
)
def test_the_proof_tries_every_character_at_every_position(
    made: Callable[[], list[str]], alphabet: str, first: str
) -> None:
    ids = list(made())
    assert all(re.fullmatch(f"[{first}][{alphabet}]{{25}}", one) for one in ids)
    assert {one[0] for one in ids} == set(first)
    for position in range(1, 26):
        assert {one[position] for one in ids} == set(alphabet)


_show = compile_order_id(UniqueIdSettings(), program="auto", id_key=KEY, report=loose_report())


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_whatever_the_legacy_says_the_shown_id_fits(uniqueid: str) -> None:
    shown = _show(uniqueid, REFERENCE)
    assert shown is not None
    assert re.fullmatch("[0-9A-Za-z-]{1,64}", shown.text)
