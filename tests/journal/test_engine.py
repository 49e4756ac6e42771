"""The engine over a real SQLite store: begin, finish, replay, waiting, recovery, and what a store can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal import committing
from gateway.journal.committing import find
from gateway.journal.engine import Journal, WrongIndexKey
from gateway.journal.keys import Hashes
from gateway.journal.operations import Begin, Finish, Operation, SettleByHand
from gateway.journal.port import Store
from gateway.journal.postgres import PostgresStore
from gateway.journal.records import Record
from gateway.journal.sealing import KeyRing, Sealer, pack_members, unpack_members
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import Meeting, Met, Refusal, StoreUnavailable
from tests.support.journals import (
    CANARY,
    HASHES,
    SEALER,
    Brittle,
    Choked,
    Remembering,
    a_claim,
    an_entry,
    eventually,
    members_of,
    new_reference,
    settled,
)

LEASE_S = 1.0


class House:
    """One process: its store behind switches, its journal, its watch."""

    def __init__(self, store: Store, *, sealer: Sealer = SEALER, hashes: Hashes = HASHES, stall_s: float = 5.0) -> None:
        self.store = Brittle(store)
        self.watch = Remembering()
        self.journal = Journal(self.store, sealer, hashes, self.watch, lease_s=LEASE_S, stall_s=stall_s)

    async def die(self) -> None:
        """As kill -9 does: no word to anybody, the lease runs out."""
        for task in (self.journal._heart, self.journal._committer._task):
            assert task is not None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.store.real.close()

    def loop_time(self, in_s: float) -> float:
        return asyncio.get_running_loop().time() + in_s

    async def record(self, reference: str) -> Record:
        record = await find(self.store.real, reference)
        assert record is not None
        return record

    async def outcome(self, reference: str) -> Outcome | None:
        return (await self.record(reference)).outcome


#: Makes and starts one more process over the same journal.
Build = Callable[..., Awaitable[House]]


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """One more way into the same database."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path)
    url: str = request.getfixturevalue("postgres_url")
    return lambda: PostgresStore(url)


@pytest.fixture
async def houses(new_store: Callable[[], Store]) -> AsyncIterator[Build]:
    """Closes those that still live, and fails the test when something of ours broke."""
    made: list[House] = []

    async def build(**settings: Any) -> House:
        house = House(new_store(), **settings)
        await house.journal.start()
        made.append(house)
        return house

    yield build
    for house in made:
        house.store.mend()
        if house.journal._heart is not None and not house.journal._heart.done():
            await house.journal.close()
        assert [bug for bug in house.watch.bugs if not isinstance(bug, Choked)] == []


@pytest.fixture
async def house(houses: Build) -> House:
    return await houses()


# --- a submission's life --------------------------------------------------------------------------------------------


async def test_what_has_begun_is_in_the_store_before_begin_returns(house: House) -> None:
    entry = an_entry()
    assert (await house.journal.begin(entry)).met is Met.NOTHING
    record = await house.record(entry.reference)
    assert (record.outcome, record.program, record.partner) == (None, "auto", "acme")
    assert house.journal.begun == 1


async def test_what_has_finished_is_in_the_store_before_finish_returns_and_opens_again(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    assert await house.journal.finish(
        settled(entry.reference, Reason.ACCEPTED, legacy_id="L-98", rule="ok", upstream_status=200)
    )
    record = await house.record(entry.reference)
    assert (record.delivery, record.outcome, record.reason) == (Delivery.ANSWERED, Outcome.ACCEPTED, Reason.ACCEPTED)
    assert (record.rule, record.upstream_status, record.late_ms) == ("ok", 200, 0)
    assert record.sealed is not None
    assert record.sealed.key is not None
    cipher = SEALER.cipher(entry.reference, record.sealed.key)
    assert cipher.open("body", record.sealed.body) == entry.body
    assert cipher.open("answer", record.sealed.answer) == f"OK|{CANARY}".encode()
    packed = cipher.open("members", record.sealed.members)
    assert unpack_members(packed) == (members_of(entry.reference, Reason.ACCEPTED), "L-98")
    assert house.journal.begun == 0


@pytest.mark.parametrize(
    "reason",
    [
        Reason.ACCEPTED,
        Reason.LEGACY_REJECTED,
        Reason.LEGACY_DUPLICATE,
        Reason.UNRECOGNIZED_ANSWER,
        Reason.OUTCOME_UNKNOWN,
    ],
    ids=lambda reason: reason.slug,
)
async def test_a_resend_is_answered_with_the_same_members(house: House, reason: Reason) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    await house.journal.finish(settled(entry.reference, reason))
    for ask in (house.journal.look, house.journal.begin):
        meeting = await ask(an_entry())
        assert (meeting.met, meeting.reference, meeting.reason) == (Met.REPLAY, entry.reference, reason)
        assert meeting.members == members_of(entry.reference, reason)


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_UNREACHABLE, Reason.LEGACY_REJECTED], ids=lambda one: one.slug)
async def test_a_lead_that_did_not_get_through_gives_its_claim_back(house: House, reason: Reason) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    await house.journal.finish(settled(entry.reference, reason))
    assert (await house.journal.begin(an_entry("other", claims=(a_claim("jane"),)))).met is Met.NOTHING


