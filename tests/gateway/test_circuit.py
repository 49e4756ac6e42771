"""The circuit breaker in a running gateway, before a legacy endpoint that fails, rests and comes back.

Time is turned by hand, but for one test: nothing here waits for an opening to end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.answers import LegacyAnswer
from gateway.datapost.values import Reading
from gateway.intake.passwords import hash_password
from tests.support.canaries import PASSWORD
from tests.support.client import Answer
from tests.support.running import PATH, USER, Running, running
from tests.support.upstreams import OK, Peer, Script, ScriptedUpstream, answering, cutting_request, message

FAILURES, OPEN_S = 5, 10
ERROR = message(b"ERR database is down")
ODD = message(b"Thank you for your interest!")
failing, good = answering(ERROR), answering(OK)


class Hand:
    """A clock that somebody turns."""

    def __init__(self, gateway: Running) -> None:
        self.now = 1000.0
        gateway.server.lanes[PATH].upstream.circuit.clock = self

    def __call__(self) -> float:
        return self.now


class Held:
    """A legacy that takes its lead and answers well when it is let."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await self.release.wait()
        await peer.send(OK)


async def state(gateway: Running) -> float:
    return await gateway.metric("gateway_circuit_state", program="test")


def changes(gateway: Running) -> list[tuple[str, str, str]]:
    """(level, state, cause) of each change that was logged."""
    lines = [line for line in gateway.log() if line["event"] == "circuit"]
    assert all(line["program"] == "test" for line in lines)
    return [(line["level"], line["state"], line["cause"]) for line in lines]


async def open_circuit(gateway: Running) -> None:
    """Let the first leads fail."""
    for _ in range(FAILURES):
        assert (await gateway.post()).reason == "legacy_error"
    assert await state(gateway) == 2


async def refused(gateway: Running, rest_s: int) -> None:
    """Post a lead that must find the circuit open, so many seconds before its end."""
    answer = await gateway.post()
    assert (answer.status, answer.reason) == (503, "circuit_open")
    assert answer.headers["retry-after"] == str(rest_s)


# --- opening ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason", "cause"),
    [
        pytest.param(failing, "legacy_error", "legacy_error", id="it tells of a failure"),
        pytest.param(answering(b""), "outcome_unknown", "first_byte_timeout", id="it says nothing"),
        pytest.param(answering(OK[:-1]), "outcome_unknown", "total_timeout", id="it never ends"),
        pytest.param(cutting_request(10, "reset"), "outcome_unknown", "reset", id="it resets the connection"),
        pytest.param(answering(OK[:-1], then="fin"), "outcome_unknown", "truncated_answer", id="it ends too early"),
    ],
)
async def test_after_so_many_failures_in_a_row_no_lead_arrives_any_more(
    tmp_path: Path, script: Script, reason: str, cause: str
) -> None:
    timeouts = {"connect": "100ms", "first_byte": "100ms", "total": "200ms"}
    program = {"upstream": {"timeouts": timeouts, "late_answer": "0s"}}
    async with ScriptedUpstream(script) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        hand = Hand(gateway)
        assert 'gateway_circuit_state{program="test"} 0.0' in (await gateway.admin("/metrics"))[1]
        for _ in range(FAILURES):
            assert await state(gateway) == 0
            assert (await gateway.post()).reason == reason
        assert await state(gateway) == 2

        hand.now += 2.5
        answers = await asyncio.gather(*(gateway.post() for _ in range(20)))
        assert {answer.reason for answer in answers} == {"circuit_open"}
        assert {answer.headers["retry-after"] for answer in answers} == {"8"}
        assert len(legacy.arrivals) == FAILURES, "a lead, or a bare connection, reached a legacy that was left alone"
        assert changes(gateway) == [("warning", "open", cause)]
        line = await gateway.line(answers[0].headers["x-request-id"])
        assert (line["reason"], line["delivery"], line["outcome"]) == ("circuit_open", "not_sent", "")
        assert "upstream_us" not in line
        assert await gateway.metric("gateway_submissions_total", partner=USER, reason="circuit_open") == 20


