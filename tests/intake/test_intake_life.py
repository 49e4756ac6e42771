"""Clients that leave, handlers that fail, and the end of it all."""

from __future__ import annotations

import asyncio

import pytest

from gateway.datapost.reasons import Reason
from gateway.intake import Reply, Request, Unreadable
from tests.support.client import read_answer
from tests.support.downstream import Desk, Edge, open_edge, told
from tests.support.downstream_client import eventually, reset
from tests.support.raw_requests import LEAD, framed, head, post


class Gate(Desk):
    """A handler that waits in the middle, and tells how it went on."""

    def __init__(self) -> None:
        super().__init__(before=self._wait)
        self.go = asyncio.Event()
        self.gone: list[bool] = []

    async def _wait(self, request: Request) -> None:
        await self.go.wait()
        self.gone.append(request.gone)


# --- clients that leave ---


async def test_the_handler_goes_on_when_its_client_has_left_and_can_see_it() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.write(post())
        await eventually(lambda: edge.intake.busy == 1)
        reset(writer)
        await eventually(lambda: edge.intake.connections == 0)
        assert edge.intake.busy == 1
        desk.go.set()
        await eventually(lambda: edge.intake.busy == 0)
        assert desk.gone == [True]
        assert desk.leads == [LEAD]


async def test_a_client_that_only_stopped_sending_is_not_gone() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        writer.write_eof()
        await eventually(lambda: edge.intake.busy == 1)
        desk.go.set()
        answer = await read_answer(reader)
        assert answer.reason == "accepted"
        assert answer.headers["connection"] == "close"
        assert desk.gone == [False]
        writer.close()


async def test_a_client_that_leaves_in_its_body_ends_the_wait_for_it() -> None:
    class Watching(Desk):
        read: list[bytes | Unreadable]

        async def __call__(self, request: Request) -> Reply:
            self.requests.append(request)
            self.read = [await request.body(), await request.body()]
            return told(Reason.CLIENT_GONE)

    desk = Watching()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.write(post()[:-1])
        await eventually(lambda: bool(desk.requests))
        reset(writer)
        await eventually(lambda: edge.intake.busy == 0)
        first, second = desk.read
        assert isinstance(first, Unreadable)
        assert first.reason is Reason.CLIENT_GONE
        assert second is first


async def test_a_body_wanted_after_its_client_has_left_is_not_waited_for() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.write(post()[:-1])
        await eventually(lambda: edge.intake.busy == 1)
        reset(writer)
        await eventually(lambda: edge.intake.connections == 0)
        desk.go.set()
        await eventually(lambda: edge.intake.busy == 0)
        assert [body.reason for body in desk.unread] == [Reason.CLIENT_GONE]


async def test_leads_behind_one_whose_client_has_left_are_not_taken() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.write(post() * 3)
        await eventually(lambda: edge.intake.busy == 1)
        reset(writer)
        await eventually(lambda: edge.intake.connections == 0)
        desk.go.set()
        await eventually(lambda: edge.intake.busy == 0)
        assert desk.leads == [LEAD]


async def test_a_stranger_whose_body_came_in_the_meantime_keeps_the_connection() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        stranger = framed(b"Content-Length: %d" % len(LEAD)).replace(b"Basic ", b"Basic eDp5")
        writer.write(stranger)
        await eventually(lambda: edge.intake.busy == 1)
        writer.write(LEAD + post())
        await eventually(lambda: len(edge.intake._open.copy().pop()._buffer) > len(LEAD))
        desk.go.set()
        answer = await read_answer(reader)
        assert answer.reason == "unauthorized"
        assert "connection" not in answer.headers
        assert (await read_answer(reader)).reason == "accepted"
        writer.close()


# --- handlers that fail ---


class Failing(Desk):
    async def __call__(self, request: Request) -> Reply:
        raise LookupError("what a lead said")


