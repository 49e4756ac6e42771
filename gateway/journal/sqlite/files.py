"""The journal's file: where it may lie, how it is opened, which version its schema has.

Each pragma that durability or privacy hangs on is read back: a journal that cannot have it is refused. Migrations
are the numbered files of schema/sqlite; `user_version` says which were run, `application_id` that it is a journal.
"""

from __future__ import annotations

import os
import re
import sqlite3
from importlib import resources
from pathlib import Path

from gateway.journal.values import WrongSchema

#: "DPGJ": no other program's file is taken for a journal.
APPLICATION_ID = 0x4450474A
#: Milliseconds for which a lock that another process holds is waited for.
BUSY_MS = 2000
PAGE = 4096
_CACHE_KIB = 32 * 1024
#: Pages in the write-ahead log after which they are moved into the file: rarer means that more writes fall together.
_CHECKPOINT_PAGES = 4000
#: A log that grew (a long read, a busy hour) is cut to this.
_LOG_BYTES = 64 * 1024 * 1024

# SQLite's locks and its shared memory do not work over a network (sqlite.org/wal.html, "All processes using a
# database must be on the same host computer").
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
    | {"glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs"}
)
_MOUNTS = Path("/proc/self/mountinfo")
# The kernel writes blanks, tabs, newlines and backslashes of a path as three octal digits.
_ESCAPED = re.compile(r"\\([0-7]{3})")


class WrongPlace(WrongSchema):
    """The journal may not lie there; the text says why and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, its file created when there is none. Raises sqlite3.Error or WrongSchema."""
    db = _connection(path)
    try:
        _configure(db)
        return db
    except BaseException:
        db.close()
        raise


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; may be used by one thread after another."""
    db = _connection(path)
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        return db
    except BaseException:
        db.close()
        raise


def _connection(path: Path) -> sqlite3.Connection:
    # Transactions are begun and ended by us; each connection is handed from thread to thread, never shared.
    return sqlite3.connect(
        path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _configure(db: sqlite3.Connection) -> None:
    _set(db, "secure_delete", "ON", 1)
    db.execute(f"PRAGMA page_size = {PAGE}")  # of a new file only
    _set(db, "journal_mode", "WAL", "wal")
    # FULL: the log is synced at each commit. EXTRA would add nothing in WAL mode.
    _set(db, "synchronous", "FULL", 2)
    # A sync that reaches the drive's own cache only is no sync (macOS).
    _set(db, "fullfsync", "ON", 1)
    db.execute("PRAGMA temp_store = MEMORY")  # no values, but nothing that would have to be erased either
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")


def _set(db: sqlite3.Connection, name: str, word: str, expected: object) -> None:
    db.execute(f"PRAGMA {name} = {word}")
    if (db.execute(f"PRAGMA {name}").fetchone() or (None,))[0] != expected:
        raise WrongPlace(f"SQLite does not give {name} = {word} here; put the journal on a local disk")


# --- versions ------------------------------------------------------------------------------------


def migrations() -> list[tuple[int, str]]:
    """(number, statements) in order."""
    folder = resources.files("gateway.journal") / "schema" / "sqlite"
    found = [(int(file.name.removesuffix(".sql")), file) for file in folder.iterdir() if file.name.endswith(".sql")]
    return [(number, file.read_text("utf-8")) for number, file in sorted(found, key=lambda pair: pair[0])]


def migrate(db: sqlite3.Connection, steps: list[tuple[int, str]] | None = None) -> int:
    """Bring the schema to this version; the version it had. Raises WrongSchema, sqlite3.Error.

    Each step is one transaction with its number, so two processes that start at once run it once, and a crash in the
    middle leaves the version before.
    """
    steps = migrations() if steps is None else steps
    first = check(db, steps[-1][0])
    for number, statements in steps:
        db.execute("BEGIN IMMEDIATE")
        try:
            if version(db) < number:
                for statement in _statements(statements):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
    return first


def check(db: sqlite3.Connection, newest: int, schema: str = "main") -> int:
    """The schema's version, 0 for an empty file. Raises WrongSchema when it is newer than `newest` or no journal.

    schema: the name under which the file is attached.
    """
    (found,) = db.execute(f"PRAGMA {schema}.user_version").fetchone()
    (mark,) = db.execute(f"PRAGMA {schema}.application_id").fetchone()
    (tables,) = db.execute(f"SELECT count(*) FROM {schema}.sqlite_schema").fetchone()  # noqa: S608
    if (found or tables) and mark != APPLICATION_ID:
        raise WrongSchema("this SQLite file is no journal of the gateway; name another file")
    if found > newest:
        raise WrongSchema(
            f"the journal has schema {found}, this gateway knows up to {newest}: "
            "run the newer gateway, or restore a backup made before the upgrade"
        )
    return int(found)


def version(db: sqlite3.Connection) -> int:
    """The number of the last migration that was run."""
    number: int = db.execute("PRAGMA user_version").fetchone()[0]
    return number


def _statements(text: str) -> list[str]:
    """The statements of a file. Not `executescript`, which would commit in between."""
    statements, piece = [], ""
    for line in text.splitlines(keepends=True):
        piece += line
        if sqlite3.complete_statement(piece):
            statements.append(piece)
            piece = ""
    return statements


# --- place ---------------------------------------------------------------------------------------


def check_place(folder: Path) -> None:
    """Raises WrongPlace when the folder lies on a network file system, as far as the system tells (Linux does)."""
    if (kind := file_system(folder)) in _NETWORK:
        raise WrongPlace(
            f"the journal's folder lies on a network file system ({kind}), where SQLite's locks do not hold: "
            "set state_dir to a local disk, or use PostgreSQL"
        )


def file_system(folder: Path, mounts: Path | None = None) -> str:
    """The type of the file system that holds a folder; "" when the system does not tell."""
    try:
        lines = (mounts or _MOUNTS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    real = os.path.realpath(folder)
    for line in lines:
        # proc(5): ID parent major:minor root mount-point options [optional…] - type source super-options
        left, _, right = line.partition(" - ")
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), left.split(" ")[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # Of two mounts at one point the later one is seen.
        if inside and len(point) >= best:
            best, kind = len(point), right.split(" ")[0]
    return kind


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write to the folder's disk. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def protect(path: Path) -> None:
    """Only the gateway's user reads the journal; SQLite gives its log and index the same mode. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
