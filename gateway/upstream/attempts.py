"""The circuit breaker at work: on the loop's clock, told how each lead ended, heard by log and metrics.

Decides what the end of a lead says about the legacy endpoint. Its own refusals, its leaving and its understanding are
signs; what a partner or this process brought about is none: no slot, a stop, a deadline that a slow body used up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from gateway.datapost.reasons import Reason
from gateway.upstream.circuit import Breaker, Leave, Sign, State
from gateway.upstream.plan import UpstreamPlan
from gateway.upstream.values import Exchange, Failure

#: Told each change: the new state, and the word of what brought it about (a failure's, a reason's, or "" for time).
OnChange = Callable[[State, str], None]

_ANSWERS = {
    Reason.ACCEPTED: Sign.GOOD,
    Reason.LEGACY_REJECTED: Sign.GOOD,
    Reason.LEGACY_DUPLICATE: Sign.GOOD,
    Reason.LEGACY_ERROR: Sign.BAD,
    Reason.UNRECOGNIZED_ANSWER: Sign.UNREAD,
}
_FAILURES = {
    Failure.NAME_UNRESOLVED: Sign.BAD,
    Failure.CONNECT_REFUSED: Sign.BAD,
    Failure.CONNECT_FAILED: Sign.BAD,
    Failure.CONNECT_TIMEOUT: Sign.BAD,
    Failure.TLS_FAILED: Sign.BAD,
    Failure.CONNECTION_UNUSABLE: Sign.BAD,
    Failure.DEADLINE: Sign.BAD,
    Failure.FIRST_BYTE_TIMEOUT: Sign.BAD,
    Failure.TOTAL_TIMEOUT: Sign.BAD,
    Failure.RESET: Sign.BAD,
    Failure.CLOSED_EARLY: Sign.BAD,
    Failure.TRUNCATED_ANSWER: Sign.BAD,
    Failure.JUNK_ANSWER: Sign.UNREAD,
    Failure.ANSWER_TOO_LARGE: Sign.UNREAD,
}
# The partner's deadline may end these two early: a slow body is not the legacy's fault. Not the whole of the
# timeout, since the deadline may be configured only a little above it.
_ENOUGH = 0.9


class Circuit:
    """The breaker of one upstream, running. Made inside the event loop that it will live in; ended by `close`."""

    def __init__(self, plan: UpstreamPlan, *, on_change: OnChange | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        #: Seconds, never going back.
        self.clock = self._loop.time
        self._breaker = Breaker(failures=plan.circuit_failures, open_s=plan.circuit_open_s)
        self._enough_s = {
            Failure.CONNECT_TIMEOUT: plan.connect_s * _ENOUGH,
            Failure.DEADLINE: plan.total_s * _ENOUGH,
        }
        self._on_change = on_change
        self._known = State.CLOSED
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def state(self) -> State:
        """As of the last lead, or the last change by time."""
        return self._breaker.state

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a lead that is refused now has a chance; 1 at least."""
        return max(1, math.ceil(self._breaker.rest_s(self.clock())))

    def ask(self, partner: str) -> Attempt | None:
        """Leave to send one lead, to be ended in any case; None: the circuit is open to it. partner: "" if unknown."""
        leave = self._breaker.ask(self.clock())
        self._look("")
        return None if leave is None else Attempt(self, leave, partner)

    def close(self) -> None:
        """Let go of the loop."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def end(self, leave: Leave, exchange: Exchange, reason: Reason, partner: str) -> None:
        """For `Attempt`: tell the breaker what this end of a lead says, if anything."""
        sign, word = self._read(exchange, reason)
        if sign is None:
            self._breaker.give_back(leave)
        else:
            self._breaker.tell(leave, sign, self.clock(), partner)
        self._look(word)

    def drop(self, leave: Leave) -> None:
        """For `Attempt`: its end says nothing."""
        self._breaker.give_back(leave)

    def _read(self, exchange: Exchange, reason: Reason) -> tuple[Sign | None, str]:
        if exchange.failure is None:
            return _ANSWERS.get(reason), reason.slug
        enough_s = self._enough_s.get(exchange.failure, 0.0)
        return _FAILURES.get(exchange.failure) if exchange.total_s >= enough_s else None, exchange.failure.value

    def _look(self, word: str) -> None:
        """Tell of a change, with its word; see to it that the next one by time does not wait for a lead."""
        state = self._breaker.state
        if state is self._known and state is not State.HALF_OPEN:
            return
        if state is not self._known:
            self._known = state
            if self._on_change is not None:
                self._on_change(state, word)
        if self._timer is None and (due := self._breaker.due) is not None and not self._closed:
            self._timer = self._loop.call_later(due - self.clock(), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._breaker.tick(self.clock())
        self._look("")


class Attempt:
    """One lead that was let through. However it ends, `end` or `drop` is called; the first call counts."""

    __slots__ = ("_circuit", "_leave", "_partner")

    def __init__(self, circuit: Circuit, leave: Leave, partner: str) -> None:
        self._circuit = circuit
        self._leave: Leave | None = leave
        self._partner = partner

    def end(self, exchange: Exchange, reason: Reason) -> None:
        """It went its way; reason: what the partner is told, once an answer has been read."""
        if self._leave is not None:
            self._circuit.end(self._leave, exchange, reason, self._partner)
            self._leave = None

    def drop(self) -> None:
        """It tells nothing about the legacy: cancelled, or refused for another reason. Frees a probe."""
        if self._leave is not None:
            self._circuit.drop(self._leave)
            self._leave = None