async def test_a_handler_that_fails_is_answered_internal_and_its_exception_handed_on() -> None:
    async with open_edge(Failing()) as edge:
        reader, writer = await edge.connect()
        writer.write(post() * 2)
        for _ in range(2):
            answer = await read_answer(reader)
            assert (answer.status, answer.reason) == (500, "internal")
            assert "lead said" not in answer.note
        assert [type(crash) for crash in edge.crashes] == [LookupError, LookupError]
        assert edge.desk.refused == [(Reason.INTERNAL, "")] * 2
        writer.close()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, (("X-Name", "va\r\nSet-Cookie: lue"),), b"{}"),
        Reply(200, (("X-Na\nme", "value"),), b"{}"),
        Reply(200, (("X-Name", "va\0lue"),), b"{}"),
        Reply(200, (("X-Name", "v\xe4lue"),), b"{}"),
        Reply(200, (), b"{}", content_type="text/plain\r\nX-Name: value"),
        Reply(99, (), b"{}"),
    ],
    ids=["a line break", "a line feed", "NUL", "beyond ASCII", "in the content type", "no status"],
)
async def test_a_reply_that_is_none_becomes_internal(reply: Reply) -> None:
    class Odd(Desk):
        async def __call__(self, request: Request) -> Reply:
            return reply

    async with open_edge(Odd()) as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        answer = await read_answer(reader)
        assert (answer.status, answer.reason) == (500, "internal")
        assert answer.headers["connection"] == "close"
        assert len(edge.crashes) == 1
        writer.close()


@pytest.mark.parametrize("sent", [post(), b"GARBAGE\r\n"], ids=["in a request", "in framing"])
async def test_a_connection_is_cut_when_not_even_a_refusal_can_be_made(sent: bytes) -> None:
    class Broken(Failing):
        def refuse(self, reason: Reason, peer: str, received: float, detail: str) -> Reply:
            raise ValueError("what a lead said")

    async with open_edge(Broken()) as edge:
        reader, writer = await edge.connect()
        writer.write(sent)
        assert await reader.read() == b""
        assert edge.crashes
        writer.close()


