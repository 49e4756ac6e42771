"""Delivery is known, not guessed: whatever byte the legacy stops at, of the request or of its answer."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from gateway.datapost.reasons import Delivery, Reason
from gateway.upstream import Exchange, Failure, Forward, Upstream
from tests.support.edge import open_edge, post
from tests.support.upstreams import Cut, ScriptedUpstream, chunked, cutting_answer, cutting_request, message

SMALL = Forward(raw_headers=((b"Content-Type", b"text/plain"),), reference="R", client="::1")
BODY = b"a=1&b=2"
QUICK = {"connect": "1s", "first_byte": "700ms", "total": "1s"}

COUNTED = message(b"OK|98")
CHUNKED = chunked(b"OK|", b"98")
TO_CLOSE = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nOK|98"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + message(b"OK|98")


async def length_of_the_request() -> int:
    async with ScriptedUpstream(cutting_request(1, "stall")) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream, BODY, forward=SMALL))
        await legacy.until(lambda: legacy.requests == 1)
        sending.cancel()
        return len(legacy.arrivals[0].data)


@pytest.mark.parametrize("how", ["fin", "reset", "stall"])
async def test_a_legacy_that_leaves_at_any_byte_of_the_request_makes_the_outcome_unknown(how: Cut) -> None:
    size = await length_of_the_request()
    scripts = [cutting_request(count, how) for count in range(1, size + 1)]
    async with (
        ScriptedUpstream(*scripts) as legacy,
        open_edge(legacy.url, max_in_flight=1000, timeouts=QUICK) as upstream,
    ):
        exchanges = await in_order(upstream, legacy, size)
    expected = {"fin": Failure.CLOSED_EARLY, "reset": Failure.RESET, "stall": Failure.FIRST_BYTE_TIMEOUT}[how]
    assert {(one.delivery, one.failure, one.answer, one.seen) for one in exchanges} == {
        (Delivery.SENT, expected, None, 0)
    }
    assert {one.reason for one in exchanges} == {Reason.OUTCOME_UNKNOWN}
    assert len(legacy.arrivals) == size, "a lead was sent twice"
    assert not any(one.second_try for one in exchanges)


@pytest.mark.parametrize("how", ["fin", "reset", "stall"])
@pytest.mark.parametrize(
    ("answer", "framing"),
    [
        pytest.param(COUNTED, "length", id="content-length"),
        pytest.param(CHUNKED, "chunked", id="chunked"),
        pytest.param(TO_CLOSE, "close", id="until close"),
        pytest.param(INTERIM, "length", id="after interim answers"),
    ],
)
async def test_a_legacy_that_leaves_at_any_byte_of_its_answer_is_answered_only_when_it_was_complete(
    answer: bytes, framing: Literal["length", "chunked", "close"], how: Cut
) -> None:
    positions = range(len(answer) + 1)
    scripts = [cutting_answer(answer, count, how) for count in positions]
    async with (
        ScriptedUpstream(*scripts) as legacy,
        open_edge(legacy.url, max_in_flight=1000, timeouts=QUICK) as upstream,
    ):
        # One after another in arrival order: the n-th connection plays the n-th script.
        for at, exchange in zip(positions, await in_order(upstream, legacy, len(scripts)), strict=True):
            if framing == "close" and how == "fin":
                complete = at >= TO_CLOSE.index(b"\r\n\r\n") + 4
            else:
                complete = at == len(answer) and framing != "close"
            assert (exchange.delivery is Delivery.ANSWERED) == complete, at
            assert (exchange.failure is None) == (exchange.answer is not None) == complete, at
            if complete:
                assert exchange.answer is not None
                assert exchange.answer.status == 200
                assert exchange.answer.body == (
                    b"OK|98" if framing != "close" else TO_CLOSE[TO_CLOSE.index(b"\r\n\r\n") + 4 : at]
                )
                assert not exchange.answer.surplus
            else:
                assert exchange.delivery is Delivery.SENT
                assert exchange.failure is expected_failure(how, at), at
                if how != "reset":
                    assert exchange.seen == at
    assert len(legacy.arrivals) == legacy.requests == len(scripts)


def expected_failure(how: Cut, at: int) -> Failure:
    match how:
        case "fin":
            return Failure.TRUNCATED_ANSWER if at else Failure.CLOSED_EARLY
        case "reset":
            return Failure.RESET
        case "stall":
            return Failure.TOTAL_TIMEOUT if at else Failure.FIRST_BYTE_TIMEOUT


async def in_order(upstream: Upstream, legacy: ScriptedUpstream, count: int) -> list[Exchange]:
    """All exchanges at once, their connections accepted in the order of the leads."""
    running = []
    for number in range(count):
        running.append(asyncio.ensure_future(post(upstream, BODY, forward=SMALL)))
        await legacy.until(lambda: len(legacy.arrivals) > number)  # noqa: B023 - awaited in its own round
    return await asyncio.gather(*running)
