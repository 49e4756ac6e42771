"""What each operation does to the rows, inside a transaction that the store begins and ends.

The two operations of a lead's way, Begin and Finish, are carried out for all leads of a commit at once: one look-up
for all their keys, one statement for each table. What they meet is decided one by one, in order. The rest is rare
and plain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.journal.deciding import NOTHING, Found, Held, Holder, decide, holds
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
from gateway.journal.sqlite.finding import Candidates, Finder, carried
from gateway.journal.sqlite.packing import (
    HeldClaim,
    pack_claims,
    pack_hashes,
    repack_claims,
    short,
    unpack_claims,
    unpack_hashes,
)
from gateway.journal.sqlite.purging import purge
from gateway.journal.sqlite.statements import In, Row
from gateway.journal.values import Entry, Meeting, Met, NotTaken, Settlement, Stored, StoreUnavailable

REASONS: Final = {reason.slug: reason for reason in Reason}
#: Failure of a row whose owner's lease ended.
OWNER_LOST = "owner_lost"

_INSERT_SUBMISSION = """
INSERT INTO submissions (id, reference, received_ms, fingerprint, idempotency, claims, replay_until_ms,
  known_until_ms, expires_ms, program, partner, content_type, faults) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_OPEN = "INSERT INTO open_submissions (reference, id, owner) VALUES (?, ?, ?)"
_INSERT_BODY = "INSERT INTO bodies (id, body) VALUES (?, ?)"
_INSERT_KEY = "INSERT INTO record_keys (id, key_id, wrapped) VALUES (?, ?, ?)"
_INSERT_MARKS = "INSERT INTO marks (id, hashes) VALUES (?, ?)"
_INSERT_SETTLEMENT = """
INSERT INTO settlements (id, settled_ms, delivery, outcome, reason, rule, failure, upstream_status, released)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_ANSWER = "INSERT OR REPLACE INTO answers (id, members, answer) VALUES (?, ?, ?)"
_OPEN_ROWS = In("SELECT reference, id, erased FROM open_submissions WHERE reference IN (?)")
_HOLDERS = In("""
SELECT s.id, s.reference, s.fingerprint, s.idempotency, s.claims, s.received_ms, t.outcome, t.reason, t.released,
  length(a.members) > 0 AND k.id IS NOT NULL
FROM submissions s LEFT JOIN settlements t ON t.id = s.id LEFT JOIN answers a ON a.id = s.id
  LEFT JOIN record_keys k ON k.id = s.id
