"""The two operations of a lead's way, for all leads of a commit at once: begun, and settled.

One look-up for all keys and one statement for each table; what each lead meets is decided one by one, in order. This
is what a lead costs, so it is written for few steps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.deciding import NOTHING, Found, Held, Holder, decide, holds
from gateway.journal.operations import Begin, Finish
from gateway.journal.sqlite.finding import Candidates, Finder
from gateway.journal.sqlite.packing import pack_claims, pack_hashes, short, unpack_claims
from gateway.journal.sqlite.statements import In, Row
from gateway.journal.values import Entry, Meeting, Met, Stored

_REASONS = {reason.slug: reason for reason in Reason}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}

INSERT_SUBMISSION = """
INSERT INTO submissions (id, reference, received_ms, fingerprint, idempotency, claims, replay_until_ms,
  known_until_ms, expires_ms, program, partner, content_type, faults) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_BODY = "INSERT INTO bodies (id, key_id, wrapped, body) VALUES (?, ?, ?, ?)"
INSERT_MARKS = "INSERT INTO marks (id, hashes) VALUES (?, ?)"
INSERT_SETTLEMENT = """
INSERT INTO settlements (id, settled_ms, delivery, outcome, reason, rule, failure, upstream_status, released)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_ANSWER = "INSERT OR REPLACE INTO answers (id, members, answer) VALUES (?, ?, ?)"
CLOSE = "DELETE FROM open_submissions WHERE reference = ?"
_INSERT_OPEN = "INSERT INTO open_submissions (reference, id, owner) VALUES (?, ?, ?)"
_OPEN = In("SELECT reference, id, erased FROM open_submissions WHERE reference IN (?)")
_HOLDERS = In("""
SELECT s.reference, s.fingerprint, s.idempotency, s.claims, s.received_ms, t.outcome, t.reason, t.released,
  length(a.members) > 0 AND b.key_id <> ''
FROM submissions s LEFT JOIN settlements t ON t.id = s.id LEFT JOIN answers a ON a.id = s.id
  LEFT JOIN bodies b ON b.id = s.id
WHERE s.id IN (?)
""")
_KEPT = """
SELECT a.members, b.key_id, b.wrapped FROM submissions s JOIN answers a ON a.id = s.id JOIN bodies b ON b.id = s.id
WHERE s.reference = ?
"""


class Leads:
    """Begins and settles leads over one connection, in transactions that others begin and end."""

    def __init__(self, db: sqlite3.Connection, finder: Finder) -> None:
        self._db = db
        self._finder = finder

    # --- begin ---------------------------------------------------------------------------------

    def begin(self, begins: Sequence[Begin], now_ms: int) -> list[Meeting]:
        """What each of them met. Those that met nothing are written."""
        finder = self._finder
        keys = [_keys(begin.entry) for begin in begins]
        found = finder.find([key for some in keys for key in some])
        meetings: list[Meeting] = []
        new = _NewRows()
        for begin, some in zip(begins, keys, strict=True):
            candidates = self._candidates(some, found)
            meeting = NOTHING
            if candidates:
                # One of them may be begun in this very commit.
                new.insert(self._db)
                meeting = self._meeting(begin.entry, candidates, now_ms)
            if meeting is NOTHING:
                new.add(finder.new_id(some), begin, now_ms)
            meetings.append(meeting)
        new.insert(self._db)
        finder.advance(len(begins), now_ms)
        return meetings

    def look(self, entry: Entry, now_ms: int) -> Meeting:
        """What this entry would meet."""
        keys = _keys(entry)
        candidates = self._candidates(keys, self._finder.find(keys))
        return self._meeting(entry, candidates, now_ms) if candidates else NOTHING

    def _candidates(self, keys: Iterable[int], found: Candidates) -> set[int] | None:
        ids: set[int] | None = None
        for known in (found, self._finder.new):
            for key in keys:
                if key in known:
                    some = known[key]
                    ids = ids or set()
                    ids.update((some,) if isinstance(some, int) else some)
        return ids

    def _meeting(self, entry: Entry, candidates: set[int], now_ms: int) -> Meeting:
        """What the entry meets among rows that may carry its keys: the rows' own hashes are compared."""
        same: list[Holder] = []
        keyed: list[Holder] = []
        claims: dict[bytes, Held] = {}
        wanted = {claim.key for claim in entry.claims}
        for row in _HOLDERS.rows(self._db, sorted(candidates)):
            reference, fingerprint, idempotency, packed, received_ms, word, slug, released, members = row
            outcome = None if word is None else _OUTCOMES[word]
            reason = None if slug is None else _REASONS[slug]
            holder = Holder(reference, fingerprint or b"", received_ms, outcome, reason, bool(members))
            if fingerprint is not None:
                if fingerprint == entry.fingerprint:
                    same.append(holder)
                if idempotency is not None and idempotency == entry.idempotency:
                    keyed.append(holder)
            # Of several rows with one claim at most one holds it; the others gave it back or their time is over.
            if outcome is None or holds(outcome, release=bool(released)):
                for held in unpack_claims(packed):
                    if held.key in wanted and (outcome is None or held.until_ms > now_ms):
                        claims[held.key] = Held(holder, held.rule, held.until_ms)
        meeting = decide(entry, Found(same, keyed, claims), now_ms)
        if meeting.met is Met.REPLAY:
            meeting = replace(meeting, sealed=Stored(*self._db.execute(_KEPT, (meeting.reference,)).fetchone()))
        return meeting

    # --- finish --------------------------------------------------------------------------------

    def finish(self, finishes: Sequence[Finish], now_ms: int) -> list[bool]:
        """Whether each of them (none is late) was open and is settled now."""
        references = [finish.settlement.reference for finish in finishes]
        open_rows = {row[0]: row for row in _OPEN.rows(self._db, references)}
        results: list[bool] = []
        closed: list[tuple[str]] = []
        settlements: list[Row] = []
        answers: list[Row] = []
        for finish in finishes:
            it = finish.settlement
            row = open_rows.pop(it.reference, None)
            results.append(row is not None)
            if row is None:
                continue
            _, id, erased = row
            closed.append((it.reference,))
            settlements.append(
                (id, now_ms, it.delivery.value, it.outcome.value, it.reason.slug, it.rule, it.failure,
                 it.upstream_status, 1 if it.release else None)
            )  # fmt: skip
            if not erased and (finish.members or finish.answer):
                answers.append((id, finish.members, finish.answer))
        if closed:
            self._db.executemany(CLOSE, closed)
            self._db.executemany(INSERT_SETTLEMENT, settlements)
            if answers:
                self._db.executemany(INSERT_ANSWER, answers)
        return results


