"""PostgreSQL stops, freezes, grows, loses connections: nothing goes out without a row, nothing is done twice.

Each fault is made at an exact point of a transaction, on a real server. The suite that both stores share stands in
test_store_contract.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import count

import asyncpg
import pytest

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import (
    Beat,
    Begin,
    CountUnknown,
    Erase,
    Finish,
    ForeignKeys,
    Leave,
    Look,
    Purge,
    RecordKey,
    Recover,
    Reindex,
    Rewrap,
    SettleByHand,
)
from gateway.journal.postgres import DriverMissing, PostgresStore
from gateway.journal.records import Query, Record
from gateway.journal.values import Claim, Entry, Meeting, Met, NotTaken, Settlement, StoreUnavailable
from tests.support.canaries import CANARY
from tests.support.postgres import PostgresServer, Wire

TIMEOUT_S = 1.0
#: What stands in the messages of a transaction that begins a lead.
WORDS = (b"BEGIN;", b"sealed body", b"COMMIT")
_numbers = count(1)


def begin(lead: int = 0, *, reference: str = "", partner: str = "acme") -> Begin:
    """A submission of its own; those of one lead (a number above 0) have fingerprint and claim in common."""
    number = next(_numbers)
    seed = lead.to_bytes(8) if lead else number.to_bytes(8, signed=False)
    kind = b"lead...." if lead else b"single.."
    entry = Entry(
        reference=reference or f"01J{number:023d}", program="auto", partner=partner, received_ms=1_790_000_000_000,
        fingerprint=seed + kind, replay_ms=10**12, unknown_hold_ms=10**12,
        claims=(Claim("same_email", kind + seed, 10**9),),
    )  # fmt: skip
    return Begin(entry, "owner", RecordKey("0badcafe", b"w" * 60), b"sealed body")


def finish(begun: Begin, reason: Reason = Reason.ACCEPTED) -> Finish:
    outcome = Outcome.ACCEPTED if reason is Reason.ACCEPTED else Outcome.NONE
    delivery = Delivery.ANSWERED if reason is Reason.ACCEPTED else Delivery.NOT_SENT
    settlement = Settlement(reference=begun.entry.reference, reason=reason, delivery=delivery, outcome=outcome)
    return Finish(settlement, b"sealed members", b"sealed answer")


async def met(store: PostgresStore, operation: Begin | Look) -> Met:
    [meeting] = await store.commit([operation])
    assert isinstance(meeting, Meeting)
    return meeting.met


async def rows(store: PostgresStore) -> list[Record]:
    return [row async for row in store.search(Query())]


async def references(store: PostgresStore) -> list[str]:
    return [row.reference for row in await rows(store)]


def connected(server: PostgresServer, database: str) -> list[int]:
    """The server's processes of the stores that write, the newest last."""
    ours = f"application_name = 'data-post-gateway' AND datname = '{database}'"
    pids = server.sql(f"SELECT pid FROM pg_stat_activity WHERE {ours} ORDER BY backend_start")  # noqa: S608
    return [int(pid) for pid in pids.split()]


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    return postgres_server.empty_database()


@pytest.fixture
async def store(postgres_server: PostgresServer, database: str) -> AsyncIterator[PostgresStore]:
    """A store with a server next door."""
    store = PostgresStore(postgres_server.url(database), timeout_s=TIMEOUT_S)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def distant(wire: Wire, store: PostgresStore, database: str) -> AsyncIterator[PostgresStore]:
    """A store of the same database, at the other end of the wire."""
    distant = PostgresStore(wire.url(database), timeout_s=TIMEOUT_S)
    await distant.open()
    yield distant
    await distant.close()


# --- the server ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_server_that_is_gone_takes_nothing_and_is_used_again_once_it_is_back(
    postgres_server: PostgresServer, store: PostgresStore, how: signal.Signals
) -> None:
    before, during, after = begin(), begin(), begin()
    assert await met(store, before) is Met.NOTHING

    postgres_server.stop(how)
    with pytest.raises(StoreUnavailable):
        await store.commit([during])
    with pytest.raises(StoreUnavailable):
        await store.now_ms()
    with pytest.raises(StoreUnavailable):
        await rows(store)
    postgres_server.start()

    assert await store.commit([finish(before)]) == [True]
    assert await met(store, after) is Met.NOTHING
    assert sorted(await references(store)) == [before.entry.reference, after.entry.reference]


