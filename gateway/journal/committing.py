"""Group commit, and what happens when the store cannot commit.

Operations that gather while one commit runs form the next: no timers, so that a lone lead waits for its own
commit only, and many share one. A waiter's future resolves once its transaction is durable.

Decides what a failure means. Before a lead is sent nothing may be uncertain: whoever waits to begin gets
`StoreUnavailable` at once, and a row that might have been written all the same is taken back later. After an answer
came nothing may be forgotten: a settlement is kept (in bounded memory) and written when the store is back, while its
waiter is told False. What must be told to people goes to a `Watch`, with references and never with values.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.journal.operations import Begin, Finish, Note, Operation
from gateway.journal.port import Store
from gateway.journal.records import Query, Record
from gateway.journal.values import Meeting, Met, Settlement, StoreUnavailable
from gateway.journal.watching import Watch

#: Operations in one transaction: beyond this a commit takes longer without becoming cheaper for each.
_MOST_TOGETHER = 512
_MOST_NOTES = 10_000
#: Settlements that wait for the store; from so many bytes on without the legacy's answers.
_MOST_LATE = 50_000
_MOST_LATE_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class _Entry:
    """One operation on its way, and who waits for it. deferred: its waiter was told that it is late."""

    __slots__ = ("deferred", "future", "operation")

    def __init__(self, operation: Operation, future: asyncio.Future[object] | None) -> None:
        self.operation = operation
        self.future = future
        self.deferred = False


class Committer:
    """The one that commits. `start`, then `ask`, `settle` and `note`; `close` in the end."""

    def __init__(self, store: Store, watch: Watch, *, probe: Operation, stall_s: float) -> None:
        """probe: a write that harms nothing, to see whether the store is back. stall_s: how long a commit may take."""
        self._store = store
        self._watch = watch
        self._probe = probe
        self._stall_s = stall_s
        self._pending: deque[_Entry] = deque()
        self._late: deque[_Entry] = deque()  # Finish without anybody waiting: deferred, or taking back a begun row
        self._late_bytes = 0
        self._notes: deque[Note] = deque()
        self._healthy = True
        self._closing = False  # begins nothing any more
        self._closed = False  # writes nothing any more
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._reconciling: set[asyncio.Task[None]] = set()

    @property
    def healthy(self) -> bool:
        """Whether the last commit went well and the present one is not stalled."""
        return self._healthy

    def start(self) -> None:
        """Begin to commit."""
        self._task = self._loop.create_task(self._run(), name="journal commits")

    async def close(self, within_s: float) -> None:
        """Write what waits, for at most within_s; what is left of it then is lost, and told so."""
        self._closing = True
        self._stir()
        tasks = {*self._reconciling}
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)
            tasks = {self._task, *self._reconciling}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._closed = True
        self._let_go()
        for entry in self._late:
            self._lose(entry, "the process ended")
        self._late.clear()

    # --- what is asked for --------------------------------------------------------------------------------------

    def ask(self, operation: Operation) -> asyncio.Future[object]:
        """An operation's result, once durable. Raises StoreUnavailable at once while the store is away."""
        if not self._healthy or self._closing:
            raise StoreUnavailable("the store is away")
        future = self._loop.create_future()
        self._pending.append(_Entry(operation, future))
        if self._wake is not None:
            self._stir()
        return future

    def settle(self, finish: Finish) -> asyncio.Future[object]:
        """True once it is durable; False as soon as that is known to come late or never. Never raises.

        Cancelling the wait does not take the settlement back.
        """
        future = self._loop.create_future()
        entry = _Entry(finish, future)
        if self._closed:
            self._lose(entry, "the process ended")
        elif self._healthy:
            self._pending.append(entry)
        else:
            self._put_late(entry)
        if self._wake is not None:
            self._stir()
        return future

    def note(self, note: Note) -> None:
        """Write a refusal when there is time for it."""
        if not self._healthy or self._closed or len(self._notes) >= _MOST_NOTES:
            self._watch.dropped_note()
            return
        self._notes.append(note)
        if self._wake is not None:
            self._stir()

    def abandon(self, reference: str, reason: Reason) -> None:
        """Take back a begun row that nobody will send."""
        settlement = Settlement(reference=reference, reason=reason, delivery=Delivery.NOT_SENT, outcome=Outcome.NONE)
        self._put_late(_Entry(Finish(settlement), None))
        if self._wake is not None:
            self._stir()

    # --- the loop -----------------------------------------------------------------------------------------------

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            if not self._healthy:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            elif not self._pending and not self._late and not self._notes:
                if self._closing and not self._reconciling:
                    return
                await self._something_to_do()
            batch = self._taken()
            if not batch and not self._healthy:
                batch = [_Entry(self._probe, None)]
            if batch and await self._commit(batch):
                pause_s = _FIRST_PAUSE_S

    async def _something_to_do(self) -> None:
        self._wake = self._loop.create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _taken(self) -> list[_Entry]:
        """The next batch, without those whose waiter has gone before anything was done for it."""
        batch: list[_Entry] = []
        while self._late and len(batch) < _MOST_TOGETHER:
            entry = self._late.popleft()
            self._late_bytes -= _weight(entry.operation)
            batch.append(entry)
        pending = self._pending
        while pending and len(batch) < _MOST_TOGETHER:
            entry = pending.popleft()
            if type(entry.operation) is Finish or entry.future is None or not entry.future.done():
                batch.append(entry)
        while self._notes and len(batch) < _MOST_TOGETHER:
            batch.append(_Entry(self._notes.popleft(), None))
        return batch

    async def _commit(self, batch: list[_Entry]) -> bool:
        """Whether the store answered. Whatever happens, each of the batch is answered, kept or given up."""
        started = self._loop.time()
        watchdog = self._loop.call_later(self._stall_s, self._stalled, batch)
        try:
            results = await self._store.commit([entry.operation for entry in batch])
        except StoreUnavailable as error:
            self._failed(batch, str(error))
            return False
        except asyncio.CancelledError:
            self._set_aside(batch)
            raise
        except Exception as bug:  # the edge of this task: one operation that breaks must not stop the journal
            watchdog.cancel()
            self._watch.bug(bug)
            await self._one_by_one(batch)
            return True
        finally:
            watchdog.cancel()
        self._watch.committed(self._loop.time() - started, len(batch))
        if not self._healthy:
            self._healthy = True
            self._watch.available()
        for entry, result in zip(batch, results, strict=True):
            self._ended(entry, result)
        return True

    async def _one_by_one(self, batch: list[_Entry]) -> None:
        if len(batch) == 1:
            self._give_up(batch[0])
            return
        for place, entry in enumerate(batch):
            if not await self._commit([entry]):
                self._failed(batch[place + 1 :], "the store is away")
                return

    def _ended(self, entry: _Entry, result: object) -> None:
        """One operation of a durable transaction."""
        operation, future = entry.operation, entry.future
        if isinstance(result, Exception):
            self._watch.bug(result)
            self._give_up(entry)
        elif type(operation) is Finish:
            if result is False:
                self._reconcile_soon(entry, operation)
            else:
                self._written(entry)
        elif future is not None:
            if not future.done():
                future.set_result(result)
            elif type(operation) is Begin and isinstance(result, Meeting) and result.met is Met.NOTHING:
                # Its waiter has left: nobody will send it.
                reason = Reason.CLIENT_GONE if future.cancelled() else Reason.STORE_UNAVAILABLE
                self.abandon(operation.entry.reference, reason)

    def _written(self, entry: _Entry) -> None:
        if entry.deferred:
            self._watch.caught_up(_reference(entry))
        if entry.future is not None and not entry.future.done():
            entry.future.set_result(True)

    # --- failures -----------------------------------------------------------------------------------------------

    def _stalled(self, batch: list[_Entry]) -> None:
        """The commit takes too long. It may still end well, but nobody waits for it any longer."""
        self._down("a commit takes too long")
        for entry in batch:
            self._turn_away(entry)
        self._let_go()

    def _failed(self, batch: list[_Entry], why: str) -> None:
        """The transaction did not happen, as far as is known: a broken connection may hide that it did."""
        self._down(why)
        self._set_aside(batch)
        self._let_go()

    def _set_aside(self, batch: list[_Entry]) -> None:
        """What must be written of a batch that was not, as far as is known, is kept for later."""
        for entry in batch:
            self._turn_away(entry)
            if type(entry.operation) is Finish:
                self._put_late(entry)
            elif type(entry.operation) is Begin:
                self.abandon(entry.operation.entry.reference, Reason.STORE_UNAVAILABLE)
            elif type(entry.operation) is Note:
                self._watch.dropped_note()

    def _down(self, why: str) -> None:
        if self._healthy:
            self._healthy = False
            self._watch.unavailable(why)

    def _let_go(self) -> None:
        """Nobody waits while the store is away; settlements are kept, refusals are not."""
        while self._pending:
            entry = self._pending.popleft()
            self._turn_away(entry)
            if type(entry.operation) is Finish:
                self._put_late(entry)
        while self._notes:
            self._notes.popleft()
            self._watch.dropped_note()

    def _turn_away(self, entry: _Entry) -> None:
        """Answer whoever waits, now that it takes longer than anybody should wait."""
        future = entry.future
        if type(entry.operation) is Finish:
            if future is not None and not entry.deferred:
                entry.deferred = True
                self._watch.deferred(_reference(entry))
                if not future.done():
                    future.set_result(False)
        elif future is not None and not future.done():
            future.set_exception(StoreUnavailable("the store is away"))

    def _put_late(self, entry: _Entry) -> None:
        """Keep a settlement until the store is back, within bounds."""
        self._turn_away(entry)
        if len(self._late) >= _MOST_LATE:
            self._lose(entry, "too many wait for the store")
            return
        operation = entry.operation
        if type(operation) is Finish and self._late_bytes + _weight(operation) > _MOST_LATE_BYTES:
            # What became of the lead matters most; the legacy's words can be done without.
            entry.operation = replace(operation, answer=b"")
        self._late_bytes += _weight(entry.operation)
        self._late.append(entry)

    def _lose(self, entry: _Entry, why: str) -> None:
        if entry.future is None:
            return  # a begun row that was to be taken back: it becomes unknown by recovery
        self._watch.lost(_reference(entry), why)
        if not entry.future.done():
            entry.future.set_result(False)

    def _give_up(self, entry: _Entry) -> None:
        """An operation that cannot be carried out, though the store is there."""
        if type(entry.operation) is Finish:
            self._lose(entry, "it could not be written")
        elif type(entry.operation) is Note:
            self._watch.dropped_note()
        else:
            self._turn_away(entry)

    # --- settlements that did not find their row open -----------------------------------------------------------

    def _reconcile_soon(self, entry: _Entry, finish: Finish) -> None:
        task = self._loop.create_task(self._reconcile(entry, finish), name="journal reconciliation")
        self._reconciling.add(task)
        task.add_done_callback(self._reconciled)

    def _reconciled(self, task: asyncio.Task[None]) -> None:
        self._reconciling.discard(task)
        self._stir()
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._watch.bug(bug)

    async def _reconcile(self, entry: _Entry, finish: Finish) -> None:
        """See what became of the row. Another instance may have taken us for dead, an operator may have been faster,
        or it is our own settlement that is there, from a commit whose success we never heard of."""
        settlement = finish.settlement
        try:
            record = await find(self._store, settlement.reference)
        except StoreUnavailable:
            self._put_late(entry)
            return
        if record is not None and record.outcome is settlement.outcome:
            self._written(entry)
        elif record is not None and record.outcome is Outcome.UNKNOWN and not settlement.late:
            entry.operation = replace(finish, settlement=replace(settlement, late=True))
            if self._healthy:
                self._pending.append(entry)
                self._stir()
            else:
                self._put_late(entry)
        else:
            self._lose(entry, "the row is gone" if record is None else "it is settled otherwise")


async def find(store: Store, reference: str) -> Record | None:
    """One row with all that is kept of it."""
    async for record in store.search(Query(reference=reference, limit=1, sealed=True)):
        return record
    return None


def _reference(entry: _Entry) -> str:
    return entry.operation.settlement.reference if type(entry.operation) is Finish else ""


def _weight(operation: Operation) -> int:
    return len(operation.members) + len(operation.answer) if type(operation) is Finish else 0
