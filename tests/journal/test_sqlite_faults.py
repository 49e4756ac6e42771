"""Disks that are full, read-only or damaged, locks that others hold: refused before sending, back without a restart."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.datapost.reasons import Outcome
from gateway.journal.operations import Beat, Begin, Erase, Look
from gateway.journal.records import Query
from gateway.journal.sqlite import SqliteStore, files
from gateway.journal.sqlite import store as store_module
from gateway.journal.values import Entry, Met, StoreUnavailable
from tests.support.journals import CANARY, an_entry
from tests.support.stores import begin, begun, ended, finish, meet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    """Looks around before each commit, and waits only a moment for a lock."""
    monkeypatch.setattr(store_module, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(files, "BUSY_MS", 50)
    made = SqliteStore(folder, floor_bytes=0)
    await made.open()
    yield made
    await made.close()


async def references(store: SqliteStore) -> set[str]:
    return {record.reference async for record in store.search(Query())}


async def refused(store: SqliteStore, operation: Begin, words: str) -> None:
    """Nothing is begun, for this reason; the error holds no value."""
    with pytest.raises(StoreUnavailable, match=words) as told:
        await store.commit([operation])
    assert CANARY not in repr(told.value)
    # Neither does what it came from: that would be in a traceback.
    assert told.value.__cause__ is None
    assert told.value.__context__ is None or told.value.__suppress_context__


# --- locks --------------------------------------------------------------------------------------


async def test_a_locked_journal_refuses_and_takes_again_when_the_lock_is_gone(store: SqliteStore, folder: Path) -> None:
    reference = await begun(store, an_entry())
    with closing(sqlite3.connect(folder / "journal.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        await refused(store, begin(an_entry("x")), "locked by another process")
        with pytest.raises(StoreUnavailable):
            await store.commit([finish(reference)])
        # Readers do not mind.
        assert await references(store) == {reference}
        other.execute("ROLLBACK")
        assert await store.commit([finish(reference)]) == [True]
    assert (await meet(store, begin(an_entry("x")))).met is Met.NOTHING


async def test_a_reader_that_stays_does_not_keep_the_journal_from_being_written(
    store: SqliteStore, folder: Path
) -> None:
    with closing(files.connect_reader(folder / "journal.sqlite3")) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM submissions").fetchone()
        for number in range(50):
            await ended(store, an_entry(str(number)))
        assert other.execute("SELECT count(*) FROM submissions").fetchone() == (0,)


async def test_what_was_erased_leaves_the_log_as_soon_as_no_reader_needs_it(store: SqliteStore, folder: Path) -> None:
    entry = an_entry()
    await ended(store, entry)
    with closing(files.connect_reader(folder / "journal.sqlite3")) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM submissions").fetchone()
        assert await store.commit([Erase(reference=entry.reference, who="dpo", why="")]) == [1]
        assert any(entry.index[0] in file.read_bytes() for file in folder.iterdir())
        other.execute("ROLLBACK")
    await store.commit([Beat("somebody", 1000)])
    assert not any(entry.index[0] in file.read_bytes() for file in folder.iterdir())


# --- space --------------------------------------------------------------------------------------


async def test_below_the_floor_nothing_is_begun_and_what_is_open_can_still_be_settled(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = an_entry()
    reference = await begun(store, entry)
    monkeypatch.setattr(store, "_floor", files.free_bytes(store.path.parent) * 2)
    meeting, done, look = await store.commit([begin(an_entry("x")), finish(reference), Look(an_entry("x"))])
    assert isinstance(meeting, StoreUnavailable)
    assert "nearly full" in str(meeting)
    assert done is True
    assert look.met is Met.NOTHING  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "_floor", 0)
    assert (await meet(store, begin(an_entry("x")))).met is Met.NOTHING


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB of our own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk))
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield disk
    subprocess.run(("umount", "-l", str(disk)), check=True)


async def refusals(store: SqliteStore, leads: Iterable[Entry]) -> tuple[set[str], list[str]]:
    """Begin leads one by one; those that were acknowledged, and what the others were told."""
    taken, told = set(), []
    for entry in leads:
        try:
            taken.add(await begun(store, entry))
        except StoreUnavailable as error:
            told.append(str(error))
    return taken, told


async def test_a_full_disk_refuses_loses_nothing_and_takes_again_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_LOOK_EVERY_S", 0.0)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    store = SqliteStore(small_disk / "state", floor_bytes=0)
    await store.open()
    taken, told = await refusals(store, [an_entry(str(number), body=b"x" * 20_000) for number in range(200)])
    assert len(taken) > 20
    assert len(told) > 20
    assert set(told) == {"there is no space left for the journal"}
    assert await references(store) == taken
    ballast.unlink()
    after = await begun(store, an_entry("after"))
    assert await store.commit([finish(after)]) == [True]
    assert await references(store) == taken | {after}
    await store.close()


def remount(disk: Path, mode: str) -> None:
    subprocess.run(("mount", "-o", f"remount,{mode}", str(disk)), check=True)


async def test_a_disk_that_turned_read_only_refuses_and_takes_again_when_it_is_writable(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_LOOK_EVERY_S", 0.0)
    store = SqliteStore(small_disk / "state", floor_bytes=0)
    await store.open()
    before = await begun(store, an_entry("before"))
    await store.close()
    remount(small_disk, "ro")
    with pytest.raises(StoreUnavailable):
        await store.open()
    remount(small_disk, "rw")
    await store.open()
    assert await store.commit([finish(before)]) == [True]
    await store.close()


def test_a_folder_without_write_permission_is_told_and_used_once_it_has_it(tmp_path: Path) -> None:
    """As another user, since root may write everywhere."""
    folder = tmp_path / "state"
    folder.mkdir()
    script = """
