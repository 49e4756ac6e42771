"""What one transaction does: the journal's operations, in the order given, with as few statements as that allows.

Leads that begin and settlements are what there is most of, and come mixed: a run of them costs one statement that
finds, one that begins and one that finishes, as long as no lead of the run meets a row that the run settles; then
each has its turn, as if alone. What an entry meets is `deciding`'s word.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.deciding import Found, Held, Holder, decide, holds
from gateway.journal.operations import (
    Beat,
    Begin,
    CountUnknown,
    Erase,
    Finish,
    ForeignKeys,
    Leave,
    Look,
    Note,
    Operation,
    Purge,
    Purged,
    RecordKey,
    Recover,
    Reindex,
    Remember,
    Rewrap,
    SettleByHand,
    UnknownCount,
)
from gateway.journal.postgres import statements
from gateway.journal.postgres.link import Link
from gateway.journal.values import Claim, Entry, Meeting, Met, Stored

#: A store that has not committed for so long has ended, or met its row again when it connected.
_WRITER_MS = 30 * 24 * 3600 * 1000
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_REASONS = {reason.slug: reason for reason in Reason}


def keys_of(operations: Iterable[Operation]) -> set[bytes]:
    """What has to be locked before these operations look: two leads that share any of it come one after the other."""
    keys: set[bytes] = set()
    for operation in operations:
        if type(operation) is Begin:
            entry = operation.entry
            keys.add(entry.fingerprint)
            if entry.idempotency is not None:
                keys.add(entry.idempotency)
            for claim in entry.claims:
                keys.add(claim.key)
    return keys


def one_statement(operations: Sequence[Operation]) -> bool:
    """Whether one statement, a transaction in itself, does it all, and doing it twice does no more than once."""
    kinds = {type(operation) for operation in operations}
    if len(kinds) != 1:
        return False
    if kinds == {Finish}:
        settlements = [operation.settlement for operation in operations if isinstance(operation, Finish)]
        references = {settlement.reference for settlement in settlements if not settlement.late}
        return len(references) == len(settlements)
    return kinds <= {Look, Note}


async def carry(link: Link, operations: Sequence[Operation]) -> list[object]:
    """Carry out operations inside a transaction that holds the locks of `keys_of`; their results."""
    results: list[object] = []
    for together, run in groupby(operations, _goes_together):
        if together:
            results += await _together(link, list(run))
        else:
            results += [await _ALONE[type(operation)](link, operation) for operation in run]
    return results


def _goes_together(operation: Operation) -> bool:
    if isinstance(operation, Finish):
        return not operation.settlement.late
    return isinstance(operation, Begin | Look | Note)


# --- leads that begin, settlements, refusals ---------------------------------------------------------------------


async def _together(link: Link, run: list[Operation]) -> list[object]:
    entries = [operation.entry for operation in run if isinstance(operation, Begin | Look)]
    sight = await _look_up(link, entries) if entries else _NO_SIGHT
    if len(run) > 1 and _tangled(run, sight):
        return [result for operation in run for result in await _together(link, [operation])]

    results: list[object] = []
    begun: list[Begin] = []
    finishes: list[Finish] = []
    notes: list[Note] = []
    for operation in run:
        if type(operation) is Finish:
            finishes.append(operation)
            results.append(operation.settlement.reference)
        elif type(operation) is Note:
            notes.append(operation)
            results.append(None)
        elif isinstance(operation, Begin | Look):
            meeting = sight.meeting(operation.entry)
            if type(operation) is Begin and meeting.met is Met.NOTHING:
                begun.append(operation)
                sight.begin(operation.entry)
            results.append(meeting)

    if begun:
        await _begin(link, begun, sight.now_ms)
    if notes:
        await _note(link, notes)
    if finishes:
        closed = {row[0] for row in await link.fetch(statements.FINISH, *_settlements(finishes))}
        results = [result in closed if type(result) is str else result for result in results]
    return results


@dataclass(slots=True)
class _Sight:
    """What a transaction sees of its entries' keys, and what it has begun itself since it looked."""

    now_ms: int = 0
    same: dict[bytes, list[Holder]] = field(default_factory=dict)
    keyed: dict[bytes, list[Holder]] = field(default_factory=dict)
    claims: dict[bytes, Held] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    references: set[str] = field(default_factory=set)

    def meeting(self, entry: Entry) -> Meeting:
        found = Found(
            same=self.same.get(entry.fingerprint, ()),
            keyed=() if entry.idempotency is None else self.keyed.get(entry.idempotency, ()),
            claims=self.claims,
        )
        meeting = decide(entry, found, self.now_ms)
        if meeting.met is Met.REPLAY:
            return replace(meeting, sealed=self.stored[meeting.reference])
        return meeting

    def begin(self, entry: Entry) -> None:
        """The entries behind it in the same transaction meet it."""
        holder = Holder(entry.reference, entry.fingerprint, entry.received_ms, None)
        self.same.setdefault(entry.fingerprint, []).append(holder)
        if entry.idempotency is not None:
            self.keyed.setdefault(entry.idempotency, []).append(holder)
        for claim in entry.claims:
            self.claims[claim.key] = Held(holder, claim.rule, self.now_ms + claim.window_ms)


