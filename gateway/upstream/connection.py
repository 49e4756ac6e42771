"""One connection to the legacy endpoint and the lead that is on it.

Decides when an exchange is over and what its delivery is. Connecting, the number of leads at once and the pool of
idle connections are the service's (`service`), bytes to answer the reader's (`reading`).

The state of an exchange lives here and in `Run`, not in the caller's coroutine: a caller that is cancelled
stops nothing, and what comes back then goes where late answers go. No task is needed for either.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from time import monotonic
from typing import Protocol, cast

from gateway.answers import LegacyAnswer
from gateway.datapost.reasons import Delivery
from gateway.upstream.reading import AnswerReader
from gateway.upstream.values import Exchange, Failure

#: Called once for a lead that is read on for, and for one whose caller was cancelled when its answer came: with the
#: answer (None: reading on was given up, at a stop, for want of room, in time, or since the connection ended without
#: one) and the seconds from the write to then.
OnLate = Callable[[LegacyAnswer | None, float], None]

# An answer may come before the lead is written whole; what is still buffered gets this long to leave.
_LINGER_S = 2.0


class Run:
    """One lead on its way: what it waits for, until when, and who is told."""

    __slots__ = (
        "armed",
        "connect_s",
        "first_byte",
        "late",
        "limit",
        "on_late",
        "overdue",
        "reader",
        "reused",
        "second_try",
        "started",
        "timer",
        "waiter",
        "written",
    )

    def __init__(
        self,
        waiter: asyncio.Future[Exchange],
        reader: AnswerReader,
        started: float,
        limit: float,
        overdue: Failure,
        on_late: OnLate | None,
    ) -> None:
        """started: monotonic seconds. limit: loop time by which all must be over, or `overdue` is why it failed."""
        self.waiter = waiter
        self.reader = reader
        self.started = started
        self.limit = limit
        self.overdue = overdue
        self.on_late = on_late
        self.connect_s = 0.0
        self.second_try = False
        self.reused = False
        self.written = 0.0
        self.first_byte: float | None = None
        self.timer: asyncio.TimerHandle | None = None
        #: What it means when the timer fires.
        self.armed = overdue
        #: The caller has its outcome (unknown); whatever is read now is for `on_late`.
        self.late = False

    def exchange(self, failure: Failure | None) -> Exchange:
        """The value for the caller, as of now: the reader's answer (failure None), or why there is none."""
        reader, first_byte = self.reader, self.first_byte
        return Exchange(
            Delivery.ANSWERED if failure is None else Delivery.SENT,
            reader.answer if failure is None else None,
            failure,
            self.connect_s,
            None if first_byte is None else first_byte - self.written,
            monotonic() - self.started,
            self.second_try,
            self.reused,
            reader.seen,
        )


class Owner(Protocol):
    """What a connection tells the service that made it."""

    loop: asyncio.AbstractEventLoop
    first_byte_s: float
    late_answer_s: float

    def opened(self, connection: Connection) -> None:
        """It is connected."""

    def lost(self, connection: Connection) -> None:
        """It is gone: the last thing it tells."""

    def settled(self) -> None:
        """A lead on it has its outcome; called once for each that was sent."""

    def late(self, connection: Connection) -> None:
        """It reads on for a lead that has its outcome."""

    def idle(self, connection: Connection) -> bool:
        """It could carry another lead; whether it is to stay open for one."""


