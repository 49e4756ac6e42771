"""Backup, restore, verify: what is copied while leads come, what erasing does to old copies, what a check notices."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.backup import KEYS_FILE, RESTORED, BackupFailed, Copied, backup, restore, verify
from gateway.journal.operations import Erase, Look, Recover, Remember, Rewrap
from gateway.journal.records import Query, Record
from gateway.journal.sealing import KeyRing, Sealer
from gateway.journal.sqlite import SqliteStore, files
from gateway.journal.sqlite.store import FILE
from gateway.journal.values import Met, StoreUnavailable, WrongSchema
from tests.support.journals import CANARY, HASHES, SEALER, an_entry
from tests.support.stores import begin, begun, ended, finish, meet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def again(tmp_path: Path) -> Path:
    """Where a journal is restored to."""
    return tmp_path / "restored"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(folder, floor_bytes=0, run=10)
    await made.open()
    yield made
    await made.close()


async def rows(folder: Path) -> dict[str, Record]:
    """All that a journal holds, sealed and audited."""
    store = SqliteStore(folder, floor_bytes=0)
    await store.open()
    query = Query(sealed=True, audit=True)
    found = {record.reference: record async for record in store.search(query)}
    await store.close()
    return found


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as db:
        db.execute(statement)
        db.commit()


async def test_a_restored_journal_holds_what_was_backed_up_and_goes_on_from_there(
    store: SqliteStore, folder: Path, target: Path, again: Path
) -> None:
    jane = an_entry("jane")
    await ended(store, jane)
    unknown = await ended(store, an_entry("unknown"), Reason.OUTCOME_UNKNOWN)
    open_one = await begun(store, an_entry("open"))
    for number in range(40):
        await ended(store, an_entry(f"lead {number}"))
    erase = Erase(index=(HASHES.index("email", "lead 7"),), who="dpo", why="")
    assert await store.commit([Remember("index_key", HASHES.name), erase]) == [HASHES.name, 1]
    assert backup(folder, target) == Copied(43, 42)
    before = await rows(folder)
    assert restore(target, again) == Copied(43, 42)
    assert await rows(again) == before
    assert verify(again, sealer=SEALER).faults == ()

    restored = SqliteStore(again, floor_bytes=0)
    await restored.open()
    assert (await meet(restored, begin(an_entry("jane")))).met is Met.REPLAY
    assert (await meet(restored, Look(an_entry("unknown", replay_ms=0)))).reference == unknown
    # No lease was copied: what was open then is unknown now.
    assert await restored.commit([Recover()]) == [(open_one,)]
    assert await restored.commit([Remember("index_key", "other")]) == [HASHES.name]
    await ended(restored, an_entry("new"))
    await restored.close()


async def test_a_restored_journal_says_so_until_somebody_accepts_it(
    store: SqliteStore, folder: Path, target: Path, again: Path
) -> None:
    backup(folder, target)
    assert await store.commit([Remember(RESTORED, "")]) == [""]
    restore(target, again)
    restored = SqliteStore(again, floor_bytes=0)
    await restored.open()
    [taken] = await restored.commit([Remember(RESTORED, "")])
    assert str(taken).startswith("20")
    await restored.commit([Remember(RESTORED, "", replace=True)])
    assert await restored.commit([Remember(RESTORED, "")]) == [""]
    await restored.close()


async def test_a_backup_that_is_taken_while_leads_come_is_one_moment_of_the_journal(
    store: SqliteStore, folder: Path, target: Path
) -> None:
    stop = asyncio.Event()

    async def write(lane: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await ended(store, an_entry(f"{lane} {number}"))

    writers = [asyncio.create_task(write(lane)) for lane in range(8)]
    seen = []
    for _ in range(5):
        await asyncio.sleep(0.02)
        seen.append((await asyncio.to_thread(backup, folder, target)).rows)
        verified = await asyncio.to_thread(verify, target, sealer=SEALER)
        assert (verified.faults, verified.rows) == ((), seen[-1])
    stop.set()
    await asyncio.gather(*writers)
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


async def test_no_record_key_stands_in_the_journals_file_of_a_backup(
    store: SqliteStore, folder: Path, target: Path
) -> None:
    references = [await ended(store, an_entry(f"lead {number}")) for number in range(60)]
    backup(folder, target)
    journal, keys = (target / FILE).read_bytes(), (target / KEYS_FILE).read_bytes()
    for record in (await rows(folder)).values():
        assert record.sealed is not None
        assert record.sealed.key is not None
        assert record.sealed.key.wrapped not in journal
        assert record.sealed.key.wrapped in keys
        assert record.sealed.body[:200] in journal
    assert len(references) == 60
    for path in (target, target / FILE, target / KEYS_FILE):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert sorted(path.name for path in target.iterdir()) == [FILE, KEYS_FILE]


async def test_what_is_erased_stands_in_no_file_and_cannot_be_opened_from_an_older_backup(
    store: SqliteStore, folder: Path, target: Path, again: Path, tmp_path: Path
) -> None:
    jane, john = an_entry("jane"), an_entry("john")
    for number in range(30):
        await ended(store, an_entry(f"before {number}"))
    await ended(store, jane)
    await ended(store, john)
    backup(folder, target)
    sealed = (await rows(folder))[jane.reference].sealed
    assert sealed is not None
    assert sealed.key is not None
    secrets = [sealed.key.wrapped, sealed.body, sealed.members, sealed.answer, jane.index[0]]
    assert all(any(piece in file.read_bytes() for file in folder.iterdir()) for piece in secrets)

    assert await store.commit([Erase(reference=jane.reference, who="dpo", why="")]) == [1]
    # The journal's own file and its log: nothing of it is left, and that at once.
    for file in folder.iterdir():
        raw = file.read_bytes()
        assert not [piece for piece in secrets if piece in raw], file.name
        assert CANARY.encode() not in raw
    # The next backup's keys are the only ones that are kept: the older journal file stays as it is.
    old = tmp_path / "old"
    shutil.move(target, old)
    (old / KEYS_FILE).unlink()
    backup(folder, target)
    assert sealed.body in (old / FILE).read_bytes()
    for file in (old / FILE, target / FILE, target / KEYS_FILE):
        assert sealed.key.wrapped not in file.read_bytes()
    assert restore(old, again, keys=target / KEYS_FILE) == Copied(32, 31, shredded=1)
    gone = (await rows(again))[jane.reference]
    assert gone.erased
    assert gone.sealed is not None
    assert (gone.sealed.key, gone.sealed.body, gone.sealed.members, gone.sealed.answer) == (None, b"", b"", b"")
    assert (await rows(again))[john.reference].sealed == (await rows(folder))[john.reference].sealed
    raw = (again / FILE).read_bytes()
    assert not [piece for piece in secrets if piece in raw]
    assert verify(again, sealer=SEALER).faults == ()


async def test_rotated_keys_open_an_older_backup(store: SqliteStore, folder: Path, target: Path, again: Path) -> None:
    reference = await ended(store, an_entry())
    backup(folder, target)
    new = Sealer(KeyRing([bytes(32), bytes(range(32))]))
    key = (await rows(folder))[reference].sealed.key  # type: ignore[union-attr]
    assert key is not None
    assert await store.commit([Rewrap(((reference, key, new.rewrapped(reference, key)),))]) == [1]
    newest = target.with_name("newest")
    backup(folder, newest)
    restore(target, again, keys=newest / KEYS_FILE)
    assert verify(again, sealer=Sealer(KeyRing([bytes(32)]))).faults == ()


async def test_a_later_backup_replaces_an_earlier_one_in_its_place_and_a_failed_one_does_not(
    store: SqliteStore, folder: Path, target: Path
) -> None:
    await ended(store, an_entry("a"))
    backup(folder, target)
    await ended(store, an_entry("b"))

    def break_off(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(folder, target, break_off)
    assert verify(target).rows == 1
    assert sorted(path.name for path in target.iterdir()) == [FILE, KEYS_FILE]
    backup(folder, target)
    assert verify(target).rows == 2


async def test_progress_is_told_to_the_end(
    store: SqliteStore, folder: Path, target: Path, again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.journal.backup._COPIED_AT_ONCE", 10)
    monkeypatch.setattr("gateway.journal.sqlite.verifying._CHECKED_AT_ONCE", 10)
    for number in range(25):
        await ended(store, an_entry(str(number)))

    def told(work: Callable[..., object], *arguments: object) -> list[tuple[int, int]]:
        heard: list[tuple[int, int]] = []
        work(*arguments, progress=lambda done, of: heard.append((done, of)))
        return heard

    assert told(backup, folder, target) == [(10, 25), (20, 25), (25, 25)]
    assert told(restore, target, again) == [(10, 25), (20, 25), (25, 25)]
    assert told(verify, again) == [(10, 25), (20, 25), (25, 25)]


# --- what is refused ----------------------------------------------------------------------------


async def test_a_restore_overwrites_nothing(store: SqliteStore, folder: Path, target: Path) -> None:
    reference = await ended(store, an_entry())
    backup(folder, target)
    with pytest.raises(BackupFailed, match="there is a journal"):
        restore(target, folder)
    assert list(await rows(folder)) == [reference]


async def test_a_backup_does_not_go_where_the_journal_is(store: SqliteStore, folder: Path) -> None:
    with pytest.raises(BackupFailed, match="another folder"):
        backup(folder, folder / ".." / folder.name)


def test_what_is_not_there_is_named(folder: Path, target: Path) -> None:
    for work in (lambda: backup(folder, target), lambda: verify(folder), lambda: restore(target, folder)):
        with pytest.raises(BackupFailed, match="there is no"):
            work()
    assert not folder.exists()


async def test_a_backup_of_a_newer_gateway_is_not_restored(
    store: SqliteStore, folder: Path, target: Path, again: Path
) -> None:
    backup(folder, target)
    change(target, f"PRAGMA user_version = {files.migrations()[-1][0] + 1}")
    with pytest.raises(WrongSchema):
        restore(target, again)
    assert not (again / FILE).exists()


async def test_another_file_than_keys_is_not_taken_for_keys(
    store: SqliteStore, folder: Path, target: Path, again: Path
) -> None:
    backup(folder, target)
    (target / KEYS_FILE).unlink()
    with closing(sqlite3.connect(target / KEYS_FILE)) as db:
        db.execute("CREATE TABLE record_keys (reference, key_id, wrapped)")
        db.commit()
    with pytest.raises(WrongSchema, match="keys file"):
        restore(target, again)


async def test_a_damaged_backup_is_not_restored(store: SqliteStore, folder: Path, target: Path, again: Path) -> None:
    for number in range(20):
        await ended(store, an_entry(str(number)))
    backup(folder, target)
    whole = (target / FILE).read_bytes()
    (target / FILE).write_bytes(whole[: len(whole) // 2])
    assert not verify(target).sound
    with pytest.raises(StoreUnavailable, match="SQLITE_CORRUPT"):
        restore(target, again)
    assert not (again / FILE).exists()


# --- what verify notices ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM submissions WHERE id = 3", "without a submission"),
        ("DELETE FROM settlements WHERE id = 3", "neither open nor settled"),
        ("INSERT INTO open_submissions SELECT reference, id, 'x', 0 FROM submissions WHERE id = 3", "both open and"),
        ("INSERT INTO open_submissions VALUES ('x', 999, 'x', 0)", "under another reference"),
        ("UPDATE submissions SET erased = 1 WHERE id = 3", "erased submissions that hold"),
        ("UPDATE settlements SET outcome = 'maybe' WHERE id = 3", "no gateway writes"),
        ("DELETE FROM hashes WHERE id = 3", "keys are not found by the index"),
        ("UPDATE bodies SET body = zeroblob(60) WHERE id = 3", "does not open"),
        ("UPDATE answers SET answer = (SELECT answer FROM answers WHERE id = 4) WHERE id = 3", "does not open"),
        ("UPDATE bodies SET key_id = '00000000' WHERE id = 3", "needs the key 00000000"),
    ],
)
async def test_a_check_notices_rows_that_make_no_sense(
    store: SqliteStore, folder: Path, statement: str, words: str
) -> None:
    for number in range(30):
        await ended(store, an_entry(str(number)))
    assert verify(folder, sealer=SEALER).faults == ()
    change(folder, statement)
    faults = verify(folder, sealer=SEALER).faults
    assert any(words in fault for fault in faults), faults


async def test_a_check_opens_what_is_sealed_of_a_running_journal_and_of_its_backup(
    store: SqliteStore, folder: Path, target: Path
) -> None:
    reference = await begun(store, an_entry())
    backup(folder, target)
    assert verify(folder, sealer=SEALER).opened == verify(target, sealer=SEALER).opened == 1
    await store.commit([finish(reference, Reason.ACCEPTED)])
    assert verify(folder, sealer=SEALER).opened == 3
    assert verify(target).opened == 0
    (target / KEYS_FILE).unlink()
    assert verify(target, sealer=SEALER).opened == 0
    assert verify(target, sealer=SEALER).sound
    assert (await rows(folder))[reference].outcome is Outcome.ACCEPTED
