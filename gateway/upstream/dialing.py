"""From a configured host to a connection on which nothing has been written yet.

Decides where to connect, in which order, and what a failure to do so is called. Nothing here writes a byte of a
lead, so all of it may be tried again. Names are looked up anew every ten seconds at most, and at once after no
address answered; both families count, and each address gets its share of the time that is left, so that one
that swallows packets cannot use up the time of the others.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, Protocol

from gateway.upstream.connection import Connection
from gateway.upstream.values import Failure

_TTL_S = 10.0
_MOST_ADDRESSES = 6
_TLS_SHUTDOWN_S = 1.0  # for the other side's closing alert, once ours is out


class Lookup(Protocol):
    """The resolver: asked like `loop.getaddrinfo`, which it is unless a test stands in for it."""

    async def __call__(
        self, host: str, port: int, *, type: int = 0, proto: int = 0
    ) -> list[tuple[Any, Any, int, str, Any]]:
        """Rows as `socket.getaddrinfo` gives them. Raises OSError."""


class Addresses:
    """The addresses of one host."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int, lookup: Lookup) -> None:
        self._loop = loop
        self._ask = lookup
        self._host = host
        self._port = port
        self._known: tuple[str, ...] = ()
        self._until = 0.0
        self._lookup: asyncio.Task[tuple[str, ...]] | None = None
        if _is_address(host):
            self._known, self._until = (host,), float("inf")

    async def find(self) -> tuple[str, ...]:
        """IP addresses in the order to try, families in turn; none when the name does not resolve."""
        if self._loop.time() < self._until:
            return self._known
        if self._lookup is None:
            # One look-up for all who wait; whoever of them is cancelled does not stop it.
            self._lookup = self._loop.create_task(self._resolve(), name=f"look-up of {self._host}")
        return await asyncio.shield(self._lookup)

    def forget(self) -> None:
        """None of them could be reached: the next `find` asks anew."""
        if not _is_address(self._host):
            self._until = 0.0

    async def close(self) -> None:
        """Stop a look-up that is under way."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait([self._lookup])

    async def _resolve(self) -> tuple[str, ...]:
        try:
            found = await self._ask(self._host, self._port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):  # UnicodeError: a label that IDNA refuses
            return ()
        finally:
            self._lookup = None
        self._known = _in_turn([(family, str(address[0])) for family, _, _, _, address in found])
        self._until = self._loop.time() + _TTL_S
        return self._known


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _in_turn(found: list[tuple[int, str]]) -> tuple[str, ...]:
    """Each address once, the families alternating, the resolver's first one first (RFC 8305 section 4)."""
    first = [address for family, address in found if family == found[0][0]]
    others = [address for family, address in found if family != found[0][0]]
    mixed = chain.from_iterable(zip_longest(first, others))
    return tuple(dict.fromkeys(address for address in mixed if address is not None))[:_MOST_ADDRESSES]


class Dialer:
    """Connects to one upstream."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connection: Callable[[], Connection],
        lookup: Lookup,
    ) -> None:
        """connection: makes the protocol of a new connection."""
        self._loop = loop
        self._port = port
        self._tls = tls
        self._host = host
        self._connection = connection
        self._addresses = Addresses(loop, host, port, lookup)

    async def dial(self, by: float) -> Connection | Failure:
        """A connection that may be written on now, or why there is none.

        by: loop time; the caller stops us then (TimeoutError passes through). An address that times out on its
        own share gives way to the next.
        """
        addresses = await self._addresses.find()
        if not addresses:
            return Failure.NAME_UNRESOLVED
        found: Connection | Failure = Failure.CONNECT_FAILED
        for tried, address in enumerate(addresses):
            left = len(addresses) - tried
            found = await self._one(address, None if left == 1 else (by - self._loop.time()) / left)
            if isinstance(found, Connection):
                return found
        self._addresses.forget()
        return found

    async def close(self) -> None:
        """Stop what runs on its own: a look-up."""
        await self._addresses.close()

    async def _one(self, address: str, share_s: float | None) -> Connection | Failure:
        connection = self._connection()
        ready = False
        try:
            async with asyncio.timeout(share_s):
                await self._open(connection, address)
            ready = connection.usable(peek=self._tls is None)
            return connection if ready else Failure.CONNECTION_UNUSABLE
        except ssl.SSLError:
            return Failure.TLS_FAILED
        except TimeoutError:
            # Also ETIMEDOUT from the kernel. Our caller's own limit arrives as CancelledError.
            return Failure.CONNECT_TIMEOUT
        except ConnectionRefusedError:
            return Failure.CONNECT_REFUSED
        except ConnectionError:
            # The peer went away: with TLS, in its handshake.
            return Failure.CONNECT_FAILED if self._tls is None else Failure.TLS_FAILED
        except OSError:
            return Failure.CONNECT_FAILED
        finally:
            if not ready:
                connection.forsake()

    async def _open(self, connection: Connection, address: str) -> None:
        if self._tls is None:
            await self._loop.create_connection(lambda: connection, address, self._port)
        else:
            await self._loop.create_connection(
                lambda: connection,
                address,
                self._port,
                ssl=self._tls,
                server_hostname=self._host,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
