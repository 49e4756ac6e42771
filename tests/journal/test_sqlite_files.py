"""The journal's file: its versions, its pragmas, who may read it, where it may lie."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.operations import Remember
from gateway.journal.sqlite import SqliteStore, files
from gateway.journal.values import Met, StoreUnavailable, WrongSchema
from tests.support.journals import an_entry
from tests.support.stores import begin, ended, meet

NEWEST = files.migrations()[-1][0]
#: One statement that a step of a later version might hold, and one that fails.
LATER = (
    NEWEST + 1,
    "ALTER TABLE audit ADD COLUMN where_from TEXT; -- with a comment;\nCREATE INDEX a ON audit (who);\n",
)
BROKEN = (NEWEST + 1, "ALTER TABLE audit ADD COLUMN where_from TEXT;\nCREATE INDEX a ON nothing (who);\n")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(files.connect(tmp_path / "journal.sqlite3")) as db:
        files.migrate(db)
        yield db


async def once(folder: Path) -> None:
    """Open and close it, with a write in between."""
    store = SqliteStore(folder, floor_bytes=0)
    await store.open()
    await store.commit([Remember("name", "value")])
    await store.close()


# --- versions -------------------------------------------------------------------------------------


async def test_a_journal_of_a_newer_gateway_is_refused_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    await once(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    store = SqliteStore(tmp_path)
    with pytest.raises(WrongSchema, match=f"schema {NEWEST + 1}, .* up to {NEWEST}: run the newer gateway"):
        await store.open()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (NEWEST + 1,)


async def test_another_programs_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE tasks (id INTEGER)")
        db.commit()
    with pytest.raises(WrongSchema, match="no journal"):
        await once(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_schema")] == ["tasks"]


async def test_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"not a database, but longer than a header of one " * 20)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await once(tmp_path)


async def test_a_journal_of_the_version_before_is_brought_up_to_date_and_keeps_its_leads(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, floor_bytes=0)
    await store.open()
    entry = an_entry("jane")
    await ended(store, entry)
    await store.close()
    with closing(files.connect(tmp_path / "journal.sqlite3")) as db:
        assert files.migrate(db, [*files.migrations(), LATER]) == NEWEST
        assert files.version(db) == NEWEST + 1
        assert "where_from" in [row[1] for row in db.execute("PRAGMA table_info(audit)")]
        assert files.migrate(db, [*files.migrations(), LATER]) == NEWEST + 1
        # Back, so that this gateway opens it.
        db.execute(f"PRAGMA user_version = {NEWEST}")
    await store.open()
    assert (await meet(store, begin(an_entry("jane")))).met is Met.REPLAY
    await store.close()


def test_a_step_that_fails_leaves_the_version_before(opened: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError):
        files.migrate(opened, [*files.migrations(), BROKEN])
    assert files.version(opened) == NEWEST
    assert "where_from" not in [row[1] for row in opened.execute("PRAGMA table_info(audit)")]
    files.migrate(opened, [*files.migrations(), LATER])


async def test_processes_that_open_an_empty_journal_at_once_make_one(tmp_path: Path) -> None:
    await asyncio.gather(*(once(tmp_path) for _ in range(8)))
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (NEWEST,)


# --- pragmas, modes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1), ("fullfsync", 1), ("temp_store", 2)],
)
def test_the_writer_has_what_durability_and_privacy_hang_on(
    opened: sqlite3.Connection, name: str, value: object
) -> None:
    assert opened.execute(f"PRAGMA {name}").fetchone() == (value,)


def test_a_journal_that_cannot_have_them_is_refused() -> None:
    # A database in memory has no write-ahead log.
    with pytest.raises(WrongSchema, match="journal_mode"):
        files.connect(Path(":memory:"))


def test_a_reader_cannot_write(opened: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(files.connect_reader(tmp_path / "journal.sqlite3")) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM counters")


async def test_only_the_gateways_user_can_read_the_journal(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by us"
    store = SqliteStore(folder, floor_bytes=0)
    await store.open()
    await store.commit([begin(an_entry())])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    await store.close()
    assert modes == {
        "by us": 0o700,
        "journal.sqlite3": 0o600,
        "journal.sqlite3-wal": 0o600,
        "journal.sqlite3-shm": 0o600,
    }


# --- place --------------------------------------------------------------------------------------

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /srv/with\\040blank rw - nfs4 server:/export rw,vers=4.2
41 22 0:41 / /srv/data rw - cifs //server/share rw
42 22 0:42 / /srv/data/local rw - xfs /dev/sdb1 rw
43 22 0:43 / /srv/over rw - ext4 /dev/sdc1 rw
44 43 0:44 / /srv/over rw master:7 propagate_from:2 - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/gateway", "ext4"),
        ("/srv/with blank/state", "nfs4"),
        ("/srv/data", "cifs"),
        ("/srv/database", "ext4"),
        ("/srv/data/local/state", "xfs"),
        ("/srv/over/state", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(tmp_path: Path, folder: str, kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert files.file_system(Path(folder), tmp_path / "mountinfo") == kind


def test_a_system_that_does_not_tell_its_mounts_is_believed(tmp_path: Path) -> None:
    assert files.file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "9p"])
async def test_a_network_file_system_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 8:1 / / rw - {kind} somewhere rw\n")
    monkeypatch.setattr(files, "_MOUNTS", mounts)
    with pytest.raises(WrongSchema, match=rf"network file system \({kind}\)"):
        await once(tmp_path / "state")
    assert not (tmp_path / "state" / "journal.sqlite3").exists()
