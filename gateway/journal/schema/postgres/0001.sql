-- The journal, version 1. All hashes are keyed, all of body, members, answer and wrapped is sealed: nothing here can
-- be read without the gateway's keys. Times are POSIX milliseconds of this server's clock.
--
-- The hot path writes rows and never changes them: a submission when it begins, its outcome when it ends. "Open" is a
-- row in open_submissions, which the two commits make and take away; taking it away is what one of several finishers
-- (the owner, recovery, a late answer) can do only once.

-- The clock of all decisions; not now(), which stands still while a transaction waits for its locks.
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE submissions (
  reference text COLLATE "C" NOT NULL PRIMARY KEY,
  received_ms bigint NOT NULL,
  erased boolean NOT NULL DEFAULT false,
  program text NOT NULL,
  partner text NOT NULL,
  expires_ms bigint,                         -- when the next two, or then its claims, mean nothing any more; NULL: done
  fingerprint bytea,                         -- NULL: refused by the gateway, or forgotten
  idempotency bytea,
  content_type text NOT NULL,
  faults text NOT NULL,                      -- field=kind, one a line
  body bytea
);
-- What is sealed does not compress; trying costs time.
ALTER TABLE submissions ALTER COLUMN body SET STORAGE EXTERNAL;
-- Newest first: of many rows of one lead only the last few can matter (statements.py says why).
CREATE INDEX submissions_fingerprint ON submissions (fingerprint, received_ms) WHERE fingerprint IS NOT NULL;
CREATE INDEX submissions_idempotency ON submissions (idempotency, received_ms) WHERE idempotency IS NOT NULL;
CREATE INDEX submissions_expires ON submissions (expires_ms) WHERE expires_ms IS NOT NULL;
-- What a purge may take, in the order in which it takes it: else it would step over all that has to stay.
CREATE INDEX submissions_idle ON submissions (received_ms) WHERE expires_ms IS NULL;
CREATE INDEX submissions_received ON submissions (received_ms);

CREATE TABLE open_submissions (
  reference text COLLATE "C" NOT NULL PRIMARY KEY,
  owner text NOT NULL,
  fingerprint bytea NOT NULL,
  erased boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE TABLE outcomes (
  reference text COLLATE "C" NOT NULL PRIMARY KEY,
  settled_ms bigint NOT NULL,
  late_ms bigint NOT NULL DEFAULT 0,
  upstream_status integer NOT NULL DEFAULT 0,
  kept boolean NOT NULL,        -- sealed content, its key or index hashes are still there
  by_hand boolean NOT NULL DEFAULT false,
  delivery text NOT NULL,
  outcome text NOT NULL,
  reason text NOT NULL,
  first_reason text NOT NULL,
  rule text NOT NULL DEFAULT '',
  failure text NOT NULL DEFAULT '',
  held bytea,                   -- the fingerprint while the outcome is unknown: it holds the whole lead
  members bytea,
  answer bytea
);
ALTER TABLE outcomes ALTER COLUMN members SET STORAGE EXTERNAL, ALTER COLUMN answer SET STORAGE EXTERNAL;
CREATE INDEX outcomes_held ON outcomes (held) WHERE held IS NOT NULL;
CREATE INDEX outcomes_kept ON outcomes (greatest(settled_ms, late_ms)) WHERE kept AND outcome <> 'unknown';

CREATE TABLE claims (
  key bytea NOT NULL PRIMARY KEY,
  until_ms bigint NOT NULL,
  reference text COLLATE "C" NOT NULL,
  rule text NOT NULL
);
CREATE INDEX claims_reference ON claims (reference);
CREATE INDEX claims_until ON claims (until_ms);

-- Apart from what they open, so that a backup of the rows can be made without them: docs/journal.md.
CREATE TABLE record_keys (
  reference text COLLATE "C" NOT NULL PRIMARY KEY,
  key_id text NOT NULL,
  wrapped bytea NOT NULL
);

CREATE TABLE index_hashes (
  hash bytea NOT NULL,
  reference text COLLATE "C" NOT NULL,
  PRIMARY KEY (hash, reference)
);
CREATE INDEX index_hashes_reference ON index_hashes (reference);

CREATE TABLE owners (
  owner text NOT NULL PRIMARY KEY,
  until_ms bigint NOT NULL
);

CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reference text COLLATE "C" NOT NULL,
  at_ms bigint NOT NULL,
  action text NOT NULL,
  who text NOT NULL,
  why text NOT NULL
);
CREATE INDEX audit_reference ON audit (reference);

CREATE TABLE remembered (
  name text NOT NULL PRIMARY KEY,
  value text NOT NULL
);

-- Which of its transactions a store last committed. A store that lost the server's answer to a COMMIT looks here:
-- the row is locked from that transaction's first statement on, so it is read when the transaction has ended.
CREATE TABLE writers (
  writer text NOT NULL PRIMARY KEY,
  batch bigint NOT NULL,
  seen_ms bigint NOT NULL
);