_NO_SIGHT = _Sight()


async def _look_up(link: Link, entries: Sequence[Entry]) -> _Sight:
    rows = await link.fetch(
        statements.FIND,
        [entry.fingerprint for entry in entries],
        [entry.idempotency for entry in entries if entry.idempotency is not None],
        [claim.key for entry in entries for claim in entry.claims],
    )
    sight = _Sight()
    for kind, key, reference, fingerprint, at_ms, outcome, reason, members, key_id, wrapped, rule, until_ms in rows:
        if kind == 0:
            sight.now_ms = at_ms
            continue
        sight.references.add(reference)
        known = members is not None and key_id is not None
        if known:
            sight.stored[reference] = Stored(members, key_id, wrapped)
        holder = Holder(
            reference,
            fingerprint or b"",  # forgotten; found as an unknown outcome, by what that holds
            at_ms,
            None if outcome is None else _OUTCOMES[outcome],
            None if reason is None else _REASONS.get(reason),
            known,
        )
        if kind == 1:
            sight.same.setdefault(key, []).append(holder)
        elif kind == 2:
            sight.keyed.setdefault(key, []).append(holder)
        else:
            sight.claims[key] = Held(holder, rule, until_ms)
    return sight


def _tangled(run: Sequence[Operation], sight: _Sight) -> bool:
    """Whether the order inside the run matters: a settlement of a row that the run meets, begins or settles twice."""
    finishing = [operation.settlement.reference for operation in run if isinstance(operation, Finish)]
    if not finishing:
        return False
    settled = set(finishing)
    if len(settled) < len(finishing) or not settled.isdisjoint(sight.references):
        return True
    return any(type(operation) is Begin and operation.entry.reference in settled for operation in run)


async def _begin(link: Link, begun: Sequence[Begin], now_ms: int) -> None:
    entries = [operation.entry for operation in begun]
    # Two rules of one entry may make the same key: it is held for the longer window.
    claims: dict[bytes, tuple[Claim, str]] = {}
    for entry in entries:
        for claim in entry.claims:
            earlier = claims.get(claim.key)
            if earlier is None or earlier[0].window_ms < claim.window_ms:
                claims[claim.key] = (claim, entry.reference)
    await link.execute(
        statements.BEGIN,
        [entry.reference for entry in entries],
        [entry.received_ms for entry in entries],
        [statements.storable(entry.program) for entry in entries],
        [statements.storable(entry.partner) for entry in entries],
        [entry.fingerprint for entry in entries],
        [entry.idempotency for entry in entries],
        [statements.storable(entry.content_type) for entry in entries],
        [operation.body for operation in begun],
        [operation.owner for operation in begun],
        [operation.key.key_id for operation in begun],
        [operation.key.wrapped for operation in begun],
        [entry.received_ms + _known_ms(entry) for entry in entries],
        list(claims),
        [now_ms + claim.window_ms for claim, _ in claims.values()],
        [reference for _, reference in claims.values()],
        [claim.rule for claim, _ in claims.values()],
        *_index((entry.reference, entry.index) for entry in entries),
    )


