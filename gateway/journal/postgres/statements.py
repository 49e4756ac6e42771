"""What the PostgreSQL store says to its server: every statement, in SQL.

Decides how rows are found and written; schema/postgres/ says how they look. Parameters are arrays wherever a batch
may hold several operations of a kind, so that a batch costs one statement a kind and not one an operation.
"""

from __future__ import annotations

from collections.abc import Collection

# --- meeting ----------------------------------------------------------------------------------------------------

# Only the newest rows of a fingerprint or an idempotency key are looked at, since an entry begins only where no
# earlier row can be met: behind a row that can be met come only those that were begun while it was not, which is
# while it was open and replay off. What remains of those that matters is the unknown one, and it is found by `held`
# however old. So a monitor that sends the same test lead every second for a month costs no more than the first day.
_NEWEST = 10

_HOLDER = "s.reference, s.fingerprint, s.received_ms, o.outcome, o.reason, o.members, k.key_id, k.wrapped"

#: $1 fingerprints, $2 idempotency keys, $3 claim keys. Rows: kind (0 the clock, 1 same, 2 keyed, 3 claim), key,
#: reference, fingerprint, received_ms (or the clock's now), outcome (NULL: open), reason, members, key_id, wrapped,
#: rule, until_ms.
FIND = f"""
SELECT 0, NULL::bytea, '', NULL::bytea, now_ms(), NULL::text, NULL::text, NULL::bytea, NULL::text, NULL::bytea, '',
       0::bigint
UNION ALL
SELECT 1, f.key, {_HOLDER}, '', 0
FROM unnest($1::bytea[]) AS f (key)
CROSS JOIN LATERAL (SELECT reference, fingerprint, received_ms FROM submissions WHERE fingerprint = f.key
                    ORDER BY received_ms DESC LIMIT {_NEWEST}) AS s
LEFT JOIN outcomes AS o ON o.reference = s.reference
LEFT JOIN record_keys AS k ON k.reference = s.reference
UNION ALL
SELECT 1, o.held, {_HOLDER}, '', 0
FROM unnest($1::bytea[]) AS f (key)
JOIN outcomes AS o ON o.held = f.key
JOIN submissions AS s ON s.reference = o.reference
LEFT JOIN record_keys AS k ON k.reference = o.reference
WHERE o.held IS NOT NULL
UNION ALL
SELECT 2, i.key, {_HOLDER}, '', 0
FROM unnest($2::bytea[]) AS i (key)
CROSS JOIN LATERAL (SELECT reference, fingerprint, received_ms FROM submissions WHERE idempotency = i.key
                    ORDER BY received_ms DESC LIMIT {_NEWEST}) AS s
LEFT JOIN outcomes AS o ON o.reference = s.reference
LEFT JOIN record_keys AS k ON k.reference = s.reference
UNION ALL
SELECT 3, c.key, {_HOLDER}, c.rule, c.until_ms
FROM claims AS c
JOIN submissions AS s ON s.reference = c.reference
LEFT JOIN outcomes AS o ON o.reference = c.reference
LEFT JOIN record_keys AS k ON k.reference = c.reference
WHERE c.key = ANY ($3::bytea[])
"""  # noqa: S608 - made of constants

# --- the two commits --------------------------------------------------------------------------------------------

