"""Retention: what is older than its time goes while the gateway runs, a small transaction at a time.

Bodies, answers and index hashes go first (`journal.retain`), rows much later, so that a partner's question about an
old reference can still be answered without anything about a person; claims go when their windows end. What is open
or of unknown outcome stays until it is settled. Which rows these are is the store's; this decides when to ask it and
how much at once. Several processes may purge one journal: they share the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.journal.operations import Purge, Purged
from gateway.journal.port import Store
from gateway.journal.values import StoreUnavailable

DAY_MS = 86_400_000
#: Thirteen months: a year's questions, and the month in which they are asked.
ROW_MS = 396 * DAY_MS
_EVERY_S = 60.0
#: Leads commit in between; the disk is theirs most of the time.
_PAUSE_S = 0.05
_LIMIT = 500


class Retention:
    """One process's purge. `run` it as a task and cancel it in the end."""

    def __init__(
        self,
        store: Store,
        *,
        content_ms: int,
        row_ms: int = ROW_MS,
        every_s: float = _EVERY_S,
        pause_s: float = _PAUSE_S,
        purged: Callable[[Purged], None] | None = None,
    ) -> None:
        """content_ms, row_ms: ages from settling. purged: told what each transaction took, if it took anything."""
        self._store = store
        self._purge = Purge(content_ms=content_ms, row_ms=max(row_ms, content_ms), limit=_LIMIT)
        self._every_s = every_s
        self._pause_s = pause_s
        self._purged = purged

    async def run(self) -> None:
        """Purge now and then, for ever. A store that is away is asked again the next time."""
        while True:
            with suppress(StoreUnavailable):  # whoever commits tells of it
                await self.once()
            await asyncio.sleep(self._every_s)

    async def once(self) -> Purged:
        """Purge until nothing is left to purge; what went. Raises StoreUnavailable."""
        contents = rows = claims = 0
        more = True
        while more:
            (result,) = await self._store.commit([self._purge])
            if isinstance(result, BaseException):
                raise result
            if not isinstance(result, Purged):
                raise TypeError("a store answers Purge with Purged")
            contents, rows, claims = contents + result.contents, rows + result.rows, claims + result.claims
            if self._purged is not None and (result.contents or result.rows or result.claims):
                self._purged(result)
            more = result.more
            if more:
                await asyncio.sleep(self._pause_s)
        return Purged(contents=contents, rows=rows, claims=claims)
