"""Rows of the journal as the commands see them, and what can be asked for.

Decides the shape that `show`, `search` and `export` read, whichever store it came from. Nothing here is decrypted:
`sealed` is opened by `sealing.Sealer.open` with the record's reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import RecordKey


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is kept encrypted of one submission; an empty text where nothing is kept. key None: shredded or never."""

    key: RecordKey | None
    body: bytes = b""
    members: bytes = b""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Audited:
    """One thing an operator did to a row. action: settle, erase; who and why as the operator wrote them."""

    at_ms: int
    action: str
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One submission. outcome None: still open. settled_ms 0 while open; late_ms 0 unless settled after its answer.

    first_reason: what the partner was answered, also after a late or manual settling changed `reason`.
    by_hand: an operator settled it. sealed: only with `Query.sealed`. audit: only with `Query.audit`.
    """

    reference: str
    program: str
    partner: str
    received_ms: int
    delivery: Delivery
    outcome: Outcome | None
    reason: Reason | None
    first_reason: Reason | None = None
    rule: str = ""
    failure: str = ""
    upstream_status: int = 0
    settled_ms: int = 0
    late_ms: int = 0
    by_hand: bool = False
    erased: bool = False
    faults: tuple[str, ...] = ()
    content_type: str = ""
    sealed: Sealed | None = None
    audit: tuple[Audited, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows, newest first; an empty or None condition allows all.

    since_ms is inclusive, until_ms exclusive, both of `received_ms`. index: rows that carry every one of these hashes.
    outcome NONE: refused rows. open: only rows not settled yet. late: only rows whose unknown outcome was settled
    since (by a late answer or by hand). limit 0: no limit. sealed, audit: bring these along.
    """

    program: str = ""
    partner: str = ""
    reason: Reason | None = None
    outcome: Outcome | None = None
    open: bool = False
    late: bool = False
    since_ms: int | None = None
    until_ms: int | None = None
    index: tuple[bytes, ...] = ()
    reference: str = ""
    limit: int = 0
    sealed: bool = False
    audit: bool = False