def _known_ms(entry: Entry) -> int:
    """For how long its fingerprint or its idempotency key may matter to anybody."""
    key_ms = 0 if entry.idempotency is None else entry.idempotency_ms
    return max(entry.replay_ms, entry.unknown_hold_ms, key_ms)


async def _note(link: Link, notes: Sequence[Note]) -> None:
    refusals = [operation.refusal for operation in notes]
    await link.execute(
        statements.NOTE,
        [refusal.reference for refusal in refusals],
        [refusal.received_ms for refusal in refusals],
        [statements.storable(refusal.program) for refusal in refusals],
        [statements.storable(refusal.partner) for refusal in refusals],
        [statements.storable(refusal.content_type) for refusal in refusals],
        [statements.storable("\n".join(refusal.faults)) for refusal in refusals],
        [operation.body for operation in notes],
        [refusal.reason.slug for refusal in refusals],
        [operation.key and operation.key.key_id for operation in notes],
        [operation.key and operation.key.wrapped for operation in notes],
        [bool(operation.key or operation.body or operation.refusal.index) for operation in notes],
        *_index((refusal.reference, refusal.index) for refusal in refusals),
    )


def _index(rows: Iterable[tuple[str, tuple[bytes, ...]]]) -> tuple[list[bytes], list[str]]:
    hashes: list[bytes] = []
    references: list[str] = []
    for reference, index in rows:
        for hash in set(index) if len(index) > 1 else index:
            hashes.append(hash)
            references.append(reference)
    return hashes, references


def _settlements(finishes: Sequence[Finish]) -> tuple[list[Any], ...]:
    settlements = [operation.settlement for operation in finishes]
    return (
        [settlement.reference for settlement in settlements],
        [settlement.delivery.value for settlement in settlements],
        [settlement.outcome.value for settlement in settlements],
        [settlement.reason.slug for settlement in settlements],
        [statements.storable(settlement.rule) for settlement in settlements],
        [statements.storable(settlement.failure) for settlement in settlements],
        [settlement.upstream_status for settlement in settlements],
        [operation.members for operation in finishes],
        [operation.answer for operation in finishes],
        [not holds(settlement.outcome, release=settlement.release) for settlement in settlements],
    )


# --- the rest, one by one ----------------------------------------------------------------------------------------


async def _finish_late(link: Link, operation: Finish) -> bool:
    *columns, frees = (column[0] for column in _settlements([operation]))
    if await link.fetchval(statements.FINISH_LATE, *columns) is None:
        return False
    if frees:
        await link.execute(statements.FREE_CLAIMS, operation.settlement.reference)
    return True


async def _beat(link: Link, operation: Beat) -> None:
    await link.execute(statements.BEAT, operation.owner, operation.lease_ms)


async def _leave(link: Link, operation: Leave) -> None:
    await link.execute(statements.LEAVE, operation.owner)


async def _recover(link: Link, operation: Recover) -> tuple[str, ...]:
    rows = await link.fetch(statements.RECOVER, operation.limit)
    await link.execute(statements.FORGET_OWNERS)
    return tuple(sorted(row[0] for row in rows))


async def _settle_by_hand(link: Link, operation: SettleByHand) -> bool:
    reason = Reason.ACCEPTED if operation.outcome is Outcome.ACCEPTED else Reason.LEGACY_REJECTED
    found = await link.fetchval(
        statements.SETTLE_BY_HAND, operation.reference, operation.outcome.value, reason.slug, operation.members
    )
    if found is None:
        return False
    if not holds(operation.outcome):
        await link.execute(statements.FREE_CLAIMS, operation.reference)
    await _audit(link, [operation.reference], "settle", operation.who, operation.why)
    return True


