"""Verifying the SQLite journal: SQLite's own check, then whether its rows make sense together.

Of a journal that runs, or of a backup (its keys in a file beside it). Reads one snapshot and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from gateway.journal.operations import RecordKey
from gateway.journal.sealing import KeyMissing, SealBroken, Sealer
from gateway.journal.sqlite import files
from gateway.journal.sqlite.finding import entries_of
from gateway.journal.sqlite.statements import Row
from gateway.journal.sqlite.store import FILE
from gateway.journal.values import StoreUnavailable, WrongSchema

KEYS_FILE = "keys.sqlite3"
_CHECKED_AT_ONCE = 5000
_MOST_FAULTS = 20
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

#: (done, of) rows; called now and then.
Progress: TypeAlias = Callable[[int, int], None]


class BackupFailed(Exception):
    """What is missing, in the way or broken, and what to do. No values."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found. faults: at most 20 sentences, without values; opened: sealed texts that were opened."""

    rows: int
    opened: int
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults


def no_progress(_: int, __: int) -> None:
    """Nobody is watching."""


def verify(folder: Path, *, sealer: Sealer | None = None, progress: Progress = no_progress) -> Verified:
    """A journal, running or not, or a backup: SQLite's own check, then whether its rows make sense together.

    sealer: open what is sealed, too (of a backup with the keys beside it). Raises BackupFailed, StoreUnavailable,
    WrongSchema.
    """
    path = folder / FILE
    if not path.is_file():
        raise BackupFailed(f"there is no journal in {folder}")
    with failures():
        db = files.connect_reader(path)
        try:
            if (folder / KEYS_FILE).is_file():
                db.execute("ATTACH ? AS keys", (str(folder / KEYS_FILE),))
            else:
                db.execute("ATTACH ':memory:' AS keys")
            check_schema(db, "main")
            return _Check(db, sealer, progress).run()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                raise
            return Verified(0, 0, (f"SQLite: {error.sqlite_errorname}",))
        finally:
            db.close()


@contextmanager
def failures() -> Iterator[None]:
    """The texts of the system's and SQLite's errors are not passed on: they may name what they were reading."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"SQLite fails: {error.sqlite_errorname or 'error'}") from None
    except OSError as error:
        raise StoreUnavailable(f"the file system fails: {error.strerror}") from None


def check_schema(db: sqlite3.Connection, schema: str) -> None:
    """Raises WrongSchema unless the file attached so is a journal of this gateway's version."""
    newest = files.migrations()[-1][0]
    if files.check(db, newest, schema) < newest:
        raise WrongSchema("the journal is of an older gateway; start the gateway once to bring it up to date")


# --- checking ------------------------------------------------------------------------------------

#: What must not be found, in words and in SQL. Backups hold no leases, and keys elsewhere.
_MUST_NOT = (
    ("settlements without a submission", "settlements WHERE id NOT IN (SELECT id FROM submissions)"),
    ("sealed bodies without a submission", "bodies WHERE id NOT IN (SELECT id FROM submissions)"),
    ("sealed answers without a submission", "answers WHERE id NOT IN (SELECT id FROM submissions)"),
    ("sealed answers without a settlement", "answers WHERE id NOT IN (SELECT id FROM settlements)"),
    ("index hashes without a submission", "marks WHERE id NOT IN (SELECT id FROM submissions)"),
    (
        "submissions that are neither open nor settled",
        "submissions WHERE id NOT IN (SELECT id FROM settlements) AND id NOT IN (SELECT id FROM open_submissions)",
    ),
    ("submissions that are both open and settled", "open_submissions WHERE id IN (SELECT id FROM settlements)"),
    (
        "open submissions under another reference",
        "open_submissions o LEFT JOIN submissions s ON s.id = o.id WHERE s.reference IS NOT o.reference",
    ),
    (
        "erased submissions that hold something sealed",
        "submissions WHERE erased AND (id IN (SELECT id FROM bodies) OR id IN (SELECT id FROM answers))",
    ),
    (
        "outcomes that no gateway writes",
        "settlements WHERE outcome NOT IN ('accepted', 'rejected', 'error', 'unknown', '')",
    ),
)