async def test_a_body_cannot_be_asked_for_behind_the_answer(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(framed(b"Content-Length: 5", first=b"POST /elsewhere HTTP/1.1"))
    await read_answer(reader)
    with pytest.raises(RuntimeError):
        await edge.desk.requests[0].body()
    writer.close()


# --- the end of it all ---


async def test_a_drain_closes_idle_connections_at_once_and_busy_ones_behind_their_answer() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        idle, idle_writer = await edge.connect()
        busy, busy_writer = await edge.connect()
        busy_writer.write(post() * 2)
        await eventually(lambda: edge.intake.busy == 1 and edge.intake.connections == 2)
        edge.intake.begin_drain()
        assert await idle.read() == b""
        assert not await edge.intake.drained(0.01)
        desk.go.set()
        answer = await read_answer(busy)
        assert answer.reason == "accepted"
        assert answer.headers["connection"] == "close"
        assert await busy.read() == b"", "the second lead is not taken any more, and the client knows"
        busy_writer.close()
        idle_writer.close()
        assert await edge.intake.drained(5.0)
        assert desk.leads == [LEAD]


async def test_a_request_that_has_begun_before_a_drain_is_answered(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(post()[:50])
    await eventually(lambda: edge.intake.connections == 1 and not edge.intake._open.copy().pop().idle)
    edge.intake.begin_drain()
    writer.write(post()[50:])
    answer = await read_answer(reader)
    assert answer.reason == "accepted"
    assert answer.headers["connection"] == "close"
    writer.close()
    assert await edge.intake.drained(5.0)


async def test_a_connection_made_during_a_drain_gets_one_answer(edge: Edge) -> None:
    edge.intake.begin_drain()
    reader, writer = await edge.connect()
    writer.write(post() * 2)
    assert (await read_answer(reader)).headers["connection"] == "close"
    assert await reader.read() == b""
    writer.close()


async def test_a_drain_waits_for_the_handler_of_a_client_that_has_left() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        _, writer = await edge.connect()
        writer.write(post())
        await eventually(lambda: edge.intake.busy == 1)
        reset(writer)
        await eventually(lambda: edge.intake.connections == 0)
        edge.intake.begin_drain()
        assert not await edge.intake.drained(0.01)
        desk.go.set()
        assert await edge.intake.drained(5.0)


async def test_a_drain_of_nothing_is_over_at_once(edge: Edge) -> None:
    edge.intake.begin_drain()
    assert await edge.intake.drained(0)


async def test_an_interrupt_ends_the_wait_for_bodies() -> None:
    async with open_edge() as edge:
        reader, writer = await edge.connect()
        writer.write(post()[:-1])
        await eventually(lambda: edge.intake.busy == 1)
        edge.intake.begin_drain()
        edge.intake.interrupt()
        answer = await read_answer(reader)
        assert (answer.status, answer.reason) == (503, "draining")
        assert answer.headers["connection"] == "close"
        writer.close()


async def test_an_abort_answers_who_still_waits() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        await eventually(lambda: edge.intake.busy == 1)
        await edge.intake.abort()
        assert (await read_answer(reader)).reason == "internal"
        assert not desk.leads
        writer.close()


async def test_a_handler_may_say_the_last_word_when_it_is_aborted() -> None:
    class Knowing(Gate):
        async def __call__(self, request: Request) -> Reply:
            try:
                return await super().__call__(request)
            except asyncio.CancelledError:
                return told(Reason.OUTCOME_UNKNOWN)

    async with open_edge(Knowing()) as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        await eventually(lambda: edge.intake.busy == 1)
        await edge.intake.abort()
        assert (await read_answer(reader)).reason == "outcome_unknown"
        writer.close()


async def test_handlers_run_as_named_tasks() -> None:
    desk = Gate()
    async with open_edge(desk) as edge:
        reader, writer = await edge.connect()
        writer.write(post())
        await eventually(lambda: edge.intake.busy == 1)
        assert "gateway submission" in {task.get_name() for task in asyncio.all_tasks()}
        desk.go.set()
        await read_answer(reader)
        writer.close()


# --- what an answer looks like ---


@pytest.mark.parametrize(
    ("sent", "connection"),
    [
        (post(), None),
        (post(b"Connection: close"), "close"),
        (post(first=b"POST /leads HTTP/1.0"), "close"),
        (post(b"Connection: keep-alive", first=b"POST /leads HTTP/1.0"), "keep-alive"),
    ],
    ids=["HTTP/1.1", "close", "HTTP/1.0", "HTTP/1.0 kept"],
)
async def test_an_answer_says_what_becomes_of_the_connection(edge: Edge, sent: bytes, connection: str | None) -> None:
    reader, writer = await edge.connect()
    writer.write(sent)
    head_of_answer = await reader.readuntil(b"\r\n\r\n")
    assert head_of_answer.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"server:" not in head_of_answer.lower()
    lines = [line.partition(": ") for line in head_of_answer.decode().split("\r\n")[1:-2]]
    assert {name: value for name, _, value in lines}.get("Connection") == connection
    writer.close()


async def test_the_answer_to_head_says_the_length_of_what_it_leaves_out(edge: Edge) -> None:
    answers = []
    for method in (b"HEAD", b"GET"):
        reader, writer = await edge.connect()
        writer.write(head(b"Host: x", first=method + b" /leads HTTP/1.1"))
        answers.append(await read_answer(reader, bodiless=method == b"HEAD"))
        assert await reader.read() == b""
        writer.close()
    of_head, of_get = answers
    assert of_head.headers["content-length"] == of_get.headers["content-length"] == str(len(of_get.body))
    assert of_head.headers["content-type"] == of_get.headers["content-type"]


async def test_a_request_is_handed_on_as_it_was_sent(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(post(b"X-Name:  A, b ", b"Referer: caf\xe9", b"x-name: c", first=b"POST /leads?a=%20b?c HTTP/1.1"))
    await read_answer(reader)
    request = edge.desk.requests[0]
    assert (request.method, request.path, request.query, tuple(request.version)) == (
        "POST",
        "/leads",
        "a=%20b?c",
        (1, 1),
    )
    assert request.headers.getall("X-NAME") == ["A, b", "c"]
    assert request.headers["Referer"] == "caf"
    assert (b"X-Name", b"A, b") in request.raw_headers
    assert (b"Referer", b"caf\xe9") in request.raw_headers
    assert request.peer == "127.0.0.1"
    assert "acme" not in repr(request)
    writer.close()


async def test_a_refusal_tells_who_and_when_but_nothing_of_what_was_sent(edge: Edge) -> None:
    before = asyncio.get_running_loop().time()
    told_of: list[tuple[str, float]] = []

    class Noting(Desk):
        def refuse(self, reason: Reason, peer: str, received: float, detail: str) -> Reply:
            told_of.append((peer, received))
            return super().refuse(reason, peer, received, detail)

    async with open_edge(Noting()) as noting:
        reader, writer = await noting.connect()
        writer.write(post(b"X-Name : kanarienvogel"))
        assert b"kanarienvogel" not in await reader.read()
        writer.close()
    ((peer, received),) = told_of
    assert peer == "127.0.0.1"
    assert received >= before
