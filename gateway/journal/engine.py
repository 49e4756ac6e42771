"""The journal as the rest of the house knows it: begin a submission, settle it, wait for another one's end.

One `Journal` a process, over one store. It seals what a lead says before a store sees it, opens what is replayed,
keeps this process's lease alive, settles what dead processes left open, and wakes those who wait for a submission
that is running here; one that runs elsewhere is asked about. Failure of the store is `committing`'s.

The order that the promise rests on is the caller's: send only after `begin` said NOTHING, answer only after `finish`
has returned. A submission that was begun must be finished whatever happens to it: until then, and as long as this
process lives, nobody can send the same lead.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.clock import Clock
from gateway.journal.committing import Committer, find
from gateway.journal.keys import Hashes
from gateway.journal.operations import (
    Beat,
    Begin,
    CountUnknown,
    Finish,
    Leave,
    Look,
    Note,
    RecordKey,
    Recover,
    Remember,
    UnknownCount,
)
from gateway.journal.port import Store
from gateway.journal.sealing import Cipher, KeyMissing, SealBroken, Sealer, pack_members, unpack_members
from gateway.journal.values import Entry, Meeting, Met, Refusal, Settlement, StoreUnavailable
from gateway.journal.watching import Watch

#: A process that does not show itself for so long is taken for dead. Taken so in error (a long stall), it loses
#: nothing: what it finishes settles the unknown outcome that others have written.
LEASE_S = 4.0
_BEATS_IN_A_LEASE = 4
_COUNT_EVERY = 5  # beats
_CLOCK_EVERY = 30  # beats
_RECOVER_AT_ONCE = 1000
#: Ciphers of submissions whose late answer may still come.
_MOST_UNKNOWN = 10_000
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.25

_NONE_UNKNOWN: Mapping[str, UnknownCount] = MappingProxyType({})


class WrongIndexKey(Exception):
    """The hashes in the journal were made with another index key or normaliser: claims would not be recognised."""


class _Begun:
    """A submission that this process has begun and not finished."""

    __slots__ = ("cipher", "waiting")

    def __init__(self, cipher: Cipher) -> None:
        self.cipher = cipher
        self.waiting: list[asyncio.Future[None]] | None = None


class Journal:
    """One process's way into the journal. `start` before anything else, `close` in any case."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        hashes: Hashes,
        watch: Watch,
        *,
        lease_s: float = LEASE_S,
        stall_s: float = 3.0,
    ) -> None:
        """lease_s: how long this process may go unheard. stall_s: how long a commit may take before the store counts
        as away."""
        self.store = store
        self.owner = secrets.token_hex(8)
        self.unknown: Mapping[str, UnknownCount] = _NONE_UNKNOWN
        self._sealer = sealer
        self._hashes = hashes
        self._watch = watch
        self._lease_s = lease_s
        self._beat = Beat(self.owner, int(lease_s * 1000))
        self._committer = Committer(store, watch, probe=self._beat, stall_s=stall_s)
        self._clock = Clock.at(0)
        self._loop = asyncio.get_running_loop()
        self._begun: dict[str, _Begun] = {}
        self._unknown: OrderedDict[str, Cipher] = OrderedDict()
        self._heart: asyncio.Task[None] | None = None
        self._outdated = False

    async def start(self) -> None:
        """Open the store, take a lease, settle what dead processes left. Raises StoreUnavailable, WrongIndexKey."""
        await self.store.open()
        self._clock = Clock.at(await self.store.now_ms())
        _, name = await self.store.commit([self._beat, Remember("index_key", self._hashes.name)])
        if name != self._hashes.name:
            await self.store.commit([Leave(self.owner)])
            raise WrongIndexKey("the journal was written with another index_key; run `gateway journal reindex`")
        self._committer.start()
        await self._recover()
        await self._count()
        self._heart = self._loop.create_task(self._live(), name="journal heartbeat")

    async def close(self, within_s: float = 5.0) -> None:
        """Write what waits, give the lease back, let go of the store."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        healthy = self._committer.healthy
        await self._committer.close(within_s)
        if healthy and self._heart is not None:
            try:
                async with asyncio.timeout(within_s):
                    await self.store.commit([Leave(self.owner)])
            except (StoreUnavailable, TimeoutError):
                pass  # the lease ends by itself
        await self.store.close()

    @property
    def healthy(self) -> bool:
        """Whether a submission could be begun now, as far as the last commit tells."""
        return self._committer.healthy and not self._outdated

    @property
    def begun(self) -> int:
        """Submissions of this process that are not finished."""
        return len(self._begun)

    def now_ms(self) -> int:
        """POSIX milliseconds of the journal's clock, for `received_ms`."""
        return self._clock.now_ms()

    # --- a submission -------------------------------------------------------------------------------------------

    async def begin(self, entry: Entry) -> Meeting:
        """The first commit. NOTHING: it is durable, send it and `finish` it. Raises StoreUnavailable: send nothing.

        Cancelled: whatever was written is taken back.
        """
        if self._outdated:
            raise StoreUnavailable("the journal has another index_key now")
        cipher = self._sealer.fresh(entry.reference)
        body = cipher.seal("body", entry.body) if entry.body else b""
        future = self._committer.ask(Begin(entry, self.owner, cipher.key, body))
        try:
            meeting = cast(Meeting, await future)
        except asyncio.CancelledError:
            # Cancelled in the very moment in which it was written.
            written = future.done() and not future.cancelled() and future.exception() is None
            if written and cast(Meeting, future.result()).met is Met.NOTHING:
                self._committer.abandon(entry.reference, Reason.CLIENT_GONE)
            raise
        if meeting.met is Met.NOTHING:
            self._begun[entry.reference] = _Begun(cipher)
            return meeting
        return self._opened(meeting)

    async def begin_in_turn(self, entry: Entry, until: float) -> Meeting:
        """`begin`, but wait for the same submission, or the holder of a claim, that is running; until: loop time.

        RUNNING when the time is over.
        """
        meeting = await self.begin(entry)
        while meeting.met is Met.RUNNING and await self.wait(entry, meeting.reference, until):
            meeting = await self.begin(entry)
        return meeting

    async def look(self, entry: Entry) -> Meeting:
        """What `begin` would meet now, without beginning. Raises StoreUnavailable."""
        return self._opened(cast(Meeting, await self._committer.ask(Look(entry))))

    async def wait(self, entry: Entry, reference: str, until: float) -> bool:
        """Wait until the submission of this reference, which entry met running, has ended; False: loop time is up.

        Ended is not settled for sure: ask again with `begin`. Raises StoreUnavailable.
        """
        begun = self._begun.get(reference)
        if begun is not None:
            return await self._wait_here(begun, until)
        pause_s = _FIRST_LOOK_S
        while (rest_s := until - self._loop.time()) > 0:
            await asyncio.sleep(min(pause_s, rest_s))
            pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
            meeting = cast(Meeting, await self._committer.ask(Look(entry)))
            if meeting.met is not Met.RUNNING or meeting.reference != reference:
                return True
        return False

    async def _wait_here(self, begun: _Begun, until: float) -> bool:
        future = self._loop.create_future()
        if begun.waiting is None:
            begun.waiting = []
        begun.waiting.append(future)
        try:
            async with asyncio.timeout_at(until):
                await future
        except TimeoutError:
            return False
        return True

    async def finish(self, settlement: Settlement) -> bool:
        """The second commit, or with `late` the settling of an unknown outcome. True: it is durable.

        False: it is not, and will be as soon as the store is back, or it was given up; the watch knows. The partner
        gets the true answer in any case. Cancelling the wait does not take it back.
        """
        reference = settlement.reference
        begun = self._begun.get(reference)
        cipher = begun.cipher if begun is not None else self._unknown.pop(reference, None)
        if cipher is None:
            cipher = await self._kept_cipher(reference)
        members = answer = b""
        if cipher is not None:
            if settlement.members is not None:
                members = cipher.seal("members", pack_members(settlement.members, settlement.legacy_id))
            if settlement.answer:
                answer = cipher.seal("answer", settlement.answer)
            if settlement.outcome is Outcome.UNKNOWN:
                self._remember(reference, cipher)
        try:
            return await self._committer.settle(Finish(settlement, members, answer)) is True
        finally:
            if begun is not None:
                self._begun.pop(reference, None)
                for waiter in begun.waiting or ():
                    if not waiter.done():
                        waiter.set_result(None)

    def note(self, refusal: Refusal) -> None:
        """Write a refusal without waiting; dropped, and counted, when the store cannot keep up."""
        if not refusal.body:
            self._committer.note(Note(refusal))
            return
        cipher = self._sealer.fresh(refusal.reference)
        self._committer.note(Note(refusal, cipher.key, cipher.seal("body", refusal.body)))

    # --- seals --------------------------------------------------------------------------------------------------

    def _remember(self, reference: str, cipher: Cipher) -> None:
        self._unknown[reference] = cipher
        if len(self._unknown) > _MOST_UNKNOWN:
            self._unknown.popitem(last=False)

    async def _kept_cipher(self, reference: str) -> Cipher | None:
        """The cipher of a row that is not this process's (any more); None when nothing can be sealed for it."""
        try:
            record = await find(self.store, reference)
            if record is not None and record.sealed is not None and record.sealed.key is not None:
                return self._sealer.cipher(reference, record.sealed.key)
        except StoreUnavailable:
            return None
        except (KeyMissing, SealBroken):
            self._watch.unreadable(reference)
        return None

    def _opened(self, meeting: Meeting) -> Meeting:
        """A replay with its members; when they do not open: what can be said without them."""
        if meeting.met is not Met.REPLAY:
            return meeting
        sealed = meeting.sealed
        if sealed is not None:
            try:
                cipher = self._sealer.cipher(meeting.reference, RecordKey(sealed.key_id, sealed.wrapped))
                members, _ = unpack_members(cipher.open("members", sealed.members))
            except (KeyMissing, SealBroken):
                self._watch.unreadable(meeting.reference)
            else:
                return Meeting(met=Met.REPLAY, reference=meeting.reference, reason=meeting.reason, members=members)
        unknown = meeting.reason in (Reason.OUTCOME_UNKNOWN, Reason.UNRECOGNIZED_ANSWER)
        return Meeting(met=Met.UNKNOWN if unknown else Met.DUPLICATE, reference=meeting.reference)

    # --- the heart ----------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Renew the lease, recover what the dead left, count; on a failing store try again with the next beat."""
        beats = 0
        while True:
            await asyncio.sleep(self._lease_s / _BEATS_IN_A_LEASE)
            beats += 1
            try:
                await self._committer.ask(self._beat)
                await self._recover()
                if beats % _COUNT_EVERY == 0:
                    await self._count()
                    await self._look_at_index_key()
                if beats % _CLOCK_EVERY == 0:
                    self._clock = Clock.at(max(self.now_ms(), await self.store.now_ms()))
            except StoreUnavailable:
                continue

    async def _recover(self) -> None:
        while True:
            references = cast("tuple[str, ...]", await self._committer.ask(Recover(_RECOVER_AT_ONCE)))
            for reference in references:
                self._watch.recovered(reference)
            if len(references) < _RECOVER_AT_ONCE:
                return

    async def _look_at_index_key(self) -> None:
        """Somebody may have given the journal another index key: what we hash would not be recognised any more."""
        name = await self._committer.ask(Remember("index_key", self._hashes.name))
        if name != self._hashes.name and not self._outdated:
            self._outdated = True
            self._watch.unavailable("the journal has another index_key now; restart with it")

    async def _count(self) -> None:
        self.unknown = cast("dict[str, UnknownCount]", await self._committer.ask(CountUnknown()))
