"""docs/reasons.md and the catalogue of reasons say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.datapost import Contract
from gateway.datapost.reasons import OUTCOMES, Outcome, Reason

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text("utf-8")
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] != "reason"
}


def test_the_page_tells_every_reason_once_in_the_order_of_the_catalogue() -> None:
    assert list(ROWS) == [reason.slug for reason in Reason]
    assert len(re.findall(r"^\| [a-z_]+ \|", PAGE, re.MULTILINE)) == len(Reason) + 1


#: No program is known, or the request cannot be read to its end: the true status goes out under every policy.
ALWAYS_TRUE = {
    Reason.NOT_FOUND,
    Reason.URI_TOO_LONG,
    Reason.HEADERS_TOO_LARGE,
    Reason.REQUEST_TIMEOUT,
    Reason.NOT_IMPLEMENTED,
    Reason.VERSION_NOT_SUPPORTED,
}
#: That can be so, and need not.
SOMETIMES_TRUE = {Reason.METHOD_NOT_ALLOWED, Reason.MALFORMED, Reason.INTERNAL}


@pytest.mark.parametrize("reason", list(Reason), ids=[reason.slug for reason in Reason])
def test_the_page_tells_what_the_code_does(reason: Reason, make_contract: Callable[..., Contract]) -> None:
    when, ends, true, platform, again, engineer, partner = ROWS[reason.slug]
    assert when
    assert engineer
    assert partner
    told = make_contract().status(reason)
    if reason is Reason.CLIENT_GONE:
        assert (true, platform) == ("–", "–")  # nobody is there to read a status
    elif reason in SOMETIMES_TRUE:
        assert (true, platform) == (str(reason.status), f"{told}, {reason.status}")
    else:
        assert (true, platform) == (str(reason.status), str(reason.status if reason in ALWAYS_TRUE else told))
    if reason in OUTCOMES:
        delivery, outcome = OUTCOMES[reason]
        assert ends == f"{delivery.value}, {outcome.value}"
    else:
        assert ends == ("as known" if reason is Reason.INTERNAL else "not_sent")
    assert again in ("yes", "no", "mended")
    if reason.retry:
        assert again == "yes"
    if OUTCOMES.get(reason, ("", Outcome.NONE))[1] is Outcome.UNKNOWN:
        assert again == "no"
        assert "do not send it again" in reason.sentence
