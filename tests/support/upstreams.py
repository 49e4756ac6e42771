"""A legacy endpoint that misbehaves on command, and remembers all that reached it.

A script is a coroutine function that is given the `Peer` of one accepted connection and plays the server's part on
it, byte by byte if need be. The n-th connection plays the n-th script, the last script repeats. Every script is
bounded in time, and what arrived is kept whatever happens to it:

    async with ScriptedUpstream(answering(OK)) as legacy:
        ...  # post to legacy.url
    assert legacy.requests == 1

Runs in the test's event loop on raw sockets, so that a FIN, a reset and a TLS alert are each exactly that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

LIMIT_S = 10.0  # for one connection

Cut = Literal["fin", "reset", "stall"]


class Gone(Exception):
    """The other side has closed or reset the connection."""


class Arrival:
    """What one connection brought."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def head(self) -> bytes:
        """Request line and headers, without the blank line; empty while incomplete."""
        head, blank, _ = bytes(self.data).partition(b"\r\n\r\n")
        return head if blank else b""

    @property
    def body(self) -> bytes:
        """What followed the blank line."""
        return bytes(self.data).partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Lower-case names and values in order."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [(name.decode().lower(), value.strip().decode("latin-1")) for name, _, value in lines]

    @property
    def complete(self) -> bool:
        """Whether at least one whole request is there."""
        length = dict(self.headers).get("content-length", "0")
        return bool(self.head) and len(self.body) >= int(length)


