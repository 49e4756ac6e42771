"""What the edge and the pipeline hand to each other: a request, what could not be read of it, a reply.

A `Request` exists only for a head that was judged sound; its body is read when somebody asks for it, so that
nothing is spent on (or promised to) a stranger before the checks that come first have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol

from multidict import CIMultiDictProxy

from gateway.datapost.reasons import Reason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a request, or its body, cannot be read. text: a few fixed English words, nothing of the input."""

    reason: Reason
    text: str


class Reply(NamedTuple):
    """An answer before it becomes bytes. Framing, Date and Connection are the edge's.

    headers: further fields, ASCII. close: end the connection after this answer, whatever the client asked for.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    close: bool = False
    content_type: str = "application/json; charset=utf-8"


class Source(Protocol):
    """The connection, as far as a request needs it. gone: it is lost."""

    gone: bool

    async def gather(self, until: float) -> bytes | Unreadable:
        """The current request's body, waited for no longer than `until` (loop time)."""


class Request:
    """One request whose head was judged sound.

    method: upper case. path: the target before its first `?`, exactly as sent (`*` for `OPTIONS *`); query: what
    follows it. version: (1, 0) or (1, 1). headers: names without case, text is always ASCII: other octets are left
    out; raw_headers has the octets as sent. peer: address of the TCP peer. received: `loop.time()` of its first
    byte, or of its turn when it came while another was worked on. whole: the body when it came with the head, as it
    mostly does; None: ask for it by `body`.
    """

    __slots__ = (
        "_body",
        "_source",
        "headers",
        "keep",
        "method",
        "path",
        "peer",
        "query",
        "raw_headers",
        "received",
        "version",
        "whole",
    )

    def __init__(
        self,
        source: Source,
        method: str,
        target: str,
        version: tuple[int, int],
        headers: CIMultiDictProxy[str],
        raw_headers: tuple[tuple[bytes, bytes], ...],
        peer: str,
        received: float,
        keep: bool,
        body: bytes | None,
    ) -> None:
        self._source = source
        self.whole = body
        self._body: bytes | Unreadable | None = body  # None: not read yet
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.version = version
        self.headers = headers
        self.raw_headers = raw_headers
        self.peer = peer
        self.received = received
        self.keep = keep  # the client would like to send more on this connection

    async def body(self, until: float = inf) -> bytes | Unreadable:
        """The whole body, without chunked framing; empty when none was announced.

        The first call invites it (`Expect: 100-continue`, RFC 9110 section 10.1.1) when it is not there yet, and
        waits at most `limits.body_time`, and not beyond `until` (loop time). The unread rest of an unreadable body
        ends the connection after the reply.
        """
        if self._body is None:
            self._body = await self._source.gather(until)
        return self._body

    @property
    def gone(self) -> bool:
        """Whether the partner's connection is lost. One that only stopped sending still waits for its answer."""
        return self._source.gone

    def __repr__(self) -> str:
        return f"<Request {self.method}>"


class Handler(Protocol):
    """What answers requests. One call a request; its coroutine runs on when the partner leaves."""

    async def __call__(self, request: Request) -> Reply:
        """The answer to one request."""

    def refuse(self, reason: Reason, peer: str, received: float, detail: str) -> Reply:
        """The answer where no request came to be (framing), or where the handler failed (`internal`).

        detail: a few fixed English words, nothing of the input; empty for `internal`.
        """
