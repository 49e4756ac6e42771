"""What the end of a lead says about the legacy endpoint, and that the circuit listens to that alone."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial

import pytest

from gateway.answers import LegacyAnswer
from gateway.datapost.reasons import OUTCOMES, Delivery, Reason
from gateway.settings.models import UpstreamSettings
from gateway.settings.problems import loose_report
from gateway.upstream import Circuit, Exchange, Failure, State, compile_upstream

ANSWER = LegacyAnswer(status=200, headers=(), body=b"")
TIMES = {"connect": "2s", "first_byte": "6s", "total": "7s"}
FAILURES = 3


def answered() -> Exchange:
    return Exchange(Delivery.ANSWERED, ANSWER, None, total_s=0.1)


def failed(failure: Failure, total_s: float = 10.0, delivery: Delivery = Delivery.SENT) -> Exchange:
    return Exchange(delivery, None, failure, total_s=total_s)


class Told:
    """A circuit, and what it told of itself."""

    def __init__(self) -> None:
        self.changes: list[tuple[State, str]] = []
        block = {"failures": FAILURES, "open_for": "10s"}
        upstream = UpstreamSettings(url="http://127.0.0.1/", timeouts=TIMES, circuit=block)
        plan = compile_upstream(upstream, loose_report())
        self.circuit = Circuit(plan, on_change=lambda state, cause: self.changes.append((state, cause)))

    def end(self, exchange: Exchange, reason: Reason, partner: str = "acme") -> None:
        """One lead that ends so."""
        attempt = self.circuit.ask(partner)
        assert attempt is not None
        attempt.end(exchange, reason)


BAD_FAILURES = {
    Failure.NAME_UNRESOLVED,
    Failure.CONNECT_REFUSED,
    Failure.CONNECT_FAILED,
    Failure.CONNECT_TIMEOUT,
    Failure.TLS_FAILED,
    Failure.CONNECTION_UNUSABLE,
    Failure.DEADLINE,
    Failure.FIRST_BYTE_TIMEOUT,
    Failure.TOTAL_TIMEOUT,
    Failure.RESET,
    Failure.CLOSED_EARLY,
    Failure.TRUNCATED_ANSWER,
}
UNREAD_FAILURES = {Failure.JUNK_ANSWER, Failure.ANSWER_TOO_LARGE}
OURS = {Failure.NO_SLOT, Failure.SHUTTING_DOWN, Failure.CANCELLED}


def test_the_tables_name_every_failure() -> None:
    assert set(Failure) == BAD_FAILURES | UNREAD_FAILURES | OURS


@pytest.mark.parametrize("failure", sorted(BAD_FAILURES, key=lambda one: one.value))
async def test_what_the_legacy_does_not_do_opens_the_circuit(failure: Failure) -> None:
    told = Told()
    for _ in range(FAILURES):
        assert told.changes == []
        told.end(failed(failure), Reason.OUTCOME_UNKNOWN)
    assert told.changes == [(State.OPEN, failure.value)]
    assert told.circuit.ask("acme") is None


@pytest.mark.parametrize("failure", sorted(OURS, key=lambda one: one.value))
async def test_what_this_process_does_never_opens_it_nor_ends_a_run(failure: Failure) -> None:
    told = Told()
    for _ in range(FAILURES - 1):
        told.end(failed(Failure.RESET), Reason.OUTCOME_UNKNOWN)
    for _ in range(50):
        told.end(failed(failure, delivery=Delivery.NOT_SENT), Reason.OVERLOADED)
    assert told.circuit.state is State.CLOSED
    told.end(failed(Failure.RESET), Reason.OUTCOME_UNKNOWN)
    assert told.circuit.state is State.OPEN


@pytest.mark.parametrize("failure", sorted(UNREAD_FAILURES, key=lambda one: one.value))
async def test_an_answer_that_is_no_http_counts_like_one_that_no_rule_knows(failure: Failure) -> None:
    told = Told()
    for _ in range(50):
        told.end(failed(failure), Reason.OUTCOME_UNKNOWN)
    assert told.circuit.state is State.CLOSED
    told.end(answered(), Reason.UNRECOGNIZED_ANSWER, "other")
    assert told.changes == [(State.OPEN, "unrecognized_answer")]


@pytest.mark.parametrize(
    ("failure", "total_s", "state"),
    [
        pytest.param(Failure.CONNECT_TIMEOUT, 2.0, State.OPEN, id="all the time to connect"),
        pytest.param(Failure.CONNECT_TIMEOUT, 1.7, State.CLOSED, id="less, since the deadline came first"),
        pytest.param(Failure.DEADLINE, 6.4, State.OPEN, id="nearly all of the total"),
        pytest.param(Failure.DEADLINE, 6.2, State.CLOSED, id="less, since the lead came in slowly"),
        pytest.param(Failure.DEADLINE, 0.0, State.CLOSED, id="none at all"),
    ],
)
async def test_time_that_a_slow_partner_used_up_is_not_the_legacys_fault(
    failure: Failure, total_s: float, state: State
) -> None:
    told = Told()
    for _ in range(FAILURES):
        told.end(failed(failure, total_s), Reason.OUTCOME_UNKNOWN)
    assert told.circuit.state is state


@pytest.mark.parametrize("reason", OUTCOMES)
async def test_every_answer_that_was_read_is_a_sign(reason: Reason) -> None:
    if reason is Reason.OUTCOME_UNKNOWN:
        return  # told for want of an answer
    told = Told()
    for _ in range(FAILURES - 1):
        told.end(answered(), Reason.LEGACY_ERROR)
    told.end(answered(), reason)
    assert (told.circuit.state is State.OPEN) == (reason is Reason.LEGACY_ERROR)
    if reason is not Reason.LEGACY_ERROR:
        told.end(answered(), Reason.LEGACY_ERROR)
        # Only an answer that was understood has ended the run.
        assert (told.circuit.state is State.OPEN) == (reason is Reason.UNRECOGNIZED_ANSWER)


async def test_an_attempt_ends_once() -> None:
    told = Told()
    attempts = [told.circuit.ask("acme") for _ in range(2)]
    for attempt in attempts:
        assert attempt is not None
        attempt.drop()
        for _ in range(FAILURES):
            attempt.end(failed(Failure.RESET), Reason.OUTCOME_UNKNOWN)
    assert told.circuit.state is State.CLOSED


@pytest.mark.parametrize(("closed", "state"), [(False, State.CLOSED), (True, State.HALF_OPEN)])
async def test_the_end_of_the_ramp_is_waited_for_until_the_upstream_is_closed(closed: bool, state: State) -> None:
    told = Told()
    told.circuit.clock = lambda: 100.0
    for _ in range(FAILURES):
        told.end(failed(Failure.RESET), Reason.OUTCOME_UNKNOWN)
    told.circuit.clock = lambda: 110.0
    probe = told.circuit.ask("acme")
    assert probe is not None
    if closed:
        told.circuit.close()
    # Each look at this clock is 20 s after the one before: the ramp is over as soon as its end is waited for.
    told.circuit.clock = partial(next, itertools.count(110.0, 20.0))
    probe.end(answered(), Reason.ACCEPTED)
    for _ in range(10):
        await asyncio.sleep(0)
    assert told.circuit.state is state


@pytest.mark.parametrize(
    ("later_s", "expected"), [(0.0, 10), (0.001, 10), (8.999, 2), (9.0, 1), (9.999, 1), (10.0, 1), (99.0, 1)]
)
async def test_the_rest_is_told_in_whole_seconds_and_never_as_none(later_s: float, expected: int) -> None:
    told = Told()
    now = 1000.0
    told.circuit.clock = lambda: now
    for _ in range(FAILURES):
        told.end(failed(Failure.RESET), Reason.OUTCOME_UNKNOWN)
    now += later_s
    assert told.circuit.retry_after_s == expected