@pytest.mark.parametrize("new_store", ["sqlite"], indirect=True)
async def test_nothing_of_a_lead_stands_readable_in_any_file(house: House, tmp_path: Path) -> None:
    for reason in (Reason.ACCEPTED, Reason.OUTCOME_UNKNOWN, Reason.LEGACY_ERROR):
        entry = an_entry(reason.slug)
        await house.journal.begin(entry)
        await house.journal.finish(settled(entry.reference, reason))
    house.journal.note(
        Refusal(
            reference=new_reference(),
            program="auto",
            partner="acme",
            received_ms=0,
            reason=Reason.LEAD_INVALID,
            faults=("email=format",),
            body=CANARY.encode(),
        )
    )
    await house.journal.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if CANARY.encode() in path.read_bytes()] == []


async def test_a_refusal_is_written_without_waiting(house: House) -> None:
    refusal = Refusal(
        reference=new_reference(),
        program="auto",
        partner="acme",
        received_ms=0,
        reason=Reason.LEAD_INVALID,
        faults=("email=format",),
        body=b"email=x",
    )
    commits = len(house.watch.commits)
    house.journal.note(refusal)
    await eventually(lambda: len(house.watch.commits) > commits)
    record = await house.record(refusal.reference)
    assert (record.delivery, record.outcome) == (Delivery.NOT_SENT, Outcome.NONE)
    assert (record.reason, record.faults) == (Reason.LEAD_INVALID, ("email=format",))
    assert record.sealed is not None
    assert record.sealed.key is not None
    assert SEALER.cipher(refusal.reference, record.sealed.key).open("body", record.sealed.body) == b"email=x"


async def test_leads_that_come_while_a_commit_runs_share_the_next(house: House) -> None:
    house.store.holds.clear()
    tasks = [asyncio.create_task(house.journal.begin(an_entry(f"lead {n}"))) for n in range(100)]
    await eventually(lambda: any(type(one) is Begin for batch in house.store.batches for one in batch))
    house.store.batches.clear()
    house.store.holds.set()
    assert {meeting.met for meeting in await asyncio.gather(*tasks)} == {Met.NOTHING}
    assert len(house.store.batches) <= 2


# --- the same lead at once ------------------------------------------------------------------------------------------


async def test_of_fifty_at_once_one_begins_and_all_others_get_its_answer(house: House) -> None:
    entries = [an_entry() for _ in range(50)]
    until = house.loop_time(20)
    tasks = [asyncio.create_task(house.journal.begin_in_turn(entry, until)) for entry in entries]
    await eventually(lambda: house.journal.begun == 1)
    (reference,) = house.journal._begun
    await house.journal.finish(settled(reference, Reason.ACCEPTED))
    meetings = await asyncio.gather(*tasks)
    assert sum(meeting.met is Met.NOTHING for meeting in meetings) == 1
    others = [meeting for meeting in meetings if meeting.met is not Met.NOTHING]
    assert {(one.met, one.reference) for one in others} == {(Met.REPLAY, reference)}
    assert all(one.members == members_of(reference, Reason.ACCEPTED) for one in others)


async def test_when_the_first_was_not_sent_the_next_one_begins(house: House) -> None:
    first, second = an_entry(), an_entry()
    await house.journal.begin(first)
    waiting = asyncio.create_task(house.journal.begin_in_turn(second, house.loop_time(20)))
    await eventually(lambda: house.store.has_taken(second.reference))
    await house.journal.finish(settled(first.reference, Reason.UPSTREAM_UNREACHABLE))
    assert (await waiting).met is Met.NOTHING