class _Check:
    """One verification, from one snapshot."""

    def __init__(self, db: sqlite3.Connection, sealer: Sealer | None, progress: Progress) -> None:
        self._db = db
        self._sealer = sealer
        self._progress = progress
        self._faults: list[str] = []
        self._opened = 0

    def run(self) -> Verified:
        db = self._db
        db.execute("BEGIN")
        for schema in ("main", "keys"):
            for (words,) in db.execute(f"PRAGMA {schema}.integrity_check({_MOST_FAULTS})").fetchall():
                if words != "ok":
                    self._fault(f"SQLite: {words}")
        if self._faults:
            # Rows of a damaged file prove nothing.
            return self._result(0)
        for words, rows in _MUST_NOT:
            (count,) = db.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608
            if count:
                self._fault(f"{count} {words}")
        (rows,) = db.execute("SELECT count(*) FROM submissions").fetchone()
        # Only rows that fit together are worth to be read one by one.
        return self._result(rows if self._faults else self._each())

    def _each(self) -> int:
        """What has to be looked at row by row; how many rows there are."""
        db = self._db
        total, newest = db.execute("SELECT count(*), coalesce(max(id), 0) FROM submissions").fetchone()
        counters = dict(db.execute("SELECT name, value FROM counters"))
        indexed_to, now_ms = counters["indexed_to"], counters["high_water_ms"]
        missing = done = start = 0
        while start < newest:
            stop = start + _CHECKED_AT_ONCE
            # Above indexed_to the rows themselves are read at start.
            for entry in entries_of(db, start, min(stop, indexed_to), now_ms):
                if not db.execute("SELECT 1 FROM hashes WHERE hash = ? AND id = ?", entry).fetchone():
                    missing += 1
            if self._sealer is not None:
                self._open(self._sealer, start, stop)
            done += db.execute("SELECT count(*) FROM submissions WHERE id > ? AND id <= ?", (start, stop)).fetchone()[0]
            start = stop
            self._progress(done, total)
        if missing:
            self._fault(f"{missing} keys are not found by the index: duplicates of their leads would go through")
        return int(total)

    def _open(self, sealer: Sealer, above: int, to: int) -> None:
        has_keys = self._db.execute("SELECT 1 FROM keys.sqlite_schema WHERE name = 'record_keys'").fetchone()
        key = "k.key_id, k.wrapped" if has_keys else "b.key_id, b.wrapped"
        join = "JOIN keys.record_keys k ON k.reference = s.reference" if has_keys else ""
        rows = self._db.execute(
            f"SELECT s.reference, {key}, b.body, a.members, a.answer FROM bodies b "  # noqa: S608
            f"JOIN submissions s ON s.id = b.id {join} LEFT JOIN answers a ON a.id = b.id WHERE b.id > ? AND b.id <= ?",
            (above, to),
        )
        for row in rows:
            self._open_row(sealer, row)

    def _open_row(self, sealer: Sealer, row: Row) -> None:
        reference, key_id, wrapped, *sealed = row
        if not key_id:
            return  # a backup without its keys
        try:
            cipher = sealer.cipher(reference, RecordKey(key_id, wrapped))
            for column, text in zip(("body", "members", "answer"), sealed, strict=True):
                if text:
                    cipher.open(column, text)
                    self._opened += 1
        except KeyMissing as missing:
            self._fault(f"{reference} needs the key {missing.key_id}, which is not in the ring")
        except SealBroken:
            self._fault(f"what is sealed of {reference} does not open")

    def _fault(self, words: str) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(words)

    def _result(self, rows: int) -> Verified:
        return Verified(rows, self._opened, tuple(self._faults))
