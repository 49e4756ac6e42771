"""Before the first byte: addresses, names, refusals and time limits. A lead that has not left is told as such."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from gateway.datapost.reasons import Delivery, Reason
from gateway.upstream import Failure
from gateway.upstream.connection import Connection
from gateway.upstream.dialing import _in_turn
from tests.support.edge import open_edge, post
from tests.support.upstreams import OK, ScriptedUpstream, answering, turns

V4, V6 = socket.AF_INET, socket.AF_INET6
NAME = "http://legacy.test:{port}/x"


def has_v6() -> bool:
    try:
        socket.create_server(("::1", 0), family=V6).close()
    except OSError:
        return False
    return True


needs_v6 = pytest.mark.skipif(not has_v6(), reason="this machine has no IPv6 loopback")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, never listening."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


class Silent:
    """A listener that lets no connection be completed, since its backlog is full."""

    def __init__(self, host: str, port: int = 0) -> None:
        self._sockets = [socket.socket() for _ in range(4)]
        listener, *fillers = self._sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for sock in fillers:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        self.port: int = listener.getsockname()[1]

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close()


class Names:
    """A resolver that knows these addresses; `before` runs when it is asked for the n-th time (from 1)."""

    def __init__(self, *addresses: str, before: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.addresses = addresses
        self.asked = 0
        self._before = before

    async def __call__(self, host: str, port: int, **_: int) -> list[tuple[Any, Any, int, str, Any]]:
        self.asked += 1
        if self._before is not None:
            await self._before(self.asked)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(V6 if ":" in one else V4, socket.SOCK_STREAM, 6, "", (one, port)) for one in self.addresses]


async def test_a_refused_connection_is_not_sent_after_one_second_try(closed_port: int) -> None:
    async with open_edge(f"http://127.0.0.1:{closed_port}/") as upstream:
        exchange = await post(upstream)
    assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.CONNECT_REFUSED)
    assert exchange.reason is Reason.UPSTREAM_UNREACHABLE
    assert exchange.second_try
    assert 0 < exchange.connect_s == exchange.total_s < 1


async def test_a_legacy_that_comes_up_between_the_two_tries_gets_the_lead_once(closed_port: int) -> None:
    async with AsyncExitStack() as stack:
        started: list[ScriptedUpstream] = []

        async def start(asked: int) -> None:
            if asked == 2:
                started.append(await stack.enter_async_context(ScriptedUpstream(answering(OK), port=closed_port)))

        names = Names("127.0.0.1", before=start)
        async with open_edge(NAME.format(port=closed_port), lookup=names) as upstream:
            exchange = await post(upstream)
        assert (exchange.delivery, exchange.second_try) == (Delivery.ANSWERED, True)
        assert started[0].requests == len(started[0].arrivals) == 1


@pytest.mark.parametrize("spoke", [b"220 mail.example.com ESMTP\r\n", b""], ids=["greeted", "closed"])
async def test_a_connection_that_is_spoken_on_or_closed_before_the_write_costs_nothing_but_a_second_try(
    spoke: bytes,
) -> None:
    ready = threading.Event()
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        first, _ = listener.accept()
        first.settimeout(5)
        if spoke:
            first.sendall(spoke)
        else:
            first.shutdown(socket.SHUT_WR)
        ready.set()
        with suppress(OSError):
            seen.append(first.recv(65536))
        second, _ = listener.accept()
        second.settimeout(5)
        seen.append(second.recv(65536))
        second.sendall(OK)
        first.close()
        second.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        async with open_edge(f"http://127.0.0.1:{listener.getsockname()[1]}/") as upstream:
            sending = asyncio.ensure_future(post(upstream))
            await asyncio.sleep(0)
            # The loop stands still, so that the kernel knows of it before the loop can write.
            assert ready.wait(5)
            exchange = await sending
        await asyncio.to_thread(thread.join)
    assert (exchange.delivery, exchange.second_try) == (Delivery.ANSWERED, True)
    assert seen[0] == b""
    assert seen[1].startswith(b"POST / ")


async def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    names = Names()
    async with open_edge(NAME.format(port=80), lookup=names) as upstream:
        exchange = await post(upstream)
    assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.NAME_UNRESOLVED)
    assert not exchange.second_try


async def test_the_systems_resolver_says_that_a_name_which_cannot_exist_does_not() -> None:
    async with open_edge(f"http://{'x' * 64}.invalid:1/") as upstream:
        exchange = await post(upstream)
    assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.NAME_UNRESOLVED)


async def test_localhost_is_resolved_by_the_system() -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(f"http://localhost:{legacy.port}/") as upstream:
        assert (await post(upstream)).delivery is Delivery.ANSWERED
    assert ("host", f"localhost:{legacy.port}") in legacy.arrivals[0].headers


async def test_a_resolver_that_says_nothing_ends_with_the_connect_timeout() -> None:
    async def never(_: int) -> None:
        await asyncio.Event().wait()

    times = {"connect": "200ms"}
    async with open_edge(NAME.format(port=80), lookup=Names("127.0.0.1", before=never), timeouts=times) as upstream:
        exchanges = await asyncio.gather(post(upstream), post(upstream))
    assert {(one.delivery, one.failure) for one in exchanges} == {(Delivery.NOT_SENT, Failure.CONNECT_TIMEOUT)}


async def test_a_name_is_asked_for_once_for_all_who_wait_and_again_when_nobody_answered(closed_port: int) -> None:
    names = Names("127.0.0.1")
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        open_edge(NAME.format(port=legacy.port), lookup=names) as upstream,
    ):
        await asyncio.gather(*(post(upstream) for _ in range(10)))
        await post(upstream)
        assert names.asked == 1
    names = Names("127.0.0.1")
    async with open_edge(NAME.format(port=closed_port), lookup=names) as upstream:
        await post(upstream)
    assert names.asked == 2


async def test_a_caller_that_leaves_while_a_name_is_asked_for_does_not_stop_the_question_of_the_others() -> None:
    release = asyncio.Event()

    async def wait(_: int) -> None:
        await release.wait()

    names = Names("127.0.0.1", before=wait)
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        open_edge(NAME.format(port=legacy.port), lookup=names) as upstream,
    ):
        first, second = (asyncio.ensure_future(post(upstream)) for _ in range(2))
        await turns()
        first.cancel()
        await turns()
        release.set()
        assert (await second).delivery is Delivery.ANSWERED
        assert first.cancelled()
    assert names.asked == 1


async def test_an_address_that_refuses_gives_way_to_the_next() -> None:
    names = Names("127.0.0.3", "127.0.0.2", "127.0.0.1")
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        open_edge(NAME.format(port=legacy.port), lookup=names) as upstream,
    ):
        exchange = await post(upstream)
    assert (exchange.delivery, exchange.second_try) == (Delivery.ANSWERED, False)
    assert legacy.requests == 1


async def test_an_address_that_swallows_packets_uses_only_its_share_of_the_time() -> None:
    async with ScriptedUpstream(answering(OK)) as legacy:
        with Silent("127.0.0.2", legacy.port):
            names = Names("127.0.0.2", "127.0.0.1")
            times = {"connect": "600ms"}
            async with open_edge(NAME.format(port=legacy.port), lookup=names, timeouts=times) as upstream:
                exchange = await post(upstream)
    assert exchange.delivery is Delivery.ANSWERED
    assert 0.25 < exchange.connect_s < 0.55


@needs_v6
@pytest.mark.parametrize("listening", ["127.0.0.1", "::1"])
async def test_whichever_family_is_not_served_gives_way_to_the_other(listening: str) -> None:
    names = Names("::1", "127.0.0.1")
    async with (
        ScriptedUpstream(answering(OK), host=listening) as legacy,
        open_edge(NAME.format(port=legacy.port), lookup=names) as upstream,
    ):
        assert (await post(upstream)).delivery is Delivery.ANSWERED
    assert legacy.requests == 1


@needs_v6
async def test_an_ipv6_address_in_the_url_is_connected_to_and_named_in_brackets() -> None:
    async with ScriptedUpstream(answering(OK), host="::1") as legacy, open_edge(legacy.url) as upstream:
        assert (await post(upstream)).delivery is Delivery.ANSWERED
    assert ("host", f"[::1]:{legacy.port}") in legacy.arrivals[0].headers


async def test_a_legacy_that_swallows_packets_is_not_sent_when_the_connect_timeout_is_over() -> None:
    with Silent("127.0.0.1") as silent:
        async with open_edge(f"http://127.0.0.1:{silent.port}/", timeouts={"connect": "200ms"}) as upstream:
            exchange = await post(upstream)
    assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.CONNECT_TIMEOUT)
    assert 0.15 < exchange.connect_s < 1
    assert not exchange.second_try


async def test_the_deadline_ends_connecting_too() -> None:
    with Silent("127.0.0.1") as silent:
        async with open_edge(f"http://127.0.0.1:{silent.port}/") as upstream:
            exchange = await post(upstream, within=0.2)
    assert exchange.delivery is Delivery.NOT_SENT
    assert 0.15 < exchange.total_s < 1


async def test_a_caller_cancelled_while_connecting_sends_nothing_and_frees_its_slot() -> None:
    with Silent("127.0.0.1") as silent:
        async with open_edge(f"http://127.0.0.1:{silent.port}/", max_in_flight=1) as upstream:
            sending = asyncio.ensure_future(post(upstream))
            await asyncio.sleep(0)
            assert upstream.in_flight == 1
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert upstream.in_flight == 0


@pytest.mark.parametrize("when", ["in the step of the connection", "one step later"])
async def test_a_caller_cancelled_as_the_connection_is_made_sends_nothing_and_leaves_no_connection(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(legacy.url) as upstream:
        sending = asyncio.ensure_future(post(upstream))
        opened = upstream.opened

        def open_and_cancel(connection: Connection) -> None:
            opened(connection)
            if when == "one step later":
                upstream.loop.call_soon(sending.cancel)
            else:
                sending.cancel()

        monkeypatch.setattr(upstream, "opened", open_and_cancel)
        with pytest.raises(asyncio.CancelledError):
            await sending
        await legacy.until(lambda: legacy.ended == 1)
        assert (upstream.connections, upstream.in_flight) == (0, 0)
    assert legacy.touched == 0


async def test_closing_ends_leads_that_are_still_connecting_without_sending_them() -> None:
    with Silent("127.0.0.1") as silent:
        async with open_edge(f"http://127.0.0.1:{silent.port}/") as upstream:
            sending = asyncio.ensure_future(post(upstream))
            await asyncio.sleep(0)
            async with asyncio.timeout(0.5):
                await upstream.close()
                exchange = await sending
    assert (exchange.delivery, exchange.failure) == (Delivery.NOT_SENT, Failure.CANCELLED)
    assert exchange.reason is Reason.DRAINING


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([], ()),
        ([(V4, "a"), (V4, "b")], ("a", "b")),
        ([(V6, "A"), (V6, "B"), (V4, "a")], ("A", "a", "B")),
        ([(V4, "a"), (V6, "A"), (V6, "B")], ("a", "A", "B")),
        ([(V4, "a"), (V4, "a"), (V6, "A")], ("a", "A")),
        ([(V4, str(number)) for number in range(20)], tuple("012345")),
    ],
)
def test_families_take_turns_and_the_resolvers_first_choice_stays_first(
    found: list[tuple[int, str]], order: tuple[str, ...]
) -> None:
    assert _in_turn(found) == order


async def test_reachability_is_told_without_sending_anything(closed_port: int) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, open_edge(legacy.url) as upstream:
        assert await upstream.reachable() == ""
        await legacy.until(lambda: legacy.ended == 1)
    assert legacy.touched == 0
    async with open_edge(f"http://127.0.0.1:{closed_port}/") as upstream:
        assert await upstream.reachable() == "connect_refused"
    with Silent("127.0.0.1") as silent:
        async with open_edge(f"http://127.0.0.1:{silent.port}/", timeouts={"connect": "200ms"}) as upstream:
            assert await upstream.reachable() == "connect_timeout"
