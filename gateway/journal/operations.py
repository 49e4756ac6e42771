"""What a store carries out in its transactions: one small value for each thing the journal writes or asks.

Decides the vocabulary between engine and stores. How rows look and are locked is each store's; what a begun lead
meets is `deciding`'s. All bytes named `body`, `members` and `answer` here are sealed (`sealing`) and opaque to a
store; hashes are keyed (`keys`) and opaque too. Times are POSIX milliseconds of the store's clock: "now" is the
store's `now_ms()` as read once in the transaction, so no operation carries it.

The result type stands behind each operation's name. A `Begin` that meets something else than NOTHING writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gateway.datapost.reasons import Outcome
from gateway.journal.values import Entry, Refusal, Settlement


@dataclass(frozen=True, slots=True)
class RecordKey:
    """A record's own data key, wrapped by a key of the ring. Kept apart from the rows, so that erasing shreds backups.

    key_id: of the ring's key, 8 hexadecimal digits. wrapped: nonce, encrypted data key and tag; 60 bytes.
    """

    key_id: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Begin:
    """-> Meeting. The first commit: `decide` over what this transaction finds; on NOTHING the row is written as open.

    Written with it: the record key, the claims (until now + window_ms), fingerprint, idempotency and index hashes.
    body stands for `entry.body`, which is plain text and never written. owner: whose lease covers the row.
    A claim, fingerprint or idempotency key whose earlier holder no longer holds it passes to the new row.
    With Met.REPLAY the store adds `sealed` (the met row's members and record key) to the meeting.
    """

    entry: Entry
    owner: str
    key: RecordKey
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Look:
    """-> Meeting. As Begin would meet now; nothing is written, so NOTHING is no promise."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Finish:
    """-> bool. The second commit: the open row is settled; False when it is not open any more, and nothing is written.

    With `settlement.late` it is the row's unknown outcome that is settled instead, False when there is none; its
    time is kept as the row's late one. Claims are given back when `deciding.holds` says so. An erased row takes the
    settlement without members and answer. members and answer stand for the settlement's own, which are plain.
    Without any (b""), those that the row has stay.
    """

    settlement: Settlement
    members: bytes = b""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Note:
    """-> None. A refused submission, written as a settled row of delivery not_sent that holds nothing."""

    refusal: Refusal
    key: RecordKey | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Beat:
    """-> None. This owner lives until now + lease_ms."""

    owner: str
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Leave:
    """-> None. This owner has ended in order: its lease ends now, so that what it left open is recovered at once."""

    owner: str


@dataclass(frozen=True, slots=True)
class Recover:
    """-> tuple[str, ...]: references of at most `limit` open rows whose owner's lease has ended, now settled.

    They become delivery sent, outcome unknown, reason outcome_unknown, failure `owner_lost`: each was committed
    before its first byte, so nobody can tell whether it went out. Never re-sent. An owner without a lease row counts
    as ended. Owners whose leases ended and that own nothing any more are deleted.
    """

    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleByHand:
    """-> bool. An operator says what became of a row whose outcome is unknown; False when it is not unknown.

    outcome: ACCEPTED or REJECTED. members: sealed, answered to whoever asks again. An audit row is written.
    """

    reference: str
    outcome: Outcome
    members: bytes
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """-> int: rows erased. Those that carry every one of these index hashes, or the one with this reference.

    Record key, body, members, answer and index hashes go; row, audit row and the hashes of claims and fingerprint
    stay until their window ends. A row that is erased already does not count.
    """

    index: tuple[bytes, ...] = ()
    reference: str = ""
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """-> Purged. What is older than its time goes, at most `limit` rows of a kind in one transaction.

    Sealed content and index hashes of settled rows, counted from settling, after content_ms (never while the outcome
    is unknown); rows as a whole after row_ms (never while open or unknown); claims past their time whose holder is
    settled; owners long gone.
    """

    content_ms: int
    row_ms: int
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Purged:
    """What one purge took. more: a limit was hit, so asking again takes more."""

    contents: int = 0
    rows: int = 0
    claims: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKeys:
    """-> tuple[tuple[str, RecordKey], ...]: up to `limit` references, above `after`, whose key_id is another one."""

    key_id: str
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Rewrap:
    """-> int: record keys replaced. Each only while it is still the old one; (reference, old, new)."""

    changes: tuple[tuple[str, RecordKey, RecordKey], ...]


@dataclass(frozen=True, slots=True)
class Reindex:
    """-> bool. Hashes under a new index key for one row; False when there is no such row.

    claims: (old key, new key) pairs; a claim that is not there (any more) is left alone. index replaces all of the
    row's. idempotency: None keeps the old one, which no key will ever match again (its text is not kept).
    """

    reference: str
    fingerprint: bytes
    idempotency: bytes | None
    claims: tuple[tuple[bytes, bytes], ...]
    index: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CountUnknown:
    """-> dict[str, UnknownCount] by program; a program without unknown outcomes is absent."""


@dataclass(frozen=True, slots=True)
class UnknownCount:
    """How many outcomes of a program are unknown, and when the oldest of them was received."""

    count: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Remember:
    """-> str: the text kept under this name: the one that is there already, or else (or with replace) this one.

    The journal keeps under `index_key` which key and which normaliser its hashes were made with (`Hashes.name`).
    """

    name: str
    value: str
    replace: bool = False


Operation: TypeAlias = (
    Begin
    | Look
    | Finish
    | Note
    | Beat
    | Leave
    | Recover
    | SettleByHand
    | Erase
    | Purge
    | ForeignKeys
    | Rewrap
    | Reindex
    | CountUnknown
    | Remember
)
