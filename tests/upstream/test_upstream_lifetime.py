"""Slots, callers that leave, answers that come late, and the end of the process."""

from __future__ import annotations

import asyncio

import pytest

from gateway.answers import LegacyAnswer
from gateway.datapost.reasons import Delivery, Reason
from gateway.upstream import Failure
from tests.support.edge import open_edge, post
from tests.support.upstreams import OK, Peer, ScriptedUpstream, answering, chunked, message, serving, turns

SHORT = {"connect": "250ms", "first_byte": "200ms", "total": "250ms"}


class Held:
    """A legacy that reads each lead and answers when it is told to."""

    def __init__(self, answer: bytes = OK, *, opening: int = 0) -> None:
        self.release = asyncio.Event()
        self.answer = answer
        self.opening = opening  # bytes of the answer that come at once

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        if self.opening:
            await peer.send(self.answer[: self.opening])
        await self.release.wait()
        await peer.send(self.answer[self.opening :])
        await peer.fin()


class Late:
    """What `on_late` was told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[LegacyAnswer | None, float]] = asyncio.Queue()

    def __call__(self, answer: LegacyAnswer | None, seconds: float) -> None:
        self.told.put_nowait((answer, seconds))

    async def next(self) -> tuple[LegacyAnswer, float]:
        """The next one told, which must be an answer."""
        async with asyncio.timeout(5):
            answer, seconds = await self.told.get()
        assert answer is not None
        return answer, seconds

    async def given_up(self) -> None:
        """Wait until told that no answer is waited for any longer, and nothing else."""
        async with asyncio.timeout(5):
            answer, seconds = await self.told.get()
        assert answer is None
        assert 0 < seconds < 5
        assert self.told.empty()


# --- slots ---------------------------------------------------------------------------------------


async def test_beyond_max_in_flight_a_lead_is_refused_at_once_and_unsent() -> None:
    held = Held()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url, max_in_flight=3) as upstream:
        first = [asyncio.ensure_future(post(upstream)) for _ in range(3)]
        await legacy.until(lambda: legacy.requests == 3)
        assert upstream.in_flight == 3
        refused = await post(upstream)
        assert (refused.delivery, refused.failure) == (Delivery.NOT_SENT, Failure.NO_SLOT)
        assert refused.reason is Reason.OVERLOADED
        held.release.set()
        assert {one.delivery for one in await asyncio.gather(*first)} == {Delivery.ANSWERED}
        assert upstream.in_flight == 0
        assert (await post(upstream)).delivery is Delivery.ANSWERED
    assert len(legacy.arrivals) == 4


@pytest.mark.parametrize("keep_alive", ["0s", "5s"])
async def test_slots_are_given_back_whatever_became_of_the_lead(keep_alive: str) -> None:
    scripts = [
        answering(OK, then="fin"),
        answering(b"", then="fin"),
        answering(b"", then="reset"),
        answering(b"junk\r\n"),
        serving(OK),
    ]
    async with (
        ScriptedUpstream(*scripts) as legacy,
        open_edge(legacy.url, max_in_flight=1, keep_alive=keep_alive) as upstream,
    ):
        for _ in range(8):
            assert (await post(upstream)).delivery is not Delivery.NOT_SENT
            assert upstream.in_flight == 0


# --- callers that leave --------------------------------------------------------------------------


async def test_a_caller_that_is_cancelled_does_not_stop_a_lead_that_has_gone_out() -> None:
    held, late = Held(), Late()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream, on_late=late))
        await legacy.until(lambda: legacy.requests == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert upstream.in_flight == 1, "the legacy still works on it"
        held.release.set()
        answer, seconds = await late.next()
        assert (answer.body, upstream.in_flight) == (b"OK|98|10.00|177", 0)
        assert 0 < seconds < 5
    assert len(legacy.arrivals) == 1


async def test_an_answer_that_comes_in_the_step_of_the_cancellation_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = Late()
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(legacy.url) as upstream:
        settled = upstream.settled
        sending = asyncio.ensure_future(post(upstream, on_late=late))

        def settle_and_cancel() -> None:
            settled()
            upstream.loop.call_soon(sending.cancel)  # before the caller, who has its result by then, can run

        monkeypatch.setattr(upstream, "settled", settle_and_cancel)
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await late.next())[0].body == b"OK|98|10.00|177"


async def test_a_cancelled_callers_lead_ends_at_its_timeouts_like_any_other() -> None:
    times = {"timeouts": SHORT, "late_answer": "0s"}
    async with ScriptedUpstream(answering(b"")) as legacy, open_edge(legacy.url, **times) as upstream:
        sending = asyncio.ensure_future(post(upstream))
        await legacy.until(lambda: legacy.requests == 1)
        sending.cancel()
        await legacy.until(lambda: legacy.ended == 1)
        assert upstream.in_flight == 0


# --- late answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [OK, chunked(b"OK|98|10.00|177"), b"HTTP/1.0 200 OK\r\n\r\nOK|98|10.00|177"])
@pytest.mark.parametrize("opening", [0, 9])
async def test_an_answer_that_comes_late_is_told_once_after_the_outcome(answer: bytes, opening: int) -> None:
    held, late = Held(answer, opening=opening), Late()
    async with (
        ScriptedUpstream(held) as legacy,
        open_edge(legacy.url, timeouts=SHORT, late_answer="5s", keep_alive="5s") as upstream,
    ):
        exchange = await post(upstream, on_late=late)
        assert exchange.delivery is Delivery.SENT
        assert exchange.failure is (Failure.TOTAL_TIMEOUT if opening else Failure.FIRST_BYTE_TIMEOUT)
        assert (upstream.in_flight, upstream.late_answers) == (0, 1)
        held.release.set()
        told, seconds = await late.next()
        assert told.body == b"OK|98|10.00|177"
        assert 0.15 < seconds < 5
        await legacy.until(lambda: legacy.ended == 1)
        assert (upstream.late_answers, upstream.connections) == (0, 0)
        assert late.told.empty()
    assert len(legacy.arrivals) == 1


async def test_a_connection_whose_answer_came_late_is_not_kept() -> None:
    late, release = Late(), asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        await peer.send(OK)
        await peer.stall()

    times = {"timeouts": SHORT, "late_answer": "5s", "keep_alive": "60s"}
    async with ScriptedUpstream(slow) as legacy, open_edge(legacy.url, **times) as upstream:
        await post(upstream, on_late=late)
        release.set()
        await late.next()
        await legacy.until(lambda: legacy.ended == 1)


async def test_a_deadline_lets_a_late_answer_come_too() -> None:
    held, late = Held(), Late()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url, late_answer="5s") as upstream:
        exchange = await post(upstream, within=0.2, on_late=late)
        assert (exchange.delivery, exchange.failure) == (Delivery.SENT, Failure.DEADLINE)
        held.release.set()
        assert (await late.next())[0].status == 200


@pytest.mark.parametrize("then", ["fin", "reset", "junk", "never"])
async def test_a_late_answer_that_never_becomes_complete_is_told_as_given_up_once(then: str) -> None:
    late, release = Late(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        match then:
            case "fin":
                await peer.fin()
            case "reset":
                await peer.reset()
            case "junk":
                await peer.send(b"OK|98\r\n")
                await peer.stall()
            case _:
                await peer.stall()

    async with ScriptedUpstream(play) as legacy, open_edge(legacy.url, timeouts=SHORT, late_answer="300ms") as upstream:
        assert (await post(upstream, on_late=late)).delivery is Delivery.SENT
        assert upstream.late_answers == 1
        release.set()
        await legacy.until(lambda: legacy.ended == 1)
        await turns()
        assert upstream.late_answers == 0
        await late.given_up()


async def test_without_late_answer_the_connection_ends_with_the_outcome() -> None:
    held, late = Held(), Late()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url, timeouts=SHORT, late_answer="0s") as upstream:
        assert (await post(upstream, on_late=late)).delivery is Delivery.SENT
        await turns()
        assert upstream.connections == 0
        held.release.set()
    assert late.told.empty()


async def test_waiting_for_late_answers_takes_no_slot_and_has_its_own_bound_the_oldest_going_first() -> None:
    held = Held()
    lates = [Late() for _ in range(3)]
    async with (
        ScriptedUpstream(held) as legacy,
        open_edge(legacy.url, timeouts=SHORT, late_answer="30s", max_in_flight=2) as upstream,
    ):
        for late in lates:
            assert (await post(upstream, on_late=late)).delivery is Delivery.SENT
        assert upstream.late_answers == 2
        held.release.set()
        for late in lates[1:]:
            await late.next()
        await lates[0].given_up()
    assert len(legacy.arrivals) == 3


async def test_a_complaint_of_the_one_told_late_does_not_hurt_the_edge() -> None:
    def broken(answer: LegacyAnswer | None, seconds: float) -> None:
        raise RuntimeError("the journal is gone")

    held = Held()
    complaints: list[BaseException] = []
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url, timeouts=SHORT, late_answer="5s") as upstream:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        await post(upstream, on_late=broken)
        held.release.set()
        await legacy.until(lambda: legacy.ended == 1)
        await turns()
    assert [str(one) for one in complaints] == ["the journal is gone"]


# --- the end -------------------------------------------------------------------------------------


async def test_closing_lets_leads_finish_within_the_grace_and_takes_no_new_ones() -> None:
    held = Held()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream))
        await legacy.until(lambda: legacy.requests == 1)
        closing = asyncio.ensure_future(upstream.close(5))
        await turns()
        refused = await post(upstream)
        assert (refused.delivery, refused.failure) == (Delivery.NOT_SENT, Failure.SHUTTING_DOWN)
        assert refused.reason is Reason.DRAINING
        assert not closing.done()
        held.release.set()
        assert (await sending).delivery is Delivery.ANSWERED
        async with asyncio.timeout(2):
            await closing
    assert len(legacy.arrivals) == 1


async def test_after_the_grace_leads_that_were_sent_are_unknown() -> None:
    async with ScriptedUpstream(answering(b"")) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream))
        await legacy.until(lambda: legacy.requests == 1)
        async with asyncio.timeout(2):
            await upstream.close(0.1)
        exchange = await sending
        assert (exchange.delivery, exchange.failure) == (Delivery.SENT, Failure.CANCELLED)
        assert exchange.reason is Reason.OUTCOME_UNKNOWN
        assert upstream.connections == 0


async def test_a_second_close_cuts_what_the_first_one_still_grants() -> None:
    async with ScriptedUpstream(answering(b"")) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream))
        await legacy.until(lambda: legacy.requests == 1)
        patient = asyncio.ensure_future(upstream.close(60))
        await turns()
        async with asyncio.timeout(2):
            await upstream.close(0.1)
            await patient
            assert (await sending).failure is Failure.CANCELLED


async def test_closing_gives_up_late_answers_and_tells_so_before_it_is_done() -> None:
    held, late = Held(), Late()
    async with ScriptedUpstream(held) as legacy, open_edge(legacy.url, timeouts=SHORT, late_answer="60s") as upstream:
        await post(upstream, on_late=late)
        assert upstream.late_answers == 1
        async with asyncio.timeout(2):
            await upstream.close(1)
        assert (upstream.late_answers, upstream.connections) == (0, 0)
        assert not late.told.empty()
    await late.given_up()


async def test_closing_twice_is_closing_once() -> None:
    async with ScriptedUpstream(serving(message())) as legacy, open_edge(legacy.url, keep_alive="5s") as upstream:
        await post(upstream)
        await upstream.close()
        await upstream.close()
        assert upstream.connections == 0
