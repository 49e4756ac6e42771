"""What each operation does to the rows, inside a transaction that the store begins and ends.

The two operations of a lead's way, Begin and Finish, are carried out for all leads of a commit at once: one look-up
for all their keys, one statement for each table. What they meet is decided one by one, in order. The rest is rare
and plain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
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
    RecordKey,
    Recover,
    Reindex,
    Remember,
    Rewrap,
    SettleByHand,
    UnknownCount,
)
from gateway.journal.sqlite.finding import Finder, carried
from gateway.journal.sqlite.leads import (
    CLOSE,
    INSERT_ANSWER,
    INSERT_BODY,
    INSERT_MARKS,
    INSERT_SETTLEMENT,
    INSERT_SUBMISSION,
    Leads,
    text,
)
from gateway.journal.sqlite.marking import marked
from gateway.journal.sqlite.packing import HeldClaim, pack_hashes, repack_claims, unpack_claims
from gateway.journal.sqlite.purging import purge
from gateway.journal.sqlite.statements import In, Row
from gateway.journal.values import NotTaken, StoreUnavailable

#: Failure of a row whose owner's lease ended.
OWNER_LOST = "owner_lost"

#: What a single operation may stumble over without the transaction being lost: its own values.
_OWN_FAULTS = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    ValueError,
    OverflowError,
)


#: Kinds whose order among each other says nothing, when they concern different leads; taken in this order.
_TOGETHER: Final = {Finish: 0, Note: 1, Beat: 2, Begin: 3, Look: 4}
_ORDER: Final = _TOGETHER.__getitem__


class OwnFault(Exception):
    """An operation failed by its own values: the others are to be tried without it."""


class Writer:
    """Carries out operations over one connection."""

    def __init__(self, db: sqlite3.Connection, finder: Finder) -> None:
        self._db = db
        self._finder = finder
        self._leads = Leads(db, finder)
        self._foreseen: dict[tuple[bytes, ...], tuple[list[int], int]] = {}
        #: Bytes were removed that the write-ahead log still holds.
        self.removed = False

    def prepare(self, operations: Sequence[Operation]) -> None:
        """Before the transaction: what reads a whole table is read without keeping other processes from writing."""
        self._foreseen.clear()
        for operation in operations:
            if type(operation) is Erase and operation.index:
                (to,) = self._db.execute("SELECT coalesce(max(id), 0) FROM marks").fetchone()
                self._foreseen[operation.index] = list(marked(self._db, operation.index)), to

    def carry_out(self, operations: Sequence[Operation], now_ms: int, *, no_space: bool) -> list[object]:
        """Results in order. Leads that begin or end at once are taken together, ends first. Raises OwnFault."""
        self._finder.start()
        by_kind: dict[type[Operation], list[int]] = {}
        for at, operation in enumerate(operations):
            by_kind.setdefault(type(operation), []).append(at)
        try:
            if by_kind.keys() <= _TOGETHER.keys() and _apart(operations, by_kind):
                results: list[object] = [None] * len(operations)
                for kind in sorted(by_kind, key=_ORDER):
                    places = by_kind[kind]
                    some = self._some(kind, [operations[at] for at in places], now_ms, no_space=no_space)
                    for at, result in zip(places, some, strict=True):
                        results[at] = result
                return results
            return [self._one(operation, now_ms, no_space=no_space) for operation in operations]
        except _OWN_FAULTS:
            raise OwnFault from None

    def carry_out_carefully(self, operations: Sequence[Operation], now_ms: int, *, no_space: bool) -> list[object]:
        """The same one by one, each in a savepoint: an operation's own fault becomes its result."""
        self._finder.start()
        results: list[object] = []
        for operation in operations:
            self._db.execute("SAVEPOINT operation")
            try:
                results.append(self._one(operation, now_ms, no_space=no_space))
            except _OWN_FAULTS:
                self._db.execute("ROLLBACK TO operation")
                results.append(NotTaken("the journal cannot keep what was given"))
            self._db.execute("RELEASE operation")
        return results

    def _one(self, operation: Operation, now_ms: int, *, no_space: bool) -> object:
        return self._some(type(operation), [operation], now_ms, no_space=no_space)[0]

    def _some(
        self, kind: type[Operation], operations: Sequence[Any], now_ms: int, *, no_space: bool
    ) -> Sequence[object]:
        """Results of operations of one kind."""
        if no_space and (kind is Begin or kind is Note):
            return [StoreUnavailable("the journal's disk is nearly full")] * len(operations)
        if kind is Begin:
            return self._leads.begin(operations, now_ms)
        if kind is Finish:
            if not any(finish.settlement.late for finish in operations):
                return self._leads.finish(operations, now_ms)
            return [
                self._finish_late(finish, now_ms) if finish.settlement.late else self._leads.finish([finish], now_ms)[0]
                for finish in operations
            ]
        handle = self._HANDLERS[kind]
        return [handle(self, operation, now_ms) for operation in operations]

    # --- outcomes that became known ------------------------------------------------------------

    def _finish_late(self, finish: Finish, now_ms: int) -> bool:
        settlement = finish.settlement
        id = self._unknown(settlement.reference)
        if id is None:
            return False
        self._settle_unknown(
            id,
            settlement.outcome,
            settlement.reason,
            now_ms,
            delivery=settlement.delivery.value,
            rule=settlement.rule,
            failure=settlement.failure,
            upstream_status=settlement.upstream_status,
            released=1 if settlement.release else None,
        )
        self._keep_answer(id, finish.members, finish.answer)
        return True

    def _settle_by_hand(self, settle: SettleByHand, now_ms: int) -> bool:
        id = self._unknown(settle.reference)
        if id is None:
            return False
        reason = Reason.ACCEPTED if settle.outcome is Outcome.ACCEPTED else Reason.LEGACY_REJECTED
        self._settle_unknown(id, settle.outcome, reason, now_ms, by_hand=1)
        kept = self._db.execute("SELECT answer FROM answers WHERE id = ?", (id,)).fetchone()
        self._keep_answer(id, settle.members, kept[0] if kept else b"")
        self._audit(settle.reference, now_ms, "settle", settle.who, settle.why)
        return True

    def _unknown(self, reference: str) -> int | None:
        """The id of a row whose outcome is unknown."""
        found = self._db.execute(
            "SELECT t.id FROM submissions s JOIN settlements t ON t.id = s.id "
            "WHERE s.reference = ? AND t.outcome = 'unknown'",
            (reference,),
        ).fetchone()
        return found[0] if found else None

    def _settle_unknown(
        self, id: int, outcome: Outcome, reason: Reason, now_ms: int, **columns: str | int | None
    ) -> None:
        settings = ", ".join(f"{name} = :{name}" for name in columns)
        self._db.execute(
            "UPDATE settlements SET first_reason = coalesce(first_reason, reason), reason = :reason, "  # noqa: S608
            f"outcome = :outcome, late_ms = :late_ms{', ' + settings if settings else ''} WHERE id = :id",
            {
                **columns,
                "id": id,
                "reason": reason.slug,
                "outcome": outcome.value,
                # An answer that came late and cannot be read either settles nothing.
                "late_ms": None if outcome is Outcome.UNKNOWN else now_ms,
            },
        )

    def _keep_answer(self, id: int, members: bytes, answer: bytes) -> None:
        """Instead of what was kept; nothing of an erased row."""
        if self._db.execute("SELECT erased FROM submissions WHERE id = ?", (id,)).fetchone()[0]:
            return
        self._db.execute("DELETE FROM answers WHERE id = ?", (id,))
        if members or answer:
            self._db.execute(INSERT_ANSWER, (id, members, answer))

    # --- the rest ------------------------------------------------------------------------------

    def _single(self, operation: Operation, now_ms: int, *, no_space: bool) -> object:
        if no_space and type(operation) is Note:
            return StoreUnavailable("the journal's disk is nearly full")
        return self._HANDLERS[type(operation)](self, operation, now_ms)

    def _note(self, note: Note, now_ms: int) -> None:
        refusal = note.refusal
        id = self._finder.new_id(())
        faults = orjson.dumps(refusal.faults).decode() if refusal.faults else None
        self._db.execute(
            INSERT_SUBMISSION,
            (id, refusal.reference, refusal.received_ms, None, None, None, None, None, None, refusal.program,
             refusal.partner, text(refusal.content_type), faults),
        )  # fmt: skip
        self._db.execute(
            INSERT_SETTLEMENT,
            (id, now_ms, Delivery.NOT_SENT.value, Outcome.NONE.value, refusal.reason.slug, "", "", 0, None),
        )
        if note.key is not None:
            self._db.execute(INSERT_BODY, (id, note.key.key_id, note.key.wrapped, note.body))
        if refusal.index:
            self._db.execute(INSERT_MARKS, (id, pack_hashes(refusal.index)))

    def _beat(self, beat: Beat, now_ms: int) -> None:
        self._db.execute(
            "INSERT INTO owners (owner, until_ms) VALUES (?, ?) ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms",
            (beat.owner, now_ms + beat.lease_ms),
        )
        self._db.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'high_water_ms'", (now_ms,))

    def _leave(self, leave: Leave, now_ms: int) -> None:
        self._db.execute("UPDATE owners SET until_ms = ? WHERE owner = ?", (now_ms, leave.owner))

    def _recover(self, recover: Recover, now_ms: int) -> tuple[str, ...]:
        lost: list[Row] = self._db.execute(
            "SELECT o.reference, o.id FROM open_submissions o LEFT JOIN owners w ON w.owner = o.owner "
            "WHERE coalesce(w.until_ms, 0) <= ? LIMIT ?",
            (now_ms, recover.limit),
        ).fetchall()
        reason = Reason.OUTCOME_UNKNOWN
        delivery, outcome = OUTCOMES[reason]
        self._db.executemany(CLOSE, [(row[0],) for row in lost])
        self._db.executemany(
            INSERT_SETTLEMENT,
            [(id, now_ms, delivery.value, outcome.value, reason.slug, "", OWNER_LOST, 0, None) for _, id in lost],
        )
        self._db.execute(
            "DELETE FROM owners WHERE until_ms <= ? AND owner NOT IN (SELECT owner FROM open_submissions)", (now_ms,)
        )
        return tuple(row[0] for row in lost)

    def _erase(self, erase: Erase, now_ms: int) -> int:
        erased = 0
        for id, reference in self._to_erase(erase):
            for table in ("bodies", "answers", "marks"):
                self._db.execute(f"DELETE FROM {table} WHERE id = ?", (id,))  # noqa: S608
            self._db.execute("UPDATE submissions SET erased = 1, content_type = '' WHERE id = ?", (id,))
            self._db.execute("UPDATE open_submissions SET erased = 1 WHERE reference = ?", (reference,))
            self._audit(reference, now_ms, "erase", erase.who, erase.why)
            erased += 1
        self.removed = self.removed or erased > 0
        return erased

    def _to_erase(self, erase: Erase) -> list[Row]:
        if erase.reference:
            rows = self._db.execute("SELECT id FROM submissions WHERE reference = ?", (erase.reference,))
            ids = [id for (id,) in rows]
        elif erase.index:
            ids, to = self._foreseen.get(erase.index, ([], 0))
            ids = [*ids, *marked(self._db, erase.index, above=to)]
        else:
            return []
        return list(In("SELECT id, reference FROM submissions WHERE erased IS NULL AND id IN (?)").rows(self._db, ids))

    def _purge(self, operation: Purge, now_ms: int) -> object:
        purged = purge(self._db, operation, now_ms)
        self.removed = self.removed or purged.contents + purged.rows > 0
        return purged

    def _foreign_keys(self, ask: ForeignKeys, _: int) -> tuple[tuple[str, RecordKey], ...]:
        rows = self._db.execute(
            "SELECT s.reference, k.key_id, k.wrapped FROM submissions s JOIN bodies k ON k.id = s.id "
            "WHERE s.reference > ? AND k.key_id NOT IN (?, '') ORDER BY s.reference LIMIT ?",
            (ask.after, ask.key_id, ask.limit),
        )
        return tuple((reference, RecordKey(key_id, wrapped)) for reference, key_id, wrapped in rows)

    def _rewrap(self, rewrap: Rewrap, _: int) -> int:
        # sqlite3 sums the rows of executemany.
        done = self._db.executemany(
            "UPDATE bodies SET key_id = ?, wrapped = ? "
            "WHERE id = (SELECT id FROM submissions WHERE reference = ?) AND key_id = ? AND wrapped = ?",
            [(new.key_id, new.wrapped, reference, old.key_id, old.wrapped) for reference, old, new in rewrap.changes],
        ).rowcount
        self.removed = self.removed or done > 0
        return max(done, 0)

    def _reindex(self, reindex: Reindex, _: int) -> bool:
        found = self._db.execute(
            "SELECT id, fingerprint, idempotency, claims, erased FROM submissions WHERE reference = ?",
            (reindex.reference,),
        ).fetchone()
        if found is None:
            return False
        id, fingerprint, idempotency, packed, erased = found
        renamed = dict(reindex.claims)
        claims = repack_claims(
            HeldClaim(held.rule, renamed.get(held.key, held.key), held.until_ms) for held in unpack_claims(packed)
        )
        # A refused row has no fingerprint, and one whose time is over gets none again.
        new_fingerprint = None if fingerprint is None else reindex.fingerprint
        new_idempotency = idempotency if reindex.idempotency is None or idempotency is None else reindex.idempotency
        before, after = carried(fingerprint, idempotency, packed), carried(new_fingerprint, new_idempotency, claims)
        self._db.executemany("DELETE FROM hashes WHERE hash = ? AND id = ?", [(key, id) for key in before])
        self._db.execute(
            "UPDATE submissions SET fingerprint = ?, idempotency = ?, claims = ? WHERE id = ?",
            (new_fingerprint, new_idempotency, claims, id),
        )
        # Into the table at once, wherever a run is: other processes have the old keys in memory.
        self._db.executemany("INSERT OR IGNORE INTO hashes (hash, id) VALUES (?, ?)", [(key, id) for key in after])
        self._db.execute("DELETE FROM marks WHERE id = ?", (id,))
        if reindex.index and not erased:
            self._db.execute(INSERT_MARKS, (id, pack_hashes(reindex.index)))
        return True

    def _count_unknown(self, _: CountUnknown, __: int) -> dict[str, UnknownCount]:
        rows = self._db.execute(
            "SELECT s.program, count(*), min(s.received_ms) FROM settlements t JOIN submissions s ON s.id = t.id "
            "WHERE t.outcome = 'unknown' GROUP BY s.program"
        )
        return {program: UnknownCount(count, oldest_ms) for program, count, oldest_ms in rows}

    def _remember(self, remember: Remember, _: int) -> str:
        conflict = "UPDATE SET value = excluded.value" if remember.replace else "NOTHING"
        self._db.execute(
            f"INSERT INTO remembered (name, value) VALUES (?, ?) ON CONFLICT DO {conflict}",  # noqa: S608
            (remember.name, remember.value),
        )
        kept: str = self._db.execute("SELECT value FROM remembered WHERE name = ?", (remember.name,)).fetchone()[0]
        return kept

    def _audit(self, reference: str, at_ms: int, action: str, who: str, why: str) -> None:
        self._db.execute(
            "INSERT INTO audit (reference, at_ms, action, who, why) VALUES (?, ?, ?, ?, ?)",
            (reference, at_ms, action, text(who), text(why)),
        )

    _HANDLERS: Final[dict[type, Callable[[Any, Any, int], object]]] = {
        Look: lambda self, look, now_ms: self._leads.look(look.entry, now_ms),
        Note: _note,
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


def _apart(operations: Sequence[Any], by_kind: Mapping[type[Operation], Sequence[int]]) -> bool:
    """Whether no lead both begins and ends in this commit."""
    if Begin not in by_kind or Finish not in by_kind:
        return True
    begun = {operations[at].entry.reference for at in by_kind[Begin]}
    return begun.isdisjoint([operations[at].settlement.reference for at in by_kind[Finish]])
