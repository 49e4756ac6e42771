"""Who is told what happens in the journal. Decides the events; log, metrics and alarms make of them what they will."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Who is told what happens in the journal: log, metrics, alarms. Called on the event loop; must not raise."""

    def committed(self, seconds: float, operations: int) -> None:
        """A transaction is durable."""

    def unavailable(self, why: str) -> None:
        """The store cannot be had from now on. why: a few fixed words."""

    def available(self) -> None:
        """The store is back."""

    def deferred(self, reference: str) -> None:
        """A settlement could not be written in time: its partner is answered first. Alarm."""

    def caught_up(self, reference: str) -> None:
        """A deferred settlement is written now."""

    def lost(self, reference: str, why: str) -> None:
        """A settlement is given up; its outcome must be found by people. Alarm. why: a few fixed words."""

    def recovered(self, reference: str) -> None:
        """A submission whose process died has an unknown outcome now."""

    def unreadable(self, reference: str) -> None:
        """What is kept sealed of a submission does not open: a key is missing, or bytes were changed. Alarm."""

    def dropped_note(self) -> None:
        """A refusal was not written: too many at once, or the store is away."""

    def bug(self, bug: BaseException) -> None:
        """Something of ours is broken. Its text may hold values."""
