"""The published order of checks, one test for each neighbouring pair: what fails both is told the earlier.

That it fails both is shown as well: without the earlier fault it is told the later one. (What later versions add
between them is added here and in docs/checks.md with them.)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.datapost.reasons import Reason
from tests.support.canaries import PASSWORD
from tests.support.client import basic, request
from tests.support.running import LEAD, OK, PATH, USER, Running, running
from tests.support.upstreams import Peer, Script, ScriptedUpstream, answering, message

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text("utf-8")
#: Each step of the page and its reasons, in its order.
STEPS = {
    step: re.findall("`([a-z_]+)`", reasons)
    for step, reasons in re.findall(r"^\| ([a-z]+) \| .+ \| (`[a-z_`, ]+`) \|$", PAGE, re.MULTILINE)
}

GOOD = basic(USER, PASSWORD)
WRONG = basic(USER, "kanarienvogel-wrong")
OUTSIDE = {"networks": ["192.0.2.0/24"]}
TOO_LARGE = "email=" + "x" * 70_000
CODING = {"Transfer-Encoding": "gzip"}
KEY = {"Idempotency-Key": "one"}
KNOWN = {
    "lead": {
        "replay": {"window": "10m"},
        "duplicates": [{"name": "same_email", "key": ["email"], "window": "30d"}],
    },
    "upstream": {"circuit": {"failures": 1}},
}
OTHER = {**LEAD, "email": "other-kanarienvogel@example.com"}
THIRD = {**LEAD, "email": "third-kanarienvogel@example.com"}
BIGGER = {**LEAD, "loan_amount": "7000"}  # another lead with the same e-mail address
ERROR = message(b"ERR database is down")

Told = tuple[str, str]
Act = Callable[[Running, ScriptedUpstream], Awaitable[Told]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two neighbouring steps. act: what is told to what fails both, and to what fails the second alone."""

    steps: tuple[str, str]
    told: Told
    act: Act
    note: str = ""
    program: Mapping[str, Any] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)
    legacy: tuple[Script, ...] = (answering(OK),)
    dead: bool = False  # nobody listens where the legacy endpoint should be
    arrivals: int = 0


def in_turn(both: bytes, later: bytes) -> Act:
    """Two requests that differ in the earlier fault alone."""

    async def act(gateway: Running, _: ScriptedUpstream) -> Told:
        return (await gateway.send(both)).reason, (await gateway.send(later)).reason

    return act


