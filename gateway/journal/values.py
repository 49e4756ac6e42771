"""What the journal is told and what it tells: submissions, claims, and what a begun lead meets there.

Keys (`bytes` here) are keyed hashes made by `keys`; a plain value of a lead never enters a row but sealed. Times
are POSIX milliseconds of the journal's clock. Nothing here knows a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.datapost.values import DataPostResponse


@dataclass(frozen=True, slots=True)
class Claim:
    """One duplicate key that a submission wants to reserve. key: hash over program (or partner), rule and values."""

    rule: str
    key: bytes
    window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A submission as its first commit writes it: claims and all, before its first byte goes upstream.

    fingerprint: of the whole decoded lead, of this program and partner. idempotency: of the Idempotency-Key, None
    without one; remembered for idempotency_ms. replay_ms: how long the same lead is answered from the journal, 0 for
    not at all. unknown_hold_ms: the implicit claim on the whole lead while its outcome is unknown. index: hashes of
    `journal.index` fields, for search and erasure. body: as received; sealed before it is written.
    """

    reference: str
    program: str
    partner: str
    received_ms: int
    fingerprint: bytes
    idempotency: bytes | None = None
    idempotency_ms: int = 86_400_000
    replay_ms: int = 0
    unknown_hold_ms: int = 0
    claims: tuple[Claim, ...] = ()
    index: tuple[bytes, ...] = ()
    content_type: str = ""
    body: bytes = b""


@unique
class Met(Enum):
    """What a lead meets in the journal when it is about to be sent."""

    NOTHING = "nothing"  # begun: its row and claims are durable, it may be sent
    REPLAY = "replay"  # the same submission was answered before; its members are given again
    RUNNING = "running"  # the same submission is being worked on
    DUPLICATE = "duplicate"  # a claim is held by another lead
    UNKNOWN = "unknown"  # a claim is held by a submission whose outcome is not known
    CONFLICT = "conflict"  # its idempotency key was used for another lead


@dataclass(frozen=True, slots=True)
class Stored:
    """A row's sealed members and what opens them: the id of the ring's key, the wrapped record key."""

    members: bytes
    key_id: str
    wrapped: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """The journal's answer to an Entry. reference: of the submission that was met; rule: whose claim it holds."""

    met: Met
    reference: str = ""
    rule: str = ""
    reason: Reason | None = None  # of the met submission, with REPLAY
    members: DataPostResponse | None = None  # with REPLAY, once opened
    sealed: Stored | None = None  # with REPLAY, from the store; the engine opens it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a begun submission ended: its second commit, before the partner is answered.

    release: an answer rule gives the claims back although the outcome would hold them. answer: the legacy's bytes
    as far as they are kept (sealed). late: it settles an unknown outcome after the partner was answered.
    """

    reference: str
    reason: Reason
    delivery: Delivery
    outcome: Outcome
    members: DataPostResponse | None = None
    rule: str = ""
    failure: str = ""
    legacy_id: str = ""
    upstream_status: int = 0
    answer: bytes = b""
    release: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A submission that was refused after its credential was good: written without waiting."""

    reference: str
    program: str
    partner: str
    received_ms: int
    reason: Reason
    faults: tuple[str, ...] = ()  # field=kind
    index: tuple[bytes, ...] = ()
    content_type: str = ""
    body: bytes = b""


class StoreUnavailable(Exception):
    """The store cannot take or give anything now. Its text is a few fixed words, never a value."""


class NotTaken(Exception):
    """The result of an operation that the store could not carry out, alone of its transaction. Fixed words only."""


class WrongSchema(Exception):
    """The store was made by a newer gateway, or is no journal. Its text says what to do; trying again does not help."""
