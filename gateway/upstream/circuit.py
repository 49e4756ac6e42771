"""Whether the legacy endpoint is asked at all: a circuit breaker that is told the time and owns no clock.

    closed       every lead goes
    open         none does, for `open_s` seconds
    half-open    first one lead goes to find out (the probe) while all others are refused; once it is answered well, a
                 share of the leads goes, which grows from nothing to all over another `open_s`; then it is closed

It opens after `failures` bad signs with no good one between them, or when what comes back cannot be understood any
more: half of at least 20 signs within 60 s, and from two partners at least where partners are known. One partner
with odd leads must not shut the others out, so such a sign neither adds to the run of bad ones nor ends it, and
takes two partners to fail a probe, too.

Which sign a lead's end is, and who may ask (`attempts`), is not decided here. Times are seconds of any clock that
never goes back. Leads let through before an opening tell of a legacy that is gone by; what becomes of them later
counts for nothing.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, unique

_WINDOW_S = 60
_FEWEST_SIGNS = 20


@unique
class State(Enum):
    """What the breaker does; the value is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@unique
class Sign(Enum):
    """What the end of one lead says about the legacy endpoint."""

    GOOD = "good"  # it answered and was understood, whatever it thought of the lead
    BAD = "bad"  # not reached, not in time, or it told of a failure of its own
    UNREAD = "unread"  # it answered, and nobody understands what


class Leave:
    """The right to send one lead. Told from others by identity; many leads share one, a probe has its own."""

    __slots__ = ()


class Breaker:
    """The breaker of one legacy endpoint. Every leave is to be brought back: by `tell`, or by `give_back`."""

    __slots__ = (
        "_credit",
        "_doubters",
        "_failures",
        "_leave",
        "_open_s",
        "_probe",
        "_ramping",
        "_run",
        "_until",
        "_window",
        "state",
    )

    def __init__(self, *, failures: int, open_s: float) -> None:
        """failures: bad signs in a row that open it. open_s: how long it stays open, and how long the ramp is."""
        self.state = State.CLOSED
        self._failures = failures
        self._open_s = open_s
        self._run = 0  # bad signs since the last good one
        self._window = _Window()
        #: Of all leads since the last opening but the probe.
        self._leave = Leave()
        self._until = 0.0  # end of the opening, then of the ramp
        self._probe: Leave | None = None  # while one is on its way
        self._doubters: set[str] = set()  # partners whose probe came back unread
        self._ramping = False
        self._credit = 0.0

    def ask(self, now: float) -> Leave | None:
        """Leave for one lead; None: it is not to go."""
        if self.state is State.CLOSED:
            return self._leave
        self.tick(now)
        if self.state is State.OPEN:
            if now < self._until:
                return None
            self.state = State.HALF_OPEN
        if self.state is State.CLOSED:
            return self._leave
        if self._ramping:
            return self._leave if self._in_share(now) else None
        if self._probe is not None:
            return None
        self._probe = Leave()
        return self._probe

    def tell(self, leave: Leave, sign: Sign, now: float, partner: str = "") -> None:
        """Bring a leave back, and say how its lead ended. partner: who sent it, "" where nobody knows."""
        if leave is self._probe:
            self._probe = None
            self._judge_probe(sign, now, partner)
        elif leave is self._leave:
            self._judge(sign, now, partner)

    def give_back(self, leave: Leave) -> None:
        """Bring a leave back whose lead tells nothing: not sent after all, or nobody waited for its end."""
        if leave is self._probe:
            self._probe = None

    def tick(self, now: float) -> None:
        """Close when the ramp is over; to be called at `due`, so that it closes without a lead."""
        if self._ramping and now >= self._until:
            self.state, self._ramping = State.CLOSED, False

    @property
    def due(self) -> float | None:
        """When `tick` will close it, if nothing else happens; None when only a lead can change it."""
        return self._until if self._ramping else None

    def rest_s(self, now: float) -> float:
        """Seconds until the opening, or the ramp, is over; a whole one while the probe's end is not known."""
        if self.state is State.CLOSED:
            return 0.0
        if self.state is State.HALF_OPEN and not self._ramping:
            return self._open_s
        return max(self._until - now, 0.0)

    def _judge(self, sign: Sign, now: float, partner: str) -> None:
        self._window.add(now, partner if sign is Sign.UNREAD else None)
        if sign is Sign.GOOD:
            self._run = 0
        elif sign is Sign.BAD:
            self._run += 1
            if self._run >= self._failures:
                self._open(now)
        elif self._window.mostly_unread:
            self._open(now)

    def _judge_probe(self, sign: Sign, now: float, partner: str) -> None:
        if sign is Sign.UNREAD:
            self._doubters.add(partner)
            if len(self._doubters) < 2 and partner:
                return  # the next lead is the next probe
        if sign is not Sign.GOOD:
            self._open(now)
            return
        self._ramping = True
        self._until = now + self._open_s
        self._credit = 0.0

    def _open(self, now: float) -> None:
        self.state, self._ramping = State.OPEN, False
        self._until = now + self._open_s
        self._leave = Leave()
        self._run = 0
        self._window = _Window()
        self._doubters = set()

    def _in_share(self, now: float) -> bool:
        """Whether the next lead is of the share that goes: each adds the share as of now, one that goes takes 1."""
        self._credit += 1.0 - (self._until - now) / self._open_s
        if self._credit <= 0.0:
            return False
        self._credit -= 1.0
        return True


class _Window:
    """The signs of the last 60 s, counted by the second: the oldest second leaves as a whole."""

    __slots__ = ("_seconds", "_signs", "_unread", "_unread_by")

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque()
        self._signs = self._unread = 0
        self._unread_by: dict[str, int] = {}

    def add(self, now: float, unread_of: str | None) -> None:
        """Count one sign; unread_of: the partner, when it is an unread one."""
        number = int(now)
        seconds = self._seconds
        if not seconds or seconds[-1].number != number:
            self._forget(number - _WINDOW_S)
            seconds.append(_Second(number))
        seconds[-1].signs += 1
        self._signs += 1
        if unread_of is not None:
            seconds[-1].unread_by[unread_of] = seconds[-1].unread_by.get(unread_of, 0) + 1
            self._unread_by[unread_of] = self._unread_by.get(unread_of, 0) + 1
            self._unread += 1

    @property
    def mostly_unread(self) -> bool:
        """Whether so much is unread that it cannot be one partner's leads."""
        if self._signs < _FEWEST_SIGNS or self._unread * 2 < self._signs:
            return False
        return len(self._unread_by) >= 2 or "" in self._unread_by

    def _forget(self, last: int) -> None:
        while self._seconds and self._seconds[0].number <= last:
            second = self._seconds.popleft()
            self._signs -= second.signs
            for partner, count in second.unread_by.items():
                self._unread -= count
                self._unread_by[partner] -= count
                if not self._unread_by[partner]:
                    del self._unread_by[partner]


class _Second:
    __slots__ = ("number", "signs", "unread_by")

    def __init__(self, number: int) -> None:
        self.number = number
        self.signs = 0
        self.unread_by: dict[str, int] = {}