async def _audit(link: Link, references: list[str], action: str, who: str, why: str) -> None:
    await link.execute(statements.AUDIT, references, action, statements.storable(who), statements.storable(why))


async def _erase(link: Link, operation: Erase) -> int:
    references = [operation.reference] if operation.reference else []
    if operation.index:
        carrying = {row[0] for row in await link.fetch(statements.CARRYING, list(set(operation.index)))}
        references = sorted(carrying.intersection(references) if references else carrying)
    erased = [row[0] for row in await link.fetch(statements.ERASE, references)]
    if erased:
        await link.execute(statements.ERASE_OPEN, erased)
        await link.execute(statements.ERASE_SETTLED, erased)
        await _audit(link, erased, "erase", operation.who, operation.why)
    return len(erased)


async def _purge(link: Link, operation: Purge) -> Purged:
    limit = operation.limit
    claims = await link.fetch(statements.PURGE_CLAIMS, limit)
    contents = [row[0] for row in await link.fetch(statements.PURGE_CONTENTS, operation.content_ms, limit)]
    if contents:
        await link.execute(statements.PURGE_SEALED, contents)
    expired = await link.fetch(statements.EXPIRE, limit)
    rows = [row[0] for row in await link.fetch(statements.OLD_ROWS, operation.row_ms, limit)]
    if rows:
        await link.execute(statements.PURGE_ROWS, rows)
    await link.execute(statements.FORGET_OWNERS)
    await link.execute(statements.PURGE_WRITERS, _WRITER_MS)
    more = limit in (len(claims), len(contents), len(expired), len(rows))
    return Purged(contents=len(contents), rows=len(rows), claims=len(claims), more=more)


async def _foreign_keys(link: Link, operation: ForeignKeys) -> tuple[tuple[str, RecordKey], ...]:
    rows = await link.fetch(statements.FOREIGN_KEYS, operation.key_id, operation.after, operation.limit)
    return tuple((reference, RecordKey(key_id, wrapped)) for reference, key_id, wrapped in rows)


async def _rewrap(link: Link, operation: Rewrap) -> int:
    changes = operation.changes
    rows = await link.fetch(
        statements.REWRAP,
        [reference for reference, _, _ in changes],
        [old.key_id for _, old, _ in changes],
        [old.wrapped for _, old, _ in changes],
        [new.key_id for _, _, new in changes],
        [new.wrapped for _, _, new in changes],
    )
    return len(rows)


async def _reindex(link: Link, operation: Reindex) -> bool:
    reference = operation.reference
    if await link.fetchval(statements.REINDEX, reference, operation.fingerprint, operation.idempotency) is None:
        return False
    if operation.claims:
        old, new = zip(*operation.claims, strict=True)
        await link.execute(statements.REINDEX_CLAIMS, reference, list(old), list(new))
    await link.execute(statements.DROP_INDEX, reference)
    if operation.index:
        await link.execute(statements.ADD_INDEX, reference, list(operation.index))
    return True


async def _count_unknown(link: Link, operation: CountUnknown) -> dict[str, UnknownCount]:
    rows = await link.fetch(statements.COUNT_UNKNOWN)
    return {program: UnknownCount(count, oldest_ms) for program, count, oldest_ms in rows}


async def _remember(link: Link, operation: Remember) -> str:
    value: str = await link.fetchval(statements.REMEMBER, operation.name, operation.value, operation.replace)
    return value


_ALONE: dict[type[Operation], Callable[[Link, Any], Awaitable[object]]] = {
    Finish: _finish_late,
    Beat: _beat,
    Leave: _leave,
    Recover: _recover,
    SettleByHand: _settle_by_hand,
    Erase: _erase,
    Purge: _purge,
    ForeignKeys: _foreign_keys,
    Rewrap: _rewrap,
    Reindex: _reindex,
    CountUnknown: _count_unknown,
    Remember: _remember,
}
