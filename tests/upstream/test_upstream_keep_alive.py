"""Connections that carry more than one lead: opt-in, guarded, and never a way to another lead's answer."""

from __future__ import annotations

import asyncio

import pytest

from gateway.datapost.reasons import Delivery
from gateway.upstream import Exchange, Failure, Upstream
from tests.support.edge import open_edge, post
from tests.support.upstreams import OK, Peer, ScriptedUpstream, answering, chunked, message, serving, turns

FORGED = message(b"ACCEPTED|1|999.99")


def body(exchange: Exchange) -> bytes:
    assert exchange.answer is not None, exchange
    return exchange.answer.body


async def echo(peer: Peer) -> None:
    """Answers each request with its own body, so that a mix-up shows."""
    while True:
        request = await peer.request()
        await peer.send(message(b"echo " + request.partition(b"\r\n\r\n")[2]))


async def test_by_default_every_lead_has_a_connection_of_its_own() -> None:
    async with ScriptedUpstream(serving(OK)) as legacy, open_edge(legacy.url) as upstream:
        for _ in range(3):
            assert not (await post(upstream)).reused
    assert len(legacy.arrivals) == 3
    assert all(("connection", "close") in arrival.headers for arrival in legacy.arrivals)


@pytest.mark.parametrize(
    "answer", [OK, chunked(b"OK"), b"HTTP/1.1 204 No Content\r\n\r\n"], ids=["length", "chunked", "204"]
)
async def test_a_kept_connection_carries_one_lead_after_another(answer: bytes) -> None:
    async with ScriptedUpstream(serving(answer)) as legacy, open_edge(legacy.url, keep_alive="5s") as upstream:
        exchanges = [await post(upstream, b"%d" % number) for number in range(5)]
        assert [one.reused for one in exchanges] == [False, True, True, True, True]
        assert [one.connect_s for one in exchanges[1:]] == [0.0] * 4
        assert upstream.connections == 1
    assert len(legacy.arrivals) == 1


async def test_leads_at_once_have_connections_of_their_own_and_get_their_own_answers() -> None:
    async with ScriptedUpstream(echo) as legacy, open_edge(legacy.url, keep_alive="5s", max_in_flight=50) as upstream:
        for _ in range(20):
            leads = [b"lead %d" % number for number in range(50)]
            exchanges = await asyncio.gather(*(post(upstream, lead) for lead in leads))
            assert [body(one) for one in exchanges] == [b"echo " + lead for lead in leads]
    assert len(legacy.arrivals) == 50


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(message(b"OK", "Connection: close"), id="connection close"),
        pytest.param(OK.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(OK + FORGED, id="a forged answer behind"),
        pytest.param(OK + b"\r\n", id="a line end behind"),
        pytest.param(chunked(b"OK") + b"HTTP/1.1 200 OK\r\nContent-Length: 8", id="half an answer behind chunks"),
        pytest.param(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nOK", id="204 with a body"),
    ],
)
async def test_after_such_an_answer_the_connection_is_closed_and_the_next_lead_gets_its_own(answer: bytes) -> None:
    async with (
        ScriptedUpstream(answering(answer), echo) as legacy,
        open_edge(legacy.url, keep_alive="5s") as upstream,
    ):
        assert (await post(upstream)).delivery is Delivery.ANSWERED
        second = await post(upstream, b"second")
        assert (body(second), second.reused) == (b"echo second", False)
    assert len(legacy.arrivals) == 2


class Idle:
    """A legacy that answers once and leaves the connection to the test."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    async def __call__(self, peer: Peer) -> None:
        self.peers.append(peer)
        await peer.request()
        await peer.send(OK)
        await peer.stall()


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(FORGED, id="a forged answer"),
        pytest.param(FORGED[:10], id="half a forged answer"),
        pytest.param(b"\r\n", id="a line end"),
        pytest.param(message(b"", status="408 Request Timeout"), id="a 408"),
        pytest.param(None, id="a FIN"),
    ],
)
@pytest.mark.parametrize("seen", ["by the loop", "only by the kernel"])
async def test_an_idle_connection_on_which_something_happens_never_carries_a_lead(
    then: bytes | None, seen: str
) -> None:
    idle = Idle()
    async with ScriptedUpstream(idle, echo) as legacy, open_edge(legacy.url, keep_alive="30s") as upstream:
        assert body(await post(upstream, b"first")) == b"OK|98|10.00|177"
        [peer] = idle.peers
        if then is None:
            peer.fin_now()
        else:
            peer.send_now(then)
        if seen == "by the loop":
            await legacy.until(lambda: legacy.ended == 1)
            assert upstream.connections == 0
        second = await post(upstream, b"second")
        assert (second.delivery, body(second), second.reused) == (Delivery.ANSWERED, b"echo second", False)
    assert [arrival.body for arrival in legacy.arrivals] == [b"first", b"second"], "a lead was lost or doubled"


async def test_six_leads_and_a_forged_answer_after_each_get_six_own_answers() -> None:
    async def forging(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(message(b"echo " + request.partition(b"\r\n\r\n")[2]), FORGED)

    async with ScriptedUpstream(forging) as legacy, open_edge(legacy.url, keep_alive="30s") as upstream:
        for number in range(6):
            lead = b"%04d" % number
            assert body(await post(upstream, lead)) == b"echo " + lead
            await turns()
        arrived = b"".join(arrival.body[:4] for arrival in legacy.arrivals)
    assert arrived == b"000000010002000300040005"


async def test_an_idle_connection_is_closed_when_its_time_is_up() -> None:
    async with ScriptedUpstream(serving(OK)) as legacy, open_edge(legacy.url, keep_alive="100ms") as upstream:
        await asyncio.gather(post(upstream), post(upstream))
        await legacy.until(lambda: legacy.ended == 2)
        assert upstream.connections == 0
        assert not (await post(upstream)).reused


async def test_a_kept_connection_that_dies_under_the_lead_is_unknown_and_not_sent_again() -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.read(1)
        await peer.reset()

    async with ScriptedUpstream(once, echo) as legacy, open_edge(legacy.url, keep_alive="5s") as upstream:
        await post(upstream)
        second = await post(upstream)
        assert second.reused
        assert (second.delivery, second.failure, second.second_try) == (Delivery.SENT, Failure.RESET, False)
    assert len(legacy.arrivals) == 1


async def test_a_connection_on_which_a_lead_failed_is_not_kept() -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.stall()

    times = {"connect": "200ms", "first_byte": "200ms", "total": "200ms"}
    async with (
        ScriptedUpstream(slow, echo) as legacy,
        open_edge(legacy.url, keep_alive="5s", timeouts=times) as upstream,
    ):
        assert (await post(upstream)).delivery is Delivery.SENT
        assert body(await post(upstream, b"second")) == b"echo second"
    assert len(legacy.arrivals) == 2


async def test_closing_closes_idle_connections() -> None:
    async with ScriptedUpstream(serving(OK)) as legacy:
        async with open_edge(legacy.url, keep_alive="60s") as upstream:
            assert isinstance(upstream, Upstream)
            await post(upstream)
            assert upstream.connections == 1
        await legacy.until(lambda: legacy.ended == 1)