#: $1-$12 a row each, $13-$16 a claim each, $17-$18 an index hash each.
BEGIN = """
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[],
                       $8::bytea[], $9::text[], $10::text[], $11::bytea[], $12::bigint[])
    AS g (reference, received_ms, program, partner, fingerprint, idempotency, content_type, body, owner, key_id,
          wrapped, expires_ms)
), rows AS (
  INSERT INTO submissions (reference, received_ms, expires_ms, program, partner, fingerprint, idempotency,
                           content_type, faults, body)
  SELECT reference, received_ms, expires_ms, program, partner, fingerprint, idempotency, content_type, '',
         nullif(body, '')
  FROM given
), opened AS (
  INSERT INTO open_submissions (reference, owner, fingerprint) SELECT reference, owner, fingerprint FROM given
), keys AS (
  INSERT INTO record_keys (reference, key_id, wrapped) SELECT reference, key_id, wrapped FROM given
), hashes AS (
  INSERT INTO index_hashes (hash, reference) SELECT * FROM unnest($17::bytea[], $18::text[])
)
INSERT INTO claims (key, until_ms, reference, rule)
SELECT * FROM unnest($13::bytea[], $14::bigint[], $15::text[], $16::text[])
ON CONFLICT (key) DO UPDATE SET until_ms = excluded.until_ms, reference = excluded.reference, rule = excluded.rule
"""

#: $1-$9 a settlement each; $10 whether it gives its claims back -> references that were open.
FINISH = """
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[],
                       $8::bytea[], $9::bytea[], $10::boolean[])
    AS g (reference, delivery, outcome, reason, rule, failure, upstream_status, members, answer, frees)
), closed AS (
  DELETE FROM open_submissions AS o USING given AS g WHERE o.reference = g.reference
  RETURNING o.reference, o.fingerprint, o.erased
), freed AS (
  DELETE FROM claims AS c USING given AS g, closed AS d
  WHERE g.frees AND d.reference = g.reference AND c.reference = g.reference
)
INSERT INTO outcomes (reference, settled_ms, upstream_status, kept, delivery, outcome, reason, first_reason, rule,
                      failure, held, members, answer)
SELECT g.reference, now_ms(), g.upstream_status, NOT d.erased, g.delivery, g.outcome, g.reason, g.reason, g.rule,
       g.failure, CASE WHEN g.outcome = 'unknown' THEN d.fingerprint END,
       CASE WHEN NOT d.erased THEN nullif(g.members, '') END, CASE WHEN NOT d.erased THEN nullif(g.answer, '') END
FROM closed AS d JOIN given AS g ON g.reference = d.reference
RETURNING reference
"""

#: $1-$9 as FINISH, for one row -> its reference when its outcome was unknown.
FINISH_LATE = """
UPDATE outcomes AS o
SET delivery = $2, outcome = $3, reason = $4, rule = $5, failure = $6, upstream_status = $7,
    late_ms = CASE WHEN $3 = 'unknown' THEN 0 ELSE now_ms() END,
    held = CASE WHEN $3 = 'unknown' THEN o.held END,
    members = CASE WHEN NOT s.erased THEN coalesce(nullif($8::bytea, ''), o.members) END,
    answer = CASE WHEN NOT s.erased THEN coalesce(nullif($9::bytea, ''), o.answer) END
FROM submissions AS s
WHERE o.reference = $1 AND s.reference = $1 AND o.outcome = 'unknown'
RETURNING o.reference
"""

#: $1 reference.
FREE_CLAIMS = "DELETE FROM claims WHERE reference = $1"

#: $1-$11 a row each, $12-$13 an index hash each.
NOTE = """
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
                       $8::text[], $9::text[], $10::bytea[], $11::boolean[])
    AS g (reference, received_ms, program, partner, content_type, faults, body, reason, key_id, wrapped, kept)
), rows AS (
  INSERT INTO submissions (reference, received_ms, program, partner, content_type, faults, body)
  SELECT reference, received_ms, program, partner, content_type, faults, nullif(body, '') FROM given
  ON CONFLICT (reference) DO NOTHING
), keys AS (
  INSERT INTO record_keys (reference, key_id, wrapped)
  SELECT reference, key_id, wrapped FROM given WHERE key_id IS NOT NULL
  ON CONFLICT (reference) DO NOTHING
), hashes AS (
  INSERT INTO index_hashes (hash, reference) SELECT * FROM unnest($12::bytea[], $13::text[]) ON CONFLICT DO NOTHING
)
INSERT INTO outcomes (reference, settled_ms, kept, delivery, outcome, reason, first_reason)
SELECT reference, now_ms(), kept, 'not_sent', '', reason, reason FROM given
ON CONFLICT (reference) DO NOTHING
"""

