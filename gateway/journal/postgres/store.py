"""The journal in PostgreSQL, for several hosts: one connection that writes, a transaction for each batch.

Decides what a failure means. A transaction whose COMMIT was not sent has not happened, and is tried once more when the
connection had stood idle. One whose COMMIT was sent without an answer is in doubt: the store asks the server which of
its batches was last, and waits there until the lost transaction has ended, before it does anything else. Only when the
server cannot be asked does StoreUnavailable leave a doubt behind; then, too, the lost transaction has ended before the
next one begins, so that whoever takes its rows back finds them.

The clock is the server's: hosts may disagree about the time, and the journal does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any
from uuid import uuid4

from gateway.journal.operations import Operation
from gateway.journal.postgres import statements
from gateway.journal.postgres.carrying import carry, keys_of, one_statement
from gateway.journal.postgres.link import (
    Link,
    NoAnswer,
    address,
    check,
    connect,
    driver,
    guarded,
    migrate,
    migrations,
)
from gateway.journal.postgres.searching import record, select
from gateway.journal.records import Query, Record
from gateway.journal.values import NotTaken, StoreUnavailable, WrongSchema

#: Rows that a search fetches at a time.
_PREFETCH = 500
#: Errors that an operation's own values cause (SQLSTATE classes: data exception, integrity constraint).
_OWN_FAULT = ("22", "23")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A transaction whose COMMIT was sent. results: what its operations gave, should it have happened."""

    batch: int
    results: list[object]


class PostgresStore:
    """A store (`port.Store`) behind a URL `postgresql://user@host,host/database?target_session_attrs=read-write`."""

    def __init__(self, url: str, *, timeout_s: float = 5.0, schema: Traversable | None = None) -> None:
        """timeout_s: for connecting, and for a transaction as a whole. schema: the steps to use instead of our own.

        Raises DriverMissing.
        """
        self._asyncpg = driver()
        self._where = address(url)
        self._timeout_s = timeout_s
        self._steps = migrations(schema)
        self._writer = uuid4().hex
        self._batch = 0
        self._last = 0  # of our batches, the last that the server had committed when we connected
        self._doubt: _Doubt | None = None
        self._link: Link | None = None
        self._lock = asyncio.Lock()

    # --- the port -----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect; make the schema where there is none. Raises WrongSchema for another version, with what to do."""
        async with self._lock:
            await self._migrate(only_new=True)
            await self._connect()

    async def migrate(self) -> tuple[int, int]:
        """Bring the schema to this gateway's version: the versions before and after. Raises WrongSchema."""
        async with self._lock:
            return await self._migrate(only_new=False), len(self._steps)

    async def close(self) -> None:
        """Let go of the connection, once what runs on it has ended."""
        async with self._lock:
            link, self._link = self._link, None
            if link is not None and not link.is_closed():
                try:
                    async with guarded(self._timeout_s):
                        await link.close()
                except StoreUnavailable:
                    link.terminate()

    async def commit(self, operations: Sequence[Operation]) -> list[object]:
        """One transaction, as `port.Store.commit` says."""
        async with self._lock:
            fresh = not self._connected
            link = await self._linked()
            try:
                return await self._attempt(link, operations)
            except NoAnswer:
                raise
            except StoreUnavailable:
                doubt = self._doubt
                if fresh and doubt is None:
                    raise
            # The connection broke under us. Over a new one either the answer can be had, or the work be done.
            link = await self._linked()
            if doubt is not None and self._last == doubt.batch:
                return doubt.results
            return await self._attempt(link, operations)

    async def now_ms(self) -> int:
        """The server's clock."""
        async with self._lock:
            link = await self._linked()
            try:
                async with guarded(self._timeout_s):
                    return int(await link.fetchval(statements.NOW))
            except BaseException:
                self._drop()
                raise

    async def search(self, query: Query) -> AsyncIterator[Record]:
        """Rows that match, newest first, over a connection of their own and as they stood when it began."""
        text, values = select(query)
        link = await connect(self._where, self._timeout_s, reading=True)
        try:
            async with guarded(None), link.transaction(isolation="repeatable_read", readonly=True):
                cursor = link.cursor(text, *values, prefetch=_PREFETCH, timeout=6 * self._timeout_s)
                async for row in cursor:
                    yield record(row, query)
            async with guarded(self._timeout_s):
                await link.close()
        finally:
            link.terminate()

    # --- underneath ---------------------------------------------------------------------------------------------

    async def _migrate(self, *, only_new: bool) -> int:
        link = await connect(self._where, self._timeout_s)
        try:
            async with guarded(None):
                before = await migrate(link, self._steps, only_new=only_new)
            async with guarded(self._timeout_s):
                await link.close()
        finally:
            link.terminate()
        return before

    @property
    def _connected(self) -> bool:
        return self._link is not None and not self._link.is_closed()

    async def _linked(self) -> Link:
        """The connection that writes; a new one has waited for the end of what the old one may have left behind."""
        if self._link is not None and not self._link.is_closed():
            return self._link
        try:
            return await self._connect()
        except WrongSchema:
            # It was the right one when we opened it: another host has been brought up to date since.
            raise StoreUnavailable("the journal's schema is that of a newer gateway now") from None

    async def _connect(self) -> Link:
        link = await connect(self._where, self._timeout_s)
        try:
            async with guarded(self._timeout_s):
                await check(link, len(self._steps))
                self._last = await link.fetchval(statements.MEET_WRITER, self._writer)
        except BaseException:
            link.terminate()
            raise
        self._link = link
        return link

    def _drop(self) -> None:
        """Whatever state the connection is in, the server rolls back what it had not committed."""
        link, self._link = self._link, None
        if link is not None:
            link.terminate()

    async def _attempt(self, link: Link, operations: Sequence[Operation]) -> list[object]:
        """The work and its COMMIT; `_doubt` is what is left behind when only the COMMIT's answer is missing."""
        self._doubt = None
        try:
            async with guarded(self._timeout_s):
                try:
                    if one_statement(operations):
                        return await carry(link, operations)
                    await self._start(link, operations)
                    results = await carry(link, operations)
                except self._asyncpg.PostgresError as error:
                    if not _own_fault(error):
                        raise
                    await link.execute("ROLLBACK")
                    await self._start(link, operations)
                    results = await self._each(link, operations)
                self._doubt = _Doubt(self._batch, results)
                if await link.execute("COMMIT") != "COMMIT":
                    raise StoreUnavailable("PostgreSQL rolled back")
                self._doubt = None
                return results
        except BaseException:
            self._drop()
            raise

    async def _start(self, link: Link, operations: Sequence[Operation]) -> None:
        self._batch += 1
        await link.execute(statements.start(self._writer, self._batch, keys_of(operations)))

    async def _each(self, link: Link, operations: Sequence[Operation]) -> list[object]:
        """One operation of them cannot be carried out: each has its own savepoint, and that one its own failure."""
        results: list[object] = []
        for operation in operations:
            await link.execute("SAVEPOINT alone")
            try:
                results += await carry(link, [operation])
            except self._asyncpg.PostgresError as error:
                if not _own_fault(error):
                    raise
                await link.execute("ROLLBACK TO alone")
                results.append(NotTaken(f"PostgreSQL does not take it (SQLSTATE {error.sqlstate})"))
        return results


def _own_fault(error: Any) -> bool:
    return error.sqlstate is not None and error.sqlstate[:2] in _OWN_FAULT