class _NewRows:
    """Rows of leads that begin, gathered for one statement a table."""

    __slots__ = ("_bodies", "_marks", "_open", "_submissions")

    def __init__(self) -> None:
        self._submissions: list[Row] = []
        self._open: list[Row] = []
        self._bodies: list[Row] = []
        self._marks: list[Row] = []

    def add(self, id: int, begin: Begin, now_ms: int) -> None:
        entry = begin.entry
        reference, received_ms, content_type = entry.reference, entry.received_ms, entry.content_type
        replay_ms, known_ms = entry.replay_ms, entry.unknown_hold_ms
        if entry.idempotency is not None and entry.idempotency_ms > replay_ms:
            replay_ms = entry.idempotency_ms
        if replay_ms > known_ms:
            known_ms = replay_ms
        expires_ms = received_ms + known_ms
        claims = None
        if entry.claims:
            claims = pack_claims(entry.claims, now_ms)
            for claim in entry.claims:
                if now_ms + claim.window_ms < expires_ms:
                    expires_ms = now_ms + claim.window_ms
        if not content_type.isascii():
            content_type = text(content_type)
        self._submissions.append(
            (id, reference, received_ms, entry.fingerprint, entry.idempotency, claims, received_ms + replay_ms,
             received_ms + known_ms, expires_ms, entry.program, entry.partner, content_type, None)
        )  # fmt: skip
        self._open.append((reference, id, begin.owner))
        self._bodies.append((id, begin.key.key_id, begin.key.wrapped, begin.body))
        if entry.index:
            self._marks.append((id, pack_hashes(entry.index)))

    def insert(self, db: sqlite3.Connection) -> None:
        """Write what was gathered."""
        if not self._submissions:
            return
        db.executemany(INSERT_SUBMISSION, self._submissions)
        db.executemany(_INSERT_OPEN, self._open)
        db.executemany(INSERT_BODY, self._bodies)
        if self._marks:
            db.executemany(INSERT_MARKS, self._marks)
        for rows in (self._submissions, self._open, self._bodies, self._marks):
            rows.clear()


def _keys(entry: Entry) -> list[int]:
    keys = [short(entry.fingerprint)]
    for claim in entry.claims:
        keys.append(short(claim.key))  # noqa: PERF401 (one or two, and a list of its own costs more)
    if entry.idempotency is not None:
        keys.append(short(entry.idempotency))
    return keys


def text(words: str) -> str:
    """A text as SQLite takes it: what is not Unicode (a header may hold anything) is replaced."""
    return words.encode("utf-8", "replace").decode()
