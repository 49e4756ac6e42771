"""customerid and email: whole or hashed or left out, never altered."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Callable
from typing import Any

import pytest

from gateway.datapost import Contract
from gateway.datapost.values import DataPostResponse, Reading, Verdict

KEY = b"0123456789abcdef0123456789abcdef"
REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
MakeContract = Callable[..., Contract]
Problems = Callable[..., list[str]]


def accepted(contract: Contract, lead: dict[str, str], **said: Any) -> DataPostResponse:
    return contract.conclude(Reading(verdict=Verdict.ACCEPTED, uniqueid="98", **said), lead, REFERENCE).answer


def hashed(value: str) -> str:
    """A customer's keyed hash, written out once more."""
    key = hmac.new(KEY, b"customerid", "sha256").digest()
    return b32encode(hmac.new(key, value.encode("utf-8", "surrogatepass"), "sha256").digest()).decode()[:26]


def test_the_customer_is_the_readings_by_default(make_contract: MakeContract) -> None:
    assert accepted(make_contract(), {"customer": "5"}, customerid="177").customerid == "177"
    assert accepted(make_contract(), {"customer": "5"}).customerid == ""


def test_the_customer_is_a_field_of_the_lead_or_its_keyed_hash(make_contract: MakeContract) -> None:
    plain, keyed = make_contract(customerid={"field": "member"}), make_contract(customerid={"hash": "member"})
    assert accepted(plain, {"member": "M-5"}, customerid="177").customerid == "M-5"
    assert accepted(keyed, {"member": "M-5"}, customerid="177").customerid == hashed("m-5")
    assert accepted(plain, {}, customerid="177").customerid == ""
    assert accepted(keyed, {}, customerid="177").customerid == ""


def test_a_customers_hash_forgets_case_and_outer_blanks(make_contract: MakeContract) -> None:
    keyed = make_contract(customerid={"hash": "email"})
    assert accepted(keyed, {"email": " Jane@Example.com"}).customerid == hashed("jane@example.com")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 256, id="256 characters"),
        pytest.param("a\nb", id="a line end"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("a\ud800b", id="half a surrogate pair"),
        *(pytest.param(f"a{mark}b", id=f"{mark}, which needs an escape") for mark in '<>&"\\'),
    ],
)
def test_a_customer_that_does_not_fit_is_hashed_never_cut(value: str, make_contract: MakeContract) -> None:
    assert accepted(make_contract(), {}, customerid=value).customerid == hashed(value)
    assert accepted(make_contract(id_key=None), {}, customerid=value).customerid == ""


def test_a_customer_of_255_odd_characters_is_told_as_it_is(make_contract: MakeContract) -> None:
    value = "é'[{ü" * 51
    assert accepted(make_contract(), {}, customerid=value).customerid == value


def test_the_block_gives_one_source_and_a_hash_needs_a_key(problems: Problems) -> None:
    assert problems(customerid={"field": "a", "hash": "b"}) == ["field and hash are both given; one of them"]
    (_, error) = problems(id_key=None, customerid={"hash": "b"})
    assert error == "there is no key to hash with; id_key in the gateway's file"


def test_fields_that_the_lead_does_not_have_are_errors(problems: Problems) -> None:
    fields = ("email", "member")
    allowed = "one of email, member"
    assert problems(fields=fields, customerid={"field": "membre"}) == [f"membre is no field of the lead; {allowed}"]
    assert problems(fields=fields, customerid={"hash": "phone"}) == [f"phone is no field of the lead; {allowed}"]
    assert problems(fields=fields, email_from="mail") == [f"mail is no field of the lead; {allowed}"]
    assert problems(fields=fields, customerid={"hash": "member"}, email_from="email") == []
    # The usual name is a guess, and unknown fields may be forwarded where none is configured.
    assert problems(fields=("phone",)) == []
    assert problems(email_from="mail") == []


EMAIL = "Jane@Example.com"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("plain", EMAIL),
        ("sha256", hashlib.sha256(b"jane@example.com").hexdigest()),
        ("sha1", hashlib.sha1(b"jane@example.com", usedforsecurity=False).hexdigest()),
        ("none", ""),
    ],
)
def test_the_address_is_told_as_the_program_says(setting: str, told: str, make_contract: MakeContract) -> None:
    contract = make_contract(email=setting)
    assert accepted(contract, {"email": f" {EMAIL} "}).email == told
    assert accepted(contract, {}, email=EMAIL).email == told
    assert accepted(contract, {}).email == ""


def test_the_leads_address_goes_before_the_readings(make_contract: MakeContract) -> None:
    contract = make_contract(email_from="mail")
    assert accepted(contract, {"mail": "a@example.com", "email": "b@example.com"}, email="c@example.com").email == (
        "a@example.com"
    )
    assert accepted(contract, {"mail": "", "email": "b@example.com"}, email="c@example.com").email == "c@example.com"


@pytest.mark.parametrize("value", ["x" * 255, "a\nb@example.com", "a\x00@example.com", "\ud800@example.com"])
@pytest.mark.parametrize("setting", ["plain", "sha256", "sha1"])
def test_what_cannot_be_an_address_is_left_out(setting: str, value: str, make_contract: MakeContract) -> None:
    assert accepted(make_contract(email=setting), {"email": value}).email == ""


@pytest.mark.parametrize("verdict", [None, Verdict.REJECTED, Verdict.DUPLICATE, Verdict.ERROR])
def test_nothing_of_a_person_is_told_unless_the_lead_was_accepted(
    verdict: Verdict | None, make_contract: MakeContract
) -> None:
    reading = Reading(verdict=verdict, uniqueid="98", sale_amount="10.00", customerid="177", email=EMAIL)
    answer = make_contract().conclude(reading, {"email": EMAIL}, REFERENCE).answer
    assert (answer.valid, answer.uniqueid, answer.sale_amount, answer.customerid, answer.email) == (
        False,
        "",
        "",
        "",
        "",
    )