import asyncio, os, sys
from pathlib import Path
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import StoreUnavailable
folder = Path(sys.argv[1])
async def warm():  # whoever comes next may not be allowed to import
    store = SqliteStore(folder.with_name("warm"))
    await store.open()
    await store.close()
asyncio.run(warm())
if os.geteuid() == 0:
    os.chown(folder, 65534, 65534)
    for parent in list(folder.parents)[:-2]:  # not / and the temporary folder itself
        os.chmod(parent, 0o755)
    os.setgid(65534); os.setuid(65534)
async def main():
    os.chmod(folder, 0o500)
    store = SqliteStore(folder, floor_bytes=0)
    try:
        await store.open()
    except StoreUnavailable as told:
        print("refused:", told)
    os.chmod(folder, 0o700)
    await store.open()
    print(await store.commit([]))
    await store.close()
asyncio.run(main())
"""
    done = subprocess.run(
        (sys.executable, "-c", script, str(folder)), cwd=ROOT, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["refused: the journal's folder cannot be used", "[]"], done.stderr


# --- the file -------------------------------------------------------------------------------------


async def test_a_journal_whose_file_was_removed_takes_nothing_into_the_void(store: SqliteStore, folder: Path) -> None:
    reference = await begun(store, an_entry())
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    for path in folder.iterdir():
        path.unlink()
    for _ in range(3):
        await refused(store, begin(an_entry("x")), "replaced|gone")
    assert list(folder.iterdir()) == []
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert await store.commit([finish(reference)]) == [True]


async def test_a_damaged_journal_is_refused_and_used_again_when_it_is_whole(store: SqliteStore, folder: Path) -> None:
    reference = await begun(store, an_entry())
    await store.close()
    path = folder / "journal.sqlite3"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreUnavailable, match="damaged"):
        await SqliteStore(folder).open()
    await store.open()
    await refused(store, begin(an_entry("x")), "damaged")
    path.write_bytes(whole)
    assert await store.commit([finish(reference)]) == [True]


async def test_a_transaction_that_fails_in_the_middle_leaves_nothing_and_the_next_one_succeeds(
    store: SqliteStore,
) -> None:
    await begun(store, an_entry("first"))
    assert store._db is not None
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 3}")
    many = [begin(an_entry(f"many {number}")) for number in range(200)]
    with pytest.raises(StoreUnavailable, match="no space left"):
        await store.commit(many)
    assert len(await references(store)) == 1
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert [meeting.met for meeting in await store.commit(many)] == [Met.NOTHING] * 200  # type: ignore[attr-defined]


async def test_a_store_that_is_not_open_says_so(folder: Path) -> None:
    store = SqliteStore(folder)
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.commit([])
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.now_ms()
    with pytest.raises(StoreUnavailable):
        [record async for record in store.search(Query())]
    assert not folder.exists()


# --- durability -------------------------------------------------------------------------------------

_TRACED = """
import asyncio, os, sys
from pathlib import Path
from gateway.journal.sqlite import SqliteStore
from tests.support.journals import an_entry
from tests.support.stores import begin, finish
async def main():
    store = SqliteStore(Path(sys.argv[1]), floor_bytes=0)
    await store.open()
    entry = an_entry()
    for operation in (begin(entry), finish(entry.reference)):
        os.write(1, b"ask")
        await store.commit([operation])
        os.write(1, b"done")
    await store.close()
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_log_is_synced_between_the_question_and_the_answer_of_each_commit(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    state = tmp_path / "state"
    command = ("strace", "-f", "-y", "-e", "trace=write,pwrite64,fdatasync,fsync", "-o", str(trace))
    done = subprocess.run(
        (*command, sys.executable, "-c", _TRACED, str(state)), cwd=ROOT, capture_output=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if b"ptrace" in done.stderr and done.returncode:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    events = []
    for line in trace.read_text(errors="replace").splitlines():
        if '"ask"' in line or '"done"' in line:
            events.append("ask" if '"ask"' in line else "done")
        elif "journal.sqlite3-wal>" in line and (call := re.search(r"(pwrite64|fdatasync|fsync)\(", line)):
            events.append("write" if call[1] == "pwrite64" else "sync")
    commits = " ".join(events).split("ask ")[1:]
    assert len(commits) == 2
    for commit in commits:
        # The last write to the log comes before a sync, and that before the answer.
        assert re.match(r"(write )+(sync )done", commit), commit


_FAILING = """
import asyncio, sys
from pathlib import Path
from gateway.journal.records import Query
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import StoreUnavailable
from tests.support.journals import an_entry
from tests.support.stores import begin
async def main():
    store = SqliteStore(Path(sys.argv[1]), floor_bytes=0)
    await store.open()
    for number in range(8):
        entry = an_entry(str(number))
        try:
            await store.commit([begin(entry)])
            print("taken", entry.reference)
        except StoreUnavailable as told:
            print("refused", entry.reference, told)
    async for record in store.search(Query()):
        print("found", record.reference)
    await store.close()
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_an_error_of_the_disk_refuses_the_commit_that_met_it_and_no_other_for_ever(tmp_path: Path, call: str) -> None:
    """An error while syncing is never taken for a sync that can be tried again: the connection is thrown away."""
    met = 0
    for when in range(3, 13, 2) if call == "fdatasync" else range(100, 420, 60):
        state = tmp_path / str(when)
        inject = f"inject={call}:error=EIO:when={when}"
        done = subprocess.run(
            ("strace", "-f", "-qq", "-o", "/dev/null", "-P", str(state / "journal.sqlite3-wal"), "-e", f"trace={call}",
             "-e", inject, sys.executable, "-c", _FAILING, str(state)),
            cwd=ROOT, capture_output=True, timeout=60, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        if "ptrace" in done.stderr and done.returncode:
            pytest.skip("strace may not trace here")
        said: dict[str, list[str]] = {"taken": [], "refused": [], "found": []}
        for line in done.stdout.splitlines():
            said[line.split()[0]].append(line.split(maxsplit=1)[1])
        if done.returncode:
            assert "StoreUnavailable" in done.stderr  # while opening
            continue
        met += len(said["refused"])
        assert all("disk fails" in words for words in said["refused"]), said
        assert len(said["refused"]) <= 1
        assert set(said["taken"]) == set(said["found"]), said
    assert met


async def test_an_acknowledged_lead_is_found_by_whoever_opens_it_next(store: SqliteStore, folder: Path) -> None:
    entry = an_entry("jane")
    await ended(store, entry)
    other = SqliteStore(folder, floor_bytes=0)
    await other.open()
    [record] = [record async for record in other.search(Query())]
    assert (record.reference, record.outcome) == (entry.reference, Outcome.ACCEPTED)
    await other.close()
