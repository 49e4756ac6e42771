"""Which status goes out for each reason under each policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.datapost import DEFAULT_CONTRACT, Contract
from gateway.datapost.reasons import Reason

#: slug: (http, platform, always_200)
TABLE = {
    "accepted": (200, 200, 200),
    "legacy_rejected": (200, 200, 200),
    "legacy_duplicate": (200, 200, 200),
    "legacy_error": (502, 200, 200),
    "unrecognized_answer": (502, 200, 200),
    "outcome_unknown": (504, 200, 200),
    "lead_invalid": (200, 200, 200),
    "duplicate": (200, 200, 200),
    "cap_reached": (200, 200, 200),
    "suppressed": (200, 200, 200),
    "outside_hours": (200, 200, 200),
    "paused": (200, 200, 200),
    "test_lead": (200, 200, 200),
    "in_progress": (409, 200, 200),
    "idempotency_conflict": (422, 200, 200),
    "unauthorized": (401, 401, 401),
    "forbidden": (403, 403, 200),
    "not_found": (404, 200, 200),
    "method_not_allowed": (405, 200, 200),
    "malformed": (400, 200, 200),
    "unsupported_media_type": (415, 415, 200),
    "too_large": (413, 413, 200),
    "uri_too_long": (414, 200, 200),
    "headers_too_large": (431, 200, 200),
    "request_timeout": (408, 200, 200),
    "expectation_failed": (417, 200, 200),
    "not_implemented": (501, 200, 200),
    "version_not_supported": (505, 200, 200),
    "rate_limited": (429, 429, 200),
    "upstream_unreachable": (503, 503, 200),
    "circuit_open": (503, 503, 200),
    "overloaded": (503, 503, 200),
    "draining": (503, 503, 200),
    "store_unavailable": (503, 503, 200),
    "internal": (500, 200, 200),
    "client_gone": (499, 200, 200),
}


@pytest.mark.parametrize(
    "column", [pytest.param(0, id="http"), pytest.param(1, id="platform"), pytest.param(2, id="always_200")]
)
@pytest.mark.parametrize("reason", list(Reason), ids=[reason.slug for reason in Reason])
def test_each_reason_has_its_status_under_each_policy(
    reason: Reason, column: int, make_contract: Callable[..., Contract]
) -> None:
    contract = make_contract(status_codes=("http", "platform", "always_200")[column])
    assert contract.status(reason) == TABLE[reason.slug][column]


def test_the_platform_policy_is_the_default(make_contract: Callable[..., Contract]) -> None:
    assert make_contract().status(Reason.LEGACY_ERROR) == 200
    assert make_contract().status(Reason.OVERLOADED) == 503


@pytest.mark.parametrize("reason", list(Reason), ids=[reason.slug for reason in Reason])
def test_before_a_program_is_known_the_true_status_goes_out(reason: Reason) -> None:
    assert DEFAULT_CONTRACT.status(reason) == TABLE[reason.slug][0] == reason.status