class Peer:
    """One accepted connection, from the server's side."""

    def __init__(
        self, sock: socket.socket, tls: ssl.SSLContext | None, arrival: Arrival, changed: Callable[[], None]
    ) -> None:
        self._sock = sock
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._in, self._out, server_side=True) if tls is not None else None
        self.arrival = arrival

    async def handshake(self) -> None:
        """Play the server's part of TLS; nothing on plain TCP. Raises `Gone` when the client turns away."""
        while self._tls is not None:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._pull()
            except ssl.SSLError as error:
                raise Gone from error
            else:
                await self._flush()
                return

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes of the request."""
        while len(self._unread) < count:
            self._unread += await self._some()
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    async def request(self) -> bytes:
        """One whole request: head, and the body that Content-Length announces."""
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            self._unread += await self._some()
        head = await self.read(end + 4)
        length = next(
            (line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")),
            b"0",
        )
        return head + await self.read(int(length))

    async def send(self, *segments: bytes) -> None:
        """Each as a segment of its own, with a few turns of the loop between them."""
        for number, segment in enumerate(segments):
            if number:
                await turns()
            if self._tls is not None:
                self._tls.write(segment)
                await self._flush()
            else:
                await self._raw(segment)

    def send_now(self, data: bytes) -> None:
        """Hand it to the kernel without giving the loop a turn: what was sent is there, and nobody has been told."""
        assert self._sock.send(data) == len(data)

    def fin_now(self) -> None:
        """The same for the end of our half."""
        self._shutdown()

    async def drip(self, data: bytes, *, every_s: float = 0.0) -> None:
        """Byte by byte, at once or so many seconds apart."""
        for at in range(len(data)):
            await self.send(data[at : at + 1])
            await (asyncio.sleep(every_s) if every_s else turns())

    async def flood(self, data: bytes, most: int = 64 * 1024 * 1024) -> None:
        """The same again and again, until the other side goes or `most` bytes are out."""
        for _ in range(0, most, len(data)):
            await self.send(data)

    async def fin(self) -> None:
        """End our half in order (over TLS with its closing alert), then wait for the other one."""
        if self._tls is not None:
            await self.alert()
        self._shutdown()
        await self.stall()

    async def alert(self) -> None:
        """Say over TLS that nothing more will come, and leave TCP as it is."""
        assert self._tls is not None
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()

    async def fin_without_alert(self) -> None:
        """End TCP under TLS, as an attacker on the way could."""
        self._shutdown()
        with suppress(OSError):
            while await self._loop.sock_recv(self._sock, 65536):
                pass

    async def reset(self) -> None:
        """Tear the connection down with a RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    async def stall(self) -> None:
        """Say nothing more and read, until the other side goes."""
        with suppress(Gone):
            while True:
                await self._some()

    async def deaf(self) -> None:
        """Neither say nor read anything, until the test is over."""
        await asyncio.Event().wait()

    async def end(self, how: Cut) -> None:
        """One of the three ways in which a server leaves."""
        await {"fin": self.fin, "reset": self.reset, "stall": self.stall}[how]()

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def _shutdown(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone from error

    async def _some(self) -> bytes:
        if self._tls is None:
            data = await self._recv()
        else:
            while True:
                try:
                    data = self._tls.read(65536)
                    break
                except ssl.SSLWantReadError:
                    await self._pull()
                except ssl.SSLError as error:
                    raise Gone from error
            if not data:
                raise Gone
        self.arrival.data += data
        self._changed()
        return data

    async def _pull(self) -> None:
        self._in.write(await self._recv())

    async def _recv(self) -> bytes:
        try:
            data = await self._loop.sock_recv(self._sock, 65536)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        return data

    async def _flush(self) -> None:
        while self._out.pending:
            await self._raw(self._out.read())

    async def _raw(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            raise Gone from error


Script = Callable[[Peer], Awaitable[None]]


async def turns(count: int = 4) -> None:
    """Let everything else in the loop run so many times: what was sent has then been received."""
    for _ in range(count):
        await asyncio.sleep(0)


class ScriptedUpstream:
    """Listens on a free port of `host` and plays scripts. An asynchronous context manager."""

    def __init__(
        self,
        *scripts: Script,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        path: str = "/legacy",
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._path = path
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=4096)
        self._listener.setblocking(False)
        self._tasks: list[asyncio.Task[None]] = []  # ended ones too: what they raised is raised at the end
        self._accepting: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        #: One for each accepted connection, in order.
        self.arrivals: list[Arrival] = []
        #: Connections whose script has ended.
        self.ended = 0

    @property
    def url(self) -> str:
        """Where to post to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}{self._path}"

    @property
    def touched(self) -> int:
        """Connections on which at least one byte of a request came."""
        return sum(bool(arrival.data) for arrival in self.arrivals)

    @property
    def requests(self) -> int:
        """Connections on which at least one whole request came."""
        return sum(arrival.complete for arrival in self.arrivals)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something about arrivals to become true; raises TimeoutError when it does not."""
        if not condition():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((condition, future))
            async with asyncio.timeout(LIMIT_S):
                await future

    def _changed(self) -> None:
        for condition, future in self._waiting:
            if not future.done() and condition():
                future.set_result(None)

    async def __aenter__(self) -> Self:
        self._accepting = asyncio.get_running_loop().create_task(self._accept(), name="scripted upstream")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = [task for task in (self._accepting, *self._tasks) if task is not None]
        for task in running:
            task.cancel()
        results = await asyncio.gather(*running, return_exceptions=True)
        self._listener.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self._scripts[min(len(self.arrivals), len(self._scripts) - 1)]
            arrival = Arrival()
            self.arrivals.append(arrival)
            self._changed()
            peer = Peer(sock, self._tls, arrival, self._changed)
            task = loop.create_task(self._play(script, peer), name="scripted connection")
            self._tasks.append(task)

    async def _play(self, script: Script, peer: Peer) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                with suppress(Gone):
                    await peer.handshake()
                    await script(peer)
        finally:
            peer.close()
            self.ended += 1
            self._changed()


# --- scripts ---------------------------------------------------------------------------------------


def message(body: bytes = b"OK|98|10.00|177", *lines: str, status: str = "200 OK") -> bytes:
    """A whole answer with Content-Length; `lines` are further headers."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", "Content-Type: text/plain", *lines))
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, status: str = "200 OK") -> bytes:
    """A whole chunked answer."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (status.encode(), body)


OK = message()


def answering(*segments: bytes, then: Cut = "stall") -> Script:
    """Read a whole request, answer in these segments, then leave in this way."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(*segments)
        await peer.end(then)

    return play


def serving(answer: bytes) -> Script:
    """Answer every request on the connection, as a server with keep-alive does."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return play


def cutting_request(after: int, how: Cut) -> Script:
    """Read so many bytes of the request, then leave in this way."""

    async def play(peer: Peer) -> None:
        await peer.read(after)
        await peer.end(how)

    return play


def cutting_answer(answer: bytes, after: int, how: Cut) -> Script:
    """Read a whole request, send so many bytes of the answer, then leave in this way."""

    async def play(peer: Peer) -> None:
        await peer.request()
        if after:
            await peer.send(answer[:after])
            await turns()
        await peer.end(how)

    return play


def dripping(answer: bytes) -> Script:
    """Read a whole request, then answer byte by byte."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.drip(answer)
        await peer.stall()

    return play


def flooding(opening: bytes, more: bytes) -> Script:
    """Read a whole request, begin an answer, and never stop."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(opening)
        await peer.flood(more)

    return play