async def test_waiting_ends_with_the_deadline(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    meeting = await house.journal.begin_in_turn(an_entry(), house.loop_time(0.05))
    assert (meeting.met, meeting.reference) == (Met.RUNNING, entry.reference)
    assert await house.journal.begin_in_turn(an_entry(), house.loop_time(-1)) == meeting


async def test_one_process_waits_for_what_runs_in_another(houses: Build) -> None:
    one = await houses()
    other = await houses()
    entry = an_entry()
    await one.journal.begin(entry)
    resend = an_entry()
    waiting = asyncio.create_task(other.journal.begin_in_turn(resend, other.loop_time(20)))
    await eventually(lambda: len([batch for batch in other.store.batches if batch]) > 6)
    assert not waiting.done()
    await one.journal.finish(settled(entry.reference, Reason.LEGACY_REJECTED))
    meeting = await waiting
    assert (meeting.met, meeting.members) == (Met.REPLAY, members_of(entry.reference, Reason.LEGACY_REJECTED))
    short = await other.journal.begin_in_turn(an_entry("free"), other.loop_time(1))
    assert short.met is Met.NOTHING
    late = await one.journal.begin_in_turn(an_entry("free"), one.loop_time(0.05))
    assert late.met is Met.RUNNING


async def test_two_processes_at_once_begin_a_lead_once(houses: Build) -> None:
    pair = [await houses(), await houses()]
    for round_number in range(20):
        entries = [(house, an_entry(f"lead {round_number}")) for house in pair for _ in range(10)]
        meetings = await asyncio.gather(*(house.journal.begin(entry) for house, entry in entries))
        assert sum(meeting.met is Met.NOTHING for meeting in meetings) == 1
        assert sum(meeting.met is Met.RUNNING for meeting in meetings) == 19


# --- death and what looks like it -----------------------------------------------------------------------------------


async def test_what_a_dead_process_left_becomes_unknown_and_is_not_begun_again(houses: Build) -> None:
    dead = await houses()
    entry = an_entry()
    await dead.journal.begin(entry)
    await dead.die()
    heir = await houses()
    await eventually(lambda: heir.watch.of("recovered") == [entry.reference])
    record = await heir.record(entry.reference)
    assert (record.delivery, record.outcome, record.reason) == (
        Delivery.SENT,
        Outcome.UNKNOWN,
        Reason.OUTCOME_UNKNOWN,
    )
    meeting = await heir.journal.begin_in_turn(an_entry(), heir.loop_time(5))
    assert (meeting.met, meeting.reference) == (Met.UNKNOWN, entry.reference)
    claimed = await heir.journal.begin(an_entry("other", claims=(a_claim("jane"),)))
    assert (claimed.met, claimed.reference, claimed.rule) == (Met.UNKNOWN, entry.reference, "same_email")


async def test_a_living_process_keeps_what_it_has_begun(houses: Build) -> None:
    living = await houses()
    other = await houses()
    entry = an_entry()
    await living.journal.begin(entry)
    await asyncio.sleep(2 * LEASE_S)  # the very time of the lease is under test
    assert other.watch.of("recovered") == []
    assert await other.outcome(entry.reference) is None


async def test_a_process_taken_for_dead_still_settles_what_it_finishes(houses: Build) -> None:
    stalled = await houses()
    entry = an_entry()
    await stalled.journal.begin(entry)
    assert stalled.journal._heart is not None
    stalled.journal._heart.cancel()
    other = await houses()
    await eventually(lambda: other.watch.of("recovered") == [entry.reference])
    assert await stalled.journal.finish(settled(entry.reference, Reason.ACCEPTED))
    record = await other.record(entry.reference)
    assert (record.outcome, record.first_reason) == (Outcome.ACCEPTED, Reason.OUTCOME_UNKNOWN)
    assert record.late_ms > 0
    meeting = await other.journal.begin(an_entry())
    assert meeting.members == members_of(entry.reference, Reason.ACCEPTED)
    await stalled.journal.close()


async def test_a_process_that_ends_in_order_leaves_no_lease_behind(houses: Build) -> None:
    leaving = await houses()
    entry = an_entry()
    await leaving.journal.begin(entry)
    await leaving.journal.close()
    heir = await houses()
    assert heir.watch.of("recovered") == [entry.reference]


async def test_a_late_answer_settles_an_unknown_outcome(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    await house.journal.finish(settled(entry.reference, Reason.OUTCOME_UNKNOWN))
    assert await house.journal.finish(settled(entry.reference, Reason.ACCEPTED, late=True))
    record = await house.record(entry.reference)
    assert (record.outcome, record.reason, record.first_reason) == (
        Outcome.ACCEPTED,
        Reason.ACCEPTED,
        Reason.OUTCOME_UNKNOWN,
    )
    assert (await house.journal.begin(an_entry())).members == members_of(entry.reference, Reason.ACCEPTED)


async def test_a_late_answer_is_sealed_and_kept_while_the_store_is_away(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    await house.journal.finish(settled(entry.reference, Reason.OUTCOME_UNKNOWN))
    house.store.refuses = True
    assert not await house.journal.finish(settled(entry.reference, Reason.ACCEPTED, late=True))
    house.store.refuses = False
    await eventually(lambda: house.watch.of("caught_up") == [entry.reference])
    assert (await house.journal.begin(an_entry())).members == members_of(entry.reference, Reason.ACCEPTED)


async def test_another_process_can_settle_an_unknown_outcome(houses: Build) -> None:
    one, other = await houses(), await houses()
    entry = an_entry()
    await one.journal.begin(entry)
    await one.journal.finish(settled(entry.reference, Reason.OUTCOME_UNKNOWN))
    assert await other.journal.finish(settled(entry.reference, Reason.ACCEPTED, late=True))
    assert (await one.journal.begin(an_entry())).members == members_of(entry.reference, Reason.ACCEPTED)


async def test_a_late_answer_that_contradicts_an_operator_is_told_and_changes_nothing(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    await house.journal.finish(settled(entry.reference, Reason.OUTCOME_UNKNOWN))
    record = await house.record(entry.reference)
    assert record.sealed is not None
    assert record.sealed.key is not None
    members = SEALER.cipher(entry.reference, record.sealed.key).seal(
        "members", pack_members(members_of(entry.reference, Reason.LEGACY_REJECTED))
    )
    by_hand = SettleByHand(
        reference=entry.reference, outcome=Outcome.REJECTED, members=members, who="ops", why="asked the legacy"
    )
    assert await house.store.commit([by_hand]) == [True]
    assert not await house.journal.finish(settled(entry.reference, Reason.ACCEPTED, late=True))
    assert ("lost", entry.reference, "it is settled otherwise") in house.watch.told
    assert await house.outcome(entry.reference) is Outcome.REJECTED


async def test_unknown_outcomes_are_counted(houses: Build) -> None:
    first = await houses()
    for lead in ("a", "b"):
        entry = an_entry(lead)
        await first.journal.begin(entry)
        await first.journal.finish(settled(entry.reference, Reason.OUTCOME_UNKNOWN))
    await eventually(lambda: first.journal.unknown.get("auto") is not None and first.journal.unknown["auto"].count == 2)
    second = await houses()
    assert second.journal.unknown["auto"].count == 2


# --- a waiter that leaves -------------------------------------------------------------------------------------------


async def test_a_begin_that_is_cancelled_before_it_is_written_leaves_nothing(house: House) -> None:
    house.store.holds.clear()
    running = asyncio.create_task(house.journal.begin(an_entry("other")))
    await eventually(lambda: any(type(one) is Begin for batch in house.store.batches for one in batch))
    entry = an_entry()
    leaving = asyncio.create_task(house.journal.begin(entry))
    await asyncio.sleep(0)
    leaving.cancel()
    house.store.holds.set()
    await running
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await house.journal.begin(an_entry())).met is Met.NOTHING
    assert not house.store.has_taken(entry.reference)


async def test_a_begin_that_is_cancelled_while_it_is_written_is_taken_back(house: House) -> None:
    house.store.holds.clear()
    entry = an_entry()
    leaving = asyncio.create_task(house.journal.begin(entry))
    await eventually(lambda: house.store.has_taken(entry.reference))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    house.store.holds.set()
    meeting = await house.journal.begin_in_turn(an_entry(), house.loop_time(10))
    assert meeting.met is Met.NOTHING
    record = await house.record(entry.reference)
    assert (record.outcome, record.reason) == (Outcome.NONE, Reason.CLIENT_GONE)
    assert house.journal.begun == 1


async def test_a_begin_that_is_cancelled_in_the_moment_it_was_written_is_taken_back(house: House) -> None:
    """Both are of one commit: the first to hear of it cancels the second, which has its result but not the floor."""
    entry = an_entry()

    async def cancel_the_other() -> None:
        await house.journal.begin(an_entry("other"))
        leaving.cancel()

    cancelling = asyncio.create_task(cancel_the_other())
    leaving = asyncio.create_task(house.journal.begin(entry))
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await cancelling
    assert [len(batch) for batch in house.store.batches if any(type(one) is Begin for one in batch)] == [2]
    assert (await house.journal.begin_in_turn(an_entry(), house.loop_time(10))).met is Met.NOTHING
    assert (await house.record(entry.reference)).reason is Reason.CLIENT_GONE


async def test_a_settlement_is_written_though_nobody_waits_for_it(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    house.store.holds.clear()
    leaving = asyncio.create_task(house.journal.finish(settled(entry.reference, Reason.ACCEPTED)))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    house.store.holds.set()
    meeting = await house.journal.begin_in_turn(an_entry(), house.loop_time(10))
    assert meeting.members == members_of(entry.reference, Reason.ACCEPTED)


# --- a store that is away -------------------------------------------------------------------------------------------


async def test_a_store_that_is_away_refuses_at_once_and_is_taken_back_by_itself(house: House) -> None:
    house.store.refuses = True
    with pytest.raises(StoreUnavailable):
        await house.journal.begin(an_entry())
    assert not house.journal.healthy
    asked = len(house.store.batches)
    with pytest.raises(StoreUnavailable):
        await house.journal.begin(an_entry())
    assert len(house.store.batches) == asked
    house.store.refuses = False
    await eventually(lambda: house.journal.healthy)
    assert (await house.journal.begin(an_entry())).met is Met.NOTHING
    assert [said[0] for said in house.watch.told] == ["unavailable", "available"]


async def test_whoever_waits_behind_a_failing_commit_is_refused_with_it(house: House) -> None:
    begun, failing, behind = an_entry("begun"), an_entry("failing"), an_entry("behind")
    await house.journal.begin(begun)
    house.store.holds.clear()
    first = asyncio.create_task(house.journal.begin(failing))
    await eventually(lambda: house.store.has_taken(failing.reference))
    second = asyncio.create_task(house.journal.begin(behind))
    finishing = asyncio.create_task(house.journal.finish(settled(begun.reference, Reason.ACCEPTED)))
    await asyncio.sleep(0)
    house.store.refuses = True
    house.store.holds.set()
    for task in (first, second):
        with pytest.raises(StoreUnavailable):
            await task
    assert await finishing is False
    assert not house.store.has_taken(behind.reference)
    house.store.refuses = False
    await eventually(lambda: house.watch.of("caught_up") == [begun.reference])


async def test_a_row_whose_commit_was_made_but_never_heard_of_does_not_block_its_lead(house: House) -> None:
    entry = an_entry()
    house.store.hides = True
    with pytest.raises(StoreUnavailable):
        await house.journal.begin(entry)
    assert await house.outcome(entry.reference) is None
    house.store.hides = False
    await eventually(lambda: house.journal.healthy)
    assert (await house.journal.begin_in_turn(an_entry(), house.loop_time(10))).met is Met.NOTHING
    record = await house.record(entry.reference)
    assert (record.outcome, record.reason) == (Outcome.NONE, Reason.STORE_UNAVAILABLE)
    assert house.watch.of("lost") == []


async def test_a_settlement_that_cannot_be_written_is_told_and_written_when_the_store_is_back(house: House) -> None:
    first, second = an_entry("first"), an_entry("second")
    await house.journal.begin(first)
    await house.journal.begin(second)
    house.store.refuses = True
    assert await house.journal.finish(settled(first.reference, Reason.ACCEPTED)) is False
    assert await house.journal.finish(settled(second.reference, Reason.LEGACY_REJECTED)) is False
    references = [first.reference, second.reference]
    assert house.watch.of("deferred") == references
    assert await house.outcome(first.reference) is None
    house.store.refuses = False
    await eventually(lambda: house.watch.of("caught_up") == references)
    assert await house.outcome(first.reference) is Outcome.ACCEPTED
    assert await house.outcome(second.reference) is Outcome.REJECTED
    assert (await house.journal.begin(an_entry("first"))).members == members_of(first.reference, Reason.ACCEPTED)


async def test_a_settlement_whose_commit_was_made_but_never_heard_of_is_not_called_lost(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    house.store.hides = True
    assert await house.journal.finish(settled(entry.reference, Reason.ACCEPTED)) is False
    house.store.hides = False
    await eventually(lambda: house.watch.of("caught_up") == [entry.reference])
    assert house.watch.of("lost") == []
    assert (await house.record(entry.reference)).late_ms == 0


async def test_a_commit_that_takes_too_long_lets_its_waiters_go_and_is_taken_back(
    houses: Build,
) -> None:
    house = await houses(stall_s=0.1)
    begun, entry, behind = an_entry("begun"), an_entry(), an_entry("behind")
    await house.journal.begin(begun)
    house.store.holds.clear()
    starting = asyncio.create_task(house.journal.begin(entry))
    finishing = asyncio.create_task(house.journal.finish(settled(begun.reference, Reason.ACCEPTED)))
    await eventually(lambda: house.store.has_taken(entry.reference))
    waiting = asyncio.create_task(house.journal.begin(behind))
    for task in (starting, waiting):
        with pytest.raises(StoreUnavailable):
            await task
    assert await finishing is False
    assert not house.journal.healthy
    assert house.watch.of("unavailable") == ["a commit takes too long"]
    house.store.holds.set()
    await eventually(lambda: house.watch.of("caught_up") == [begun.reference])
    assert await house.outcome(begun.reference) is Outcome.ACCEPTED
    for lead in ("jane", "behind"):
        assert (await house.journal.begin_in_turn(an_entry(lead), house.loop_time(10))).met is Met.NOTHING
    assert not house.store.has_taken(behind.reference)


async def test_refusals_are_dropped_and_counted_while_the_store_is_away(house: House) -> None:
    house.store.refuses = True
    with pytest.raises(StoreUnavailable):
        await house.journal.begin(an_entry())
    house.journal.note(
        Refusal(reference=new_reference(), program="auto", partner="acme", received_ms=0, reason=Reason.LEAD_INVALID)
    )
    assert house.watch.of("dropped_note") == [""]


@pytest.mark.parametrize("kind", [Begin, Finish])
async def test_an_operation_that_breaks_the_store_does_not_take_others_with_it(house: House, kind: type) -> None:
    poison, entry, begun = an_entry("poison"), an_entry(), an_entry("begun")
    await house.journal.begin(begun)
    if kind is Finish:
        await house.journal.begin(poison)

    def chokes(operation: Operation) -> bool:
        if isinstance(operation, Begin):
            return kind is Begin and operation.entry.reference == poison.reference
        return isinstance(operation, Finish) and operation.settlement.reference == poison.reference

    house.store.chokes = chokes
    house.store.holds.clear()
    tasks = [
        asyncio.create_task(house.journal.begin(entry)),
        asyncio.create_task(house.journal.finish(settled(begun.reference, Reason.ACCEPTED))),
    ]
    if kind is Finish:
        poisoned = asyncio.create_task(house.journal.finish(settled(poison.reference, Reason.ACCEPTED)))
        await asyncio.sleep(0)
        house.store.holds.set()
        assert await poisoned is False
        assert house.watch.of("lost") == [poison.reference]
    else:
        starting = asyncio.create_task(house.journal.begin(poison))
        await asyncio.sleep(0)
        house.store.holds.set()
        with pytest.raises(StoreUnavailable):
            await starting
    meeting, finished = await asyncio.gather(*tasks)
    assert isinstance(meeting, Meeting)
    assert meeting.met is Met.NOTHING
    assert finished is True
    assert house.journal.healthy
    assert house.watch.bugs


async def test_closing_writes_what_waits(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    finishing = asyncio.create_task(house.journal.finish(settled(entry.reference, Reason.ACCEPTED)))
    await asyncio.sleep(0)
    await house.journal.close()
    assert await finishing is True
    with pytest.raises(StoreUnavailable):
        await house.journal.begin(an_entry())


async def test_closing_waits_for_a_settlement_that_others_were_faster_with(houses: Build) -> None:
    stalled = await houses()
    entry = an_entry()
    await stalled.journal.begin(entry)
    assert stalled.journal._heart is not None
    stalled.journal._heart.cancel()
    other = await houses()
    await eventually(lambda: other.watch.of("recovered") == [entry.reference])
    finishing = asyncio.create_task(stalled.journal.finish(settled(entry.reference, Reason.ACCEPTED)))
    await asyncio.sleep(0)
    await stalled.journal.close()
    assert await finishing is True
    assert await other.outcome(entry.reference) is Outcome.ACCEPTED


async def test_closing_while_the_store_is_away_names_what_is_lost(house: House) -> None:
    entry = an_entry()
    await house.journal.begin(entry)
    house.store.refuses = True
    assert await house.journal.finish(settled(entry.reference, Reason.ACCEPTED)) is False
    await house.journal.close(within_s=0.1)
    assert ("lost", entry.reference, "the process ended") in house.watch.told
    after = new_reference()
    assert await house.journal.finish(settled(after, Reason.ACCEPTED)) is False
    assert ("lost", after, "the process ended") in house.watch.told


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_another_index_key_is_refused(house: House, new_store: Callable[[], Store]) -> None:
    other = House(new_store(), hashes=Hashes(b"another key for the index"))
    with pytest.raises(WrongIndexKey, match="reindex"):
        await other.journal.start()
    await other.journal.close()


@pytest.mark.parametrize(
    ("reason", "met"),
    [(Reason.ACCEPTED, Met.DUPLICATE), (Reason.OUTCOME_UNKNOWN, Met.UNKNOWN)],
    ids=["accepted", "unknown"],
)
async def test_without_its_key_an_answer_does_not_replay_and_the_lead_is_not_sent_again(
    houses: Build, reason: Reason, met: Met
) -> None:
    one = await houses()
    entry = an_entry()
    await one.journal.begin(entry)
    await one.journal.finish(settled(entry.reference, reason))
    other = await houses(sealer=Sealer(KeyRing([bytes(32)])))
    meeting = await other.journal.begin(an_entry())
    assert (meeting.met, meeting.reference, meeting.members) == (met, entry.reference, None)
    assert other.watch.of("unreadable") == [entry.reference]


# --- bounds ---------------------------------------------------------------------------------------------------------


async def test_while_the_store_is_away_settlements_beyond_the_bytes_are_kept_without_the_legacys_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_MOST_LATE_BYTES", 1000)
    entries = [an_entry(f"lead {number}") for number in range(3)]
    for entry in entries:
        await house.journal.begin(entry)
    house.store.refuses = True
    for entry in entries:
        await house.journal.finish(settled(entry.reference, Reason.ACCEPTED, answer=b"x" * 500))
    house.store.refuses = False
    await eventually(lambda: len(house.watch.of("caught_up")) == 3)
    records = [await house.record(entry.reference) for entry in entries]
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert [bool(record.sealed and record.sealed.answer) for record in records] == [True, False, False]
    meetings = [await house.journal.begin(an_entry(f"lead {number}")) for number in range(3)]
    assert all(meeting.members is not None and meeting.members.uniqueid == "98" for meeting in meetings)


async def test_while_the_store_is_away_settlements_beyond_the_number_are_given_up_and_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_MOST_LATE", 1)
    entries = [an_entry("kept"), an_entry("given up")]
    for entry in entries:
        await house.journal.begin(entry)
    house.store.refuses = True
    for entry in entries:
        assert await house.journal.finish(settled(entry.reference, Reason.ACCEPTED)) is False
    assert ("lost", entries[1].reference, "too many wait for the store") in house.watch.told
    house.store.refuses = False
    await eventually(lambda: house.watch.of("caught_up") == [entries[0].reference])
    assert await house.outcome(entries[1].reference) is None


async def test_refusals_beyond_the_number_are_dropped_and_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_MOST_NOTES", 1)
    refusals = [
        Refusal(reference=new_reference(), program="auto", partner="acme", received_ms=0, reason=Reason.PAUSED)
        for _ in range(2)
    ]
    for refusal in refusals:
        house.journal.note(refusal)
    assert house.watch.of("dropped_note") == [""]
    await house.journal.close()
