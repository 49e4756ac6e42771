"""Each reason, brought about by what really causes it, as a partner sees it: under 3 status policies, in 2 formats."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.datapost.reasons import Reason
from gateway.lead import Checked, Lead, Undecodable
from tests.support.canaries import PASSWORD
from tests.support.client import Answer, basic, read_answer, request
from tests.support.running import LEAD, PATH, USER, Running, running
from tests.support.upstreams import OK, Peer, Script, ScriptedUpstream, answering, message

POLICIES = ["platform", "http", "always_200"]
FORMATS = ["json", "xml"]
# The true status: the table of the contract, written out and not computed.
TRUE = {
    "accepted": 200, "legacy_rejected": 200, "legacy_duplicate": 200, "legacy_error": 502, "unrecognized_answer": 502,
    "outcome_unknown": 504, "lead_invalid": 200, "duplicate": 200, "cap_reached": 200, "suppressed": 200,
    "outside_hours": 200, "paused": 200, "test_lead": 200, "in_progress": 409, "idempotency_conflict": 422,
    "unauthorized": 401, "forbidden": 403, "not_found": 404, "method_not_allowed": 405, "malformed": 400,
    "unsupported_media_type": 415, "too_large": 413, "uri_too_long": 414, "headers_too_large": 431,
    "request_timeout": 408, "expectation_failed": 417, "not_implemented": 501, "version_not_supported": 505,
    "rate_limited": 429, "upstream_unreachable": 503, "circuit_open": 503, "overloaded": 503, "draining": 503,
    "store_unavailable": 503, "internal": 500,
}  # fmt: skip
PLATFORM_KEEPS = {401, 403, 413, 415, 429, 503}
#: What they speak of is not there yet: nothing but a decoder that is put in the place of ours can give them.
WITHOUT_CAUSE = {"cap_reached", "suppressed", "outside_hours", "paused", "test_lead", "rate_limited"}

GOOD = basic(USER, PASSWORD)
POST = request(PATH, LEAD, authorization=GOOD)
RESEND = {"lead": {"replay": {"window": "10m"}, "unknown_hold": "30d"}}

Act = Callable[[Running, ScriptedUpstream], Awaitable[Answer]]


# --- what a partner does ----------------------------------------------------------------------------


def sending(data: bytes) -> Act:
    """These bytes, once."""

    async def act(gateway: Running, _: ScriptedUpstream) -> Answer:
        return await gateway.send(data)

    return act


def lead(*first: Mapping[str, Any], **then: Any) -> Act:
    """Leads as `Running.post` takes them: those before, then the one that counts."""

    async def act(gateway: Running, _: ScriptedUpstream) -> Answer:
        for one in first:
            await gateway.post(**one)
        return await gateway.post(**then)

    return act


async def twin_in_flight(gateway: Running, legacy: ScriptedUpstream) -> Answer:
    """The same lead while the first one is still at the legacy endpoint, by a partner with less time."""
    first = asyncio.create_task(gateway.post())
    await legacy.until(lambda: legacy.requests == 1)
    lane = gateway.server.lanes[PATH]
    gateway.server.lanes[PATH] = replace(lane, deadline_s=0.3)
    second = await gateway.post()
    first.cancel()
    return second


async def one_too_many(gateway: Running, legacy: ScriptedUpstream) -> Answer:
    """A lead while the only one that may be in flight is."""
    first = asyncio.create_task(gateway.post())
    await legacy.until(lambda: legacy.requests == 1)
    second = await gateway.post()
    first.cancel()
    return second


async def stopped_in_the_body(gateway: Running, _: ScriptedUpstream) -> Answer:
    """A lead whose body is not there yet when the process is told to stop."""
    stopping = asyncio.create_task(gateway.server.until_stopped())
    await gateway.post({"email": "x"})  # its password is known from now on: nothing but the body is waited for
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(POST[:-5])
    async with asyncio.timeout(10):
        while await gateway.metric("gateway_in_flight", program="test") != 1:
            pass
    signal.raise_signal(signal.SIGTERM)
    answer = await read_answer(reader)
    writer.close()
    assert await stopping == 1
    return answer


async def breaking(gateway: Running, _: ScriptedUpstream) -> Answer:
    """No bug is known that a request could reach, so one is put in."""

    class Broken(type(gateway.server.lanes[PATH].check)):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def __call__(self, *_: object) -> Checked:
            raise ArithmeticError

    gateway.server.lanes[PATH] = replace(gateway.server.lanes[PATH], check=Broken())
    return await gateway.post()


async def without_disk(gateway: Running, _: ScriptedUpstream) -> Answer:
    """A lead while no byte can be written to any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        return await gateway.post()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def stalling(peer: Peer) -> None:
    """Takes a lead and says nothing."""
    await peer.request()
    await peer.stall()


