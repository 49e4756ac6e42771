"""Stores under test: either of them by name, and the operations of a lead as the engine makes them, sealed."""

from __future__ import annotations

from pathlib import Path

from gateway.datapost.reasons import Reason
from gateway.journal.operations import Begin, Finish, Look
from gateway.journal.port import Store
from gateway.journal.postgres import PostgresStore
from gateway.journal.sealing import Cipher, pack_members
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import Entry, Meeting, Met
from tests.support.journals import SEALER, settled

OWNER = "owner"
#: The ciphers of leads begun here, by reference.
_ciphers: dict[str, Cipher] = {}


def a_store(kind: str, place: str, *, run: int = 0) -> Store:
    """One more way into a journal. place: a folder for sqlite, a URL for postgres. run: see `sqlite.finding`."""
    if kind == "sqlite":
        return SqliteStore(Path(place), floor_bytes=0, run=run)
    return PostgresStore(place)


def begin(entry: Entry, owner: str = OWNER) -> Begin:
    """The operation that begins it, its body sealed."""
    cipher = _ciphers[entry.reference] = SEALER.fresh(entry.reference)
    return Begin(entry, owner, cipher.key, cipher.seal("body", entry.body))


def finish(reference: str, reason: Reason = Reason.ACCEPTED, **changes: object) -> Finish:
    """The operation that settles what `begin` began, its members and answer sealed."""
    settlement = settled(reference, reason, **changes)
    cipher = _ciphers.get(reference) or SEALER.fresh(reference)
    members = cipher.seal("members", pack_members(settlement.members)) if settlement.members is not None else b""
    answer = cipher.seal("answer", settlement.answer) if settlement.answer else b""
    return Finish(settlement, members, answer)


async def meet(store: Store, operation: Begin | Look) -> Meeting:
    """What one entry meets."""
    [meeting] = await store.commit([operation])
    assert isinstance(meeting, Meeting), meeting
    return meeting


async def begun(store: Store, entry: Entry, owner: str = OWNER) -> str:
    """Begin it for certain; its reference."""
    meeting = await meet(store, begin(entry, owner))
    assert meeting.met is Met.NOTHING, meeting
    return entry.reference


async def ended(store: Store, entry: Entry, reason: Reason = Reason.ACCEPTED, **changes: object) -> str:
    """Begin and settle it for certain; its reference."""
    reference = await begun(store, entry)
    assert await store.commit([finish(reference, reason, **changes)]) == [True]
    return reference