async def test_a_legacy_that_is_down_is_found_again_by_one_lead(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with running(tmp_path, f"http://127.0.0.1:{port}/legacy") as gateway:
        hand = Hand(gateway)
        for _ in range(FAILURES):
            assert (await gateway.post()).reason == "upstream_unreachable"
        assert changes(gateway) == [("warning", "open", "connect_refused")]
        async with ScriptedUpstream(good, port=port) as legacy:
            hand.now += OPEN_S - 0.25
            await refused(gateway, 1)
            assert legacy.arrivals == []
            hand.now += 0.25
            assert (await gateway.post()).reason == "accepted"
            hand.now += OPEN_S
            assert (await gateway.post()).reason == "accepted"
            assert changes(gateway)[1:] == [("info", "half_open", ""), ("info", "closed", "")]


async def test_a_refusal_by_the_legacy_is_no_failure(tmp_path: Path) -> None:
    scripts = [failing] * 4 + [answering(message(b"NO: too young"))] + [failing] * 4 + [answering(message(b"DUP"))]
    async with ScriptedUpstream(*scripts) as legacy, running(tmp_path, legacy.url) as gateway:
        reasons = [(await gateway.post()).reason for _ in range(10)]
        assert reasons == ["legacy_error"] * 4 + ["legacy_rejected"] + ["legacy_error"] * 4 + ["legacy_duplicate"]
        assert await state(gateway) == 0


async def test_the_settings_are_those_of_the_program(tmp_path: Path) -> None:
    program = {"upstream": {"circuit": {"failures": 2, "open_for": "3m"}}}
    async with ScriptedUpstream(failing) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        Hand(gateway)
        assert [(await gateway.post()).reason for _ in range(2)] == ["legacy_error"] * 2
        await refused(gateway, 180)
        assert legacy.requests == 2


# --- half-open --------------------------------------------------------------------------------------


async def test_of_fifty_leads_at_once_one_finds_out_and_then_the_share_grows(tmp_path: Path) -> None:
    held = Held()
    async with (
        ScriptedUpstream(*[failing] * FAILURES, held, good) as legacy,
        running(tmp_path, legacy.url, program={"upstream": {"max_in_flight": 100}}) as gateway,
    ):
        hand = Hand(gateway)
        await open_circuit(gateway)
        hand.now += OPEN_S
        leads = [asyncio.create_task(gateway.post()) for _ in range(50)]
        await legacy.until(lambda: legacy.requests == FAILURES + 1)
        others = await first(leads, 49)
        assert {answer.reason for answer in others} == {"circuit_open"}
        assert await state(gateway) == 1
        assert len(legacy.arrivals) == FAILURES + 1

        held.release.set()
        assert sum(answer.reason == "accepted" for answer in await asyncio.gather(*leads)) == 1
        went = []
        for _ in range(5):
            hand.now += OPEN_S / 5
            answers = await asyncio.gather(*(gateway.post() for _ in range(20)))
            went.append(sum(answer.reason == "accepted" for answer in answers))
        assert went == [4, 8, 12, 16, 20]
        assert await state(gateway) == 0
        assert legacy.requests == FAILURES + 1 + sum(went)
        assert changes(gateway) == [
            ("warning", "open", "legacy_error"),
            ("info", "half_open", ""),
            ("info", "closed", ""),
        ]


async def first(tasks: list[asyncio.Task[Answer]], count: int) -> list[Answer]:
    """The answers of the first so many."""
    async with asyncio.timeout(20):
        found = []
        for ended in asyncio.as_completed(tasks):
            found.append(await ended)
            if len(found) == count:
                return found
    raise AssertionError("there are not so many")


async def test_a_probe_that_fails_opens_the_circuit_for_the_whole_time_again(tmp_path: Path) -> None:
    async with ScriptedUpstream(failing) as legacy, running(tmp_path, legacy.url) as gateway:
        hand = Hand(gateway)
        await open_circuit(gateway)
        for probes in (1, 2, 3):
            hand.now += OPEN_S
            assert (await gateway.post()).reason == "legacy_error"
            await refused(gateway, OPEN_S)
            assert legacy.requests == FAILURES + probes
        assert [state for _, state, _ in changes(gateway)] == ["open"] + ["half_open", "open"] * 3


async def cancelled(gateway: Running, legacy: ScriptedUpstream) -> None:
    """The probe's handler is cancelled while the legacy has the lead."""
    probe = asyncio.create_task(gateway.post())
    await legacy.until(lambda: legacy.requests == FAILURES + 1)
    await refused(gateway, OPEN_S)
    [handler] = [task for task in asyncio.all_tasks() if task.get_name() == "gateway submission"]
    handler.cancel()
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        await probe


async def without_a_slot(gateway: Running, legacy: ScriptedUpstream) -> None:
    """The probe finds all slots taken."""
    upstream = gateway.server.lanes[PATH].upstream
    upstream.in_flight += 32
    assert [(await gateway.post()).reason for _ in range(7)] == ["overloaded"] * 7
    upstream.in_flight -= 32


async def with_a_bug(gateway: Running, legacy: ScriptedUpstream) -> None:
    """Reading the probe's answer fails for a reason of ours."""

    class Broken:
        def read(self, answer: LegacyAnswer) -> Reading:
            raise ZeroDivisionError

    lanes, lane = gateway.server.lanes, gateway.server.lanes[PATH]
    lanes[PATH] = replace(lane, answers=Broken())  # type: ignore[arg-type]
    assert (await gateway.post()).reason == "internal"
    lanes[PATH] = lane


@pytest.mark.parametrize("lost", [cancelled, without_a_slot, with_a_bug])
async def test_a_probe_that_tells_nothing_is_followed_by_another(tmp_path: Path, lost: Callable[..., Any]) -> None:
    scripts = [failing] * FAILURES
    scripts += [answering(b"")] if lost is cancelled else [good] if lost is with_a_bug else []
    async with ScriptedUpstream(*scripts, good) as legacy, running(tmp_path, legacy.url) as gateway:
        hand = Hand(gateway)
        await open_circuit(gateway)
        hand.now += OPEN_S
        await lost(gateway, legacy)
        assert await state(gateway) == 1
        assert (await gateway.post()).reason == "accepted"
        hand.now += OPEN_S
        assert (await gateway.post()).reason == "accepted"
        assert await state(gateway) == 0


async def test_by_the_real_clock_it_recovers_and_closes_without_a_lead(tmp_path: Path) -> None:
    program = {"upstream": {"circuit": {"open_for": "200ms"}}}
    async with (
        ScriptedUpstream(*[failing] * FAILURES, good) as legacy,
        running(tmp_path, legacy.url, program=program) as gateway,
    ):
        loop = asyncio.get_running_loop()
        for _ in range(FAILURES):
            assert (await gateway.post()).reason == "legacy_error"
        opened = loop.time()
        async with asyncio.timeout(20):
            while (answer := await gateway.post()).reason == "circuit_open":
                assert answer.headers["retry-after"] == "1"
        assert answer.reason == "accepted"
        assert loop.time() - opened >= 0.15
        async with asyncio.timeout(20):
            while await state(gateway):
                pass
        assert legacy.requests == FAILURES + 1
        assert [state for _, state, _ in changes(gateway)] == ["open", "half_open", "closed"]


# --- what nobody understands ------------------------------------------------------------------------


@pytest.fixture
def two_users(tmp_path: Path) -> dict[str, Any]:
    """Program settings with a second partner."""
    users = tmp_path / "two.htpasswd"
    users.touch(mode=0o600)
    hashed = hash_password(PASSWORD)
    users.write_text(f"{USER}:{hashed}\nother:{hashed}\n")
    return {"auth": {"realm": "Test leads", "users": users.name}}


async def test_answers_to_one_partner_alone_that_nobody_understands_never_open_it(
    tmp_path: Path, two_users: dict[str, Any]
) -> None:
    async with ScriptedUpstream(answering(ODD)) as legacy, running(tmp_path, legacy.url, program=two_users) as gateway:
        Hand(gateway)
        for _ in range(60):
            assert (await gateway.post()).reason == "unrecognized_answer"
        assert legacy.requests == 60
        assert await state(gateway) == 0
        assert changes(gateway) == []


@pytest.mark.parametrize(
    ("other", "then"),
    [
        pytest.param("other", "circuit_open", id="two partners"),
        pytest.param(USER, "unrecognized_answer", id="the same partner"),
    ],
)
async def test_half_of_twenty_answers_to_two_partners_that_nobody_understands_open_it(
    tmp_path: Path, two_users: dict[str, Any], other: str, then: str
) -> None:
    scripts = [good] * 10 + [answering(ODD)]
    async with ScriptedUpstream(*scripts) as legacy, running(tmp_path, legacy.url, program=two_users) as gateway:
        Hand(gateway)
        posts = [await gateway.post() for _ in range(10)] + [await gateway.post() for _ in range(9)]
        assert [answer.reason for answer in posts] == ["accepted"] * 10 + ["unrecognized_answer"] * 9
        assert await state(gateway) == 0
        assert (await gateway.post(user=other)).reason == "unrecognized_answer"
        assert (await gateway.post()).reason == then
        assert changes(gateway) == ([("warning", "open", "unrecognized_answer")] if then == "circuit_open" else [])


async def test_where_partners_are_not_known_half_of_twenty_open_it(tmp_path: Path) -> None:
    scripts = [good] * 10 + [answering(ODD)]
    async with (
        ScriptedUpstream(*scripts) as legacy,
        running(tmp_path, legacy.url, program={"auth": "none"}) as gateway,
    ):
        Hand(gateway)
        reasons = [(await gateway.post()).reason for _ in range(21)]
        assert reasons == ["accepted"] * 10 + ["unrecognized_answer"] * 10 + ["circuit_open"]
