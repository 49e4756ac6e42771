"""One deadline that is moved far more often than it passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf


def _nothing() -> None:
    """What happens when a deadline passes that was given up."""


class Deadline:
    """Calls `passed` once `when` (`loop.time()`; inf: never) has come.

    Moving it later costs an assignment: the timer that is running then rings too early and is set anew. So a busy
    connection touches its timer every few seconds instead of twice a request.
    """

    __slots__ = ("_loop", "_passed", "_rings", "_timer", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop, self._passed = loop, passed
        self.when = inf
        self._timer: asyncio.TimerHandle | None = None
        self._rings = inf

    def set(self, when: float) -> None:
        """Move the deadline."""
        self.when = when
        if when < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._rings = when
            self._timer = self._loop.call_at(when, self._ring)

    def clear(self) -> None:
        """No deadline for now."""
        self.when = inf

    def cancel(self) -> None:
        """No deadline any more, ever: let go of everything."""
        self.when = self._rings = inf
        self._passed = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer, self._rings = None, inf
        if self._loop.time() < self.when:
            if self.when < inf:
                self.set(self.when)
            return
        self.when = inf
        self._passed()
