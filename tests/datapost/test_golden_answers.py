"""The very bytes of an answer for each reason in both formats, as platforms' expressions meet them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.datapost import Contract, Format, content_type, render
from gateway.datapost.reasons import Reason
from gateway.datapost.values import DataPostResponse, Fault, Reading, Verdict
from tests.support.contract import validate_answer

GOLDEN = Path(__file__).parent / "golden"
REFERENCE = "01JD3XK5ZQ8V9Y2N4M6P7R1STA"
LEAD = {"email": "jane@example.com", "phone": "2125550123"}

#: name of the file -> the answer it holds; reasons that are not named here have nothing to add to their sentence.
SPECIAL: dict[str, Callable[[Contract], DataPostResponse]] = {
    "accepted": lambda contract: (
        contract.conclude(
            Reading(verdict=Verdict.ACCEPTED, uniqueid="98", sale_amount="10", customerid="177"), LEAD, REFERENCE
        ).answer
    ),
    "accepted-awkward": lambda contract: (
        contract.conclude(
            Reading(
                verdict=Verdict.ACCEPTED,
                uniqueid="98/5",
                sale_amount="$1,234.5",
                customerid='A&B <"C"> \\ D\u00e9j\u00e0',
                note="Kontakt hozz\u00e1adva & k\u00e9sz",
            ),
            {"email": '"jane&co"@example.com'},
            REFERENCE,
        ).answer
    ),
    "legacy_rejected": lambda contract: (
        contract.conclude(
            Reading(verdict=Verdict.REJECTED, note='Email jane@example.com: "not" <valid> [E7]'), LEAD, REFERENCE
        ).answer
    ),
    "legacy_duplicate": lambda contract: contract.conclude(Reading(verdict=Verdict.DUPLICATE), LEAD, REFERENCE).answer,
    "legacy_error": lambda contract: contract.conclude(Reading(verdict=Verdict.ERROR), LEAD, REFERENCE).answer,
    "unrecognized_answer": lambda contract: contract.conclude(Reading(verdict=None), LEAD, REFERENCE).answer,
    "lead_invalid": lambda contract: contract.refuse(
        Reason.LEAD_INVALID,
        REFERENCE,
        faults=(Fault("email", "missing", "is missing"), Fault("phone", "format", "is not a US number")),
    ),
    "malformed": lambda contract: contract.refuse(Reason.MALFORMED, REFERENCE, text="the body is not well-formed JSON"),
}
NAMES = sorted({*SPECIAL, *(reason.slug for reason in Reason)})


@pytest.mark.parametrize("format", list(Format), ids=["json", "xml"])
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_has_the_very_bytes_of_its_golden_file(
    name: str, format: Format, make_contract: Callable[..., Contract]
) -> None:
    contract = make_contract(fields=("email", "phone"))
    plain = next((reason for reason in Reason if reason.slug == name), Reason.INTERNAL)
    answer = SPECIAL[name](contract) if name in SPECIAL else contract.refuse(plain, REFERENCE)
    body = render(answer, format)
    assert body == (GOLDEN / f"{name}.{format.name.lower()}").read_bytes()
    validate_answer(body, content_type(format))


def test_there_is_no_golden_file_without_its_answer() -> None:
    files = {path.name for path in GOLDEN.iterdir() if not path.name.startswith(".")}
    assert files == {f"{name}.{ending}" for name in NAMES for ending in ("json", "xml")}


def test_the_accepted_answer_is_the_one_that_the_platform_documents() -> None:
    documented = (
        b'{"dataPostResponse": {"valid": true, "uniqueid": "98", "sale_amount": "10.00", "customerid": "177",'
        b' "email": "jane@example.com", "note": "Lead submitted successfully"}}'
    )
    assert (GOLDEN / "accepted.json").read_bytes() == documented
