"""What the engine and the commands rely on, of each store alike: claims, settling, recovery, erasing, searching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import (
    Beat,
    CountUnknown,
    Erase,
    ForeignKeys,
    Leave,
    Look,
    Note,
    Purge,
    Purged,
    Recover,
    Reindex,
    Remember,
    Rewrap,
    SettleByHand,
    UnknownCount,
)
from gateway.journal.port import Store
from gateway.journal.records import Query, Record
from gateway.journal.sealing import KeyRing, Sealer
from gateway.journal.values import Entry, Met, NotTaken, Refusal
from tests.support.journals import DAY_MS, HASHES, SEALER, a_claim, an_entry, new_reference
from tests.support.stores import begin, begun, ended, finish, meet

HOUR_MS = 3_600_000
ACME = HASHES.fingerprinter("auto")


async def found(store: Store, query: Query | None = None) -> list[Record]:
    return [record async for record in store.search(query or Query())]


async def row(store: Store, reference: str) -> Record:
    [record] = await found(store, Query(reference=reference, sealed=True, audit=True))
    return record


def unrelated(entry: Entry) -> Entry:
    """Another lead by everything but its claims."""
    return replace(entry, reference=new_reference(), fingerprint=ACME("acme", [("lead", new_reference())]))


def again(entry: Entry, **changes: object) -> Entry:
    """The same lead as a submission of its own."""
    return replace(entry, reference=new_reference(), **changes)  # type: ignore[arg-type]


def refused(reason: Reason = Reason.LEAD_INVALID, **changes: object) -> Refusal:
    values = {"reference": new_reference(), "program": "auto", "partner": "acme", "received_ms": 1_790_000_000_000}
    return Refusal(**{**values, "reason": reason, **changes})  # type: ignore[arg-type]


async def purge_to_the_end(store: Store) -> int:
    """Purge everything, until a purge takes nothing; rows that went. What a row holds may go before the row does."""
    rows = 0
    while True:
        [purged] = await store.commit([Purge(content_ms=-1000, row_ms=-1000)])
        assert isinstance(purged, Purged)
        if purged == Purged():
            return rows
        rows += purged.rows


# --- claims -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "release", "met"),
    [
        pytest.param(None, False, Met.RUNNING, id="open"),
        pytest.param(Reason.ACCEPTED, False, Met.DUPLICATE, id="accepted"),
        pytest.param(Reason.ACCEPTED, True, Met.NOTHING, id="accepted, released by a rule"),
        pytest.param(Reason.LEGACY_REJECTED, False, Met.NOTHING, id="rejected"),
        pytest.param(Reason.LEGACY_DUPLICATE, False, Met.NOTHING, id="duplicate at the legacy"),
        pytest.param(Reason.LEGACY_ERROR, False, Met.DUPLICATE, id="error"),
        pytest.param(Reason.LEGACY_ERROR, True, Met.NOTHING, id="error, released by a rule"),
        pytest.param(Reason.UNRECOGNIZED_ANSWER, False, Met.UNKNOWN, id="unrecognised"),
        pytest.param(Reason.UNRECOGNIZED_ANSWER, True, Met.UNKNOWN, id="unrecognised, not released by any rule"),
        pytest.param(Reason.OUTCOME_UNKNOWN, False, Met.UNKNOWN, id="unknown"),
        pytest.param(Reason.UPSTREAM_UNREACHABLE, False, Met.NOTHING, id="not sent"),
    ],
)
@pytest.mark.parametrize("window_ms", [pytest.param(HOUR_MS, id="in its window"), pytest.param(0, id="after it")])
async def test_a_claim_is_held_or_given_back_as_its_holder_ended(
    store: Store, reason: Reason | None, release: bool, met: Met, window_ms: int
) -> None:
    first = an_entry("jane", claims=(a_claim("jane", window_ms),))
    reference = await begun(store, first)
    if reason is not None:
        assert await store.commit([finish(reference, reason, release=release)]) == [True]
    # What is open holds its claims however long it takes.
    expected = met if window_ms or reason is None else Met.NOTHING
    meeting = await meet(store, begin(unrelated(first)))
    assert meeting.met is expected
    assert (meeting.reference, meeting.rule) == (("", "") if expected is Met.NOTHING else (reference, "same_email"))


async def test_a_claim_that_was_given_back_passes_to_the_next_and_is_held_by_it(store: Store) -> None:
    first = an_entry("jane")
    await ended(store, first, Reason.LEGACY_REJECTED)
    second = await ended(store, unrelated(first), Reason.ACCEPTED)
    meeting = await meet(store, begin(unrelated(first)))
    assert (meeting.met, meeting.reference) == (Met.DUPLICATE, second)


async def test_each_of_several_claims_counts(store: Store) -> None:
    first = an_entry("jane", claims=(a_claim("email"), a_claim("phone")))
    reference = await ended(store, first)
    for claim in ("email", "phone"):
        meeting = await meet(store, begin(an_entry("john", claims=(a_claim("other"), a_claim(claim)))))
        assert (meeting.met, meeting.reference) == (Met.DUPLICATE, reference)


async def test_a_lead_that_meets_something_reserves_nothing(store: Store) -> None:
    await ended(store, an_entry("jane"))
    assert (await meet(store, begin(an_entry("john", claims=(a_claim("jane"), a_claim("free")))))).met is Met.DUPLICATE
    assert (await meet(store, begin(an_entry("mary", claims=(a_claim("free"),))))).met is Met.NOTHING


async def test_looking_reserves_nothing(store: Store) -> None:
    entry = an_entry("jane")
    assert (await meet(store, Look(entry))).met is Met.NOTHING
    await begun(store, entry)
    assert (await meet(store, Look(again(entry)))).met is Met.RUNNING
    assert len(await found(store)) == 1


async def test_of_fifty_identical_leads_in_one_commit_one_begins(store: Store) -> None:
    entry = an_entry("jane")
    meetings = await store.commit([begin(again(entry)) for _ in range(50)])
    assert [meeting.met for meeting in meetings] == [Met.NOTHING] + [Met.RUNNING] * 49  # type: ignore[attr-defined]


# --- replay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "met"),
    [
        pytest.param(None, Met.RUNNING, id="open"),
        pytest.param(Reason.ACCEPTED, Met.REPLAY, id="accepted"),
        pytest.param(Reason.LEGACY_REJECTED, Met.REPLAY, id="rejected"),
        pytest.param(Reason.LEGACY_DUPLICATE, Met.REPLAY, id="duplicate at the legacy"),
        pytest.param(Reason.UNRECOGNIZED_ANSWER, Met.REPLAY, id="unrecognised"),
        pytest.param(Reason.OUTCOME_UNKNOWN, Met.REPLAY, id="unknown"),
        pytest.param(Reason.LEGACY_ERROR, Met.NOTHING, id="error"),
        pytest.param(Reason.UPSTREAM_UNREACHABLE, Met.NOTHING, id="not sent"),
    ],
)
async def test_the_same_lead_meets_its_answer_or_nothing(store: Store, reason: Reason | None, met: Met) -> None:
    entry = an_entry("jane", claims=())
    reference = await begun(store, entry)
    if reason is not None:
        assert await store.commit([finish(reference, reason)]) == [True]
    meeting = await meet(store, begin(again(entry)))
    assert meeting.met is met
    if met is Met.REPLAY:
        record = await row(store, reference)
        assert record.sealed is not None
        assert record.sealed.key is not None
        assert meeting.sealed is not None
        assert meeting.sealed.members == record.sealed.members
        assert (meeting.sealed.key_id, meeting.sealed.wrapped) == (record.sealed.key.key_id, record.sealed.key.wrapped)


@pytest.mark.parametrize(
    ("reason", "age_ms", "met"),
    [
        pytest.param(Reason.ACCEPTED, 9 * 60_000, Met.REPLAY, id="accepted, within replay"),
        pytest.param(Reason.ACCEPTED, 11 * 60_000, Met.NOTHING, id="accepted, after replay"),
        pytest.param(Reason.OUTCOME_UNKNOWN, 11 * 60_000, Met.UNKNOWN, id="unknown, after replay"),
        pytest.param(Reason.OUTCOME_UNKNOWN, 29 * DAY_MS, Met.UNKNOWN, id="unknown, within its hold"),
        pytest.param(Reason.OUTCOME_UNKNOWN, 31 * DAY_MS, Met.NOTHING, id="unknown, after its hold"),
    ],
)
async def test_the_lead_as_a_whole_is_remembered_for_its_time(
    store: Store, reason: Reason, age_ms: int, met: Met
) -> None:
    entry = an_entry("jane", claims=(), received_ms=await store.now_ms() - age_ms)
    await ended(store, entry, reason)
    assert (await meet(store, begin(again(entry, received_ms=await store.now_ms())))).met is met


async def test_the_partners_own_key_names_a_submission_whatever_the_lead_says(store: Store) -> None:
    key = HASHES.idempotency("auto", "acme", "order 7")
    first = an_entry("jane", claims=(), idempotency=key, replay_ms=0)
    reference = await ended(store, first)
    assert (await meet(store, begin(again(first)))).met is Met.REPLAY
    other = an_entry("john", claims=(), idempotency=key)
    meeting = await meet(store, begin(other))
    assert (meeting.met, meeting.reference) == (Met.CONFLICT, reference)
    assert (await meet(store, begin(replace(other, idempotency=None)))).met is Met.NOTHING


# --- settling -----------------------------------------------------------------------------------


async def test_a_lead_is_settled_once(store: Store) -> None:
    reference = await begun(store, an_entry())
    assert await store.commit([finish(reference, Reason.ACCEPTED)]) == [True]
    assert await store.commit([finish(reference, Reason.LEGACY_REJECTED)]) == [False]
    assert (await row(store, reference)).outcome is Outcome.ACCEPTED


async def test_of_two_settlements_in_one_commit_the_first_counts(store: Store) -> None:
    reference = await begun(store, an_entry())
    two = [finish(reference, Reason.ACCEPTED), finish(reference, Reason.LEGACY_REJECTED)]
    assert await store.commit(two) == [True, False]
    assert (await row(store, reference)).outcome is Outcome.ACCEPTED


async def test_a_lead_that_was_never_begun_is_not_settled(store: Store) -> None:
    assert await store.commit([finish(new_reference()), finish(new_reference(), late=True)]) == [False, False]
    assert await found(store) == []


async def test_a_lead_begins_and_ends_in_one_commit_in_this_order(store: Store) -> None:
    entry = an_entry()
    meeting, done = await store.commit([begin(entry), finish(entry.reference)])
    assert (meeting.met, done) == (Met.NOTHING, True)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("late", "then"),
    [
        pytest.param(Reason.ACCEPTED, Met.DUPLICATE, id="accepted"),
        pytest.param(Reason.LEGACY_REJECTED, Met.NOTHING, id="rejected"),
        pytest.param(Reason.LEGACY_ERROR, Met.DUPLICATE, id="error"),
    ],
)
async def test_a_late_answer_settles_an_unknown_outcome_once_and_its_claims_with_it(
    store: Store, late: Reason, then: Met
) -> None:
    entry = an_entry("jane", replay_ms=0)
    reference = await ended(store, entry, Reason.OUTCOME_UNKNOWN)
    assert await store.commit([finish(reference, late, late=True)]) == [True]
    assert await store.commit([finish(reference, Reason.ACCEPTED, late=True)]) == [False]
    record = await row(store, reference)
    assert (record.reason, record.first_reason) == (late, Reason.OUTCOME_UNKNOWN)
    assert record.late_ms >= record.settled_ms > 0
    assert (await meet(store, begin(unrelated(entry)))).met is then
    assert [one.reference for one in await found(store, Query(late=True))] == [reference]


async def test_what_was_accepted_cannot_be_settled_late_or_by_hand(store: Store) -> None:
    reference = await ended(store, an_entry())
    by_hand = SettleByHand(reference=reference, outcome=Outcome.REJECTED, members=b"m", who="ops", why="a mistake")
    assert await store.commit([finish(reference, Reason.LEGACY_REJECTED, late=True), by_hand]) == [False, False]
    record = await row(store, reference)
    assert (record.outcome, record.late_ms, record.by_hand, record.audit) == (Outcome.ACCEPTED, 0, False, ())


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        pytest.param(Outcome.ACCEPTED, Met.DUPLICATE, id="accepted"),
        pytest.param(Outcome.REJECTED, Met.NOTHING, id="no"),
    ],
)
async def test_an_operator_settles_an_unknown_outcome_and_it_is_written_who_and_why(
    store: Store, outcome: Outcome, then: Met
) -> None:
    entry = an_entry("jane", replay_ms=0)
    reference = await ended(store, entry, Reason.OUTCOME_UNKNOWN)
    settle = SettleByHand(reference=reference, outcome=outcome, members=b"sealed", who="olga", why="the legacy says so")
    assert await store.commit([settle]) == [True]
    assert await store.commit([settle]) == [False]
    record = await row(store, reference)
    assert (record.outcome, record.by_hand, record.first_reason) == (outcome, True, Reason.OUTCOME_UNKNOWN)
    assert record.late_ms > 0
    assert record.sealed is not None
    assert record.sealed.members == b"sealed"
    assert [(line.action, line.who, line.why) for line in record.audit] == [("settle", "olga", "the legacy says so")]
    assert (await meet(store, begin(unrelated(entry)))).met is then


async def test_unknown_outcomes_are_counted_by_program(store: Store) -> None:
    old = await store.now_ms() - DAY_MS
    await ended(store, an_entry("a", received_ms=old), Reason.OUTCOME_UNKNOWN)
    await ended(store, an_entry("b"), Reason.UNRECOGNIZED_ANSWER)
    await ended(store, an_entry("c"), Reason.ACCEPTED)
    await ended(store, an_entry("d", program="home"), Reason.ACCEPTED)
    await begun(store, an_entry("e"))
    assert await store.commit([CountUnknown()]) == [{"auto": UnknownCount(2, old)}]


async def test_one_operation_that_cannot_be_carried_out_leaves_the_others(store: Store) -> None:
    taken = await begun(store, an_entry("taken"))
    open_one = await begun(store, an_entry("open"))
    fresh = an_entry("fresh")
    results = await store.commit(
        [finish(open_one), begin(an_entry("twin", reference=taken)), begin(fresh), Note(refused())]
    )
    assert results[0] is True
    assert isinstance(results[1], NotTaken)
    assert results[2].met is Met.NOTHING  # type: ignore[attr-defined]
    assert results[3] is None
    assert (await row(store, fresh.reference)).outcome is None
    assert (await row(store, open_one)).outcome is Outcome.ACCEPTED
    # Nothing of the one that failed is left, not even its claim.
    assert (await meet(store, begin(an_entry("twin")))).met is Met.NOTHING


# --- owners ---------------------------------------------------------------------------------------


async def test_what_dead_owners_left_open_becomes_unknown_and_what_living_ones_work_on_stays(store: Store) -> None:
    await store.commit([Beat("dead", -1), Beat("gone", HOUR_MS), Beat("alive", HOUR_MS)])
    left = [
        await begun(store, an_entry("a"), "dead"),
        await begun(store, an_entry("b"), "gone"),
        await begun(store, an_entry("c"), "never seen"),
    ]
    working = await begun(store, an_entry("d"), "alive")
    await store.commit([Leave("gone")])
    [recovered] = await store.commit([Recover()])
    assert set(recovered) == set(left)  # type: ignore[call-overload]
    assert await store.commit([Recover()]) == [()]
    for reference in left:
        record = await row(store, reference)
        assert (record.delivery, record.outcome) == (Delivery.SENT, Outcome.UNKNOWN)
        assert (record.reason, record.failure) == (Reason.OUTCOME_UNKNOWN, "owner_lost")
    assert (await row(store, working)).outcome is None
    # Whoever sends the lead again is not told that it is new.
    assert (await meet(store, begin(an_entry("a")))).met is Met.UNKNOWN


async def test_an_owner_that_shows_itself_again_keeps_its_leads(store: Store) -> None:
    await store.commit([Beat("late", -1)])
    await begun(store, an_entry(), "late")
    await store.commit([Beat("late", HOUR_MS)])
    assert await store.commit([Recover()]) == [()]


async def test_an_owner_taken_for_dead_settles_what_it_finishes_after_all(store: Store) -> None:
    reference = await begun(store, an_entry(), "stalled")
    await store.commit([Recover()])
    assert await store.commit([finish(reference, Reason.ACCEPTED)]) == [False]
    assert await store.commit([finish(reference, Reason.ACCEPTED, late=True)]) == [True]
    assert (await row(store, reference)).outcome is Outcome.ACCEPTED


async def test_recovery_takes_a_bounded_piece_at_a_time(store: Store) -> None:
    for number in range(7):
        await begun(store, an_entry(str(number)), "dead")
    counts = [len((await store.commit([Recover(limit=3)]))[0]) for _ in range(4)]  # type: ignore[arg-type]
    assert counts == [3, 3, 1, 0]


# --- refusals, names ------------------------------------------------------------------------------


async def test_a_refusal_is_a_settled_row_that_holds_nothing(store: Store) -> None:
    cipher = SEALER.fresh("note")
    refusal = refused(faults=("email=missing", "phone=format"), index=(HASHES.index("email", "jane"),))
    assert await store.commit([Note(refusal, cipher.key, b"sealed")]) == [None]
    record = await row(store, refusal.reference)
    assert (record.delivery, record.outcome, record.reason) == (Delivery.NOT_SENT, Outcome.NONE, Reason.LEAD_INVALID)
    assert record.faults == ("email=missing", "phone=format")
    assert record.sealed is not None
    assert record.sealed.body == b"sealed"
    assert (await meet(store, begin(an_entry("jane")))).met is Met.NOTHING


async def test_a_name_keeps_its_first_text_unless_it_is_replaced(store: Store) -> None:
    asked = [Remember("a", "1"), Remember("a", "2"), Remember("a", "3", replace=True), Remember("a", "4")]
    assert await store.commit(asked) == ["1", "1", "3", "3"]


async def test_texts_that_are_not_unicode_are_kept_as_far_as_they_are(store: Store) -> None:
    entry = an_entry(content_type="text/\udce9 café")
    await begun(store, entry)
    assert (await row(store, entry.reference)).content_type.endswith("café")


# --- erasing, purging -------------------------------------------------------------------------------


async def test_erasing_by_hashes_takes_the_rows_that_carry_all_of_them_and_leaves_their_claims(store: Store) -> None:
    email, phone = HASHES.index("email", "jane"), HASHES.index("phone", "1")
    jane = an_entry("jane", index=(email, phone))
    both = await ended(store, jane)
    one = await ended(store, an_entry("other", index=(email,)))
    erase = Erase(index=(email, phone), who="dpo", why="art. 17")
    assert await store.commit([erase]) == [1]
    assert await store.commit([erase]) == [0]
    gone, kept = await row(store, both), await row(store, one)
    assert gone.erased
    assert not kept.erased
    assert gone.sealed is not None
    assert (gone.sealed.key, gone.sealed.body, gone.sealed.members, gone.sealed.answer) == (None, b"", b"", b"")
    assert (gone.outcome, gone.reason) == (Outcome.ACCEPTED, Reason.ACCEPTED)
    assert [(line.action, line.who, line.why) for line in gone.audit] == [("erase", "dpo", "art. 17")]
    assert await found(store, Query(index=(phone,))) == []
    # The lead itself is known without words; its claim stands.
    assert (await meet(store, begin(again(jane)))).met is Met.DUPLICATE
    assert (await meet(store, begin(unrelated(jane)))).met is Met.DUPLICATE


async def test_erasing_by_reference_takes_an_open_lead_too_and_it_is_settled_without_words(store: Store) -> None:
    reference = await begun(store, an_entry())
    assert await store.commit([Erase(reference=reference, who="dpo", why="")]) == [1]
    assert await store.commit([finish(reference, Reason.ACCEPTED)]) == [True]
    record = await row(store, reference)
    assert (record.outcome, record.erased) == (Outcome.ACCEPTED, True)
    assert record.sealed is not None
    assert (record.sealed.key, record.sealed.members, record.sealed.answer) == (None, b"", b"")


async def test_erasing_without_saying_whom_erases_nobody(store: Store) -> None:
    await ended(store, an_entry())
    assert await store.commit([Erase(who="dpo", why="")]) == [0]
    assert await store.commit([Erase(reference=new_reference(), who="dpo", why="")]) == [0]


async def test_a_purge_takes_contents_of_settled_leads_only_and_leaves_the_rows(store: Store) -> None:
    settled_one = await ended(store, an_entry("a"))
    unknown = await ended(store, an_entry("b"), Reason.OUTCOME_UNKNOWN)
    open_one = await begun(store, an_entry("c"))
    refusal = refused(index=(HASHES.index("email", "d"),))
    await store.commit([Note(refusal)])
    # An age of -1 ms: whatever was settled until now is older.
    [purged] = await store.commit([Purge(content_ms=-1000, row_ms=DAY_MS * 3650)])
    assert isinstance(purged, Purged)
    assert (purged.contents, purged.rows, purged.more) == (2, 0, False)
    assert (await row(store, settled_one)).sealed.key is None  # type: ignore[union-attr]
    assert await found(store, Query(index=(HASHES.index("email", "a"),))) == []
    assert await found(store, Query(index=(HASHES.index("email", "d"),))) == []
    for reference in (unknown, open_one):
        assert (await row(store, reference)).sealed.body != b""  # type: ignore[union-attr]
    assert len(await found(store, Query(index=(HASHES.index("email", "b"),)))) == 1
    [purged] = await store.commit([Purge(content_ms=-1000, row_ms=DAY_MS * 3650)])
    assert purged == Purged()


async def test_a_purge_takes_rows_of_settled_leads_that_hold_nothing_any_more(store: Store) -> None:
    def forgettable(lead: str) -> Entry:
        return an_entry(lead, claims=(), replay_ms=0, unknown_hold_ms=0, idempotency_ms=0)

    gone = await ended(store, forgettable("a"))
    unknown = await ended(store, forgettable("b"), Reason.OUTCOME_UNKNOWN)
    open_one = await begun(store, forgettable("c"))
    claiming = await ended(store, replace(forgettable("d"), claims=(a_claim("d"),)))
    refusal = refused()
    await store.commit([Note(refusal), Erase(reference=gone, who="dpo", why="")])
    assert await purge_to_the_end(store) == 2
    assert {record.reference for record in await found(store)} == {unknown, open_one, claiming}
    assert (await meet(store, begin(an_entry("x", claims=(a_claim("d"),))))).met is Met.DUPLICATE


async def test_a_reference_whose_row_was_purged_is_found_without_anything_of_before(store: Store) -> None:
    entry = an_entry("a", claims=(), replay_ms=0, unknown_hold_ms=0, idempotency_ms=0)
    await ended(store, entry)
    await store.commit([Erase(reference=entry.reference, who="dpo", why="")])
    assert await purge_to_the_end(store) == 1
    await begun(store, entry)
    record = await row(store, entry.reference)
    assert (record.outcome, record.erased, record.audit) == (None, False, ())


async def test_a_purge_takes_claims_past_their_time_unless_their_lead_is_open(store: Store) -> None:
    await ended(store, an_entry("a", claims=(a_claim("a1", 0), a_claim("a2", HOUR_MS))))
    await begun(store, an_entry("b", claims=(a_claim("b1", 0),)))
    [purged] = await store.commit([Purge(content_ms=DAY_MS, row_ms=DAY_MS)])
    assert isinstance(purged, Purged)
    assert purged.claims == 1
    assert (await meet(store, begin(an_entry("x", claims=(a_claim("a2"),))))).met is Met.DUPLICATE
    assert (await meet(store, begin(an_entry("y", claims=(a_claim("b1"),))))).met is Met.RUNNING
    assert (await meet(store, begin(an_entry("z", claims=(a_claim("a1"),))))).met is Met.NOTHING


async def test_a_purge_takes_a_bounded_piece_and_says_that_there_is_more(store: Store) -> None:
    for number in range(5):
        await ended(store, an_entry(str(number)))
    purge = Purge(content_ms=-1000, row_ms=DAY_MS, limit=2)
    counts = []
    more = True
    while more:
        [purged] = await store.commit([purge])
        assert isinstance(purged, Purged)
        counts.append(purged.contents)
        more = purged.more
    assert sum(counts) == 5
    assert max(counts) == 2


# --- keys -----------------------------------------------------------------------------------------


async def test_record_keys_are_found_by_pieces_and_wrapped_anew_only_while_they_are_the_old_ones(store: Store) -> None:
    references = [await ended(store, an_entry(str(number))) for number in range(5)]
    new = Sealer(KeyRing([bytes(32), bytes(range(32))]))
    seen: list[str] = []
    after = ""
    while True:
        [piece] = await store.commit([ForeignKeys(new.ring.current, after, limit=2)])
        if not piece:
            break
        seen += [reference for reference, _ in piece]  # type: ignore[attr-defined]
        after = seen[-1]
        changes = tuple((reference, key, new.rewrapped(reference, key)) for reference, key in piece)  # type: ignore[attr-defined]
        assert await store.commit([Rewrap(changes)]) == [len(changes)]
        assert await store.commit([Rewrap(changes)]) == [0]
    assert seen == references
    record = await row(store, references[0])
    assert record.sealed is not None
    assert record.sealed.key is not None
    assert record.sealed.key.key_id == new.ring.current
    assert new.cipher(record.reference, record.sealed.key).open("body", record.sealed.body).startswith(b"{")


async def test_hashes_under_a_new_index_key_are_met_and_the_old_ones_are_not(store: Store) -> None:
    old = an_entry("jane", idempotency=b"old key of idempot")
    reference = await ended(store, old)
    new_claim, new_index = a_claim("under the new key"), HASHES.index("email", "under the new key")
    reindex = Reindex(
        reference, b"new fingerprint.", b"new idempotency.", ((old.claims[0].key, new_claim.key), (b"none", b"other")),
        (new_index,),
    )  # fmt: skip
    assert await store.commit([reindex]) == [True]
    assert await store.commit([replace(reindex, reference=new_reference())]) == [False]
    assert (await meet(store, Look(an_entry("x", claims=(new_claim,))))).met is Met.DUPLICATE
    assert (await meet(store, Look(an_entry("x", claims=(), fingerprint=b"new fingerprint.")))).met is Met.REPLAY
    assert (await meet(store, Look(an_entry("x", claims=(), idempotency=b"new idempotency.")))).met is Met.CONFLICT
    assert (await meet(store, Look(old))).met is Met.NOTHING
    assert [record.reference for record in await found(store, Query(index=(new_index,)))] == [reference]
    assert await found(store, Query(index=old.index)) == []


# --- searching ----------------------------------------------------------------------------------


async def test_a_search_finds_by_each_condition_and_gives_the_newest_first(store: Store) -> None:
    names: dict[str, str] = {}

    async def one(name: str, reason: Reason | None, at_ms: int, **changes: object) -> None:
        entry = an_entry(name, received_ms=at_ms, claims=(), **changes)
        names[entry.reference] = name
        await begun(store, entry)
        if reason is not None:
            await store.commit([finish(entry.reference, reason)])

    # Not in the order of their times.
    await one("b", Reason.LEGACY_REJECTED, 2000)
    await one("a", Reason.ACCEPTED, 1000)
    await one("d", Reason.OUTCOME_UNKNOWN, 4000, partner="other")
    await one("c", Reason.ACCEPTED, 3000, program="home")
    await one("e", None, 5000)
    refusal = refused(received_ms=6000)
    names[refusal.reference] = "f"
    await store.commit([Note(refusal)])

    async def search(**conditions: object) -> str:
        return "".join([names[record.reference] for record in await found(store, Query(**conditions))])  # type: ignore[arg-type]

    assert await search() == "fedcba"
    assert await search(limit=2) == "fe"
    assert await search(program="home") == "c"
    assert await search(partner="other") == "d"
    assert await search(reason=Reason.ACCEPTED) == "ca"
    assert await search(outcome=Outcome.UNKNOWN) == "d"
    assert await search(outcome=Outcome.NONE) == "f"
    assert await search(open=True) == "e"
    assert await search(late=True) == ""
    assert await search(since_ms=3000) == "fedc"
    assert await search(until_ms=3000) == "ba"
    assert await search(since_ms=2000, until_ms=5000, outcome=Outcome.ACCEPTED) == "c"
    assert await search(index=(HASHES.index("email", "b"),)) == "b"
    assert await search(index=(HASHES.index("email", "b"), HASHES.index("email", "a"))) == ""
    assert await search(index=(HASHES.index("email", "b"),), program="home") == ""
    assert await search(reference="nobody") == ""


async def test_a_search_of_many_rows_gives_each_once_while_others_are_written(store: Store) -> None:
    # Many of one millisecond: pieces of the search begin and end among them.
    entries = [an_entry(str(number), received_ms=1000 + number // 700, claims=()) for number in range(1500)]
    for at in range(0, len(entries), 300):
        await store.commit([begin(entry) for entry in entries[at : at + 300]])
    seen: list[str] = []
    async for record in store.search(Query()):
        if len(seen) % 250 == 0:
            await begun(store, an_entry(f"new {len(seen)}", received_ms=10**9 + len(seen), claims=()))
        seen.append(record.reference)
    old = {entry.reference for entry in entries}
    assert len(seen) == len(set(seen))
    assert old <= set(seen)


async def test_a_search_that_is_left_early_leaves_the_store_in_use(store: Store) -> None:
    for number in range(3):
        await begun(store, an_entry(str(number)))
    async for _ in store.search(Query()):
        break
    assert len(await found(store)) == 3


# --- opening, closing -----------------------------------------------------------------------------


async def test_what_was_handed_over_is_written_before_the_store_closes(one_more: Callable[[], Store]) -> None:
    first = one_more()
    await first.open()
    entries = [an_entry(str(number)) for number in range(20)]
    asked = [asyncio.ensure_future(first.commit([begin(entry)])) for entry in entries]
    await asyncio.sleep(0)  # they are asked for, not waited for
    await first.close()
    await asyncio.gather(*asked)
    second = one_more()
    await second.open()
    assert len(await found(second)) == 20
    await second.close()


async def test_a_journal_that_is_opened_again_knows_its_leads(one_more: Callable[[], Store]) -> None:
    first = one_more()
    await first.open()
    entry = an_entry("jane")
    reference = await ended(first, entry)
    before = await first.now_ms()
    await first.close()
    second = one_more()
    await second.open()
    assert (await meet(second, begin(again(entry)))).met is Met.REPLAY
    meeting = await meet(second, begin(unrelated(entry)))
    assert (meeting.met, meeting.reference) == (Met.DUPLICATE, reference)
    assert await second.now_ms() >= before
    await second.close()


async def test_what_one_process_begins_another_meets_at_once(store: Store, one_more: Callable[[], Store]) -> None:
    other = one_more()
    await other.open()
    for number in range(30):
        here, there = (store, other) if number % 2 else (other, store)
        entry = an_entry(str(number))
        await begun(here, entry)
        assert (await meet(there, begin(again(entry)))).met is Met.RUNNING
        await here.commit([finish(entry.reference, Reason.LEGACY_REJECTED)])
        assert (await meet(there, begin(unrelated(entry)))).met is Met.NOTHING
    await other.close()
