"""The store on SQLite: one thread that writes, and readers on connections of their own.

All writing of a process happens on one thread and one connection, one transaction for each `commit`: BEGIN IMMEDIATE
(so that what is looked up is what is written upon, across processes), the rows, COMMIT, which returns when the log is
synced. A transaction that fails is taken back whole. After a fault that may lie in the file or the disk the
connection is thrown away and the next commit opens a new one: nothing has to be restarted when the fault is over.

Decides what is durable and when; what the rows are is `writing`'s, what a failure means to leads the engine's.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from gateway.journal.clock import Anchor, Clock
from gateway.journal.operations import Look, Operation
from gateway.journal.records import Query, Record
from gateway.journal.sqlite import files
from gateway.journal.sqlite.finding import Finder
from gateway.journal.sqlite.reading import Reader
from gateway.journal.sqlite.writing import OwnFault, Writer
from gateway.journal.values import StoreUnavailable, WrongSchema

FILE = "journal.sqlite3"
#: Below so much free space no lead is begun, so that those under way can still be settled.
FLOOR_BYTES = 64 * 1024 * 1024
#: Seconds between two looks at the disk and the file's name.
_LOOK_EVERY_S = 1.0

_T = TypeVar("_T")
_Job = Callable[[], None]

# SQLite's primary result codes whose cause lies outside the connection: it stays good. Others cost the connection.
_PASSING = {
    sqlite3.SQLITE_BUSY: "the journal is locked by another process",
    sqlite3.SQLITE_FULL: "there is no space left for the journal",
}
_WORDS = {
    sqlite3.SQLITE_IOERR: "the journal's disk fails",
    sqlite3.SQLITE_READONLY: "the journal cannot be written",
    sqlite3.SQLITE_CANTOPEN: "the journal cannot be opened",
    sqlite3.SQLITE_PERM: "the journal cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the journal's file is damaged",
    sqlite3.SQLITE_NOTADB: "the journal's file is damaged",
    sqlite3.SQLITE_NOMEM: "there is no memory for the journal",
}


class SqliteStore:
    """A `Store` in one file. Open and use it on one event loop; several processes may share the file."""

    def __init__(self, folder: Path, *, floor_bytes: int = FLOOR_BYTES, run: int = 0) -> None:
        """folder: made with mode 0700 when there is none. run: see `Finder`."""
        self.path = folder / FILE
        self._floor = floor_bytes
        self._run = run
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._clock: Clock | None = None
        # The writer thread's own, made with the connection.
        self._finder: Finder
        self._writer: Writer
        self._file: tuple[int, int] | None = None
        self._truncate = False
        self._tidied = 0.0
        self._looked = -_LOOK_EVERY_S
        self._no_space = False

    async def open(self) -> None:
        """Create the file, or check its schema and bring an older one up to date. May raise `StoreUnavailable`, too."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="journal writer", daemon=True)
            self._thread.start()
        try:
            await self._ask(self._connected)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """What was handed over is written first."""
        if self._thread is not None:
            self._jobs.put(self._disconnect)
            self._jobs.put(None)
            thread, self._thread = self._thread, None
            await asyncio.to_thread(thread.join)

    async def commit(self, operations: Sequence[Operation]) -> list[object]:
        """See `Store`. Of one commit, leads that end come before leads that begin: they are at the same instant."""
        return await self._ask(lambda: self._commit(operations))

    async def now_ms(self) -> int:
        """Of the host's ticks, anchored in the file: see `clock`."""
        return self._now_ms()

    def _now_ms(self) -> int:
        if self._clock is None:
            raise StoreUnavailable("the journal is not open")
        return self._clock.now_ms()

    async def search(self, query: Query) -> AsyncIterator[Record]:
        """Rows that match, newest first. Read in short pieces: no snapshot is held, so the log does not grow."""
        reader = Reader(query)
        try:
            while piece := await asyncio.to_thread(self._guarded, lambda: reader.piece(self.path)):
                for record in piece:
                    yield record
        finally:
            reader.close()

    # --- the writer's thread -------------------------------------------------------------------

    async def _ask(self, work: Callable[[], _T]) -> _T:
        """Do something on the writer's thread. It is done also when the asker is cancelled."""
        if self._thread is None:
            raise StoreUnavailable("the journal is not open")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def settle(result: _T | None, error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def job() -> None:
            result, error = None, None
            try:
                result = self._guarded(work)
            except Exception as raised:  # the thread's outermost edge: whoever asked is told, the thread goes on
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        self._jobs.put(job)
        return await future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Work whose database errors become StoreUnavailable. The text of SQLite's errors is not passed on."""
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(_words(error)) from None

    def _connected(self) -> sqlite3.Connection:
        """The writer's connection, opened anew after a fault."""
        if self._db is None:
            if self._file is not None and _identity(self.path) is None:
                # A journal that was there is not quietly begun anew: its claims would be forgotten.
                raise StoreUnavailable("the journal's file is gone")
            db = self._connect()
            try:
                self._finder = Finder(db, run=self._run)
                self._writer = Writer(db, self._finder)
                self._clock = self._anchored(db)
            except BaseException:
                db.close()
                raise
            self._db, self._file = db, _identity(self.path)
        return self._db

    def _connect(self) -> sqlite3.Connection:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.check_place(folder)
        files.protect(self.path)
        db = files.connect(self.path)
        try:
            files.migrate(db)
            return db
        except BaseException:
            db.close()
            raise

    def _anchored(self, db: sqlite3.Connection) -> Clock:
        """The clock that all processes on this file read. One that runs goes on: it must not jump either."""
        if self._clock is not None:
            return self._clock
        db.execute("BEGIN IMMEDIATE")
        try:
            kept = dict(db.execute("SELECT name, value FROM remembered WHERE name LIKE 'clock %'"))
            (high_water_ms,) = db.execute("SELECT value FROM counters WHERE name = 'high_water_ms'").fetchone()
            anchor = None
            if kept:
                anchor = Anchor(kept["clock boot"], int(kept["clock wall_ms"]), int(kept["clock ticks_ms"]))
            clock = Clock.of_host(anchor, high_water_ms)
            db.executemany(
                "INSERT OR REPLACE INTO remembered (name, value) VALUES ('clock ' || ?, ?)",
                [(name, str(value)) for name, value in asdict(clock.anchor).items()],
            )
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
        return clock

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _commit(self, operations: Sequence[Operation]) -> list[object]:
        try:
            db = self._connected()
        except WrongSchema:
            # Open once, so the file was changed under us; a lead is told that it was not taken.
            raise StoreUnavailable("the journal was replaced by another version") from None
        try:
            self._look_around()
            self._writer.prepare(operations)
            try:
                results = self._transaction(db, operations, self._writer.carry_out)
            except OwnFault:
                results = self._transaction(db, operations, self._writer.carry_out_carefully)
        except sqlite3.Error as error:
            if _primary(error) not in _PASSING:
                self._disconnect()
            raise
        self._tidy(db)
        return results

    def _transaction(
        self, db: sqlite3.Connection, operations: Sequence[Operation], carry_out: Callable[..., list[object]]
    ) -> list[object]:
        reads_only = all(type(operation) is Look for operation in operations)
        db.execute("BEGIN" if reads_only else "BEGIN IMMEDIATE")
        try:
            results = carry_out(operations, self._now_ms(), no_space=self._no_space)
            db.execute("COMMIT")
        except BaseException:
            self._finder.rollback()
            # SQLite has rolled back by itself after some faults; a second one does nothing.
            db.rollback()
            raise
        self._finder.commit()
        return results

    def _tidy(self, db: sqlite3.Connection) -> None:
        """Once bytes were removed, cut the log that still holds them; tried again until no reader is in the way."""
        if self._writer.removed:
            self._writer.removed, self._truncate, self._tidied = False, True, -_LOOK_EVERY_S
        now = time.monotonic()
        if not self._truncate or now - self._tidied < _LOOK_EVERY_S:
            return
        self._tidied = now
        db.execute("PRAGMA busy_timeout = 0")
        try:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._truncate = bool(busy)
        except sqlite3.Error:
            pass  # the transaction itself is durable; a fault that stays meets the next one
        finally:
            db.execute(f"PRAGMA busy_timeout = {files.BUSY_MS}")

    def _look_around(self) -> None:
        """Whether the disk has room, and the file still its name: SQLite would go on writing to a removed one."""
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._no_space = files.free_bytes(self.path.parent) < self._floor
        if _identity(self.path) != self._file:
            self._disconnect()
            raise StoreUnavailable("the journal's file was replaced")
        self._looked = now


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of the Python module."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _words(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return "the journal's folder cannot be used"
    code = _primary(error)
    return _PASSING.get(code) or _WORDS.get(code) or "the journal fails"