class Held:
    """A legacy endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await self.release.wait()
        await peer.send(OK)


HELD = Held()


@asynccontextmanager
async def full(gateway: Running, legacy: ScriptedUpstream) -> AsyncIterator[None]:
    """While the only submission that may be in flight is."""
    before, HELD.release = legacy.requests, asyncio.Event()
    first = asyncio.create_task(gateway.post())
    await legacy.until(lambda: legacy.requests > before)
    yield
    HELD.release.set()
    assert (await first).reason == "accepted"


@asynccontextmanager
async def stopping(gateway: Running, _: ScriptedUpstream) -> AsyncIterator[None]:
    """While what is left is being refused before the process ends."""
    pipeline = gateway.server._pipeline
    assert pipeline is not None
    pipeline.draining.set()
    yield
    pipeline.draining.clear()


@asynccontextmanager
async def calm(gateway: Running, _: ScriptedUpstream) -> AsyncIterator[None]:
    """While there is room."""
    yield


Mood = Callable[[Running, ScriptedUpstream], AbstractAsyncContextManager[None]]


def moody(both: bytes, when: Mood, later: bytes, then: Mood) -> Act:
    """Two requests, each in its mood of the process."""

    async def act(gateway: Running, legacy: ScriptedUpstream) -> Told:
        async with then(gateway, legacy):
            second = await gateway.send(later)
        async with when(gateway, legacy):
            first = await gateway.send(both)
        return first.reason, second.reason

    return act


@asynccontextmanager
async def full_and_stopping(gateway: Running, legacy: ScriptedUpstream) -> AsyncIterator[None]:
    async with full(gateway, legacy), stopping(gateway, legacy):
        yield


async def a_key_of_another_lead(gateway: Running, _: ScriptedUpstream) -> Told:
    assert (await gateway.post(headers=KEY)).reason == "accepted"
    both = await gateway.post({"email": "x"}, headers=KEY)
    return both.reason, (await gateway.post(OTHER, headers=KEY)).reason


async def a_key_of_another_lead_whose_address_is_known(gateway: Running, _: ScriptedUpstream) -> Told:
    assert (await gateway.post(headers=KEY)).reason == "accepted"
    both = await gateway.post(BIGGER, headers=KEY)
    return both.reason, (await gateway.post(BIGGER)).reason


async def a_known_lead_while_the_circuit_is_open(gateway: Running, _: ScriptedUpstream) -> Told:
    assert (await gateway.post()).reason == "accepted"
    assert (await gateway.post(THIRD)).reason == "legacy_error"
    return (await gateway.post()).reason, (await gateway.post(OTHER)).reason


async def a_known_address_while_the_circuit_is_open(gateway: Running, _: ScriptedUpstream) -> Told:
    assert (await gateway.post()).reason == "accepted"
    assert (await gateway.post(THIRD)).reason == "legacy_error"
    both = await gateway.post(BIGGER)
    return both.reason, (await gateway.post(OTHER)).reason


async def no_slot_and_an_open_circuit(gateway: Running, _: ScriptedUpstream) -> Told:
    upstream = gateway.server.lanes[PATH].upstream
    upstream.in_flight = 1  # the one slot is taken
    later = await gateway.post()
    upstream.in_flight = 0
    assert (await gateway.post()).reason == "legacy_error"
    upstream.in_flight = 1
    both = await gateway.post()
    upstream.in_flight = 0
    return both.reason, later.reason


async def no_slot_before_a_dead_endpoint(gateway: Running, _: ScriptedUpstream) -> Told:
    upstream = gateway.server.lanes[PATH].upstream
    upstream.in_flight = 1
    both = await gateway.post()
    upstream.in_flight = 0
    return both.reason, (await gateway.post()).reason


def to(path: str, body: str | dict[str, str] = LEAD, **more: Any) -> bytes:
    return request(path, body, **{"authorization": GOOD} | more)


#: A gateway for one submission at a time, and a legacy endpoint that keeps it.
ONE: dict[str, Any] = {"top": {"limits": {"in_flight": 1}}, "legacy": (HELD,)}

PAIRS = [
    Pair(
        steps=("framing", "route"),
        told=("malformed", "not_found"),
        act=in_turn(to("/none", headers=CODING), to("/none")),
    ),
    Pair(
        steps=("route", "method"),
        told=("not_found", "method_not_allowed"),
        act=in_turn(to("/none", method="GET"), to(PATH, method="GET")),
    ),
    Pair(
        steps=("method", "room"),
        note="full",
        told=("method_not_allowed", "overloaded"),
        act=moody(to(PATH, method="GET"), full, to(PATH), full),
        arrivals=2,
        **ONE,
    ),
    Pair(
        steps=("method", "room"),
        note="stopping",
        told=("method_not_allowed", "draining"),
        act=moody(to(PATH, method="GET"), stopping, to(PATH), stopping),
    ),
    Pair(
        steps=("room", "room"),
        told=("draining", "overloaded"),
        act=moody(to(PATH), full_and_stopping, to(PATH), full),
        arrivals=2,
        **ONE,
    ),
    Pair(
        steps=("room", "credential"),
        note="full",
        told=("overloaded", "unauthorized"),
        act=moody(to(PATH, authorization=WRONG), full, to(PATH, authorization=WRONG), calm),
        arrivals=1,
        **ONE,
    ),
    Pair(
        steps=("room", "credential"),
        note="stopping",
        told=("draining", "unauthorized"),
        act=moody(to(PATH, authorization=WRONG), stopping, to(PATH, authorization=WRONG), calm),
    ),
    Pair(
        steps=("credential", "network"),
        told=("unauthorized", "forbidden"),
        act=in_turn(to(PATH, authorization=WRONG), to(PATH)),
        program=OUTSIDE,
    ),
    Pair(
        steps=("network", "body"),
        told=("forbidden", "too_large"),
        act=in_turn(
            to(PATH, TOO_LARGE, headers={"X-Forwarded-For": "203.0.113.9"}),
            to(PATH, TOO_LARGE, headers={"X-Forwarded-For": "192.0.2.9"}),
        ),
        program=OUTSIDE,
        top={"listen": {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1/32"]}},
    ),
    Pair(
        steps=("body", "decode"),
        told=("too_large", "unsupported_media_type"),
        act=in_turn(to(PATH, TOO_LARGE, content_type="text/plain"), to(PATH, content_type="text/plain")),
    ),
    Pair(
        steps=("decode", "fields"),
        told=("malformed", "lead_invalid"),
        act=in_turn(to(PATH, "email=x&state=%zz"), to(PATH, "email=x&state=zz")),
    ),
    Pair(
        steps=("fields", "resend"),
        told=("lead_invalid", "idempotency_conflict"),
        act=a_key_of_another_lead,
        program=KNOWN,
        arrivals=1,
    ),
    Pair(
        steps=("fields", "upstream"),
        told=("lead_invalid", "upstream_unreachable"),
        act=in_turn(to(PATH, {"email": "x"}), to(PATH)),
        dead=True,
    ),
    Pair(
        steps=("resend", "duplicates"),
        told=("idempotency_conflict", "duplicate"),
        act=a_key_of_another_lead_whose_address_is_known,
        program=KNOWN,
        arrivals=1,
    ),
    Pair(
        steps=("resend", "circuit"),
        told=("accepted", "circuit_open"),
        act=a_known_lead_while_the_circuit_is_open,
        program=KNOWN,
        legacy=(answering(OK), answering(ERROR)),
        arrivals=2,
    ),
    Pair(
        steps=("duplicates", "circuit"),
        told=("duplicate", "circuit_open"),
        act=a_known_address_while_the_circuit_is_open,
        program=KNOWN,
        legacy=(answering(OK), answering(ERROR)),
        arrivals=2,
    ),
    Pair(
        steps=("circuit", "slot"),
        told=("circuit_open", "overloaded"),
        act=no_slot_and_an_open_circuit,
        program={"upstream": {"max_in_flight": 1, "circuit": {"failures": 1}}},
        legacy=(answering(ERROR),),
        arrivals=1,
    ),
    Pair(
        steps=("slot", "upstream"),
        told=("overloaded", "upstream_unreachable"),
        act=no_slot_before_a_dead_endpoint,
        program={"upstream": {"max_in_flight": 1}},
        dead=True,
    ),
]


def test_the_page_tells_every_reason_that_a_check_gives() -> None:
    told = {reason for reasons in STEPS.values() for reason in reasons}
    behind = {"accepted", "legacy_rejected", "legacy_duplicate", "legacy_error", "unrecognized_answer"}
    elsewhere = {"store_unavailable", "client_gone"}
    not_yet = {"cap_reached", "suppressed", "outside_hours", "paused", "test_lead", "rate_limited"}
    assert told | behind | elsewhere | not_yet | {"internal"} == {reason.slug for reason in Reason}
    assert not told & (behind | elsewhere | not_yet)
    assert all(f"`{reason}`" in PAGE for reason in behind | elsewhere)


def test_every_neighbouring_pair_of_the_page_is_tested() -> None:
    assert next(iter(STEPS)) == "framing"
    assert len(STEPS) == PAGE.count("\n| ") - 1, "a row of the page was not read"
    assert set(pairwise(STEPS)) <= {pair.steps for pair in PAIRS}
    order = list(STEPS)
    for pair in PAIRS:
        first, second = pair.steps
        assert order.index(first) <= order.index(second)
        assert pair.told[0] in [*STEPS[first], "accepted"]
        assert pair.told[1] in STEPS[second]


@pytest.mark.parametrize(
    "pair", PAIRS, ids=[f"{one.steps[0]} before {one.steps[1]} {one.note}".strip() for one in PAIRS]
)
async def test_the_earlier_check_answers(tmp_path: Path, pair: Pair) -> None:
    async with ScriptedUpstream(*pair.legacy) as legacy:
        url = "http://127.0.0.1:1/" if pair.dead else legacy.url
        async with running(tmp_path, url, program=pair.program, top=pair.top) as gateway:
            assert await pair.act(gateway, legacy) == pair.told
            assert legacy.requests == pair.arrivals
