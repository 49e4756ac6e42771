"""The lagging index of keys: whatever was moved, cut off or written by another process, each key finds its lead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.journal.operations import Begin, Look, Purge
from gateway.journal.records import Query
from gateway.journal.sqlite import SqliteStore
from gateway.journal.sqlite.packing import (
    HeldClaim,
    pack_claims,
    pack_hashes,
    repack_claims,
    short,
    unpack_claims,
    unpack_hashes,
)
from gateway.journal.sqlite.statements import In
from gateway.journal.sqlite.verifying import verify
from gateway.journal.values import Claim, Met, StoreUnavailable
from tests.support.journals import DAY_MS, a_claim, an_entry
from tests.support.stores import begin, begun, ended, finish, meet

#: Rows in memory before a run begins: a handful of leads makes many runs.
RUN = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(folder, floor_bytes=0, run=RUN)
    await made.open()
    yield made
    await made.close()


def counter(store: SqliteStore, name: str) -> int:
    assert store._db is not None
    (value,) = store._db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
    return int(value)


def in_memory(store: SqliteStore) -> int:
    return len(store._finder._recent) + len(store._finder._leaving)


async def knows_each(store: SqliteStore, leads: list[str], met: Met = Met.DUPLICATE) -> None:
    """Each lead's claim is met; another lead's is not."""
    for lead in leads:
        look = Look(an_entry("another", fingerprint=b"unheard of", claims=(a_claim(lead),)))
        assert (await meet(store, look)).met is met, lead
    assert (await meet(store, Look(an_entry("never")))).met is Met.NOTHING


async def test_keys_move_into_the_table_while_leads_come_and_are_found_all_the_while(store: SqliteStore) -> None:
    leads: list[str] = []
    for number in range(20 * RUN):
        leads.append(f"lead {number}")
        await ended(store, an_entry(leads[-1]))
        if number % RUN == 7:
            await knows_each(store, leads)
    assert counter(store, "indexed_to") > 15 * RUN
    assert in_memory(store) < 5 * 2 * RUN
    assert verify(store.path.parent).faults == ()


async def test_a_journal_opened_again_reads_the_tail_from_its_rows(store: SqliteStore, folder: Path) -> None:
    leads = [f"lead {number}" for number in range(3 * RUN + 4)]
    for lead in leads:
        await ended(store, an_entry(lead))
    assert 0 < counter(store, "indexed_to") < len(leads)
    other = SqliteStore(folder, floor_bytes=0, run=10_000)
    await other.open()
    await knows_each(other, leads)
    await other.close()


async def test_what_one_process_moves_others_find(store: SqliteStore, folder: Path) -> None:
    # The other moves at other times; each of them has rows in memory that the other has moved.
    other = SqliteStore(folder, floor_bytes=0, run=3 * RUN + 1)
    await other.open()
    leads: list[str] = []
    for number in range(12 * RUN):
        leads.append(f"lead {number}")
        await ended((store, other)[number % 3 == 0], an_entry(leads[-1]))
        if number % RUN == 3:
            await knows_each(store, leads)
            await knows_each(other, leads)
    assert in_memory(other) < 6 * 2 * RUN
    await other.close()
    assert verify(folder).faults == ()


@pytest.mark.parametrize("every", [1, 2, 3])
async def test_a_run_that_is_rolled_back_again_and_again_is_done_in_the_end(store: SqliteStore, every: int) -> None:
    leads: list[str] = []
    for number in range(8 * RUN):
        leads.append(f"lead {number}")
        await ended(store, an_entry(leads[-1]))
        if number % every == 0:
            assert store._db is not None
            (pages,) = store._db.execute("PRAGMA page_count").fetchone()
            store._db.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(StoreUnavailable):
                await store.commit([begin(an_entry(f"lost {number} {part}", body=b"x" * 9000)) for part in range(9)])
            store._db.execute("PRAGMA max_page_count = 1000000")
    await knows_each(store, leads)
    assert (await meet(store, Look(an_entry("lost 0 0")))).met is Met.NOTHING
    assert counter(store, "indexed_to") > 3 * RUN
    assert verify(store.path.parent).faults == ()


async def test_keys_that_nothing_can_meet_any_more_are_not_moved(store: SqliteStore) -> None:
    for number in range(6 * RUN):
        await ended(
            store, an_entry(f"lead {number}"), Reason.LEGACY_ERROR if number % 2 else Reason.UPSTREAM_UNREACHABLE
        )
    assert store._db is not None
    (entries,) = store._db.execute("SELECT count(*) FROM hashes").fetchone()
    moved = counter(store, "indexed_to")
    # Of a failure the claim alone; of what was not sent nothing at all.
    assert 0 < entries <= moved / 2 + 1


async def test_a_lead_that_was_open_when_its_keys_moved_is_met_as_it_ends(store: SqliteStore) -> None:
    early = await begun(store, an_entry("early"))
    for number in range(4 * RUN):
        await ended(store, an_entry(f"lead {number}"))
    assert counter(store, "indexed_to") > 1
    await knows_each(store, ["early"], Met.RUNNING)
    await store.commit([finish(early, Reason.LEGACY_REJECTED)])
    await knows_each(store, ["early"], Met.NOTHING)


async def test_ids_go_on_after_the_newest_rows_were_purged(store: SqliteStore, folder: Path) -> None:
    other = SqliteStore(folder, floor_bytes=0)
    await other.open()
    for number in range(3):
        await ended(store, an_entry(str(number), claims=(), replay_ms=0, unknown_hold_ms=0, idempotency_ms=0))
    await other.commit([Purge(content_ms=-1000, row_ms=-1000)])
    assert counter(store, "given_to") == 3
    third = SqliteStore(folder, floor_bytes=0)
    await third.open()
    # Whoever comes new gives ids that those who were there do not take for known ones.
    await begun(third, an_entry("jane"))
    for one in (store, other, third):
        await knows_each(one, ["jane"], Met.RUNNING)
        await one.commit([])
    await third.close()
    await other.close()


async def test_two_keys_that_begin_alike_are_told_apart(store: SqliteStore) -> None:
    first, second = (Claim("same_email", b"8 bytes." + rest, DAY_MS) for rest in (b"one.....", b"other..."))
    assert short(first.key) == short(second.key)
    await ended(store, an_entry("a", claims=(first,)))
    assert (await meet(store, begin(an_entry("b", claims=(second,))))).met is Met.NOTHING
    for claim, met in ((first, Met.DUPLICATE), (second, Met.RUNNING)):
        assert (await meet(store, Look(an_entry("c", claims=(claim,))))).met is met


async def test_more_leads_at_once_than_one_statement_takes(store: SqliteStore) -> None:
    operations: list[Begin] = [begin(an_entry(f"lead {number}")) for number in range(700)]
    assert {meeting.met for meeting in await store.commit(operations)} == {Met.NOTHING}  # type: ignore[attr-defined]
    finishes = [finish(operation.entry.reference) for operation in operations]
    assert await store.commit(finishes) == [True] * 700
    meetings = await store.commit([begin(an_entry(f"lead {number}")) for number in range(700)])
    assert {meeting.met for meeting in meetings} == {Met.REPLAY}  # type: ignore[attr-defined]


# --- how they stand in their columns ----------------------------------------------------------------

_KEYS = st.binary(max_size=40)
_RULES = st.text(st.characters(codec="utf-8"), max_size=40)


@given(claims=st.lists(st.builds(Claim, _RULES, _KEYS, st.integers(0, 10**12))), now_ms=st.integers(0, 10**14))
def test_claims_are_unpacked_as_they_were_packed(claims: list[Claim], now_ms: int) -> None:
    held = unpack_claims(pack_claims(claims, now_ms))
    assert held == [HeldClaim(claim.rule, claim.key, now_ms + claim.window_ms) for claim in claims]
    assert unpack_claims(repack_claims(held)) == held


@given(hashes=st.lists(_KEYS))
def test_index_hashes_are_unpacked_as_they_were_packed(hashes: list[bytes]) -> None:
    assert unpack_hashes(pack_hashes(hashes)) == set(hashes)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 511, 512, 513, 1500])
async def test_a_list_of_values_of_any_length_finds_each_row_once(store: SqliteStore, count: int) -> None:
    assert store._db is not None
    rows = In("WITH numbers(n) AS (VALUES (1), (2), (600)) SELECT n FROM numbers WHERE n IN (?)")
    found = sorted(n for (n,) in rows.rows(store._db, list(range(1, count + 1))))
    assert found == [n for n in (1, 2, 600) if n <= count]


async def test_a_hash_across_the_border_of_two_others_is_not_taken_for_one(store: SqliteStore) -> None:
    # Packed, a hash stands behind its length: 2 cd stands in the first of these.
    await begun(store, an_entry("a", index=(b"ab\x02cd", b"efgh")))
    assert [one async for one in store.search(Query(index=(b"cd",)))] == []
    assert len([one async for one in store.search(Query(index=(b"efgh",)))]) == 1