async def test_a_restart_between_two_commits_costs_none_of_them(
    postgres_server: PostgresServer, store: PostgresStore
) -> None:
    first, second = begin(), begin()
    assert await met(store, first) is Met.NOTHING
    postgres_server.restart()
    assert await met(store, second) is Met.NOTHING
    postgres_server.restart(signal.SIGQUIT)
    assert await store.commit([finish(first), finish(second)]) == [True, True]


async def test_a_frozen_server_is_given_up_in_time_and_what_it_was_told_is_not_done_when_it_thaws(
    postgres_server: PostgresServer, store: PostgresStore
) -> None:
    loop = asyncio.get_running_loop()
    before, during, after = begin(), begin(), begin()
    assert await met(store, before) is Met.NOTHING

    postgres_server.freeze()
    started = loop.time()
    with pytest.raises(StoreUnavailable):
        await store.commit([during, finish(before)])
    assert loop.time() - started < 2 * TIMEOUT_S
    with pytest.raises(StoreUnavailable):
        await store.commit([after])
    postgres_server.thaw()

    assert await store.commit([finish(before)]) == [True]
    assert await met(store, after) is Met.NOTHING
    assert sorted(await references(store)) == [before.entry.reference, after.entry.reference]


async def test_a_commit_that_is_cancelled_leaves_the_store_in_use(
    postgres_server: PostgresServer, store: PostgresStore
) -> None:
    during, after = begin(), begin()
    postgres_server.freeze()
    commit = asyncio.create_task(store.commit([during]), name="a commit")
    await asyncio.wait([commit], timeout=0.05)
    commit.cancel()
    await asyncio.wait([commit])
    assert commit.cancelled()
    postgres_server.thaw()
    assert await met(store, after) is Met.NOTHING
    assert await references(store) == [after.entry.reference]


async def test_a_search_that_loses_its_server_says_so_and_the_next_one_works(
    postgres_server: PostgresServer, store: PostgresStore
) -> None:
    await store.commit([begin() for _ in range(1200)])
    search = aiter(store.search(Query()))
    await anext(search)
    postgres_server.restart(signal.SIGQUIT)
    with pytest.raises(StoreUnavailable):
        await _rest(search)
    assert len(await rows(store)) == 1200


async def _rest(search: AsyncIterator[Record]) -> None:
    async for _ in search:
        pass


