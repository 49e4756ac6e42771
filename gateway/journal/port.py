"""The journal's port: what the pipeline, recovery and the commands ask of a store, whichever stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gateway.journal.operations import Operation
from gateway.journal.records import Query, Record


class Store(Protocol):
    """One database. All methods raise `StoreUnavailable` when it cannot be had; none of them loses what it took."""

    async def open(self) -> None:
        """Connect; create or check the schema. Raises `WrongSchema` for a newer one, with what to do."""

    async def close(self) -> None:
        """Let go of everything; what was handed over is written first."""

    async def commit(self, operations: Sequence[Operation]) -> list[object]:
        """Carry out operations in order in ONE durable transaction; their results in the same order.

        An operation's own failure is its result (an exception instance) and leaves the others; a failure of the
        transaction raises `StoreUnavailable` and nothing of it was done.
        """

    async def now_ms(self) -> int:
        """POSIX milliseconds of the store's clock: a clock jump on this host neither expires nor keeps a claim."""

    def search(self, query: Query) -> AsyncIterator[Record]:
        """Rows that match, newest first, streamed in flat memory."""
