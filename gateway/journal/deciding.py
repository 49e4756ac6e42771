"""What a lead that is about to be sent meets: the one decision about replay, claims and unknown outcomes.

Pure: a store looks up what its transaction sees, this says what it means, and the store carries it out in the same
transaction. Both stores, and `Look`, decide here and nowhere else. Decides nothing about waiting (the engine) or
about what the partner is told (the pipeline).

Several rows may share a fingerprint or an idempotency key: a lead that was not sent, or that the legacy failed on,
blocks nobody. A claim has one holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.values import Entry, Meeting, Met


@dataclass(frozen=True, slots=True)
class Holder:
    """A submission in the journal, as far as the decision needs it.

    outcome None: open, that is: being worked on, or its owner died and nobody has recovered it yet.
    members: whether what the partner was answered is kept and can be opened (not after recovery or erasure).
    """

    reference: str
    fingerprint: bytes
    received_ms: int
    outcome: Outcome | None
    reason: Reason | None = None
    members: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A claim's row: who holds it, by which rule, until when."""

    holder: Holder
    rule: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the transaction sees of an entry's keys. claims: by claim key; a key that nobody holds is absent.

    same: rows of its fingerprint. keyed: rows of its idempotency key, whatever their fingerprint. A store may leave
    out settled rows of outcome NONE or ERROR, and settled rows received `horizon_ms(entry)` ago or earlier: they
    decide nothing. Any order.
    """

    same: Sequence[Holder] = ()
    keyed: Sequence[Holder] = ()
    claims: Mapping[bytes, Held] = field(default_factory=dict)


NOTHING = Meeting(met=Met.NOTHING)

# The outcomes that are answered again: the legacy's word, or that there was none. A failure of the legacy is not.
_REPLAYED = frozenset({Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN})


def horizon_ms(entry: Entry) -> int:
    """The age from which a settled row can no longer be met by its fingerprint or idempotency key."""
    return max(entry.replay_ms, entry.unknown_hold_ms, entry.idempotency_ms)


def holds(outcome: Outcome, *, release: bool = False) -> bool:
    """Whether a submission that ended so keeps its claims for their windows.

    An answer rule may give them back (`release`), but never those of an unknown outcome: another copy might go out.
    """
    if outcome is Outcome.UNKNOWN:
        return True
    return not release and outcome in (Outcome.ACCEPTED, Outcome.ERROR)


def decide(entry: Entry, found: Found, now_ms: int) -> Meeting:
    """What this entry meets at now_ms. NOTHING means: begin it.

    The partner's own key first, since it names the submission whatever the lead says; then the lead as a whole; then
    the claims. Nearer knowledge wins: a resend is told about itself and not that it duplicates itself.
    """
    known: Meeting | None = None
    for find, rows in ((_keyed, found.keyed), (_same, found.same), (_claimed, found.claims)):
        meeting = find(entry, rows, now_ms) if rows else None  # type: ignore[arg-type]
        if meeting is None:
            continue
        if known is None and meeting.met is not Met.DUPLICATE:
            return meeting
        # Whatever makes it a duplicate: where an unknown outcome holds it as well, that is what it is told.
        if meeting.met is Met.UNKNOWN:
            return meeting
        known = known or meeting
    return known or NOTHING


def _keyed(entry: Entry, rows: Sequence[Holder], now_ms: int) -> Meeting | None:
    """The idempotency key's meeting. Rows that were not sent or failed leave the key free, also for another lead."""
    for row in _weightiest_first(rows):
        if row.outcome is not None and now_ms >= row.received_ms + entry.idempotency_ms:
            continue
        if row.fingerprint != entry.fingerprint:
            return Meeting(met=Met.CONFLICT, reference=row.reference)
        if row.outcome is None:
            return Meeting(met=Met.RUNNING, reference=row.reference)
        return _again(row)
    return None


def _same(entry: Entry, rows: Sequence[Holder], now_ms: int) -> Meeting | None:
    """The whole lead's meeting: an unknown outcome holds it with replay off, too."""
    for row in _weightiest_first(rows):
        age_ms = now_ms - row.received_ms
        if row.outcome is None:
            if entry.replay_ms > 0:
                return Meeting(met=Met.RUNNING, reference=row.reference)
        elif age_ms < entry.replay_ms:
            return _again(row)
        elif row.outcome is Outcome.UNKNOWN and age_ms < entry.unknown_hold_ms:
            return Meeting(met=Met.UNKNOWN, reference=row.reference)
    return None


def _claimed(entry: Entry, claims: Mapping[bytes, Held], now_ms: int) -> Meeting | None:
    """The claims' meeting: an unknown holder before any other, so that it is never called a duplicate; then what is
    final before what may still change."""
    duplicate: Meeting | None = None
    running: Meeting | None = None
    for claim in entry.claims:
        held = claims.get(claim.key)
        if held is None:
            continue
        outcome = held.holder.outcome
        if outcome is None:
            # An open row keeps its claims however long it takes: what will become of it is not known.
            running = running or Meeting(met=Met.RUNNING, reference=held.holder.reference, rule=held.rule)
        elif now_ms >= held.until_ms:
            continue
        elif outcome is Outcome.UNKNOWN:
            return Meeting(met=Met.UNKNOWN, reference=held.holder.reference, rule=held.rule)
        elif holds(outcome):
            duplicate = duplicate or Meeting(met=Met.DUPLICATE, reference=held.holder.reference, rule=held.rule)
    return duplicate or running


def _again(row: Holder) -> Meeting:
    """A settled row of the same submission: its answer again, or what can be said without it."""
    if row.members:
        return Meeting(met=Met.REPLAY, reference=row.reference, reason=row.reason)
    # Recovered after a crash (nobody was answered), or erased: known, but without words.
    met = Met.UNKNOWN if row.outcome is Outcome.UNKNOWN else Met.DUPLICATE
    return Meeting(met=met, reference=row.reference)


def _weightiest_first(rows: Sequence[Holder]) -> Iterable[Holder]:
    """Rows that can be met: unknown ones, then open ones, then the newest."""
    met = [row for row in rows if row.outcome is None or row.outcome in _REPLAYED]
    if len(met) > 1:
        met.sort(key=_weight)
    return met


def _weight(row: Holder) -> tuple[int, int]:
    rank = 0 if row.outcome is Outcome.UNKNOWN else 1 if row.outcome is None else 2
    return rank, -row.received_ms