async def test_a_server_that_was_made_a_standby_is_left_for_the_new_primary(
    postgres_server: PostgresServer, store: PostgresStore, database: str
) -> None:
    first, second = begin(), begin()
    assert await met(store, first) is Met.NOTHING
    try:
        postgres_server.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        postgres_server.restart()
        with pytest.raises(StoreUnavailable, match="25006"):
            await store.commit([second])
    finally:
        postgres_server.sql(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    assert await met(store, second) is Met.NOTHING


async def test_a_server_that_does_not_write_to_disk_is_refused() -> None:
    careless = PostgresServer(fsync="off")
    try:
        careless.start()
        with pytest.raises(StoreUnavailable, match="fsync"):
            await PostgresStore(careless.url()).open()
    finally:
        careless.close()


async def test_a_server_whose_default_commit_is_not_durable_makes_ours_durable(postgres_server: PostgresServer) -> None:
    database = postgres_server.create_database()
    postgres_server.sql(f"ALTER DATABASE {database} SET synchronous_commit = off")
    store = PostgresStore(postgres_server.url(database))
    await store.open()
    postgres_server.sql(
        "CREATE TABLE said (word text); CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO public.said VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; "
        "CREATE TRIGGER say AFTER INSERT ON journal.submissions EXECUTE FUNCTION say()",
        database,
    )
    await store.commit([begin()])
    await store.close()
    assert postgres_server.sql("SELECT word FROM said", database) == "on"


# --- the connection -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", WORDS, ids=["start", "write", "commit"])
async def test_a_connection_that_breaks_before_the_commit_is_sent_has_the_work_done_once_over_a_new_one(
    wire: Wire, distant: PostgresStore, words: bytes
) -> None:
    before, lead = begin(), begin()
    assert await met(distant, before) is Met.NOTHING  # its statements are prepared
    wire.cut_before(words)
    meeting, finished = await distant.commit([lead, finish(before)])
    assert isinstance(meeting, Meeting)
    assert (meeting.met, finished) == (Met.NOTHING, True)
    assert wire.connections == 3  # open() makes the schema over one, the store works over another
    assert sorted(await references(distant)) == [before.entry.reference, lead.entry.reference]


async def test_a_commit_whose_answer_is_lost_is_asked_after_and_not_done_again(
    wire: Wire, distant: PostgresStore
) -> None:
    before, lead = begin(), begin()
    assert await met(distant, before) is Met.NOTHING
    wire.cut_after(b"COMMIT")
    meeting, finished, beat = await distant.commit([lead, finish(before), Beat("owner", 10_000)])
    assert isinstance(meeting, Meeting)
    # Done again, the lead would have met itself, and the settlement no open row.
    assert (meeting.met, finished, beat) == (Met.NOTHING, True, None)
    assert await distant.commit([finish(lead)]) == [True]


async def test_a_lost_commit_that_cannot_be_asked_after_can_be_taken_back_when_the_server_is_there_again(
    wire: Wire, distant: PostgresStore
) -> None:
    lead, again = begin(lead=1), begin(lead=1)
    wire.cut_after(b"COMMIT")
    wire.call_before(b"COMMIT", lambda: setattr(wire, "refusing", True))
    with pytest.raises(StoreUnavailable):
        await distant.commit([lead])
    wire.refusing = False
    assert await distant.commit([finish(lead, Reason.STORE_UNAVAILABLE)]) == [True]
    assert await met(distant, again) is Met.NOTHING


async def test_nothing_is_done_before_a_lost_transaction_has_ended(
    postgres_server: PostgresServer, wire: Wire, distant: PostgresStore, database: str
) -> None:
    """Else its rows could appear after they were looked for, and stay open for ever."""
    lead = begin()
    [*_, pid] = connected(postgres_server, database)
    wire.call_before(b"COMMIT", lambda: os.kill(pid, signal.SIGSTOP))
    try:
        with pytest.raises(StoreUnavailable):
            await distant.commit([lead])
        # The commit lies before a process that stands still: not done, and not undone either.
        with pytest.raises(StoreUnavailable):
            await distant.commit([finish(lead, Reason.STORE_UNAVAILABLE)])
    finally:
        os.kill(pid, signal.SIGCONT)
    # Thawed, it commits, or finds that it stood idle for too long; from then on that does not change.
    [finished] = await distant.commit([finish(lead, Reason.STORE_UNAVAILABLE)])
    assert [(row.reference, row.reason) for row in await rows(distant)] == (
        [(lead.entry.reference, Reason.STORE_UNAVAILABLE)] if finished else []
    )


async def test_a_host_that_vanishes_in_the_middle_of_a_transaction_lets_go_of_its_keys(
    wire: Wire, distant: PostgresStore, store: PostgresStore
) -> None:
    lost, other = begin(lead=2), begin(lead=2)
    wire.swallow(b"COMMIT")
    vanishing = asyncio.create_task(met(distant, lost), name="a commit into the void")
    meeting = None
    async with asyncio.timeout(10 * TIMEOUT_S):
        while meeting is None:
            with suppress(StoreUnavailable):  # it waited for the keys as long as it may
                meeting = await met(store, other)
    # When the vanished one is told that its transaction was rolled back, it tries again, and one of them was first.
    assert {meeting, await vanishing} == {Met.NOTHING, Met.RUNNING}
    assert len(await references(store)) == 1


async def test_a_network_that_is_cut_and_mended_again_and_again_loses_and_doubles_nothing(
    wire: Wire, distant: PostgresStore
) -> None:
    done: list[str] = []
    for turn in range(30):
        lead = begin()
        plan = (wire.cut_before, wire.cut_after)[turn % 2]
        plan(WORDS[turn // 2 % 3])
        try:
            assert await met(distant, lead) is Met.NOTHING
        except StoreUnavailable:
            await distant.commit([finish(lead, Reason.STORE_UNAVAILABLE)])
        else:
            assert await distant.commit([finish(lead)]) == [True]
            done.append(lead.entry.reference)
    found = [row for row in await rows(distant) if row.outcome is not Outcome.NONE]
    assert sorted(row.reference for row in found) == done
    assert {row.outcome for row in found} == {Outcome.ACCEPTED}


# --- locks, time, refusals ----------------------------------------------------------------------------------------


async def test_a_locked_table_is_waited_for_no_longer_than_the_limit_and_used_once_it_is_free(
    postgres_server: PostgresServer, store: PostgresStore, database: str
) -> None:
    lead = begin()
    other = await asyncpg.connect(postgres_server.url(database))
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE journal.submissions")
            with pytest.raises(StoreUnavailable, match="55P03"):
                await store.commit([lead])
    finally:
        await other.close()
    assert await met(store, lead) is Met.NOTHING


@pytest.mark.parametrize("lead_count", [1, 300], ids=["one lead", "more leads than locks"])
async def test_the_same_leads_at_the_same_instant_begin_once_over_all_hosts(
    postgres_server: PostgresServer, store: PostgresStore, database: str, lead_count: int
) -> None:
    others = [PostgresStore(postgres_server.url(database)) for _ in range(3)]
    await asyncio.gather(*(other.open() for other in others))
    try:
        for turn in range(10 if lead_count == 1 else 2):
            leads = [1000 * (turn + 1) + 10**6 * lead_count + number for number in range(lead_count)]
            batches = [[begin(lead) for lead in leads] for _ in range(4)]
            results = await asyncio.gather(
                *(host.commit(batch) for host, batch in zip([store, *others], batches, strict=True))
            )
            for meetings in zip(*results, strict=True):
                assert sorted(meeting.met.value for meeting in meetings) == ["nothing", *["running"] * 3]
    finally:
        await asyncio.gather(*(other.close() for other in others))


async def test_several_hosts_that_recover_at_once_settle_each_row_once(
    postgres_server: PostgresServer, store: PostgresStore, database: str
) -> None:
    leads = [begin() for _ in range(200)]
    await store.commit(leads)
    others = [PostgresStore(postgres_server.url(database)) for _ in range(3)]
    await asyncio.gather(*(other.open() for other in others))
    settled: list[str] = []
    while found := [
        reference
        for [recovered] in await asyncio.gather(*(other.commit([Recover(limit=20)]) for other in others))
        for reference in recovered
    ]:
        settled += found
    await asyncio.gather(*(other.close() for other in others))
    assert sorted(settled) == [lead.entry.reference for lead in leads]
    # The owner was not dead but slow: its own word comes late.
    assert await store.commit([finish(leads[0])]) == [False]


async def test_one_operation_that_cannot_be_taken_leaves_the_others(store: PostgresStore) -> None:
    first = begin()
    await store.commit([first])
    twice, fine = begin(reference=first.entry.reference), begin()
    refused, meeting, finished = await store.commit([twice, fine, finish(first)])
    assert isinstance(refused, NotTaken)
    assert isinstance(meeting, Meeting)
    assert (meeting.met, finished) == (Met.NOTHING, True)
    assert sorted(await references(store)) == [first.entry.reference, fine.entry.reference]


@pytest.mark.parametrize(
    "partner", ["nul\0nul", "half \ud800 a pair", "\N{PILE OF POO}"], ids=["NUL", "surrogate", "4 bytes"]
)
async def test_a_partner_of_any_characters_is_taken_and_found(store: PostgresStore, partner: str) -> None:
    lead = begin(partner=partner)
    assert await met(store, lead) is Met.NOTHING
    assert [row.reference async for row in store.search(Query(partner=partner))] == [lead.entry.reference]


async def test_what_the_server_says_of_values_does_not_get_into_errors(store: PostgresStore) -> None:
    lead = begin(reference=f"01J{CANARY}")
    await store.commit([lead])
    [refused] = await store.commit([begin(reference=lead.entry.reference)])
    assert isinstance(refused, NotTaken)
    assert CANARY not in "".join(traceback.format_exception(refused)).lower()


# --- size ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(postgres_server: PostgresServer, database: str, store: PostgresStore) -> str:
    """The store's database with 20,000 settled submissions, 20 expired, of which the server knows no statistics."""
    postgres_server.sql(
        """
        INSERT INTO journal.submissions (reference, received_ms, expires_ms, program, partner, fingerprint, idempotency,
                                         content_type, faults, body)
        SELECT 'A' || lpad(i::text, 25, '0'), journal.now_ms() - i, CASE WHEN i > 20 THEN 4000000000000 ELSE 1 END,
               'auto', 'acme', decode(md5(i::text), 'hex'), decode(md5('i' || i), 'hex'), '', '', 'sealed'
        FROM generate_series(1, 20000) AS i;
        INSERT INTO journal.outcomes (reference, settled_ms, kept, delivery, outcome, reason, first_reason, members)
        SELECT reference, received_ms, true, 'answered', 'accepted', 'accepted', 'accepted', 'sealed'
        FROM journal.submissions;
        INSERT INTO journal.claims SELECT decode(md5('c' || reference), 'hex'), 4000000000000, reference, 'same_email'
        FROM journal.submissions;
        INSERT INTO journal.record_keys SELECT reference, '0badcafe', 'wrapped' FROM journal.submissions;
        INSERT INTO journal.index_hashes SELECT decode(md5('h' || reference), 'hex'), reference FROM journal.submissions
        """,
        database,
    )
    return database


async def test_a_commit_reads_no_more_rows_in_a_large_journal_than_in_a_small_one(
    postgres_server: PostgresServer, store: PostgresStore, filled: str
) -> None:
    lead, unknown, other = begin(), begin(), begin()
    purge = Purge(content_ms=10**9, row_ms=10**9)
    # Twice, since the server plans anew once it has statistics.
    for reference in ("first", "second"):
        read = rows_read(postgres_server, filled)
        await store.commit([lead, unknown, Look(other.entry)])
        await store.commit(
            [finish(lead), finish(other), Recover(), CountUnknown(), Beat("owner", 1000), Leave("owner")]
        )
        late = Finish(replace(finish(unknown).settlement, late=True))
        await store.commit([late, SettleByHand(reference="", outcome=Outcome.ACCEPTED, members=b"", who="", why="")])
        await store.commit([purge, Erase(index=(b"h",), who="", why=""), Rewrap((("", lead.key, lead.key),))])
        await store.commit([ForeignKeys("", limit=10), Reindex(reference, b"f", b"i", ((b"a", b"b"),), (b"h",))])
        await store.close()  # the server counts when a connection ends
        assert rows_read(postgres_server, filled) - read < 500
        lead, unknown, other = begin(), begin(), begin()
        postgres_server.sql("ANALYZE", filled)


def rows_read(server: PostgresServer, database: str) -> int:
    """How many rows and index entries of the journal all connections that have ended have read."""
    tables = "(SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'journal')"
    indexes = "(SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'journal')"
    return int(server.sql(f"SELECT {tables} + {indexes}", database))


# --- the driver ---------------------------------------------------------------------------------------------------


def test_without_the_driver_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(DriverMissing, match=r"pip install 'data-post-gateway\[postgres\]'"):
        PostgresStore("postgresql://localhost/journal")


async def test_a_pooler_that_keeps_no_prepared_statements_can_be_allowed_for(
    postgres_server: PostgresServer, database: str
) -> None:
    store = PostgresStore(f"{postgres_server.url(database)}?statement_cache_size=0&sslmode=disable")
    await store.open()
    assert await met(store, begin()) is Met.NOTHING
    assert len(connected(postgres_server, database)) == 1
    await store.close()


async def test_the_clock_is_the_servers(store: PostgresStore, postgres_server: PostgresServer) -> None:
    earlier = int(postgres_server.sql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)"))
    now = await store.now_ms()
    assert earlier <= now <= int(postgres_server.sql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)"))