# --- owners -----------------------------------------------------------------------------------------------------

BEAT = """
INSERT INTO owners (owner, until_ms) VALUES ($1, now_ms() + $2)
ON CONFLICT (owner) DO UPDATE SET until_ms = excluded.until_ms
"""

LEAVE = "UPDATE owners SET until_ms = now_ms() WHERE owner = $1"

#: $1 limit -> references. Rows that another instance is settling at this instant are left to it.
RECOVER = """
WITH dead AS MATERIALIZED (
  SELECT o.reference
  FROM open_submissions AS o LEFT JOIN owners AS w ON w.owner = o.owner
  WHERE w.owner IS NULL OR w.until_ms <= (SELECT now_ms())
  ORDER BY o.reference LIMIT $1
  FOR UPDATE OF o SKIP LOCKED
), closed AS (
  DELETE FROM open_submissions AS o USING dead AS d WHERE o.reference = d.reference
  RETURNING o.reference, o.fingerprint, o.erased
)
INSERT INTO outcomes (reference, settled_ms, kept, delivery, outcome, reason, first_reason, failure, held)
SELECT reference, now_ms(), NOT erased, 'sent', 'unknown', 'outcome_unknown', 'outcome_unknown',
       'owner_lost', fingerprint
FROM closed
RETURNING reference
"""

FORGET_OWNERS = """
DELETE FROM owners AS w
WHERE w.until_ms <= (SELECT now_ms()) AND NOT EXISTS (SELECT FROM open_submissions AS o WHERE o.owner = w.owner)
"""

# --- operators --------------------------------------------------------------------------------------------------

#: $1 reference, $2 outcome, $3 reason, $4 members -> the reference when its outcome was unknown.
SETTLE_BY_HAND = """
UPDATE outcomes AS o
SET outcome = $2, reason = $3, late_ms = now_ms(), by_hand = true, held = NULL,
    members = CASE WHEN NOT s.erased THEN coalesce(nullif($4::bytea, ''), o.members) END
FROM submissions AS s
WHERE o.reference = $1 AND s.reference = $1 AND o.outcome = 'unknown'
RETURNING o.reference
"""

#: $1 references, $2 action, $3 who, $4 why.
AUDIT = """
INSERT INTO audit (reference, at_ms, action, who, why) SELECT r, now_ms(), $2, $3, $4 FROM unnest($1::text[]) AS t (r)
"""

#: $1 hashes -> references that carry each of them.
CARRYING = """
SELECT reference FROM index_hashes WHERE hash = ANY ($1::bytea[])
GROUP BY reference HAVING count(*) = cardinality($1::bytea[])
"""

#: $1 references -> those that were not erased before.
ERASE = """
UPDATE submissions SET erased = true, body = NULL WHERE reference = ANY ($1::text[]) AND NOT erased RETURNING reference
"""

#: Before ERASE_SETTLED, and not in one statement with it: a row that is finished in between is then seen there.
ERASE_OPEN = "UPDATE open_submissions SET erased = true WHERE reference = ANY ($1::text[])"

ERASE_SETTLED = """
WITH keys AS (DELETE FROM record_keys WHERE reference = ANY ($1::text[])),
  hashes AS (DELETE FROM index_hashes WHERE reference = ANY ($1::text[]))
UPDATE outcomes SET members = NULL, answer = NULL, kept = false WHERE reference = ANY ($1::text[])
"""

COUNT_UNKNOWN = """
WITH unknown AS MATERIALIZED (SELECT reference FROM outcomes WHERE held IS NOT NULL)
SELECT s.program, count(*), min(s.received_ms)
FROM unknown AS u JOIN submissions AS s ON s.reference = u.reference
GROUP BY s.program
"""

