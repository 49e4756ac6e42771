"""The journal's own time: how long claims, windows and leases last, whatever happens to the host's clock.

A journal in a file has one clock, and every process of the host reads the same: an anchor (the wall time at one
reading of the system's ticks since boot) is kept in the store, and now is the anchor's time plus the ticks since.
Ticks never jump, so a wall clock that is set by an hour neither expires a claim early nor keeps one longer, also
over a restart of the gateway, and two workers that were started on both sides of the jump agree.

A new boot has new ticks: it is anchored at the wall time, or at the latest time the journal has seen (`high_water`)
when the wall lies behind that. So time never goes back: claims that ended stay ended, those that run keep running,
and what a wrong clock can do at worst is to move the journal's dates: a boot with the clock an hour slow ends nothing
early and lets open claims run on for the time that the machine was off, one with the clock an hour fast ends claims
an hour early (there is nothing to tell it from an hour without power). A date that differs from the wall's is told by
`difference_ms`; it is set right by the next boot when the journal was slow, and by waiting when it was fast.

PostgreSQL has its server's clock, and a process between two readings of it `Clock.at`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: Milliseconds since some moment of this boot, the same for each process of the host.
Ticks = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment on both clocks. boot: which boot the ticks count from; "" when the system cannot tell."""

    boot: str
    wall_ms: int
    ticks_ms: int


def ticks_ms() -> int:
    """Milliseconds since boot, time asleep included where the system counts it (Linux)."""
    return time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000


# Elsewhere the monotonic clock: it may stop while the machine sleeps, and so do claims.
_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def wall_ms() -> int:
    """POSIX milliseconds of the host's clock, which anybody may set."""
    return time.time_ns() // 1_000_000


def boot_id() -> str:
    """What names this boot of the host; "" where the system has no name for it."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def anchored(kept: Anchor | None, high_water_ms: int, *, boot: str, wall_ms: int, ticks_ms: int) -> Anchor:
    """The anchor to go on with, given the one that the store keeps.

    high_water_ms: the latest time that the store has seen, 0 for none. boot, wall_ms, ticks_ms: of this moment.
    A kept anchor of this boot stays, unless its ticks lie ahead or it would fall behind the high water (ticks of
    another time namespace, a file moved between containers).
    """
    if (
        kept is not None
        and kept.boot
        and kept.boot == boot
        and ticks_ms >= kept.ticks_ms
        and kept.wall_ms + ticks_ms - kept.ticks_ms >= high_water_ms
    ):
        return kept
    return Anchor(boot, max(wall_ms, high_water_ms), ticks_ms)


class Clock:
    """An anchor and the ticks since."""

    __slots__ = ("_base_ms", "_ticks", "anchor")

    def __init__(self, anchor: Anchor, ticks: Ticks = ticks_ms) -> None:
        self.anchor = anchor
        self._base_ms = anchor.wall_ms - anchor.ticks_ms
        self._ticks = ticks

    @classmethod
    def at(cls, now_ms: int, ticks: Ticks = ticks_ms) -> Clock:
        """A clock that shows now_ms now."""
        return cls(Anchor("", now_ms, ticks()), ticks)

    @classmethod
    def of_host(cls, kept: Anchor | None, high_water_ms: int) -> Clock:
        """This host's clock for a store that keeps these two; the store keeps `anchor` from here on."""
        return cls(anchored(kept, high_water_ms, boot=boot_id(), wall_ms=wall_ms(), ticks_ms=ticks_ms()))

    def now_ms(self) -> int:
        """POSIX milliseconds; never less than before."""
        return self._base_ms + self._ticks()

    def difference_ms(self, wall_ms: int) -> int:
        """By how much the wall clock is ahead of this one."""
        return wall_ms - self.now_ms()
