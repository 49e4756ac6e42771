"""Which submissions carry a key: an index that lags behind the leads, and its tail in memory.

Keys are random, so in a B-tree of a million each new one would dirty a page of its own: measured, that doubles the
cost of a lead and grows with the journal. Here a lead writes no index at all. Its hashes stand in its row; each
process keeps the hashes of the newest rows in memory, and when there are enough of them they go into the table
`hashes` in one sorted run, a little with each commit, so that many share a page and no commit waits long.

`indexed_to` says how far the table reaches. What lies above it is read from the rows at start, and again what other
processes wrote meanwhile, which SQLite's data_version tells. A run that a crash cuts off is done again from its
beginning: it inserts, or finds its rows there. Two processes that do the same run do no harm.

Keys are kept by their first eight bytes only. What is found here is a candidate: the caller compares the row's own
hashes, so a row that is gone, or a key that is over, needs no care here.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from gateway.datapost.reasons import Outcome
from gateway.journal.deciding import holds
from gateway.journal.sqlite.packing import short, unpack_claims
from gateway.journal.sqlite.statements import In

#: Submissions in memory before a run begins: about 5 MB. Each process draws its own, so that one of them does the run.
_RUN_FROM, _RUN_TO = 32_768, 65_536
#: Rows that a step reads, and index entries that a step writes, for each lead of its commit: a run is spread over many
#: leads, so that none of them notices it, and ends before the next one is due. The least that a step does.
_READ, _WRITE, _LEAST = 4, 8, 64

_IN_RUN = In("SELECT hash, id FROM hashes WHERE hash IN (?)")

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}

#: By key one id, or several. Plain numbers: the garbage collector need not look at a hundred thousand lists.
Candidates: TypeAlias = dict[int, int | tuple[int, ...]]


class Finder:
    """One process's view. Called in the writer's transactions only; `commit` or `rollback` ends each of them."""

    def __init__(self, db: sqlite3.Connection, *, run: int = 0) -> None:
        """run: submissions in memory before a run begins; 0 for the usual."""
        #: What this transaction's own rows carry.
        self.new: Candidates = {}
        self._db = db
        self._run = run or random.randint(_RUN_FROM, _RUN_TO)
        self._version = -1
        self._indexed_to = 0
        self._last_id = 0  # the newest row that is known here
        self._recent: Candidates = {}
        self._leaving: Candidates = {}  # what the present run moves
        self._moving: _Run | None = None
        self._new_last_id = 0

    def start(self) -> None:
        """A transaction begins: read what others wrote since the last one."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._catch_up()
            self._version = version
        self._new_last_id = self._last_id

    def find(self, keys: Sequence[int]) -> Candidates:
        """Rows by key, from the table and from memory; keys without any are absent."""
        found: Candidates = {}
        for key, id in _IN_RUN.rows(self._db, keys):
            _put(found, key, id)
        for known in (self._leaving, self._recent):
            if known:
                for key in keys:
                    if key in known:
                        _put(found, key, known[key])
        return found

    def new_id(self, keys: Iterable[int]) -> int:
        """The id of a row that this transaction writes and that carries these keys."""
        self._new_last_id = id = self._new_last_id + 1
        new = self.new
        for key in keys:
            if key in new:
                _put(new, key, id)
            else:
                new[key] = id
        return id

    def advance(self, leads: int, now_ms: int) -> None:
        """Do a piece of the present run, in a transaction that begins so many leads."""
        if self._moving is None:
            if self._last_id - self._indexed_to < self._run:
                return
            self._leaving, self._recent = self._recent, {}
            self._moving = _Run(self._indexed_to, self._last_id)
        self._moving.step(self._db, leads, now_ms)

    def commit(self) -> None:
        """The transaction is durable."""
        if self._recent.keys().isdisjoint(self.new):
            self._recent.update(self.new)
        else:
            for key, ids in self.new.items():
                _put(self._recent, key, ids)
        self.new.clear()
        self._last_id = self._new_last_id
        if self._moving is not None and self._moving.commit():
            self._indexed_to, self._leaving, self._moving = self._moving.to, {}, None

    def rollback(self) -> None:
        """Nothing of the transaction was done; its piece of the run is done again."""
        self.new.clear()
        if self._moving is not None:
            self._moving.rollback()

    def _catch_up(self) -> None:
        counters = dict(self._db.execute("SELECT name, value FROM counters"))
        if (indexed_to := counters["indexed_to"]) != self._indexed_to:
            # Another process ended a run (or this is the start).
            self._recent = _above(indexed_to, self._leaving, self._recent)
            self._indexed_to, self._leaving, self._moving = indexed_to, {}, None
            self._last_id = max(self._last_id, indexed_to)
        rows = self._db.execute(
            "SELECT id, fingerprint, idempotency, claims FROM submissions WHERE id > ? ORDER BY id", (self._last_id,)
        )
        for id, fingerprint, idempotency, claims in rows:
            for key in carried(fingerprint, idempotency, claims):
                _put(self._recent, key, id)
            self._last_id = id
        self._last_id = max(self._last_id, counters["given_to"])