# --- the table --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """What brings a reason about.

    unread: the request cannot be read as HTTP, or reaches no program: the true status always goes out. unrouted: no
    program is known either, so the answer is JSON.
    """

    id: str
    reason: str
    act: Act
    legacy: tuple[Script, ...] = (answering(OK),)
    program: Mapping[str, Any] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)
    delivery: str = "not_sent"
    arrivals: int = 0
    unread: bool = False
    unrouted: bool = False
    unreachable: bool = False


def answered(reason: str, text: bytes) -> Case:
    return Case(
        id=reason, reason=reason, act=lead(), legacy=(answering(message(text)),), delivery="answered", arrivals=1
    )


def framing(id: str, reason: str, data: bytes, **more: Any) -> Case:
    return Case(id=id, reason=reason, act=sending(data), unread=True, unrouted=True, **more)


def refused(id: str, reason: str, act: Act, **more: Any) -> Case:
    return Case(id=id, reason=reason, act=act, **more)


CHUNKED = POST.partition(b"Content-Length")[0]
CASES = [
    answered("accepted", b"OK|98|10.00|177"),
    answered("legacy_rejected", b"NO: too young"),
    answered("legacy_duplicate", b"DUP"),
    answered("legacy_error", b"ERR 1"),
    answered("unrecognized_answer", b"what?"),
    Case(
        id="outcome_unknown",
        reason="outcome_unknown",
        act=lead(),
        legacy=(answering(then="fin"),),
        delivery="sent",
        arrivals=1,
    ),
    refused(
        "outcome_unknown of a resend",
        "outcome_unknown",
        lead({"body": LEAD}, body={**LEAD}, headers={"Idempotency-Key": "2"}),
        legacy=(answering(then="fin"),),
        program=RESEND,
        arrivals=1,
    ),
    refused("lead_invalid", "lead_invalid", lead(body={"email": "x"})),
    refused(
        "duplicate",
        "duplicate",
        lead({}, body={**LEAD, "loan_amount": "7000"}),
        program={"lead": {"duplicates": [{"name": "same_email", "key": ["email"], "window": "30d"}]}},
        arrivals=1,
    ),
    refused("in_progress", "in_progress", twin_in_flight, legacy=(stalling,), program=RESEND, arrivals=1),
    refused(
        "idempotency_conflict",
        "idempotency_conflict",
        lead(
            {"headers": {"Idempotency-Key": "abc-1"}},
            body={**LEAD, "loan_amount": "6000"},
            headers={"Idempotency-Key": "abc-1"},
        ),
        program=RESEND,
        arrivals=1,
    ),
    refused("unauthorized, wrong password", "unauthorized", lead(password="kanarienvogel-wrong")),
    refused("unauthorized, none", "unauthorized", lead(authorization=None)),
    refused("forbidden", "forbidden", lead(), program={"networks": ["192.0.2.0/24"]}),
    refused("not_found", "not_found", lead(path="/none"), unread=True, unrouted=True),
    refused("method_not_allowed", "method_not_allowed", lead(method="GET")),
    framing("malformed head", "malformed", POST.replace(b"Host: ", b"Host : ")),
    refused("malformed body", "malformed", lead(body="email=%zz")),
    refused(
        "malformed chunks",
        "malformed",
        sending(CHUNKED + b"Transfer-Encoding: chunked\r\nAuthorization: " + GOOD.encode() + b"\r\n\r\nzz\r\n"),
        unread=True,
    ),
    refused("unsupported_media_type", "unsupported_media_type", lead(content_type="text/plain")),
    refused("too_large, bytes", "too_large", lead(body="email=" + "x" * 70_000)),
    refused("too_large, fields", "too_large", lead(body="&".join(f"f{n}=1" for n in range(300)))),
    framing("uri_too_long", "uri_too_long", POST.replace(b" HTTP/1.1", b"?" + b"q" * 5000 + b" HTTP/1.1")),
    framing("headers_too_large", "headers_too_large", POST.replace(b"Host", b"X-Long: " + b"v" * 17_000 + b"\r\nHost")),
    framing("request_timeout, head", "request_timeout", POST[:40], top={"limits": {"header_time": "50ms"}}),
    refused(
        "request_timeout, body",
        "request_timeout",
        sending(POST[:-5]),
        top={"limits": {"body_time": "50ms"}},
        unread=True,
    ),
    refused("expectation_failed", "expectation_failed", lead(headers={"Expect": "tea"})),
    framing("not_implemented", "not_implemented", CHUNKED + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    framing("version_not_supported", "version_not_supported", POST.replace(b"HTTP/1.1", b"HTTP/2.0")),
    refused("upstream_unreachable", "upstream_unreachable", lead(), unreachable=True),
    refused(
        "circuit_open",
        "circuit_open",
        lead({}),
        legacy=(answering(message(b"ERR 1")),),
        program={"upstream": {"circuit": {"failures": 1}}},
        arrivals=1,
    ),
    refused("overloaded, here", "overloaded", one_too_many, legacy=(stalling,), arrivals=1,
            top={"limits": {"in_flight": 1}}),
    refused("overloaded, there", "overloaded", one_too_many, legacy=(stalling,), arrivals=1,
            program={"upstream": {"max_in_flight": 1}}),
    refused("draining", "draining", stopped_in_the_body, top={"drain": {"wait": "0s", "finish": "50ms"}}),
    refused("store_unavailable", "store_unavailable", without_disk),
    refused("internal", "internal", breaking),
]  # fmt: skip


def test_every_reason_has_a_cause_here_or_is_known_to_have_none_yet() -> None:
    caused = {case.reason for case in CASES} | {"client_gone"}
    assert set(TRUE) | {"client_gone"} == {reason.slug for reason in Reason}
    assert caused | WITHOUT_CAUSE == {reason.slug for reason in Reason}
    assert not caused & WITHOUT_CAUSE


@pytest.fixture
def state() -> Iterator[str]:
    """Where the journal lives: in memory where there is such a place, since 200 gateways are set up here."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield folder


