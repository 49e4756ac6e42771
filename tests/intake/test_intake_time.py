"""How long a client may take, and what it hears when it takes longer."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.intake import Reply, Request, Unreadable
from tests.support.client import read_answer
from tests.support.downstream import Desk, open_edge, told
from tests.support.downstream_client import drip
from tests.support.raw_requests import CHUNK, FIRST_CHUNKED, LEAD, chunked, framed, post

_SHORT = 0.15
#: Deadlines may pass late on a busy machine, never early: the loop's clock counts milliseconds.
_EARLY = 0.005


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _silence(reader: asyncio.StreamReader) -> None:
    assert await reader.read() == b""


@pytest.mark.parametrize("begun", [b"P", post()[:40], b"\r\nPOST", post()[: -len(LEAD) - 1]])
async def test_a_head_that_does_not_end_is_answered_408_and_closed(begun: bytes) -> None:
    async with open_edge(header_time="150ms") as edge:
        reader, writer = await edge.connect()
        started = _now()
        writer.write(begun)
        answer = await read_answer(reader)
        assert (answer.status, answer.reason) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        assert _now() - started >= _SHORT - _EARLY
        await _silence(reader)
        assert not edge.desk.requests
        writer.close()


async def test_a_dripping_head_does_not_buy_time_with_each_byte() -> None:
    async with open_edge(header_time="150ms") as edge:
        reader, writer = await edge.connect()
        started = _now()
        dripping = asyncio.create_task(drip(writer, post() * 4, 0.01))
        answer = await read_answer(reader)
        assert answer.reason == "request_timeout"
        assert _now() - started >= _SHORT - _EARLY
        assert not dripping.done()
        dripping.cancel()
        writer.close()


async def test_a_second_head_has_its_own_time() -> None:
    async with open_edge(header_time="150ms") as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        await read_answer(reader)
        started = _now()
        writer.write(b"POST")
        assert (await read_answer(reader)).reason == "request_timeout"
        assert _now() - started >= _SHORT - _EARLY
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n\r\n"], ids=["nothing", "an_empty_line", "empty_lines"])
async def test_a_connection_on_which_no_request_begins_is_closed_without_a_word(sent: bytes) -> None:
    async with open_edge(idle_time="150ms", header_time="1ms") as edge:
        reader, writer = await edge.connect()
        started = _now()
        writer.write(sent)
        await _silence(reader)
        assert _now() - started >= _SHORT - _EARLY
        assert not edge.desk.requests
        assert not edge.desk.refused
        writer.close()


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    async with open_edge(idle_time="150ms") as edge:
        reader, writer = await edge.connect()
        dripping = asyncio.create_task(drip(writer, b"\r\n" * 400, 0.01))
        # What drips in at the moment of closing may turn the end into a reset.
        with contextlib.suppress(ConnectionResetError):
            await _silence(reader)
        assert not dripping.done()
        dripping.cancel()
        writer.close()


async def test_a_kept_connection_is_closed_without_a_word_when_no_further_request_begins() -> None:
    async with open_edge(idle_time="600ms") as edge:
        reader, writer = await edge.connect()
        # Behind each answer the time begins anew.
        await asyncio.sleep(_SHORT)
        for _ in range(3):
            writer.write(post())
            await read_answer(reader)
        started = _now()
        await _silence(reader)
        assert _now() - started >= 0.6 - _EARLY
        writer.close()


@pytest.mark.parametrize("begun", [post()[:-5], post()[: -len(LEAD)], FIRST_CHUNKED[:-3], chunked(CHUNK[:9])])
async def test_a_body_that_does_not_end_is_answered_408_and_closed(begun: bytes) -> None:
    async with open_edge(body_time="150ms") as edge:
        reader, writer = await edge.connect()
        started = _now()
        writer.write(begun)
        answer = await read_answer(reader)
        assert (answer.status, answer.reason) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        assert _now() - started >= _SHORT - _EARLY
        await _silence(reader)
        assert not edge.desk.leads
        writer.close()


async def test_a_dripping_body_does_not_buy_time_with_each_byte() -> None:
    async with open_edge(body_time="150ms") as edge:
        reader, writer = await edge.connect()
        writer.write(framed(b"Content-Length: 1000"))
        dripping = asyncio.create_task(drip(writer, b"x" * 1000, 0.01))
        assert (await read_answer(reader)).reason == "request_timeout"
        assert not dripping.done()
        dripping.cancel()
        writer.close()


async def test_the_time_of_an_invited_body_begins_with_the_invitation() -> None:
    async def slowly_signed_in(request: Request) -> None:
        await asyncio.sleep(2 * _SHORT)

    async with open_edge(Desk(before=slowly_signed_in), body_time="150ms") as edge:
        reader, writer = await edge.connect()
        writer.write(framed(b"Content-Length: %d" % len(LEAD), b"Expect: 100-continue"))
        assert (await read_answer(reader)).status == 100
        writer.write(LEAD)
        assert (await read_answer(reader)).reason == "accepted"
        writer.close()


async def test_a_handler_may_wait_for_a_body_for_less_than_the_limit() -> None:
    class Hasty(Desk):
        async def __call__(self, request: Request) -> Reply:
            body = await request.body(_now() + _SHORT)
            assert isinstance(body, Unreadable)
            assert await request.body() is body
            return told(body.reason)

    async with open_edge(Hasty(), body_time="60s") as edge:
        reader, writer = await edge.connect()
        writer.write(post()[:-1])
        answer = await read_answer(reader)
        assert answer.reason == "request_timeout"
        assert answer.headers["connection"] == "close"
        writer.close()
        assert not edge.crashes


async def test_a_handler_takes_the_time_it_needs() -> None:
    async def slow(request: Request) -> None:
        await asyncio.sleep(2 * _SHORT)

    async with open_edge(Desk(before=slow), idle_time="150ms", header_time="150ms", body_time="150ms") as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        assert (await read_answer(reader)).reason == "accepted"
        writer.close()


async def test_a_body_that_came_while_the_handler_was_busy_is_not_late() -> None:
    async def slow(request: Request) -> None:
        await asyncio.sleep(2 * _SHORT)

    async with open_edge(Desk(before=slow), body_time="150ms") as edge:
        reader, writer = await edge.connect()
        writer.write(post()[: -len(LEAD)])
        await asyncio.sleep(0)
        writer.write(LEAD)
        assert (await read_answer(reader)).reason == "accepted"
        writer.close()


async def test_hundreds_of_slow_heads_leave_the_others_alone() -> None:
    async with open_edge(header_time="60s") as edge:
        slow = await asyncio.gather(*(edge.connect() for _ in range(400)))
        for _, writer in slow:
            writer.write(post()[:50])
        reader, writer = await edge.connect()
        writer.write(post())
        assert (await read_answer(reader)).reason == "accepted"
        assert not edge.desk.refused
        for _, one in (*slow, (reader, writer)):
            one.close()