class _Run:
    """Moving the keys of rows above `above`, up to `to`: read, then written in the table's order, a piece at a time.

    A piece counts once its transaction is durable. A crash begins the run anew.
    """

    def __init__(self, above: int, to: int) -> None:
        self.to = to
        self._read_to = above
        self._entries: list[tuple[int, int]] = []
        self._written = 0
        #: What this transaction did: rows read up to, their entries, entries written up to; None: nothing.
        self._piece: tuple[int, list[tuple[int, int]], int] | None = None
        self._ending = False

    def step(self, db: sqlite3.Connection, leads: int, now_ms: int) -> None:
        if self._read_to < self.to:
            stop = min(self._read_to + max(_READ * leads, _LEAST), self.to)
            self._piece = stop, entries_of(db, self._read_to, stop, now_ms), 0
        elif self._written < len(self._entries):
            end = self._written + max(_WRITE * leads, _LEAST)
            some = self._entries[self._written : end]
            db.executemany("INSERT OR IGNORE INTO hashes (hash, id) VALUES (?, ?)", some)
            self._piece = self._read_to, [], end
        else:
            db.execute("UPDATE counters SET value = ? WHERE name = 'indexed_to'", (self.to,))
            self._ending = True

    def commit(self) -> bool:
        """Whether the run has ended."""
        if self._piece is not None:
            reading = self._read_to < self.to
            self._read_to, entries, self._written = self._piece
            self._piece = None
            if reading:
                self._entries += entries
                if self._read_to == self.to:
                    # In the table's own order: that is what makes neighbours share a page.
                    self._entries.sort()
        return self._ending

    def rollback(self) -> None:
        self._piece = None
        self._ending = False


def _put(known: Candidates, key: int, ids: int | tuple[int, ...]) -> None:
    there = known.get(key)
    if there is None:
        known[key] = ids
    else:
        known[key] = _several(there) + _several(ids)


def _several(ids: int | tuple[int, ...]) -> tuple[int, ...]:
    return (ids,) if isinstance(ids, int) else ids


def _above(limit: int, *known: Candidates) -> Candidates:
    """What is known of rows above an id."""
    kept: Candidates = {}
    for candidates in known:
        for key, ids in candidates.items():
            for id in _several(ids):
                if id > limit:
                    _put(kept, key, id)
    return kept


def carried(fingerprint: bytes | None, idempotency: bytes | None, claims: bytes | None) -> list[int]:
    """The keys of a row, as the index knows them."""
    keys = [short(claim.key) for claim in unpack_claims(claims)]
    if fingerprint:
        keys.append(short(fingerprint))
    if idempotency:
        keys.append(short(idempotency))
    return keys


_ENTRIES = """
SELECT s.id, s.fingerprint, s.idempotency, s.claims, s.replay_until_ms, s.known_until_ms, t.outcome, t.released
FROM submissions s LEFT JOIN settlements t ON t.id = s.id
WHERE s.id > ? AND s.id <= ?
"""


def entries_of(db: sqlite3.Connection, above: int, to: int, now_ms: int) -> list[tuple[int, int]]:
    """What the index has to know of these rows: keys that nothing can be met by any more are left out for good."""
    entries: list[tuple[int, int]] = []
    for id, fingerprint, idempotency, claims, replay_until_ms, known_until_ms, word, released in db.execute(
        _ENTRIES, (above, to)
    ):
        outcome = None if word is None else _OUTCOMES[word]
        if outcome is None or holds(outcome, release=bool(released)):
            # An open row's claim counts however old it is.
            held = [claim for claim in unpack_claims(claims) if outcome is None or claim.until_ms > now_ms]
            entries += [(short(claim.key), id) for claim in held]
        # Failures and refusals are met by nobody.
        if fingerprint is None or outcome is Outcome.ERROR or outcome is Outcome.NONE:
            continue
        until_ms = known_until_ms if outcome is Outcome.UNKNOWN else replay_until_ms
        if outcome is None or until_ms > now_ms:
            entries.append((short(fingerprint), id))
            if idempotency:
                entries.append((short(idempotency), id))
    return entries
