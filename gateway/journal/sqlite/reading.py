"""Searching: rows that match, newest first, in pieces that each read a moment's state.

No read outlives its piece, so a search through a million rows holds neither memory nor the write-ahead log. A row that
is written while a search runs may be missed; none is given twice.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import RecordKey
from gateway.journal.records import Audited, Query, Record, Sealed
from gateway.journal.sqlite import files
from gateway.journal.sqlite.marking import marked
from gateway.journal.sqlite.statements import In, Row

_PIECE = 500
_REASONS = {reason.slug: reason for reason in Reason}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_DELIVERIES = {delivery.value: delivery for delivery in Delivery}

_COLUMNS = """
s.id, s.reference, s.program, s.partner, s.received_ms, s.content_type, s.faults, s.erased,
t.delivery, t.outcome, t.reason, t.first_reason, t.rule, t.failure, t.upstream_status,
t.settled_ms, t.late_ms, t.by_hand
"""
_SEALED = In("""
SELECT s.id, b.key_id, b.wrapped, b.body, a.members, a.answer FROM submissions s
LEFT JOIN bodies b ON b.id = s.id LEFT JOIN answers a ON a.id = s.id
WHERE s.id IN (?)
""")
_AUDITED = In("SELECT reference, at_ms, action, who, why FROM audit WHERE reference IN (?) ORDER BY id")


class Reader:
    """One search. `piece` may run on any thread, one at a time."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._db: sqlite3.Connection | None = None
        self._conditions, self._values = _conditions(query)
        self._left = query.limit or None
        self._after: tuple[int, int] | None = None
        self._marked: list[int] | None = None
        self._done = False

    def piece(self, path: Path) -> list[Record]:
        """The next records; none when there are no more. Raises sqlite3.Error, OSError."""
        if self._done:
            return []
        if self._db is None:
            path.stat()  # SQLite would make an empty file
            self._db = files.connect_reader(path)
        rows = self._marked_rows(self._db) if self._query.index else self._rows(self._db)
        if self._left is not None:
            rows = rows[: self._left]
            self._left -= len(rows)
        self._done = self._done or not rows or self._left == 0
        return self._records(self._db, rows)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _rows(self, db: sqlite3.Connection) -> list[Row]:
        conditions, values = list(self._conditions), list(self._values)
        if self._after is not None:
            conditions.append("(s.received_ms, s.id) < (?, ?)")
            values += self._after
        rows: list[Row] = db.execute(
            f"{_source(self._query)} WHERE {' AND '.join(conditions) or 'true'} "
            "ORDER BY s.received_ms DESC, s.id DESC LIMIT ?",
            (*values, _PIECE),
        ).fetchall()
        if rows:
            self._after = (rows[-1][4], rows[-1][0])
        return rows

    def _marked_rows(self, db: sqlite3.Connection) -> list[Row]:
        """Of the few rows that carry the hashes; found at once, since finding them reads all."""
        if self._marked is None:
            found = list(marked(db, self._query.index))
            rows = In("SELECT received_ms, id FROM submissions WHERE id IN (?)").rows(db, found)
            self._marked = [id for _, id in sorted(rows, reverse=True)]
        while self._marked:
            some, self._marked = self._marked[:_PIECE], self._marked[_PIECE:]
            marks = ", ".join("?" * len(some))
            conditions = [*self._conditions, f"s.id IN ({marks})"]
            rows = db.execute(
                f"{_source(self._query)} WHERE {' AND '.join(conditions)} ORDER BY s.received_ms DESC, s.id DESC",
                (*self._values, *some),
            ).fetchall()
            if rows:
                return rows
        return []

    def _records(self, db: sqlite3.Connection, rows: list[Row]) -> list[Record]:
        sealed: dict[int, Sealed] = {}
        if self._query.sealed:
            for id, key_id, wrapped, body, members, answer in _SEALED.rows(db, [row[0] for row in rows]):
                key = None if not key_id else RecordKey(key_id, wrapped)
                sealed[id] = Sealed(key, body or b"", members or b"", answer or b"")
        audit: dict[str, list[Audited]] = {}
        if self._query.audit:
            for reference, *audited in _AUDITED.rows(db, [row[1] for row in rows]):
                audit.setdefault(reference, []).append(Audited(*audited))
        return [_record(row, sealed.get(row[0]), tuple(audit.get(row[1], ()))) for row in rows]


# Rare states are found by their own index, everything else by time.
_ALL = f"SELECT {_COLUMNS} FROM submissions s LEFT JOIN settlements t ON t.id = s.id"  # noqa: S608
_SETTLED = f"SELECT {_COLUMNS} FROM settlements t CROSS JOIN submissions s ON s.id = t.id"  # noqa: S608
_OPEN = (
    f"SELECT {_COLUMNS} FROM open_submissions o CROSS JOIN submissions s ON s.id = o.id "  # noqa: S608
    "LEFT JOIN settlements t ON t.id = s.id"
)


def _source(query: Query) -> str:
    if query.open:
        return _OPEN
    return _SETTLED if query.late or query.outcome is Outcome.UNKNOWN else _ALL


def _conditions(query: Query) -> tuple[list[str], list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []

    def condition(text: str, value: str | int) -> None:
        conditions.append(text)
        values.append(value)

    if query.program:
        condition("s.program = ?", query.program)
    if query.partner:
        condition("s.partner = ?", query.partner)
    if query.reference:
        condition("s.reference = ?", query.reference)
    if query.since_ms is not None:
        condition("s.received_ms >= ?", query.since_ms)
    if query.until_ms is not None:
        condition("s.received_ms < ?", query.until_ms)
    if query.reason is not None:
        condition("t.reason = ?", query.reason.slug)
    if query.outcome is Outcome.UNKNOWN:
        conditions.append("t.outcome = 'unknown'")  # as the partial index has it
    elif query.outcome is not None:
        condition("t.outcome = ?", query.outcome.value)
    if query.late:
        conditions.append("t.late_ms IS NOT NULL")
    return conditions, values


def _record(row: Row, sealed: Sealed | None, audit: tuple[Audited, ...]) -> Record:
    (
        _, reference, program, partner, received_ms, content_type, faults, erased, delivery, outcome, reason,
        first_reason, rule, failure, upstream_status, settled_ms, late_ms, by_hand,
    ) = row  # fmt: skip
    settled = outcome is not None
    return Record(
        reference=reference,
        program=program,
        partner=partner,
        received_ms=received_ms,
        # Its bytes may be on the way at any moment.
        delivery=_DELIVERIES[delivery] if settled else Delivery.SENT,
        outcome=_OUTCOMES[outcome] if settled else None,
        reason=_REASONS[reason] if settled else None,
        first_reason=_REASONS[first_reason or reason] if settled else None,
        rule=rule or "",
        failure=failure or "",
        upstream_status=upstream_status or 0,
        settled_ms=settled_ms or 0,
        late_ms=late_ms or 0,
        by_hand=bool(by_hand),
        erased=bool(erased),
        faults=tuple(orjson.loads(faults)) if faults else (),
        content_type=content_type,
        sealed=sealed,
        audit=audit,
    )
