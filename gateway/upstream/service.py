"""The legacy edge as the rest of the gateway sees it: hand over a lead, get back how far it got.

Decides who may go (`max_in_flight`, refused at once, no queue), on which connection, and what may be tried
again. The way of one lead is `Upstream.exchange`, top to bottom.

A second try happens when no byte was written, once, inside the connect timeout: after a refused or broken
connection, with a short pause so that a legacy that is being restarted can come up.

Leads whose answer is late do not count against `max_in_flight`: a legacy that loses one answer in twenty would
soon refuse the other nineteen. They have the same bound of their own, and beyond it the oldest is given up. So a
stuck legacy holds at most twice `max_in_flight` connections.

Re-use (`keep_alive`) is opt-in and has a limit that no guard removes. Whatever arrives on an idle connection,
up to the last look at the kernel's buffer, closes it; but a legacy that writes a second answer at the moment
the next lead goes out hands it to that lead. One connection a lead (`keep_alive: 0s`) has no such moment.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import uniform
from time import monotonic

from gateway.upstream.attempts import Circuit, OnChange
from gateway.upstream.connection import Connection, OnLate, Run
from gateway.upstream.dialing import Dialer, Lookup
from gateway.upstream.head import Forward
from gateway.upstream.plan import UpstreamPlan
from gateway.upstream.reading import AnswerReader, Unpaced
from gateway.upstream.values import Exchange, Failure, unsent

# What may be gone a moment later. A name, a certificate or a timeout does not mend itself in 0.1 s.
_PASSING = frozenset({Failure.CONNECT_REFUSED, Failure.CONNECT_FAILED, Failure.CONNECTION_UNUSABLE})
_PAUSE_S = (0.02, 0.1)
_GONE_S = 1.0  # for the loop to tell of connections that were cut


class Upstream:
    """One legacy endpoint, running. Made inside the event loop that it will live in; ended by `close`."""

    def __init__(self, plan: UpstreamPlan, *, lookup: Lookup | None = None, on_circuit: OnChange | None = None) -> None:
        """lookup: stands in for the loop's resolver. on_circuit: told when the circuit changes its state."""
        self._plan = plan
        #: Asked by the caller before `exchange`, and told by it what came of it: reading is not done here.
        self.circuit = Circuit(plan, on_change=on_circuit)
        self.loop = asyncio.get_running_loop()
        self.first_byte_s = plan.first_byte_s
        self.late_answer_s = plan.late_answer_s
        #: Leads that are between the check for a slot and their outcome.
        self.in_flight = 0
        self._unpaced = Unpaced(self.loop)
        self._dialer = Dialer(
            self.loop, plan.host, plan.port, plan.tls, lambda: Connection(self), lookup or self.loop.getaddrinfo
        )
        self._dialing: set[asyncio.Timeout] = set()
        self._open: set[Connection] = set()
        self._late: dict[Connection, None] = {}  # oldest first
        self._idle: dict[Connection, float] = {}  # longest idle first; since when, loop time
        self._sweep: asyncio.TimerHandle | None = None
        self._closing = self._cutting = False
        self._watcher: asyncio.Future[None] | None = None

    @property
    def free(self) -> bool:
        """Whether a lead could go now: neither `max_in_flight` are there nor is it being closed."""
        return self.in_flight < self._plan.max_in_flight and not self._closing

    @property
    def late_answers(self) -> int:
        """Leads whose outcome is unknown so far and whose answer is still waited for."""
        return len(self._late)

    @property
    def connections(self) -> int:
        """Open ones, idle and late ones among them."""
        return len(self._open)

    async def exchange(
        self, forward: Forward, body: bytes, *, deadline: float, on_late: OnLate | None = None
    ) -> Exchange:
        """Post one lead, at most once, and read its answer. Returns for all that the legacy may do.

        deadline: loop time; the plan's timeouts end it earlier. on_late: told the answer when it comes after the
        outcome (`late_answer`), or None when it is not waited for any longer; and told the answer that comes after
        this call was cancelled: a lead that has gone out is not stopped, one that has not never goes.
        """
        if self._closing:
            return unsent(Failure.SHUTTING_DOWN)
        plan = self._plan
        if self.in_flight >= plan.max_in_flight:
            return unsent(Failure.NO_SLOT)
        started, now = monotonic(), self.loop.time()
        if deadline <= now:
            return unsent(Failure.DEADLINE)
        request = plan.head(forward, len(body)) + body
        limit, overdue = now + plan.total_s, Failure.TOTAL_TIMEOUT
        if deadline < limit:
            limit, overdue = deadline, Failure.DEADLINE
        reader = AnswerReader(plan.max_answer, self._unpaced, self.loop)
        run = Run(self.loop.create_future(), reader, started, limit, overdue, on_late)

        self.in_flight += 1
        connection = self._take() if self._idle else None
        if connection is not None:
            run.reused = True
        else:
            found: Connection | Failure = Failure.CANCELLED
            try:
                found = await self._dial(run, min(limit, now + plan.connect_s))
            finally:
                if not isinstance(found, Connection):
                    self.settled()
            if not isinstance(found, Connection):
                return unsent(found, connect_s=run.connect_s, second_try=run.second_try)
            connection = found

        # No await between the last look at the connection and the write.
        connection.send(request, run)
        try:
            return await run.waiter
        except asyncio.CancelledError:
            # Cancelled in the very step in which the answer came: it goes where it would have gone a step later.
            if (
                not run.waiter.cancelled()
                and on_late is not None
                and (answer := run.waiter.result().answer) is not None
            ):
                on_late(answer, monotonic() - run.written)
            raise

    async def reachable(self) -> str:
        """Whether it can be connected to: "" when it can, else why not. Nothing is sent."""
        found: Connection | Failure = Failure.CONNECT_TIMEOUT
        with suppress(TimeoutError):
            by = self.loop.time() + self._plan.connect_s
            async with asyncio.timeout_at(by):
                found = await self._dialer.dial(by)
        if isinstance(found, Failure):
            return found.value
        found.cut()
        return ""

    async def close(self, grace: float = 0.0) -> None:
        """Take no more leads, give those on their way `grace` seconds, then cut: sent ones become unknown.

        Late answers are not waited for. Afterwards no connection and no task is left.
        """
        self._closing = True
        self.circuit.close()
        if self.in_flight and grace > 0:
            await self._watch(grace)
        self._cutting = True
        for scope in self._dialing:
            if not scope.expired():
                scope.reschedule(self.loop.time())
        for connection in tuple(self._open):
            connection.cut()
        if self._sweep is not None:
            self._sweep.cancel()
        if self.in_flight or self._open:
            await self._watch(_GONE_S)
        await self._dialer.close()

    # --- connecting ------------------------------------------------------------------------------

    async def _dial(self, run: Run, by: float) -> Connection | Failure:
        """A connection to write on, or why there is none by then; tells `run` how it went."""
        scope = asyncio.timeout_at(by)
        self._dialing.add(scope)
        found: Connection | Failure = Failure.CONNECT_TIMEOUT
        try:
            async with scope:
                found = await self._dialer.dial(by)
                if found in _PASSING:
                    run.second_try = True
                    await asyncio.sleep(uniform(*_PAUSE_S))
                    found = await self._dialer.dial(by)
        except TimeoutError:
            pass  # inside the second try: what the first one met with is the better word for it
        finally:
            self._dialing.discard(scope)
        run.connect_s = monotonic() - run.started
        if not self._cutting:
            return found
        if isinstance(found, Connection):
            found.cut()
        return Failure.CANCELLED

    def _take(self) -> Connection | None:
        """An idle connection that may be written on now; those that may not are closed on the way."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.usable(peek=True):
                return connection
            connection.close()
        return None

    def _expire(self) -> None:
        self._sweep = None
        oldest = self.loop.time() - self._plan.keep_alive_s
        for connection, since in tuple(self._idle.items()):
            if since > oldest:
                self._sweep = self.loop.call_at(since + self._plan.keep_alive_s, self._expire)
                return
            del self._idle[connection]
            connection.close()

    # --- what connections tell -------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """It is connected."""
        self._open.add(connection)

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        self._open.discard(connection)
        self._late.pop(connection, None)
        self._idle.pop(connection, None)
        self._look()

    def settled(self) -> None:
        """A lead has its outcome."""
        self.in_flight -= 1
        if self._watcher is not None:
            self._look()

    def late(self, connection: Connection) -> None:
        """It reads on for a lead that has its outcome."""
        if len(self._late) >= self._plan.max_in_flight:
            oldest = next(iter(self._late))
            del self._late[oldest]
            oldest.cut()
        self._late[connection] = None

    def idle(self, connection: Connection) -> bool:
        """It could carry another lead; whether it is to stay open for one."""
        if not self._plan.keep_alive_s:
            return False
        self._idle[connection] = self.loop.time()
        if self._sweep is None:
            self._sweep = self.loop.call_later(self._plan.keep_alive_s, self._expire)
        return True

    # --- closing ---------------------------------------------------------------------------------

    def _look(self) -> None:
        if self._watcher is None or self._watcher.done() or self.in_flight:
            return
        if not self._cutting or not self._open:
            self._watcher.set_result(None)

    async def _watch(self, seconds: float) -> None:
        """Wait until no lead is on its way, and once cutting until no connection is open either; or not longer."""
        # Shared: a second `close`, of someone less patient, ends the first one's waiting too.
        if self._watcher is None or self._watcher.done():
            self._watcher = self.loop.create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._watcher)