WHERE s.id IN (?)
""")
_KEPT = """
SELECT a.members, k.key_id, k.wrapped FROM submissions s JOIN answers a ON a.id = s.id
JOIN record_keys k ON k.id = s.id WHERE s.reference = ?
"""

#: What a single operation may stumble over without the transaction being lost: its own values.
_OWN_FAULTS = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    ValueError,
    OverflowError,
)


class OwnFault(Exception):
    """An operation failed by its own values: the others are to be tried without it."""


class Writer:
    """Carries out operations over one connection."""

    def __init__(self, db: sqlite3.Connection, finder: Finder) -> None:
        self._db = db
        self._finder = finder
        self._next_id = 0
        #: Bytes were removed that the write-ahead log still holds.
        self.removed = False

    def carry_out(self, operations: Sequence[Operation], now_ms: int, *, no_space: bool) -> list[object]:
        """Results in order. Leads that begin or end at once are taken together, ends first. Raises OwnFault."""
        self._next_id = self._finder.start()
        results: list[object] = [None] * len(operations)
        begins: list[int] = []
        finishes: list[int] = []
        for at, operation in enumerate(operations):
            kind = type(operation)
            if kind is Begin:
                begins.append(at)
            elif kind is Finish:
                finishes.append(at)
            elif kind is not Note and kind is not Beat:
                return self._one_by_one(operations, now_ms, no_space=no_space)
        if begins and finishes and not _apart(operations, begins, finishes):
            return self._one_by_one(operations, now_ms, no_space=no_space)
        try:
            if finishes:
                self._finish(operations, finishes, results, now_ms)
            if len(begins) + len(finishes) < len(operations):
                for at, operation in enumerate(operations):
                    if type(operation) is Note or type(operation) is Beat:
                        results[at] = self._single(operation, now_ms, no_space=no_space)
            if begins:
                self._begin(operations, begins, results, now_ms, no_space=no_space)
        except _OWN_FAULTS:
            raise OwnFault from None
        return results

    def carry_out_carefully(self, operations: Sequence[Operation], now_ms: int, *, no_space: bool) -> list[object]:
        """The same one by one, each in a savepoint: an operation's own fault becomes its result."""
        self._next_id = self._finder.start()
        results: list[object] = []
        for operation in operations:
            self._db.execute("SAVEPOINT operation")
            try:
                results += self._one_by_one((operation,), now_ms, no_space=no_space)
            except OwnFault:
                self._db.execute("ROLLBACK TO operation")
                results.append(NotTaken("the journal cannot keep what was given"))
            self._db.execute("RELEASE operation")
        return results

    def _one_by_one(self, operations: Sequence[Operation], now_ms: int, *, no_space: bool) -> list[object]:
        results: list[object] = [None] * len(operations)
        try:
            for at, operation in enumerate(operations):
                if type(operation) is Begin:
                    self._begin(operations, (at,), results, now_ms, no_space=no_space)
                elif type(operation) is Finish:
                    self._finish(operations, (at,), results, now_ms)
                else:
                    results[at] = self._single(operation, now_ms, no_space=no_space)
        except _OWN_FAULTS:
            raise OwnFault from None
        return results

    # --- begin ---------------------------------------------------------------------------------

    def _begin(
        self, operations: Sequence[Any], places: Sequence[int], results: list[object], now_ms: int, *, no_space: bool
    ) -> None:
        if no_space:
            for at in places:
                results[at] = StoreUnavailable("the journal's disk is nearly full")
            return
        keys = [_keys(operations[at].entry) for at in places]
        found = self._finder.find([key for some in keys for key in some])
        rows = _NewRows(self._db)
        for at, some in zip(places, keys, strict=True):
            begin: Begin = operations[at]
            candidates = self._candidates(some, found)
            meeting = NOTHING
            if candidates:
                rows.insert()  # a candidate may be one of them
                meeting = self._meeting(begin.entry, candidates, now_ms)
            if meeting is NOTHING:
                rows.add(self._next_id, begin, now_ms)
                self._finder.add(self._next_id, some)
                self._next_id += 1
            results[at] = meeting
        rows.insert()
        self._finder.advance(len(places), now_ms)

    def _look(self, entry: Entry, now_ms: int) -> Meeting:
        keys = _keys(entry)
        candidates = self._candidates(keys, self._finder.find(keys))
        return self._meeting(entry, candidates, now_ms) if candidates else NOTHING

    def _candidates(self, keys: Iterable[int], found: Candidates) -> set[int]:
        ids: set[int] = set()
        for key in keys:
            if key in found:
                ids.update(found[key])
            ids.update(self._finder.added(key))
        return ids

    def _meeting(self, entry: Entry, candidates: set[int], now_ms: int) -> Meeting:
        """What the entry meets among rows that may carry its keys: the rows' own hashes are compared."""
        same: list[Holder] = []
        keyed: list[Holder] = []
        claims: dict[bytes, Held] = {}
        wanted = {claim.key for claim in entry.claims}
        for row in _HOLDERS.rows(self._db, sorted(candidates)):
            _, reference, fingerprint, idempotency, packed, received_ms, word, slug, released, members = row
            outcome = None if word is None else Outcome(word)
            holder = Holder(
                reference,
                fingerprint or b"",
                received_ms,
                outcome,
                None if slug is None else REASONS[slug],
                bool(members),
            )
            if fingerprint is not None:
                if fingerprint == entry.fingerprint:
                    same.append(holder)
                if idempotency is not None and idempotency == entry.idempotency:
                    keyed.append(holder)
            # Of several rows with one claim at most one holds it; the others gave it back or their time is over.
            if outcome is None or holds(outcome, release=bool(released)):
                for held in unpack_claims(packed):
                    if held.key in wanted and (outcome is None or held.until_ms > now_ms):
                        claims[held.key] = Held(holder, held.rule, held.until_ms)
        meeting = decide(entry, Found(same, keyed, claims), now_ms)
        if meeting.met is Met.REPLAY:
            kept = self._db.execute(_KEPT, (meeting.reference,)).fetchone()
            meeting = replace(meeting, sealed=Stored(*kept))
        return meeting

    # --- finish --------------------------------------------------------------------------------

    def _finish(self, operations: Sequence[Any], places: Sequence[int], results: list[object], now_ms: int) -> None:
        references = [operations[at].settlement.reference for at in places]
        open_rows = {row[0]: row for row in _OPEN_ROWS.rows(self._db, references)}
        closed: list[tuple[str]] = []
        settlements: list[Row] = []
        answers: list[Row] = []
        for at in places:
            finish: Finish = operations[at]
            settlement = finish.settlement
            if settlement.late:
                results[at] = self._finish_late(finish, now_ms)
                continue
            row = open_rows.pop(settlement.reference, None)
            if row is None:
                results[at] = False
                continue
            _, id, erased = row
            closed.append((settlement.reference,))
            settlements.append(_settlement(id, settlement, now_ms))
            if not erased and (finish.members or finish.answer):
                answers.append((id, finish.members, finish.answer))
            results[at] = True
        if closed:
            self._db.executemany("DELETE FROM open_submissions WHERE reference = ?", closed)
            self._db.executemany(_INSERT_SETTLEMENT, settlements)
            if answers:
                self._db.executemany(_INSERT_ANSWER, answers)

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
            self._db.execute(_INSERT_ANSWER, (id, members, answer))

    # --- the rest ------------------------------------------------------------------------------

    def _single(self, operation: Operation, now_ms: int, *, no_space: bool) -> object:
        if no_space and type(operation) is Note:
            return StoreUnavailable("the journal's disk is nearly full")
        return self._HANDLERS[type(operation)](self, operation, now_ms)

    def _note(self, note: Note, now_ms: int) -> None:
        refusal = note.refusal
        id = self._next_id
        self._next_id += 1
        faults = orjson.dumps(refusal.faults).decode() if refusal.faults else None
        self._db.execute(
            _INSERT_SUBMISSION,
            (id, refusal.reference, refusal.received_ms, None, None, None, None, None, None, refusal.program,
             refusal.partner, _text(refusal.content_type), faults),
        )  # fmt: skip
        self._db.execute(
            _INSERT_SETTLEMENT,
            (id, now_ms, Delivery.NOT_SENT.value, Outcome.NONE.value, refusal.reason.slug, "", "", 0, None),
        )
        if note.key is not None:
            self._db.execute(_INSERT_KEY, (id, note.key.key_id, note.key.wrapped))
            if note.body:
                self._db.execute(_INSERT_BODY, (id, note.body))
        if refusal.index:
            self._db.execute(_INSERT_MARKS, (id, pack_hashes(refusal.index)))
        self._finder.add(id, ())

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
        self._db.executemany("DELETE FROM open_submissions WHERE reference = ?", [(row[0],) for row in lost])
        self._db.executemany(
            _INSERT_SETTLEMENT,
            [(id, now_ms, delivery.value, outcome.value, reason.slug, "", OWNER_LOST, 0, None) for _, id in lost],
        )
        self._db.execute(
            "DELETE FROM owners WHERE until_ms <= ? AND owner NOT IN (SELECT owner FROM open_submissions)", (now_ms,)
        )
        return tuple(row[0] for row in lost)

    def _erase(self, erase: Erase, now_ms: int) -> int:
        erased = 0
        for id, reference in self._to_erase(erase):
            for table in ("record_keys", "bodies", "answers", "marks"):
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
            ids = list(marked(self._db, erase.index))
        else:
            return []
        return list(In("SELECT id, reference FROM submissions WHERE erased IS NULL AND id IN (?)").rows(self._db, ids))

    def _purge(self, operation: Purge, now_ms: int) -> object:
        purged = purge(self._db, operation, now_ms)
        self.removed = self.removed or purged.contents + purged.rows > 0
        return purged

    def _foreign_keys(self, ask: ForeignKeys, _: int) -> tuple[tuple[str, RecordKey], ...]:
        rows = self._db.execute(
            "SELECT s.reference, k.key_id, k.wrapped FROM submissions s JOIN record_keys k ON k.id = s.id "
            "WHERE s.reference > ? AND k.key_id <> ? ORDER BY s.reference LIMIT ?",
            (ask.after, ask.key_id, ask.limit),
        )
        return tuple((reference, RecordKey(key_id, wrapped)) for reference, key_id, wrapped in rows)

    def _rewrap(self, rewrap: Rewrap, _: int) -> int:
        # sqlite3 sums the rows of executemany.
        done = self._db.executemany(
            "UPDATE record_keys SET key_id = ?, wrapped = ? "
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
            self._db.execute(_INSERT_MARKS, (id, pack_hashes(reindex.index)))
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
            (reference, at_ms, action, _text(who), _text(why)),
        )

    _HANDLERS: Final[dict[type, Callable[[Any, Any, int], object]]] = {
        Look: lambda self, look, now_ms: self._look(look.entry, now_ms),
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


class _NewRows:
    """Rows of leads that begin, gathered for one statement a table."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._clear()

    def _clear(self) -> None:
        self._submissions: list[Row] = []
        self._open: list[Row] = []
        self._keys: list[Row] = []
        self._bodies: list[Row] = []
        self._marks: list[Row] = []

    def add(self, id: int, begin: Begin, now_ms: int) -> None:
        entry = begin.entry
        received_ms = entry.received_ms
        replay_ms = entry.replay_ms
        if entry.idempotency is not None and entry.idempotency_ms > replay_ms:
            replay_ms = entry.idempotency_ms
        known_ms = replay_ms if replay_ms > entry.unknown_hold_ms else entry.unknown_hold_ms
        expires_ms = received_ms + known_ms
        claims = None
        if entry.claims:
            claims = pack_claims(entry.claims, now_ms)
            expires_ms = min(expires_ms, now_ms + min([claim.window_ms for claim in entry.claims]))
        self._submissions.append(
            (id, entry.reference, received_ms, entry.fingerprint, entry.idempotency, claims, received_ms + replay_ms,
             received_ms + known_ms, expires_ms, entry.program, entry.partner, _text(entry.content_type), None)
        )  # fmt: skip
        self._open.append((entry.reference, id, begin.owner))
        self._keys.append((id, begin.key.key_id, begin.key.wrapped))
        if begin.body:
            self._bodies.append((id, begin.body))
        if entry.index:
            self._marks.append((id, pack_hashes(entry.index)))

    def insert(self) -> None:
        """Write what was gathered."""
        if not self._submissions:
            return
        many = self._db.executemany
        many(_INSERT_SUBMISSION, self._submissions)
        many(_INSERT_OPEN, self._open)
        many(_INSERT_KEY, self._keys)
        if self._bodies:
            many(_INSERT_BODY, self._bodies)
        if self._marks:
            many(_INSERT_MARKS, self._marks)
        self._clear()


def marked(db: sqlite3.Connection, index: Sequence[bytes]) -> Iterable[int]:
    """Ids of rows that carry every one of these index hashes, ascending; the table is read from end to end."""
    conditions = " AND ".join("instr(hashes, ?)" for _ in index)
    wanted = set(index)
    for id, packed in db.execute(
        f"SELECT id, hashes FROM marks WHERE {conditions} ORDER BY id",  # noqa: S608
        [pack_hashes((one,)) for one in index],
    ):
        # A hash might stand across the border of two others.
        if wanted <= unpack_hashes(packed):
            yield id


def _apart(operations: Sequence[Any], begins: Sequence[int], finishes: Sequence[int]) -> bool:
    """Whether no lead both begins and ends in this commit."""
    return {operations[at].entry.reference for at in begins}.isdisjoint(
        [operations[at].settlement.reference for at in finishes]
    )


def _keys(entry: Entry) -> list[int]:
    keys = [short(claim.key) for claim in entry.claims]
    keys.append(short(entry.fingerprint))
    if entry.idempotency is not None:
        keys.append(short(entry.idempotency))
    return keys


def _settlement(id: int, settlement: Settlement, now_ms: int) -> Row:
    return (
        id, now_ms, settlement.delivery.value, settlement.outcome.value, settlement.reason.slug, settlement.rule,
        settlement.failure, settlement.upstream_status, 1 if settlement.release else None,
    )  # fmt: skip


def _text(text: str) -> str:
    """A text as SQLite takes it: what is not Unicode in a header is replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
