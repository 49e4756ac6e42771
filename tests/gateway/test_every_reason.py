"""Each reason, under each status policy and in each format, as a partner sees it on a socket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.datapost.reasons import Reason
from gateway.lead import Lead, Undecodable
from tests.support.running import PATH, running
from tests.support.upstreams import ScriptedUpstream, answering

# Status under (platform, http, always_200): the table of the contract, written out and not computed.
_PLATFORM_KEEPS = {401, 403, 413, 415, 429, 503}
STATUSES = {
    "accepted": 200, "legacy_rejected": 200, "legacy_duplicate": 200, "legacy_error": 502, "unrecognized_answer": 502,
    "outcome_unknown": 504, "lead_invalid": 200, "duplicate": 200, "cap_reached": 200, "suppressed": 200,
    "outside_hours": 200, "paused": 200, "test_lead": 200, "in_progress": 409, "idempotency_conflict": 422,
    "unauthorized": 401, "forbidden": 403, "not_found": 404, "method_not_allowed": 405, "malformed": 400,
    "unsupported_media_type": 415, "too_large": 413, "uri_too_long": 414, "headers_too_large": 431,
    "request_timeout": 408, "expectation_failed": 417, "not_implemented": 501, "version_not_supported": 505,
    "rate_limited": 429, "upstream_unreachable": 503, "circuit_open": 503, "overloaded": 503, "draining": 503,
    "store_unavailable": 503, "internal": 500,
}  # fmt: skip
#: client_gone is for log and metrics only; accepted has no refusal.
REFUSALS = [reason for reason in Reason if reason not in (Reason.ACCEPTED, Reason.CLIENT_GONE)]


def test_the_table_names_every_reason() -> None:
    assert set(STATUSES) == {reason.slug for reason in Reason} - {"client_gone"}


@pytest.mark.parametrize("policy", ["platform", "http", "always_200"])
@pytest.mark.parametrize("format", ["json", "xml"])
async def test_every_refusal_is_one_conformant_answer_with_the_status_of_its_policy(
    tmp_path: Path, policy: str, format: str
) -> None:
    async with (
        ScriptedUpstream(answering(b"")) as legacy,
        running(tmp_path, legacy.url, program={"answer": {"status_codes": policy, "format": format}}) as gateway,
    ):
        for reason in REFUSALS:

            def decode(content_type: str | None, body: bytes, reason: Reason = reason) -> Lead | Undecodable:
                return Undecodable(reason, "")

            # A decoder that refuses for this reason: the rest of the way is the real one.
            gateway.server.lanes[PATH] = replace(gateway.server.lanes[PATH], decode=decode)
            answer = await gateway.post()
            assert answer.reason == reason.slug
            true = STATUSES[reason.slug]
            expected = {
                "http": true,
                "platform": true if true in _PLATFORM_KEEPS else 200,
                "always_200": 401 if true == 401 else 200,
            }[policy]
            assert answer.status == expected, reason.slug
            assert answer.headers["content-type"].startswith(f"application/{format};")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-request-id"] in answer.note
            assert ("www-authenticate" in answer.headers) == (true == 401)
            assert ("retry-after" in answer.headers) == (true in (429, 503))
            assert ("allow" in answer.headers) == (true == 405)
        assert legacy.touched == 0


@pytest.mark.parametrize("policy", ["platform", "http", "always_200"])
@pytest.mark.parametrize("format", ["json", "xml"])
async def test_an_accepted_lead_is_answered_200_with_all_six_members(tmp_path: Path, policy: str, format: str) -> None:
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nOK|98|10.00|177"
    async with (
        ScriptedUpstream(answering(text)) as legacy,
        running(tmp_path, legacy.url, program={"answer": {"status_codes": policy, "format": format}}) as gateway,
    ):
        answer = await gateway.post()
        assert answer.status == 200
        assert list(answer.members) == ["valid", "uniqueid", "sale_amount", "customerid", "email", "note"]
        assert answer.members["uniqueid"] == "98"
