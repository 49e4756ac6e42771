"""How much a client may take: connections, memory, answers it does not read."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.intake import Reply, Request, connection
from tests.support.client import read_answer
from tests.support.downstream import Desk, Edge, open_edge
from tests.support.downstream_client import eventually
from tests.support.raw_requests import LEAD, framed, head, post

_MIB = 1024 * 1024


class Blocked(Desk):
    """A handler that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(before=self._wait)
        self.go = asyncio.Event()

    async def _wait(self, request: Request) -> None:
        await self.go.wait()


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
async def test_a_connection_over_the_cap_is_closed_without_a_word(limit: str) -> None:
    async with open_edge(**{limit: 2}) as edge:
        first, second = await edge.connect(), await edge.connect()
        await eventually(lambda: edge.intake.connections == 2)
        reader, writer = await edge.connect()
        assert await reader.read() == b""
        writer.close()
        first[1].close()
        await eventually(lambda: edge.intake.connections == 1)
        reader, writer = await edge.connect()
        writer.write(post())
        assert (await read_answer(reader)).reason == "accepted"
        writer.close()
        second[1].close()


async def test_reading_stops_when_enough_lies_behind_a_request_that_is_worked_on() -> None:
    desk = Blocked()
    async with open_edge(desk) as edge:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", edge.port)) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, post())
            await eventually(lambda: bool(desk.requests))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_sendall(client, post() * 200_000), 0.5)
            held = len(edge.intake._open.copy().pop()._buffer)
            assert connection.HELD < held < connection.HELD + _MIB
            assert len(desk.requests) == 1
            desk.go.set()


async def test_all_that_was_held_back_is_answered_in_order() -> None:
    desk, count = Blocked(), 2000
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(b"".join(framed(b"Content-Length: 4", body=b"%04d" % n) for n in range(count)))
        await eventually(lambda: bool(desk.requests))
        desk.go.set()
        for _ in range(count):
            assert (await read_answer(reader)).reason == "accepted"
        assert desk.leads == [b"%04d" % n for n in range(count)]
        writer.close()


async def test_a_body_larger_than_what_is_held_comes_in_when_it_is_wanted() -> None:
    desk = Blocked()
    async with open_edge(desk, body="1MiB") as edge:
        reader, writer = await edge.connect()
        body = bytes(range(256)) * 4096
        writer.write(post(body=body) + post())
        await eventually(lambda: bool(desk.requests))
        desk.go.set()
        assert (await read_answer(reader)).reason == "accepted"
        assert (await read_answer(reader)).reason == "accepted"
        assert desk.leads == [body, LEAD]
        writer.close()


class Generous(Desk):
    """A handler with far more to say than a socket holds."""

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        return Reply(200, (), b"x" * 64 * _MIB)


async def test_a_client_that_does_not_take_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WRITE_TIME", 0.15)
    desk = Generous()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(head(b"Host: x", b"Content-Length: 0") * 2)
        await eventually(lambda: bool(desk.requests))
        writer.write(head(b"Host: x", b"Content-Length: 0"))
        await eventually(lambda: edge.intake.connections == 0)
        assert len(desk.requests) == 1, "the next request waits until its turn's answer is taken"
        writer.close()


async def test_a_slow_client_gets_the_whole_of_its_answers() -> None:
    desk = Generous()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(head(b"Host: x", b"Content-Length: 0") * 2)
        await eventually(lambda: bool(desk.requests))
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            assert len(await reader.readexactly(64 * _MIB)) == 64 * _MIB
        writer.close()


async def test_a_slow_client_that_has_its_last_answer_does_not_hold_the_connection() -> None:
    desk = Generous()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(head(b"Host: x", b"Content-Length: 0", b"Connection: close"))
        await reader.readuntil(b"\r\n\r\n")
        assert len(await reader.readexactly(64 * _MIB)) == 64 * _MIB
        await eventually(lambda: edge.intake.connections == 0, within=4 * connection.LINGER_TIME)
        writer.close()


async def test_a_client_that_sends_on_still_sees_why_it_was_refused(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(framed(b"Content-Length: 900000"))
    answer = await read_answer(reader)
    assert answer.reason == "too_large"
    writer.write(b"x" * 900_000)
    await writer.drain()
    assert await reader.read() == b""
    writer.close()


async def test_a_client_that_does_not_stop_sending_is_cut_off(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_TIME", 3600.0)
    reader, writer = await edge.connect()
    writer.write(framed(b"Content-Length: 900000000"))
    assert (await read_answer(reader)).reason == "too_large"
    with pytest.raises(ConnectionError):
        await _send_for_ever(writer)
    await eventually(lambda: edge.intake.connections == 0)
    writer.close()


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_a_client_that_never_closes_does_not_hold_a_refused_connection(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(b"GARBAGE\r\n")
    assert (await read_answer(reader)).reason == "malformed"
    await eventually(lambda: edge.intake.connections == 0, within=4 * connection.LINGER_TIME)
    writer.close()
