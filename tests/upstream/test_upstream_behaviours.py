"""What a hostile, broken or merely old legacy may do on a socket, and what is known of the lead each time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Delivery, Reason
from gateway.upstream import Failure, connection
from tests.support.edge import LEAD, open_edge, post
from tests.support.upstreams import (
    OK,
    Peer,
    Script,
    ScriptedUpstream,
    answering,
    chunked,
    dripping,
    flooding,
    message,
    serving,
)

QUICK = {"connect": "800ms", "first_byte": "400ms", "total": "800ms"}
H = b"HTTP/1.1 200 OK\r\n"
BODY = b"OK|98|10.00|177"
KIB = b"x" * 1024


@dataclass(frozen=True)
class Behaviour:
    """What the legacy does, and what must be known afterwards: a body, or a failure after sending."""

    script: Script
    body: bytes | None = None
    failure: Failure | None = None
    status: int = 200
    surplus: bool = False
    in_time: bool = True  # without waiting for a timeout of ours


def answered(script: Script, body: bytes = BODY, *, status: int = 200, surplus: bool = False) -> Behaviour:
    return Behaviour(script, body, status=status, surplus=surplus)


def unknown(script: Script, failure: Failure, *, in_time: bool = True) -> Behaviour:
    return Behaviour(script, failure=failure, in_time=in_time)


async def accept_and_fin(peer: Peer) -> None:
    await peer.read(1)
    await peer.fin()


async def accept_and_reset(peer: Peer) -> None:
    await peer.read(1)
    await peer.reset()


async def answer_before_reading(peer: Peer) -> None:
    await peer.read(1)
    await peer.send(message(b"too large", "Connection: close", status="413 Content Too Large"))
    await peer.fin()


async def answer_and_never_read(peer: Peer) -> None:
    await peer.read(1)
    await peer.send(OK)
    await peer.deaf()


async def endless_interim(peer: Peer) -> None:
    await peer.request()
    await peer.flood(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


async def drip_a_head_for_ever(peer: Peer) -> None:
    await peer.request()
    await peer.send(H)
    # No deadline of a single read would ever end this.
    await peer.drip(b"X: y\r\n" * 10_000, every_s=0.02)


def ended(answer: bytes) -> Script:
    return answering(answer, then="fin")


BEHAVIOURS = {
    # leaving
    "FIN after the first byte of the request": unknown(accept_and_fin, Failure.CLOSED_EARLY),
    "RST after the first byte of the request": unknown(accept_and_reset, Failure.RESET),
    "FIN after the whole request": unknown(ended(b""), Failure.CLOSED_EARLY),
    "RST after the whole request": unknown(answering(b"", then="reset"), Failure.RESET),
    "silence": unknown(answering(b""), Failure.FIRST_BYTE_TIMEOUT, in_time=False),
    "half a head, then FIN": unknown(ended(H + b"Content-Le"), Failure.TRUNCATED_ANSWER),
    "half a head, then RST": unknown(answering(H + b"Content-Le", then="reset"), Failure.RESET),
    "half a head, then silence": unknown(answering(H + b"Content-Le"), Failure.TOTAL_TIMEOUT, in_time=False),
    "half a body, then FIN": unknown(ended(OK[:-3]), Failure.TRUNCATED_ANSWER),
    "half a body, then RST": unknown(answering(OK[:-3], then="reset"), Failure.RESET),
    "half a body, then silence": unknown(answering(OK[:-3]), Failure.TOTAL_TIMEOUT, in_time=False),
    "half a chunk, then FIN": unknown(ended(chunked(BODY)[:-9]), Failure.TRUNCATED_ANSWER),
    "no last chunk, then FIN": unknown(ended(chunked(BODY)[:-5]), Failure.TRUNCATED_ANSWER),
    "no last chunk, then silence": unknown(answering(chunked(BODY)[:-5]), Failure.TOTAL_TIMEOUT, in_time=False),
    "until close, then RST": unknown(answering(H + b"\r\n" + BODY, then="reset"), Failure.RESET),
    "until close, then silence": unknown(answering(H + b"\r\n" + BODY), Failure.TOTAL_TIMEOUT, in_time=False),
    "a head that drips for ever": unknown(drip_a_head_for_ever, Failure.TOTAL_TIMEOUT, in_time=False),
    # whole answers in odd ways
    "one segment, connection stays open": answered(answering(OK)),
    "FIN right behind": answered(ended(OK)),
    "RST right behind": answered(answering(OK, then="reset")),
    "head and body in two segments": answered(answering(OK[:-15], OK[-15:])),
    "byte by byte": answered(dripping(OK)),
    "chunked byte by byte": answered(dripping(chunked(b"OK|98", b"|10.00|177"))),
    "until close in two segments": answered(answering(H + b"\r\nOK|98|", b"10.00|177", then="fin")),
    "before the request was read": answered(answer_before_reading, b"too large", status=413),
    "without ever reading the rest": answered(answer_and_never_read),
    "100 Continue nobody asked for": answered(answering(b"HTTP/1.1 100 Continue\r\n\r\n", OK)),
    "100 Continue in the same segment": answered(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)),
    "a 302 to another origin": answered(
        answering(message(b"", "Location: http://192.0.2.1/x", status="302 Found")), b"", status=302
    ),
    "a 307, which would post again": answered(
        answering(message(b"", "Location: /legacy", status="307 Temporary Redirect")), b"", status=307
    ),
    "a 401 that asks for credentials": answered(
        answering(message(b"", 'WWW-Authenticate: Basic realm="x"', status="401 Unauthorized")), b"", status=401
    ),
    "a 408": answered(answering(message(b"", status="408 Request Timeout")), b"", status=408),
    "a 503 with Retry-After": answered(
        answering(message(b"later", "Retry-After: 1", status="503 Service Unavailable")), b"later", status=503
    ),
    "204": answered(answering(b"HTTP/1.1 204 No Content\r\n\r\n"), b"", status=204),
    "a cookie": answered(answering(message(BODY, "Set-Cookie: partner=a"))),
    "bare line feeds": answered(answering(OK.replace(b"\r\n", b"\n"))),
    "folded header": answered(answering(message(BODY, "X-Note: a\r\n b"))),
    "no reason phrase": answered(answering(message(BODY, status="200"))),
    "bytes that are no UTF-8": answered(answering(message(b"\xff\xfe\x00")), b"\xff\xfe\x00"),
    "gzip although identity was asked for": answered(
        answering(message(b"\x1f\x8b\x08", "Content-Encoding: gzip")), b"\x1f\x8b\x08"
    ),
    "as large as allowed": answered(answering(message(KIB)), KIB),
    # surplus
    "a length that counts characters": answered(
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncaf\xc3\xa9"), b"caf\xc3", surplus=True
    ),
    "204 with a body": answered(
        answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nOK"), b"", status=204, surplus=True
    ),
    "a forged answer in the same segment": answered(answering(OK + message(b"ACCEPTED")), surplus=True),
    "a forged answer behind chunks": answered(answering(chunked(BODY) + message(b"ACCEPTED")), surplus=True),
    "a forged answer in a segment of its own": answered(answering(OK, message(b"ACCEPTED"))),
    "garbage behind": answered(answering(OK + b"\x00\x01"), surplus=True),
    # junk
    "no HTTP at all": unknown(answering(b"OK|98|10.00|177\r\n"), Failure.JUNK_ANSWER),
    "HTTP/0.9": unknown(ended(b"<html>thanks</html>"), Failure.JUNK_ANSWER),
    "ICY": unknown(answering(OK.replace(b"HTTP/1.1", b"ICY")), Failure.JUNK_ANSWER),
    "http in lower case": unknown(answering(OK.replace(b"HTTP", b"http")), Failure.JUNK_ANSWER),
    "an HTTP/2 preface": unknown(answering(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"), Failure.JUNK_ANSWER),
    "status 99": unknown(answering(message(status="99 X")), Failure.JUNK_ANSWER),
    "status 000": unknown(answering(message(status="000 X")), Failure.JUNK_ANSWER),
    "status 999": unknown(answering(message(status="999 X")), Failure.JUNK_ANSWER),
    "status 2000": unknown(answering(message(status="2000 X")), Failure.JUNK_ANSWER),
    "101 without being asked": unknown(
        answering(b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + OK), Failure.JUNK_ANSWER
    ),
    "two lengths": unknown(answering(message(BODY, "Content-Length: 15")), Failure.JUNK_ANSWER),
    "length and chunks": unknown(answering(message(BODY, "Transfer-Encoding: chunked")), Failure.JUNK_ANSWER),
    "a negative length": unknown(answering(H + b"Content-Length: -1\r\n\r\n"), Failure.JUNK_ANSWER),
    "space before a colon": unknown(answering(message(BODY, "X : a")), Failure.JUNK_ANSWER),
    "NUL in a header": unknown(answering(message(BODY, "X: a\x00b")), Failure.JUNK_ANSWER),
    "a bad chunk size": unknown(answering(H + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Failure.JUNK_ANSWER),
    "transfer coding gzip": unknown(
        answering(H + b"Transfer-Encoding: gzip\r\n\r\nx", then="fin"), Failure.JUNK_ANSWER
    ),
    "a thousand headers": unknown(answering(H + b"X: y\r\n" * 1000 + b"\r\n"), Failure.JUNK_ANSWER),
    "a megabyte of header": unknown(answering(H + b"X: " + b"y" * 2**20), Failure.JUNK_ANSWER),
    "endless interim answers": unknown(endless_interim, Failure.JUNK_ANSWER),
    "endless line ends": unknown(flooding(b"", b"\r\n" * 512), Failure.JUNK_ANSWER),
    # too large
    "one byte too many": unknown(answering(message(KIB + b"x")), Failure.ANSWER_TOO_LARGE),
    "a length of 10 GB": unknown(answering(H + b"Content-Length: 9999999999\r\n\r\n"), Failure.ANSWER_TOO_LARGE),
    "an endless body until close": unknown(flooding(H + b"\r\n", KIB), Failure.ANSWER_TOO_LARGE),
    "endless chunks": unknown(
        flooding(H + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n%b\r\n" % KIB), Failure.ANSWER_TOO_LARGE
    ),
    "endless one-byte chunks": unknown(
        flooding(H + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100), Failure.ANSWER_TOO_LARGE
    ),
    "an endless chunk extension": unknown(
        flooding(H + b"Transfer-Encoding: chunked\r\n\r\n2;", KIB), Failure.ANSWER_TOO_LARGE
    ),
}


@pytest.mark.parametrize("keep_alive", ["0s", "5s"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_what_is_known_of_a_lead_after_the_legacy_behaved_like_this(
    behaviour: Behaviour, keep_alive: str
) -> None:
    times = {"connect": "3s", "first_byte": "3s", "total": "3s"} if behaviour.in_time else QUICK
    async with (
        ScriptedUpstream(behaviour.script) as legacy,
        open_edge(legacy.url, keep_alive=keep_alive, max_answer="1KiB", timeouts=times) as upstream,
    ):
        exchange = await post(upstream)
        assert exchange.failure is behaviour.failure
        assert exchange.delivery is (Delivery.ANSWERED if behaviour.failure is None else Delivery.SENT)
        assert exchange.reason is (None if behaviour.failure is None else Reason.OUTCOME_UNKNOWN)
        if behaviour.failure is None:
            assert exchange.answer is not None
            assert (exchange.answer.status, exchange.answer.body) == (behaviour.status, behaviour.body)
            assert exchange.answer.surplus is behaviour.surplus
        else:
            assert exchange.answer is None
        assert exchange.total_s < 3
        assert not exchange.second_try
    assert len(legacy.arrivals) == 1, "it was sent again"


@pytest.mark.parametrize("keep_alive", ["0s", "5s"])
async def test_the_legacy_gets_the_very_bytes_of_the_lead_behind_one_head(keep_alive: str) -> None:
    lead = bytes(range(256)) * 64
    async with ScriptedUpstream(serving(OK)) as legacy, open_edge(legacy.url, keep_alive=keep_alive) as upstream:
        exchange = await post(upstream, lead)
        assert exchange.delivery is Delivery.ANSWERED
        assert exchange.seen == len(OK)
    [arrival] = legacy.arrivals
    assert arrival.head.startswith(b"POST /legacy HTTP/1.1\r\n")
    assert arrival.body == lead
    assert dict(arrival.headers)["content-length"] == str(len(lead))


async def test_an_empty_lead_has_length_zero() -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(legacy.url) as upstream:
        assert (await post(upstream, b"")).delivery is Delivery.ANSWERED
    assert dict(legacy.arrivals[0].headers)["content-length"] == "0"


async def test_a_large_lead_that_is_never_read_is_unknown_and_leaves_no_connection() -> None:
    async def deaf(peer: Peer) -> None:
        await peer.read(1)
        await peer.deaf()

    async with ScriptedUpstream(deaf) as legacy, open_edge(legacy.url, timeouts=QUICK) as upstream:
        exchange = await post(upstream, b"x" * (16 * 1024 * 1024))
        assert (exchange.delivery, exchange.failure) == (Delivery.SENT, Failure.FIRST_BYTE_TIMEOUT)


async def test_an_early_answer_to_a_large_lead_counts_and_the_rest_of_the_lead_still_leaves() -> None:
    size = 4 * 1024 * 1024

    async def early(peer: Peer) -> None:
        await peer.read(1000)
        await peer.send(OK)
        await peer.request()

    async with ScriptedUpstream(early, answering(OK)) as legacy, open_edge(legacy.url, keep_alive="5s") as upstream:
        exchange = await post(upstream, b"x" * size)
        assert exchange.delivery is Delivery.ANSWERED
        assert not (await post(upstream)).reused, "it would have stood behind the rest of the first lead"
        await legacy.until(lambda: legacy.ended == 1)
        assert len(legacy.arrivals[0].body) == size


async def test_the_rest_of_a_lead_that_nobody_reads_does_not_keep_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_LINGER_S", 0.1)
    async with ScriptedUpstream(answer_and_never_read) as legacy, open_edge(legacy.url) as upstream:
        assert (await post(upstream, b"x" * (16 * 1024 * 1024))).delivery is Delivery.ANSWERED
        gone = asyncio.Event()
        lost = upstream.lost
        monkeypatch.setattr(upstream, "lost", lambda one: (lost(one), gone.set()))
        async with asyncio.timeout(2):
            await gone.wait()
        assert upstream.connections == 0


async def test_phases_are_timed() -> None:
    release = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        await peer.send(OK)
        await peer.stall()

    async with ScriptedUpstream(slow) as legacy, open_edge(legacy.url) as upstream:
        asyncio.get_running_loop().call_later(0.2, release.set)
        exchange = await post(upstream)
    assert exchange.first_byte_s is not None
    assert 0 < exchange.connect_s < 0.15 < exchange.first_byte_s <= exchange.total_s < 2
    assert not exchange.reused


async def test_a_deadline_before_all_timeouts_ends_the_exchange_and_is_named() -> None:
    async with ScriptedUpstream(answering(b"")) as legacy, open_edge(legacy.url) as upstream:
        exchange = await post(upstream, within=0.2)
        assert (exchange.delivery, exchange.failure) == (Delivery.SENT, Failure.DEADLINE)
        assert 0.15 < exchange.total_s < 1
    assert legacy.requests == 1


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(legacy.url) as upstream:
        exchange = await post(upstream, within=-0.001)
        assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.DEADLINE)
        assert exchange.reason is Reason.OVERLOADED
    assert legacy.arrivals == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    segments=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [H, OK, chunked(b"abc"), b"\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"Content-Length: 3\r\n\r\n", b"abc"]
            ),
        ),
        max_size=6,
    ),
    then=st.sampled_from(["fin", "reset"]),
)
def test_any_bytes_as_an_answer_give_one_exchange_and_leave_nothing_behind(segments: list[bytes], then: str) -> None:
    async def scene() -> None:
        script = answering(*(segment for segment in segments if segment), then=then)  # type: ignore[arg-type]
        async with ScriptedUpstream(script) as legacy, open_edge(legacy.url, keep_alive="1s") as upstream:
            exchange = await post(upstream, LEAD)
            assert exchange.delivery in (Delivery.ANSWERED, Delivery.SENT)
            assert (exchange.answer is None) == (exchange.delivery is Delivery.SENT)
            assert (exchange.failure is None) == (exchange.delivery is Delivery.ANSWERED)
        assert len(legacy.arrivals) == 1

    import uvloop

    uvloop.run(scene())
