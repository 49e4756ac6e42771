"""The journal under test: entries and settlements of plain leads, a watch that remembers, a store that fails on order.

`Brittle` stands at the one seam there is, the store's port, before a real store: what it lets through is real and
durable, what it breaks is broken as a network or a disk breaks it, also after the commit was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.datapost.values import DataPostResponse
from gateway.journal.clock import wall_ms
from gateway.journal.keys import Hashes
from gateway.journal.operations import Begin, Operation
from gateway.journal.port import Store
from gateway.journal.records import Query, Record
from gateway.journal.sealing import KeyRing, Sealer
from gateway.journal.values import Claim, Entry, Settlement, StoreUnavailable

HASHES = Hashes(b"an index key for tests")
SEALER = Sealer(KeyRing([bytes(range(32))]))
#: Stands in each body, answer and set of members made here, and must stand nowhere else.
CANARY = "canary@example.com"
DAY_MS = 86_400_000

_numbers = count(1)


def new_reference() -> str:
    """A reference of its own; later ones sort later, as ULIDs do."""
    return f"01JD{next(_numbers):022d}"


def an_entry(lead: str = "jane", **changes: object) -> Entry:
    """A lead of acme's for program auto, which claims its own text; replay 10 minutes, unknown hold 30 days."""
    values: dict[str, object] = {
        "reference": new_reference(),
        "program": "auto",
        "partner": "acme",
        "received_ms": wall_ms(),
        "fingerprint": HASHES.fingerprinter("auto")("acme", [("lead", lead)]),
        "replay_ms": 600_000,
        "unknown_hold_ms": 30 * DAY_MS,
        "claims": (a_claim(lead),),
        "index": (HASHES.index("email", lead),),
        "content_type": "application/json",
        "body": f'{{"email": "{CANARY}", "lead": "{lead}"}}'.encode(),
    }
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def a_claim(value: str, window_ms: int = 30 * DAY_MS) -> Claim:
    """The claim of rule same_email on a value."""
    claim = HASHES.claimer("auto", "same_email", ["email"], window_ms=window_ms)("acme", [("email", value)])
    assert claim is not None
    return claim


def settled(reference: str, reason: Reason, **changes: object) -> Settlement:
    """How a submission ended: delivery, outcome and members as they go with the reason."""
    delivery, outcome = OUTCOMES.get(reason, (Delivery.NOT_SENT, Outcome.NONE))
    values: dict[str, object] = {
        "reference": reference,
        "reason": reason,
        "delivery": delivery,
        "outcome": outcome,
        "members": members_of(reference, reason) if outcome is not Outcome.NONE else None,
        "answer": f"OK|{CANARY}".encode() if delivery is Delivery.ANSWERED else b"",
    }
    return Settlement(**{**values, **changes})  # type: ignore[arg-type]


def members_of(reference: str, reason: Reason) -> DataPostResponse:
    """What the partner was answered."""
    accepted = reason is Reason.ACCEPTED
    return DataPostResponse(
        valid=accepted,
        uniqueid="98" if accepted else "",
        email=CANARY if accepted else "",
        note=f"{reason.sentence} [{reason.slug} ref={reference}]",
    )


@dataclass
class Remembering:
    """A watch that keeps what it was told."""

    commits: list[int] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        """What was told under one word: references, or the reason why."""
        return [said[1] for said in self.told if said[0] == word]

    def committed(self, seconds: float, operations: int) -> None:
        self.commits.append(operations)

    def unavailable(self, why: str) -> None:
        self.told.append(("unavailable", why))

    def available(self) -> None:
        self.told.append(("available", ""))

    def deferred(self, reference: str) -> None:
        self.told.append(("deferred", reference))

    def caught_up(self, reference: str) -> None:
        self.told.append(("caught_up", reference))

    def lost(self, reference: str, why: str) -> None:
        self.told.append(("lost", reference, why))

    def recovered(self, reference: str) -> None:
        self.told.append(("recovered", reference))

    def unreadable(self, reference: str) -> None:
        self.told.append(("unreadable", reference))

    def dropped_note(self) -> None:
        self.told.append(("dropped_note", ""))

    def bug(self, bug: BaseException) -> None:
        self.bugs.append(bug)


class Choked(Exception):
    """What a store raises that has a bug."""


class Brittle:
    """A real store behind switches. Each is off (None, False) until it is set."""

    def __init__(self, store: Store) -> None:
        self.real = store
        self.refuses = False  # nothing happens: connection refused, disk full
        self.hides = False  # it is committed, and the word of it gets lost
        self.chokes: Callable[[Operation], bool] | None = None  # on a batch that holds such an operation: a bug
        self.holds = asyncio.Event()  # cleared: commits wait before they do anything
        self.holds.set()
        self.batches: list[list[Operation]] = []

    def mend(self) -> None:
        """All switches off."""
        self.refuses = self.hides = False
        self.chokes = None
        self.holds.set()

    async def open(self) -> None:
        await self.real.open()

    async def close(self) -> None:
        await self.real.close()

    async def now_ms(self) -> int:
        return await self.real.now_ms()

    async def commit(self, operations: Sequence[Operation]) -> list[object]:
        self.batches.append(list(operations))
        await self.holds.wait()
        if self.refuses:
            raise StoreUnavailable("refused by a test")
        if self.chokes is not None and any(map(self.chokes, operations)):
            raise Choked
        results = await self.real.commit(operations)
        if self.hides:
            raise StoreUnavailable("lost by a test")
        return results

    async def search(self, query: Query) -> AsyncIterator[Record]:
        if self.refuses:
            raise StoreUnavailable("refused by a test")
        async for record in self.real.search(query):
            yield record

    def has_taken(self, reference: str) -> bool:
        """Whether a commit with this submission's begin was asked for."""
        operations = (operation for batch in self.batches for operation in batch)
        return any(type(one) is Begin and one.entry.reference == reference for one in operations)


async def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)