class Connection(asyncio.Protocol):
    """Carries one lead at a time. Any byte or end while none is on it makes it unusable."""

    __slots__ = ("_owner", "_poll", "_run", "_spoiled", "_transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._run: Run | None = None
        self._poll: select.poll | None = None
        self._spoiled = False

    # --- for the service -------------------------------------------------------------------------

    def usable(self, *, peek: bool) -> bool:
        """Whether a lead may be written on it.

        peek: ask the kernel too, for bytes or an end that the loop has not delivered yet. Not on a new TLS
        connection, where session tickets stand unread.
        """
        transport = self._transport
        if self._spoiled or transport is None or transport.is_closing():
            return False
        if not peek:
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def send(self, request: bytes, run: Run) -> None:
        """Write the lead: the point of no return. Must be `usable()` in the same step of the loop."""
        owner, transport = self._owner, self._transport
        if transport is None:
            raise RuntimeError("a lead was put on a connection that is gone")
        self._run = run
        transport.write(request)
        run.written = monotonic()
        first = owner.loop.time() + owner.first_byte_s
        if first < run.limit:
            run.armed = Failure.FIRST_BYTE_TIMEOUT
            run.timer = owner.loop.call_at(first, self._on_timer)
        else:
            run.timer = owner.loop.call_at(run.limit, self._on_timer)

    def close(self) -> None:
        """Close in order; what is still unwritten gets a moment to leave."""
        self._spoiled = True
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if transport.get_write_buffer_size():
                self._owner.loop.call_later(_LINGER_S, transport.abort)
            transport.close()

    def cut(self) -> None:
        """Close at once; a lead that is on it ends as cancelled."""
        self._spoiled = True
        if self._run is not None:
            self._finish(self._run, Failure.CANCELLED)
        elif self._transport is not None:
            self._transport.abort()

    def forsake(self) -> None:
        """Close before a lead was on it. The loop tells nothing of a connection whose making was cancelled."""
        self.cut()
        self._owner.lost(self)

    # --- from the loop ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do all that asyncio.Transport promises, without being one.
        self._transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        run = self._run
        if run is None:
            # Nobody asked: it must never be taken for the answer to the next lead.
            self.cut()
            return
        if run.first_byte is None:
            run.first_byte = monotonic()
        if run.reader.feed(data):
            self._finish(run, run.reader.failure)

    def eof_received(self) -> None:
        # A clean end: FIN on plain TCP; over TLS uvloop calls this for the closing alert only. It closes the transport
        # as soon as we return, so that nothing can be written any more.
        run = self._run
        if run is not None:
            run.reader.end()
            self._finish(run, run.reader.failure)

    def connection_lost(self, exc: Exception | None) -> None:
        self._spoiled = True
        self._transport = None
        self._poll = None
        run = self._run
        if run is not None:
            run.reader.cut(reset=exc is not None)
            self._finish(run, run.reader.failure)
        self._owner.lost(self)

    def _on_timer(self) -> None:
        run, owner = self._run, self._owner
        if run is None:
            return
        run.timer = None
        if run.late:
            self._finish(run, Failure.TOTAL_TIMEOUT)
        elif run.armed is Failure.FIRST_BYTE_TIMEOUT and run.first_byte is not None:
            run.armed = run.overdue
            run.timer = owner.loop.call_at(run.limit, self._on_timer)
        elif run.on_late is None or not owner.late_answer_s:
            self._finish(run, run.armed)
        else:
            # The caller learns now that the outcome is unknown; the legacy may still tell us.
            run.late = True
            run.timer = owner.loop.call_later(owner.late_answer_s, self._on_timer)
            self._tell(run, run.exchange(run.armed))
            owner.late(self)

    # --- the end of an exchange ------------------------------------------------------------------

    def _finish(self, run: Run, failure: Failure | None) -> None:
        """The exchange is over: with the reader's answer (failure None), or without one."""
        self._run = None
        if run.timer is not None:
            run.timer.cancel()
        reader = run.reader
        self._let_go(keep=failure is None and reader.reusable and not run.late, at_once=failure is not None)
        if not run.late:
            self._tell(run, run.exchange(failure))
        elif run.on_late is not None:
            answer = reader.answer if failure is None else None
            self._owner.loop.call_soon(run.on_late, answer, monotonic() - run.written)

    def _let_go(self, *, keep: bool, at_once: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        if at_once:
            self._spoiled = True
            transport.abort()
        # Answered before it was written whole: the rest must not stand before the next lead.
        elif not keep or self._spoiled or transport.get_write_buffer_size() or not self._owner.idle(self):
            self.close()

    def _tell(self, run: Run, exchange: Exchange) -> None:
        self._owner.settled()
        if not run.waiter.done():
            run.waiter.set_result(exchange)
        elif exchange.answer is not None and run.on_late is not None:
            # The caller was cancelled after the lead had gone out; its answer is not lost for that.
            self._owner.loop.call_soon(run.on_late, exchange.answer, monotonic() - run.written)
