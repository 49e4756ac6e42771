"""The running purge: on either store, a piece at a time, until nothing is left to purge, and again later."""

from __future__ import annotations

import asyncio

import pytest

from gateway.journal import retention
from gateway.journal.operations import Purged
from gateway.journal.port import Store
from gateway.journal.records import Query
from gateway.journal.retention import Retention
from gateway.journal.values import StoreUnavailable
from tests.support.journals import DAY_MS, Brittle, a_claim, an_entry, eventually
from tests.support.stores import ended


async def kept(store: Store) -> list[bool]:
    """Of each row, oldest first, whether its content is there."""
    rows = [record async for record in store.search(Query(sealed=True))]
    return [bool(record.sealed and record.sealed.body) for record in reversed(rows)]


async def test_a_purge_goes_on_until_nothing_is_left_and_says_what_went(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_LIMIT", 3)
    for number in range(8):
        await ended(store, an_entry(str(number), claims=(a_claim(str(number), 0),)))
    told: list[Purged] = []
    purge = Retention(store, content_ms=-1000, row_ms=DAY_MS, pause_s=0.0, purged=told.append)
    assert await purge.once() == Purged(contents=8, claims=8)
    assert len(told) >= 3
    assert sum(one.contents for one in told) == 8
    assert await kept(store) == [False] * 8
    assert await purge.once() == Purged()


async def test_rows_stay_at_least_as_long_as_their_content(store: Store) -> None:
    await ended(store, an_entry(claims=(), replay_ms=0, unknown_hold_ms=0, idempotency_ms=0))
    assert await Retention(store, content_ms=DAY_MS, row_ms=-1000).once() == Purged()
    assert await kept(store) == [True]


async def test_the_running_purge_survives_a_store_that_is_away(store: Store) -> None:
    brittle = Brittle(store)
    await ended(store, an_entry("a"))
    brittle.refuses = True
    purge = Retention(brittle, content_ms=-1000, row_ms=DAY_MS, every_s=0.001)
    with pytest.raises(StoreUnavailable):
        await purge.once()
    running = asyncio.create_task(purge.run())
    await eventually(lambda: len(brittle.batches) > 3)
    assert await kept(store) == [True]
    brittle.mend()
    asked = len(brittle.batches)
    await eventually(lambda: len(brittle.batches) > asked + 3)
    assert await kept(store) == [False]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
