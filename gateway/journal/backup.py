"""Backup, restore and verify the SQLite journal. (PostgreSQL has its own tools: docs/journal.md.)

A backup is two files: `journal.sqlite3` with everything but the records' keys, and `keys.sqlite3` with these, still
wrapped by the key ring. Keep as many journal files as you like, and of the keys the newest only: erasing a lead deletes
its key, so with the next backup's keys every older copy of that lead is noise. That holds as far as old keys files are
really gone; copies of the running journal's own file (a disk snapshot, rsync) hold rows and keys together and are not
covered. No key is ever written to the journal's file of a backup, so it need not be erased from there.

A backup is taken while the gateway runs: rows are copied from one snapshot. The backup API of SQLite would copy pages,
keys among them, and begin anew whenever another process commits.

A restored journal knows nothing of the leads that came after the backup: their claims are gone, so their duplicates
would be taken for new, and what became of them must be reconciled with the legacy. `restore` leaves a mark (RESTORED)
in the journal; `serve` refuses it until an operator says `--after-restore`. Leads that were open in the backup come
back as unknown outcomes; contents whose keys are gone come back erased.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.journal.sqlite import files
from gateway.journal.sqlite.store import FILE
from gateway.journal.sqlite.verifying import (
    KEYS_FILE,
    BackupFailed,
    Progress,
    Verified,
    check_schema,
    failures,
    no_progress,
    verify,
)
from gateway.journal.values import WrongSchema

__all__ = [
    "AFTER_RESTORE",
    "KEYS_FILE",
    "RESTORED",
    "BackupFailed",
    "Copied",
    "Verified",
    "backup",
    "restore",
    "verify",
]

#: Under this name a restored journal remembers when its backup was taken (ISO 8601); an empty text once accepted.
RESTORED = "restored"

AFTER_RESTORE = (
    "this journal was restored from a backup of {taken}. It does not know the leads that came after: their duplicates "
    "would be taken as new, and their unknown outcomes are not listed. Reconcile them with the legacy system "
    "(gateway journal export --accepted --since {taken}), then start once with --after-restore"
)

_COPIED_AT_ONCE = 5000
# Leases are of processes that are not there; the clock's anchor is this host's.
_NOT_COPIED = "name LIKE 'clock %' OR name = 'taken'"


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup or a restore took. shredded: contents whose key is gone, so that nobody can read them."""

    rows: int
    keys: int
    shredded: int = 0


def backup(folder: Path, target: Path, progress: Progress = no_progress) -> Copied:
    """The journal in `folder` into two files in `target`, replacing those of an earlier backup there at the very end.

    Raises BackupFailed, StoreUnavailable, WrongSchema.
    """
    source = folder / FILE
    if not source.is_file():
        raise BackupFailed(f"there is no journal in {folder}")
    with failures():
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.resolve() == folder.resolve():
            raise BackupFailed("a backup does not go where the journal is; name another folder")
        with _parts(target / FILE, target / KEYS_FILE) as (journal, keys), _target(journal, keys=keys) as db:
            db.execute("ATTACH ? AS source", (str(source),))
            check_schema(db, "source")
            db.execute("BEGIN")
            _make_tables(db)
            db.execute(
                "CREATE TABLE keys.record_keys "
                "(reference TEXT PRIMARY KEY, key_id TEXT NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID"
            )
            rows = _copy(db, progress, bodies="SELECT id, '', x'', body FROM source.bodies WHERE {range}")
            copied = db.execute(
                "INSERT INTO keys.record_keys SELECT s.reference, b.key_id, b.wrapped FROM source.bodies b "
                "JOIN source.submissions s ON s.id = b.id WHERE b.key_id <> '' ORDER BY s.reference"
            ).rowcount
            taken = datetime.now(UTC).isoformat(timespec="seconds")
            db.execute("INSERT INTO main.remembered (name, value) VALUES ('taken', ?)", (taken,))
            _finish(db)
    return Copied(rows, copied)


def restore(source: Path, folder: Path, *, keys: Path | None = None, progress: Progress = no_progress) -> Copied:
    """A backup's journal and keys into `folder`, where there must be none, marked as RESTORED.

    keys: the newest keys file, when it is not the one beside the journal's. Raises BackupFailed, StoreUnavailable,
    WrongSchema.
    """
    keys = keys or source / KEYS_FILE
    for path in (source / FILE, keys):
        if not path.is_file():
            raise BackupFailed(f"there is no {path}")
    if (folder / FILE).exists():
        raise BackupFailed(f"there is a journal in {folder} already; move its files away first")
    with failures():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.check_place(folder)
        with _parts(folder / FILE) as (journal,), _target(journal) as db:
            db.execute("ATTACH ? AS source", (str(source / FILE),))
            db.execute("ATTACH ? AS keys", (str(keys),))
            check_schema(db, "source")
            _check_keys(db)
            db.execute("BEGIN")
            _make_tables(db)
            rows = _copy(
                db,
                progress,
                bodies="SELECT b.id, k.key_id, k.wrapped, b.body FROM source.bodies b "
                "JOIN source.submissions s ON s.id = b.id JOIN keys.record_keys k ON k.reference = s.reference "
                "WHERE {range}",
            )
            shredded = _shred(db)
            (count,) = db.execute("SELECT count(*) FROM main.bodies").fetchone()
            taken = db.execute("SELECT value FROM source.remembered WHERE name = 'taken'").fetchone()
            db.execute(
                "INSERT OR REPLACE INTO main.remembered (name, value) VALUES (?, ?)",
                (RESTORED, taken[0] if taken else "unknown time"),
            )
            _finish(db)
    return Copied(rows, count, shredded)


