"""Rows as the commands ask for them: a query of the journal in SQL, and what comes back as records.

Decides how conditions become SQL; all that is asked for is a parameter, never a part of the text.
"""

from __future__ import annotations

import orjson

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import RecordKey
from gateway.journal.postgres.link import Row
from gateway.journal.postgres.statements import storable
from gateway.journal.records import Audited, Query, Record, Sealed

_REASONS = {reason.slug: reason for reason in Reason}

_COLUMNS = (
    "s.reference, s.program, s.partner, s.received_ms, s.erased, s.content_type, s.faults, "
    "o.delivery, o.outcome, o.reason, o.first_reason, o.rule, o.failure, o.upstream_status, o.settled_ms, o.late_ms, "
    "o.by_hand"
)
_SEALED = "s.body, o.members, o.answer, k.key_id, k.wrapped"
_NOT_SEALED = "NULL::bytea, NULL::bytea, NULL::bytea, NULL::text, NULL::bytea"
_AUDIT = (
    "(SELECT json_agg(json_build_array(a.at_ms, a.action, a.who, a.why) ORDER BY a.id)::text FROM audit AS a "
    "WHERE a.reference = s.reference)"
)


def select(query: Query) -> tuple[str, list[object]]:
    """The statement and its parameters."""
    values: list[object] = []
    conditions: list[str] = []

    def where(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if query.reference:
        where("s.reference = {}", storable(query.reference))
    if query.program:
        where("s.program = {}", storable(query.program))
    if query.partner:
        where("s.partner = {}", storable(query.partner))
    if query.since_ms is not None:
        where("s.received_ms >= {}", query.since_ms)
    if query.until_ms is not None:
        where("s.received_ms < {}", query.until_ms)
    if query.reason is not None:
        where("o.reason = {}", query.reason.slug)
    if query.outcome is Outcome.UNKNOWN:
        conditions.append("o.held IS NOT NULL")  # the same rows, and an index of them
    elif query.outcome is not None:
        where("o.outcome = {}", query.outcome.value)
    if query.late:
        conditions.append("o.late_ms > 0")
    for hash in query.index:
        where("s.reference IN (SELECT reference FROM index_hashes WHERE hash = {})", hash)
    text = f"SELECT {_COLUMNS}, {_SEALED if query.sealed else _NOT_SEALED}, {_AUDIT if query.audit else 'NULL'}"
    text += " FROM submissions AS s LEFT JOIN outcomes AS o ON o.reference = s.reference"
    if query.sealed:
        text += " LEFT JOIN record_keys AS k ON k.reference = s.reference"
    if query.open:
        text += " JOIN open_submissions AS p ON p.reference = s.reference"
    if conditions:
        text += f" WHERE {' AND '.join(conditions)}"
    text += " ORDER BY s.received_ms DESC, s.reference DESC"
    if query.limit:
        values.append(query.limit)
        text += f" LIMIT ${len(values)}"
    return text, values


def record(row: Row, query: Query) -> Record:
    """One row of `select`."""
    (reference, program, partner, received_ms, erased, content_type, faults, delivery, outcome, reason, first_reason,
     rule, failure, upstream_status, settled_ms, late_ms, by_hand, body, members, answer, key_id, wrapped,
     audit) = row  # fmt: skip
    sealed = None
    if query.sealed:
        key = None if key_id is None else RecordKey(key_id, wrapped)
        sealed = Sealed(key, body or b"", members or b"", answer or b"")
    about = {
        "reference": reference,
        "program": program,
        "partner": partner,
        "received_ms": received_ms,
        "erased": erased,
        "content_type": content_type,
        "faults": tuple(faults.split("\n")) if faults else (),
        "sealed": sealed,
        "audit": tuple(Audited(*said) for said in orjson.loads(audit)) if audit else (),
    }
    if outcome is None:
        # Committed before its first byte: whether one went out is its process's knowledge.
        return Record(**about, delivery=Delivery.SENT, outcome=None, reason=None)
    return Record(
        **about,
        delivery=Delivery(delivery),
        outcome=Outcome(outcome),
        reason=_REASONS.get(reason),
        first_reason=_REASONS.get(first_reason),
        rule=rule,
        failure=failure,
        upstream_status=upstream_status,
        settled_ms=settled_ms,
        late_ms=late_ms,
        by_hand=by_hand,
    )