# --- keeping ----------------------------------------------------------------------------------------------------

# (SELECT now_ms()) and not now_ms(): read once, it can be looked up in an index.

#: $1 limit -> a row each.
PURGE_CLAIMS = """
WITH old AS MATERIALIZED (
  SELECT c.key FROM claims AS c
  WHERE c.until_ms <= (SELECT now_ms())
    AND NOT EXISTS (SELECT FROM open_submissions AS o WHERE o.reference = c.reference)
  ORDER BY c.until_ms LIMIT $1 FOR UPDATE OF c SKIP LOCKED
)
DELETE FROM claims AS c USING old WHERE c.key = old.key RETURNING 1
"""

#: $1 age in ms, $2 limit -> references.
PURGE_CONTENTS = """
WITH old AS MATERIALIZED (
  SELECT reference FROM outcomes
  WHERE kept AND outcome <> 'unknown' AND greatest(settled_ms, late_ms) <= (SELECT now_ms()) - $1
  ORDER BY greatest(settled_ms, late_ms) LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE outcomes AS o SET members = NULL, answer = NULL, kept = false FROM old WHERE o.reference = old.reference
RETURNING o.reference
"""

#: $1 references.
PURGE_SEALED = """
WITH keys AS (DELETE FROM record_keys WHERE reference = ANY ($1::text[])),
  hashes AS (DELETE FROM index_hashes WHERE reference = ANY ($1::text[]))
UPDATE submissions SET body = NULL WHERE reference = ANY ($1::text[])
"""

#: $1 limit -> a row each. First fingerprint and idempotency key go; the row is idle when no claim of it holds either.
#: `+ 0`, else the highest until_ms might be looked for among the claims of all rows, from the highest down.
EXPIRE = """
WITH old AS MATERIALIZED (
  SELECT s.reference
  FROM submissions AS s JOIN outcomes AS o ON o.reference = s.reference
  WHERE s.expires_ms <= (SELECT now_ms())
  ORDER BY s.expires_ms LIMIT $1 FOR UPDATE OF s SKIP LOCKED
)
UPDATE submissions AS s
SET fingerprint = NULL, idempotency = NULL,
    expires_ms = (SELECT max(c.until_ms + 0) FROM claims AS c
                  WHERE c.reference = s.reference AND c.until_ms > (SELECT now_ms()))
FROM old WHERE s.reference = old.reference
RETURNING 1
"""

#: $1 age in ms, $2 limit -> references.
OLD_ROWS = """
SELECT s.reference
FROM submissions AS s JOIN outcomes AS o ON o.reference = s.reference
WHERE s.expires_ms IS NULL AND s.received_ms <= (SELECT now_ms()) - $1
  AND greatest(o.settled_ms, o.late_ms) <= (SELECT now_ms()) - $1
  AND o.outcome <> 'unknown'
ORDER BY s.received_ms LIMIT $2
FOR UPDATE OF o SKIP LOCKED
"""

#: $1 references. Of claims there may be some that have ended and were not purged yet.
PURGE_ROWS = """
WITH claimed AS (DELETE FROM claims WHERE reference = ANY ($1::text[])),
  keys AS (DELETE FROM record_keys WHERE reference = ANY ($1::text[])),
  hashes AS (DELETE FROM index_hashes WHERE reference = ANY ($1::text[])),
  said AS (DELETE FROM audit WHERE reference = ANY ($1::text[])),
  ended AS (DELETE FROM outcomes WHERE reference = ANY ($1::text[]))
DELETE FROM submissions WHERE reference = ANY ($1::text[])
"""

#: $1 age in ms.
PURGE_WRITERS = "DELETE FROM writers WHERE seen_ms <= (SELECT now_ms()) - $1"