# --- copying -------------------------------------------------------------------------------------


@contextmanager
def _parts(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Files to be written, which take their names when all are whole and on disk."""
    parts = tuple(path.with_name(f".{path.name}.part") for path in paths)
    try:
        for part in parts:
            part.unlink(missing_ok=True)
            files.protect(part)
        yield parts
        for part in parts:
            _sync(part)
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)
        _sync(paths[0].parent)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _target(journal: Path, keys: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A new file as main. It needs no journal of its own: until it is whole it has no name."""
    db = sqlite3.connect(journal, isolation_level=None, timeout=files.BUSY_MS / 1000)
    try:
        if keys is not None:
            db.execute("ATTACH ? AS keys", (str(keys),))
        for schema in ("main", "keys") if keys is not None else ("main",):
            db.execute(f"PRAGMA {schema}.page_size = {files.PAGE}")
            db.execute(f"PRAGMA {schema}.journal_mode = OFF")
            db.execute(f"PRAGMA {schema}.synchronous = OFF")
            db.execute(f"PRAGMA {schema}.application_id = {files.APPLICATION_ID}")
        yield db
    finally:
        db.close()


def _check_keys(db: sqlite3.Connection) -> None:
    (mark,) = db.execute("PRAGMA keys.application_id").fetchone()
    if mark != files.APPLICATION_ID:
        raise WrongSchema("the keys file is none of the gateway's")


def _make_tables(db: sqlite3.Connection) -> None:
    for (statement,) in db.execute(
        "SELECT sql FROM source.sqlite_schema WHERE type = 'table' ORDER BY rowid"
    ).fetchall():
        db.execute(statement)


def _copy(db: sqlite3.Connection, progress: Progress, *, bodies: str) -> int:
    """All tables but leases, from one snapshot; how many submissions."""
    (total,) = db.execute("SELECT count(*) FROM source.submissions").fetchone()
    last, done = 0, 0
    while piece := db.execute(
        "SELECT max(id), count(*) FROM (SELECT id FROM source.submissions WHERE id > ? ORDER BY id LIMIT ?)",
        (last, _COPIED_AT_ONCE),
    ).fetchone():
        to, count = piece
        if not count:
            break
        for table in ("submissions", "settlements", "answers", "marks"):
            db.execute(
                f"INSERT INTO main.{table} SELECT * FROM source.{table} WHERE id > ? AND id <= ? ORDER BY id",  # noqa: S608
                (last, to),
            )
        column = "b.id" if " b " in bodies else "id"
        chosen = bodies.format(range=f"{column} > ? AND {column} <= ?")
        db.execute(f"INSERT INTO main.bodies {chosen} ORDER BY 1", (last, to))
        last, done = to, done + count
        progress(done, total)
    for table in ("open_submissions", "hashes", "audit", "counters"):
        db.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")  # noqa: S608
    db.execute(f"INSERT INTO main.remembered SELECT * FROM source.remembered WHERE NOT ({_NOT_COPIED})")  # noqa: S608
    return done


def _shred(db: sqlite3.Connection) -> int:
    """Contents whose key is gone are erased, as they were in the journal that the newest keys are of."""
    shredded = db.execute(
        "UPDATE main.submissions SET erased = 1, content_type = '' "
        "WHERE id IN (SELECT id FROM source.bodies EXCEPT SELECT id FROM main.bodies)"
    ).rowcount
    db.execute("UPDATE main.open_submissions SET erased = 1 WHERE id NOT IN (SELECT id FROM main.bodies)")
    for table in ("answers", "marks"):
        db.execute(
            f"DELETE FROM main.{table} WHERE id IN "  # noqa: S608
            "(SELECT id FROM source.bodies EXCEPT SELECT id FROM main.bodies)"
        )
    return shredded


def _finish(db: sqlite3.Connection) -> None:
    """Indexes last, since they are built faster so."""
    for (statement,) in db.execute(
        "SELECT sql FROM source.sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY rowid"
    ).fetchall():
        db.execute(statement)
    (number,) = db.execute("PRAGMA source.user_version").fetchone()
    db.execute(f"PRAGMA main.user_version = {number}")
    db.execute("COMMIT")
