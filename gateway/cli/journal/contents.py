"""What is kept sealed of a submission, opened: for `show --body`, and as far as other commands need it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.datapost.reasons import Outcome
from gateway.datapost.values import DataPostResponse
from gateway.journal.records import Record
from gateway.journal.sealing import Cipher, KeyMissing, SealBroken, Sealer, unpack_members
from gateway.lead import Checked, Lead, Undecodable
from gateway.serve.compose import Program


class NotReadable(Exception):
    """Why the content of a record is not to be had: a few words."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Opened. body and answer may be empty; members None when nothing was answered yet, or was not kept."""

    body: bytes
    answer: bytes
    members: DataPostResponse | None
    legacy_id: str


def cipher_of(record: Record, sealer: Sealer) -> Cipher:
    """What seals and opens for a record that was searched with `sealed`. Raises NotReadable."""
    if record.erased:
        raise NotReadable("was erased")
    if record.sealed is None or record.sealed.key is None:
        refused = record.outcome is Outcome.NONE
        raise NotReadable(
            "has nothing kept of what it said: it was refused, or is past journal.retain"
            if refused
            else "is past journal.retain: what it said is not kept any more"
        )
    try:
        return sealer.cipher(record.reference, record.sealed.key)
    except KeyMissing as missing:
        raise NotReadable(f"needs the journal key {missing.key_id}, which is not in the ring") from None
    except SealBroken:
        raise NotReadable("does not open: it was changed, or its key was") from None


def contents_of(record: Record, sealer: Sealer) -> Contents:
    """All that is kept of a record. Raises NotReadable."""
    cipher = cipher_of(record, sealer)
    sealed = record.sealed
    assert sealed is not None  # noqa: S101  (or there would be no cipher)
    try:
        members, legacy_id = None, ""
        if sealed.members:
            members, legacy_id = unpack_members(cipher.open("members", sealed.members))
        return Contents(
            body=cipher.open("body", sealed.body) if sealed.body else b"",
            answer=cipher.open("answer", sealed.answer) if sealed.answer else b"",
            members=members,
            legacy_id=legacy_id,
        )
    except SealBroken:
        raise NotReadable("does not open: it was changed, or its key was") from None


def lead_of(record: Record, body: bytes, program: Program) -> tuple[Lead, Checked]:
    """The lead as it was read when it came, by the program's present fields. Raises NotReadable."""
    lead = program.decode(record.content_type or None, body)
    if isinstance(lead, Undecodable):
        raise NotReadable("its body cannot be read as a lead")
    day = datetime.fromtimestamp(record.received_ms / 1000, UTC).astimezone(program.timezone).date()
    return lead, program.check(lead, day)
