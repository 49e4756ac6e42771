"""What is older than its time goes, a bounded piece in one transaction.

Each of the three searches walks an index from its old end, so a purge that finds nothing costs nothing, however
large the journal is. What it steps over is what must stay: open and unknown submissions, and those that were settled
long after they came.
"""

from __future__ import annotations

import sqlite3

from gateway.journal.operations import Purge, Purged
from gateway.journal.sqlite.finding import carried
from gateway.journal.sqlite.packing import repack_claims, short, unpack_claims
from gateway.journal.sqlite.statements import Row

_CONTENT = ("bodies", "answers", "marks")
_ROW = ("settlements", "submissions")
#: Submissions are in the order of their ids but for those that came within a moment; so many are looked over.
_MOMENT = 1000


def purge(db: sqlite3.Connection, operation: Purge, now_ms: int) -> Purged:
    """One piece of it."""
    contents = _contents(db, now_ms - operation.content_ms, operation.limit)
    claims, seen = _hashes(db, now_ms, operation.limit)
    rows = _rows(db, now_ms - operation.row_ms, operation.limit)
    return Purged(
        contents=contents,
        rows=rows,
        claims=claims,
        more=operation.limit in (contents, rows, seen),
    )


def _contents(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    # Whoever was settled by then was received by then.
    (to,) = db.execute(
        "SELECT max(id) FROM (SELECT id FROM submissions WHERE received_ms <= ? ORDER BY received_ms DESC LIMIT ?)",
        (before_ms, _MOMENT),
    ).fetchone()
    if to is None:
        return 0
    ids: set[tuple[int]] = set()
    # What is sealed has its key in `bodies`; a refusal may have index hashes alone.
    for table in ("bodies", "marks"):
        ids.update(
            db.execute(
                f"SELECT c.id FROM {table} c JOIN settlements t ON t.id = c.id "  # noqa: S608
                "WHERE c.id <= ? AND t.outcome <> 'unknown' AND t.settled_ms <= ? AND coalesce(t.late_ms, 0) <= ? "
                "ORDER BY c.id LIMIT ?",
                (to, before_ms, before_ms, limit),
            )
        )
    some = sorted(ids)[:limit]
    for table in _CONTENT:
        db.executemany(f"DELETE FROM {table} WHERE id = ?", some)  # noqa: S608
    return len(some)


def _rows(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    rows: list[Row] = db.execute(
        # A claim may outlive its row's time; the row stays, since it says what the claim is worth.
        "SELECT s.id, s.reference FROM submissions s CROSS JOIN settlements t ON t.id = s.id "
        "WHERE s.expires_ms IS NULL AND s.received_ms <= ? AND t.outcome <> 'unknown' "
        "AND t.settled_ms <= ? AND coalesce(t.late_ms, 0) <= ? "
        "ORDER BY s.received_ms LIMIT ?",
        (before_ms, before_ms, before_ms, limit),
    ).fetchall()
    if not rows:
        return 0
    # Ids are never given twice, also when the newest row goes.
    db.execute("UPDATE counters SET value = max(value, (SELECT max(id) FROM submissions)) WHERE name = 'given_to'")
    ids = [(row[0],) for row in rows]
    for table in _CONTENT + _ROW:
        db.executemany(f"DELETE FROM {table} WHERE id = ?", ids)  # noqa: S608
    db.executemany("DELETE FROM audit WHERE reference = ?", [(row[1],) for row in rows])
    return len(rows)


def _hashes(db: sqlite3.Connection, now_ms: int, limit: int) -> tuple[int, int]:
    """Claims, fingerprints and idempotency keys past their time; (claims that went, rows that were changed)."""
    rows: list[Row] = db.execute(
        "SELECT s.id, s.fingerprint, s.idempotency, s.claims, s.known_until_ms "
        "FROM submissions s JOIN settlements t ON t.id = s.id "
        "WHERE s.expires_ms <= ? ORDER BY s.expires_ms LIMIT ?",
        (now_ms, limit),
    ).fetchall()
    gone: list[tuple[int, int]] = []
    changed: list[Row] = []
    claims_gone = 0
    for id, fingerprint, idempotency, packed, known_until_ms in rows:
        claims = unpack_claims(packed)
        kept = [held for held in claims if held.until_ms > now_ms]
        claims_gone += len(claims) - len(kept)
        gone += [(short(held.key), id) for held in claims if held.until_ms <= now_ms]
        left = [held.until_ms for held in kept]
        if known_until_ms <= now_ms:
            gone += [(key, id) for key in carried(fingerprint, idempotency, None)]
            fingerprint = idempotency = None
        elif fingerprint is not None:
            left.append(known_until_ms)
        changed.append((fingerprint, idempotency, repack_claims(kept), min(left, default=None), id))
    _unindex(db, gone)
    db.executemany(
        "UPDATE submissions SET fingerprint = ?, idempotency = ?, claims = ?, expires_ms = ? WHERE id = ?", changed
    )
    return claims_gone, len(rows)


def _unindex(db: sqlite3.Connection, entries: list[tuple[int, int]]) -> None:
    # In the table's own order, so that neighbours share a page.
    db.executemany("DELETE FROM hashes WHERE hash = ? AND id = ?", sorted(entries))
