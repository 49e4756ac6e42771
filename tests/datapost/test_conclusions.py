"""What a legacy answer means for the partner."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost import DEFAULT_CONTRACT, Contract, Format, compile_contract, content_type, render
from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.datapost.values import DataPostResponse, Fault, Reading, Verdict
from gateway.settings.models import AnswerSettings
from gateway.settings.problems import loose_report
from tests.support.contract import validate_answer

REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
MakeContract = Callable[..., Contract]


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.ACCEPTED, Reason.ACCEPTED),
        (Verdict.REJECTED, Reason.LEGACY_REJECTED),
        (Verdict.DUPLICATE, Reason.LEGACY_DUPLICATE),
        (Verdict.ERROR, Reason.LEGACY_ERROR),
        (None, Reason.UNRECOGNIZED_ANSWER),
    ],
)
def test_each_verdict_has_its_reason_and_only_acceptance_is_valid(
    verdict: Verdict | None, reason: Reason, make_contract: MakeContract
) -> None:
    done = make_contract().conclude(Reading(verdict=verdict, uniqueid="98"), {}, REFERENCE)
    assert done.reason is reason
    assert done.answer.valid is (verdict is Verdict.ACCEPTED)
    assert done.legacy_id == "98"
    assert OUTCOMES[done.reason][0] is Delivery.ANSWERED


@pytest.mark.parametrize("amount", ["ten", "-1", "10.005", "€5"])
def test_an_unreadable_amount_makes_the_outcome_unknown_or_stays_empty(
    amount: str, make_contract: MakeContract
) -> None:
    reading = Reading(verdict=Verdict.ACCEPTED, uniqueid="98", sale_amount=amount, note="Sold")
    done = make_contract().conclude(reading, {}, REFERENCE)
    assert done.reason is Reason.UNRECOGNIZED_ANSWER
    assert OUTCOMES[done.reason][1] is Outcome.UNKNOWN
    assert done.answer == DataPostResponse(
        valid=False, note=f"{Reason.UNRECOGNIZED_ANSWER.sentence} [unrecognized_answer ref={REFERENCE}]"
    )
    assert done.legacy_id == "98"
    lenient = make_contract(sale_amount={"when_unreadable": "empty"}).conclude(reading, {}, REFERENCE)
    assert lenient.reason is Reason.ACCEPTED
    assert lenient.answer.sale_amount == ""


@pytest.mark.parametrize("amount", [None, ""])
@pytest.mark.parametrize("policy", ["unknown", "empty"])
def test_an_amount_that_is_not_there_is_not_unreadable(
    amount: str | None, policy: str, make_contract: MakeContract
) -> None:
    reading = Reading(verdict=Verdict.ACCEPTED, uniqueid="98", sale_amount=amount)
    done = make_contract(sale_amount={"when_unreadable": policy}).conclude(reading, {}, REFERENCE)
    assert (done.reason, done.answer.sale_amount) == (Reason.ACCEPTED, "")


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.DUPLICATE, Verdict.ERROR])
def test_the_legacys_message_is_told_whatever_it_refused_for(verdict: Verdict, make_contract: MakeContract) -> None:
    done = make_contract().conclude(Reading(verdict=verdict, note="Too many leads\n today"), {}, REFERENCE)
    assert done.answer.note == f"Too many leads today [{done.reason.slug} ref={REFERENCE}]"


def test_what_an_answer_without_a_verdict_says_is_not_told(make_contract: MakeContract) -> None:
    done = make_contract().conclude(Reading(verdict=None, note="Lead accepted"), {}, REFERENCE)
    assert done.answer.note == f"{Reason.UNRECOGNIZED_ANSWER.sentence} [unrecognized_answer ref={REFERENCE}]"


@pytest.mark.parametrize("note", [None, "", " ", "\x00\n", "\u200b"])
def test_an_empty_message_gives_the_reasons_sentence(note: str | None, make_contract: MakeContract) -> None:
    contract = make_contract()
    accepted = contract.conclude(Reading(verdict=Verdict.ACCEPTED, uniqueid="98", note=note), {}, REFERENCE)
    assert accepted.answer.note == "Lead submitted successfully"
    rejected = contract.conclude(Reading(verdict=Verdict.REJECTED, note=note), {}, REFERENCE)
    assert rejected.answer.note == f"The lead was not accepted. [legacy_rejected ref={REFERENCE}]"


def test_a_message_of_acceptance_has_no_machine_part_and_all_255_characters(make_contract: MakeContract) -> None:
    contract = make_contract()
    for message in ("x" * 255, "x " * 200):
        reading = Reading(verdict=Verdict.ACCEPTED, uniqueid="98", note=message)
        note = contract.conclude(reading, {}, REFERENCE).answer.note
        assert "[" not in note
        assert 250 < len(note) <= 255
    assert contract.conclude(Reading(verdict=Verdict.ACCEPTED, note="y" * 255), {}, REFERENCE).answer.note == "y" * 255


def test_before_a_program_is_known_answers_are_json() -> None:
    assert DEFAULT_CONTRACT.format_for("application/xml") is Format.JSON


_TEXT = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=()), max_size=400), st.sampled_from(["98", "10.00"])
)
_READINGS = st.builds(
    Reading,
    verdict=st.sampled_from([None, *Verdict]),
    uniqueid=_TEXT,
    sale_amount=_TEXT,
    customerid=_TEXT,
    email=_TEXT,
    note=_TEXT,
)
_LEADS = st.dictionaries(st.text(max_size=12), st.text(st.characters(exclude_categories=()), max_size=300), max_size=5)
_SETTINGS = st.fixed_dictionaries(
    {
        "uniqueid": st.sampled_from([{}, {"when_missing": "unknown"}, {"order_id_pattern": "(?s).*"}]),
        "sale_amount": st.sampled_from([{}, {"when_unreadable": "empty"}]),
        "customerid": st.sampled_from([{}, {"field": "a"}, {"hash": "a"}]),
        "email": st.sampled_from(["plain", "sha256", "sha1", "none"]),
        "email_from": st.sampled_from(["email", "a"]),
    }
)
_CONTRACTS: dict[str, Contract] = {}


def contract_of(block: dict[str, object]) -> Contract:
    """One contract a block: compiling proves its pattern, which takes milliseconds."""
    if str(block) not in _CONTRACTS:
        settings = AnswerSettings.model_validate(block)
        _CONTRACTS[str(block)] = compile_contract(settings, program="auto", id_key=b"k" * 32, report=loose_report())
    return _CONTRACTS[str(block)]


@given(_SETTINGS, _READINGS, _LEADS, st.sampled_from(Format))
def test_every_conclusion_is_an_answer_that_keeps_the_contract(
    block: dict[str, object], reading: Reading, lead: dict[str, str], format: Format
) -> None:
    answer = contract_of(block).conclude(reading, lead, REFERENCE).answer
    members = validate_answer(render(answer, format), content_type(format))
    assert list(members.values()) == [
        answer.valid, answer.uniqueid, answer.sale_amount, answer.customerid, answer.email, answer.note
    ]  # fmt: skip


_FAULTS = st.builds(
    Fault,
    field=st.text(st.characters(exclude_categories=()), max_size=80),
    kind=st.from_regex("[a-z_]{1,30}", fullmatch=True),
    text=st.from_regex(r"[a-zA-Z0-9.,;:'()/ -]{1,80}", fullmatch=True),
)


@given(
    st.sampled_from([one for one in Reason if one is not Reason.ACCEPTED]),
    st.lists(_FAULTS, max_size=12),
    st.integers(0, 5000),
    st.one_of(st.just(""), st.text(st.characters(exclude_categories=()), max_size=400)),
    st.sampled_from(Format),
)
def test_every_refusal_is_an_answer_that_keeps_the_contract(
    reason: Reason, faults: list[Fault], unknown: int, text: str, format: Format
) -> None:
    answer = DEFAULT_CONTRACT.refuse(reason, REFERENCE, faults=faults, unknown=unknown, text=text)
    members = validate_answer(render(answer, format), content_type(format))
    assert members["valid"] is False
    assert f"[{reason.slug} ref={REFERENCE}" in str(members["note"])


def test_the_room_loads_no_network_clock_logger_store_or_randomness() -> None:
    code = (
        "import sys, gateway.datapost; "
        "print([m for m in ('aiohttp', 'asyncio', 'uvloop', 'logging', 'structlog', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