#: $1 key id, $2 after, $3 limit -> reference, key_id, wrapped.
FOREIGN_KEYS = """
SELECT reference, key_id, wrapped FROM record_keys WHERE key_id <> $1 AND reference > $2 ORDER BY reference LIMIT $3
"""

#: $1 references, $2-$3 old key ids and keys, $4-$5 new ones -> a row each.
REWRAP = """
UPDATE record_keys AS k SET key_id = g.new_id, wrapped = g.new
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bytea[]) AS g (reference, old_id, old, new_id, new)
WHERE k.reference = g.reference AND k.key_id = g.old_id AND k.wrapped = g.old
RETURNING 1
"""

#: $1 reference, $2 fingerprint, $3 idempotency -> the reference.
REINDEX = """
WITH opened AS (UPDATE open_submissions SET fingerprint = $2 WHERE reference = $1),
  held AS (UPDATE outcomes SET held = $2 WHERE reference = $1 AND held IS NOT NULL)
UPDATE submissions
SET fingerprint = CASE WHEN fingerprint IS NOT NULL THEN $2::bytea END, idempotency = coalesce($3::bytea, idempotency)
WHERE reference = $1
RETURNING reference
"""

#: $1 reference, $2 old claim keys, $3 new ones.
REINDEX_CLAIMS = """
UPDATE claims AS c SET key = g.new FROM unnest($2::bytea[], $3::bytea[]) AS g (old, new)
WHERE c.key = g.old AND c.reference = $1
"""

#: $1 reference.
DROP_INDEX = "DELETE FROM index_hashes WHERE reference = $1"

#: $1 reference, $2 hashes.
ADD_INDEX = """
INSERT INTO index_hashes (hash, reference) SELECT h, $1 FROM unnest($2::bytea[]) AS t (h) ON CONFLICT DO NOTHING
"""

#: $1 name, $2 value, $3 whether it replaces -> the value that is kept.
REMEMBER = """
INSERT INTO remembered AS r (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = CASE WHEN $3 THEN excluded.value ELSE r.value END
RETURNING value
"""

# --- the store's own --------------------------------------------------------------------------------------------

NOW = "SELECT now_ms()"

#: $1 writer -> its last batch. Waits for a transaction of this writer that has not ended yet: that holds the row.
MEET_WRITER = """
INSERT INTO writers AS w (writer, batch, seen_ms) VALUES ($1, 0, now_ms())
ON CONFLICT (writer) DO UPDATE SET seen_ms = excluded.seen_ms
RETURNING w.batch
"""


#: Taken shared by every transaction that begins leads, and alone by one that begins too many to lock key by key.
_ALL_KEYS = 0x6A6F75726E616C
#: The server's table of locks has room for some thousands, for all that are connected.
_MOST_LOCKS = 256


def start(writer: str, batch: int, keys: Collection[bytes]) -> str:
    """Begin a transaction, mark it as this writer's batch, and lock its keys: in one round trip.

    Two transactions that would meet in a key come one after the other. The locks are taken in ascending order, so
    that two stores cannot wait for each other. writer is hexadecimal.
    """
    text = f"BEGIN; UPDATE writers SET batch = {batch:d}, seen_ms = now_ms() WHERE writer = '{writer}'"  # noqa: S608
    if not keys:
        return text
    if len(keys) > _MOST_LOCKS:
        return f"{text}; SELECT pg_advisory_xact_lock({_ALL_KEYS})"
    # Two keys with the same first half only wait for each other.
    locks = ",".join(map(str, sorted({int.from_bytes(key[:8], signed=True) for key in keys})))
    text += f"; SELECT pg_advisory_xact_lock_shared({_ALL_KEYS})"
    return f"{text}; SELECT pg_advisory_xact_lock(k) FROM unnest('{{{locks}}}'::bigint[]) AS t (k)"  # noqa: S608


def storable(text: str) -> str:
    """The text itself, but for what PostgreSQL's text cannot hold: NUL, and halves of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