def hold_to(answer: Answer, reason: str, *, policy: str, format: str, always_true: bool = False) -> None:
    """Status, format and headers of an answer with this reason."""
    true = TRUE[reason]
    expected = {
        "http": true,
        "platform": true if true in PLATFORM_KEEPS else 200,
        "always_200": 401 if true == 401 else 200,
    }[policy]
    assert (answer.reason, answer.status) == (reason, true if always_true else expected)
    assert answer.headers["content-type"] == f"application/{format}; charset=utf-8"
    assert list(answer.members) == ["valid", "uniqueid", "sale_amount", "customerid", "email", "note"]
    assert answer.members["valid"] is (reason == "accepted")
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (true == 401)
    assert ("retry-after" in answer.headers) == (true in (429, 503))
    assert ("allow" in answer.headers) == (true == 405)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_a_reason_is_told_as_its_policy_and_format_say(
    tmp_path: Path, state: str, case: Case, policy: str, format: str
) -> None:
    program = {**case.program, "answer": {"status_codes": policy, "format": format}}
    async with ScriptedUpstream(*case.legacy) as legacy:
        url = "http://127.0.0.1:1/" if case.unreachable else legacy.url
        async with running(tmp_path, url, program=program, top={**case.top, "state_dir": state}) as gateway:
            answer = await case.act(gateway, legacy)
            hold_to(
                answer,
                case.reason,
                policy=policy,
                format="json" if case.unrouted else format,
                always_true=case.unread,
            )
            line = await gateway.line(answer.headers["x-request-id"])
            assert (line["reason"], line["status"], line["delivery"]) == (case.reason, answer.status, case.delivery)
            if case.reason not in ("accepted", "outcome_unknown"):
                assert f"[{case.reason} ref={answer.headers['x-request-id']}" in answer.note
            assert legacy.requests == case.arrivals


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reason_that_nothing_causes_yet_would_be_told_so_too(tmp_path: Path, policy: str, format: str) -> None:
    program = {"answer": {"status_codes": policy, "format": format}}
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=program) as gateway,
    ):
        for slug in sorted(WITHOUT_CAUSE):
            reason = next(one for one in Reason if one.slug == slug)

            def decode(content_type: str | None, body: bytes, reason: Reason = reason) -> Lead | Undecodable:
                return Undecodable(reason, "")

            gateway.server.lanes[PATH] = replace(gateway.server.lanes[PATH], decode=decode)
            hold_to(await gateway.post(), slug, policy=policy, format=format)
        assert legacy.touched == 0


async def test_a_partner_that_left_before_sending_began_stands_in_the_log_and_its_lead_goes_nowhere(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        sock = socket.create_connection(("127.0.0.1", gateway.port))
        sock.sendall(POST[:-5])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with asyncio.timeout(10):
            while await gateway.metric("gateway_in_flight", program="test") != 1:
                pass
        sock.close()
        async with asyncio.timeout(10):
            while not (lines := [line for line in gateway.log() if line["event"] == "submission"]):
                await asyncio.sleep(0)
        assert [(line["reason"], line["delivery"]) for line in lines] == [("client_gone", "not_sent")]
        assert legacy.touched == 0
