-- The journal in one SQLite file. Rows are only ever appended on the way of a lead, each table in the order of its id,
-- so that a commit of many leads dirties few pages; a second commit adds a settlement instead of changing a row.

-- One row a submission, kept longest. No plain value of a lead: hashes are keyed.
CREATE TABLE submissions (
  id INTEGER PRIMARY KEY,          -- given by the store, ascending; never given twice
  reference TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  fingerprint BLOB,                -- NULL: refused, or its time is over
  idempotency BLOB,
  claims BLOB,                     -- packed (rule, key, until); NULL when none is left
  replay_until_ms INTEGER,         -- a settled answer may be met until then, by fingerprint or idempotency key
  known_until_ms INTEGER,          -- an unknown outcome may be met until then: what this row knows is cleared after it
  expires_ms INTEGER,              -- the earliest time at which one of the hashes above is to be cleared
  program TEXT NOT NULL,
  partner TEXT NOT NULL,
  content_type TEXT NOT NULL,
  faults TEXT,                     -- JSON list of field=kind
  erased INTEGER                   -- 1 once erased
);
CREATE UNIQUE INDEX submissions_reference ON submissions (reference);
CREATE INDEX submissions_received ON submissions (received_ms);
CREATE INDEX submissions_expires ON submissions (expires_ms) WHERE expires_ms IS NOT NULL;
-- Those that hold nothing any more, so that a row may go once it is old enough; a lead that begins is not among them.
CREATE INDEX submissions_idle ON submissions (received_ms) WHERE expires_ms IS NULL;

-- Begun and not settled; small. An erased one takes its settlement without members and answer.
CREATE TABLE open_submissions (
  reference TEXT PRIMARY KEY,
  id INTEGER NOT NULL,
  owner TEXT NOT NULL,
  erased INTEGER
) WITHOUT ROWID;

CREATE TABLE owners (
  owner TEXT PRIMARY KEY,
  until_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- How a submission ended; id is the submission's.
CREATE TABLE settlements (
  id INTEGER PRIMARY KEY,
  settled_ms INTEGER NOT NULL,
  delivery TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  first_reason TEXT,               -- NULL: reason has not changed
  rule TEXT NOT NULL,
  failure TEXT NOT NULL,
  upstream_status INTEGER NOT NULL,
  released INTEGER,                -- 1: a rule gave the claims back
  late_ms INTEGER,                 -- when an unknown outcome was settled after all
  by_hand INTEGER
);
CREATE INDEX settlements_unknown ON settlements (id) WHERE outcome = 'unknown';
CREATE INDEX settlements_late ON settlements (id) WHERE late_ms IS NOT NULL;

-- What is sealed, and the record's key that opens it (wrapped; key_id says by which key of the ring). A row is there
-- as long as there is something to open. Backups keep the keys in a file of their own.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, key_id TEXT NOT NULL, wrapped BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE answers (id INTEGER PRIMARY KEY, members BLOB NOT NULL, answer BLOB NOT NULL);

-- Index hashes, packed; read from end to end for a search or an erasure, so that no lead pays for an index.
CREATE TABLE marks (id INTEGER PRIMARY KEY, hashes BLOB NOT NULL);

-- From the first eight bytes of a fingerprint, idempotency key or claim key to submissions; filled in sorted runs
-- behind the leads (see sqlite/finding.py). What it leads to is compared with the submission's own hashes.
CREATE TABLE hashes (hash INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (hash, id)) WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  reference TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  action TEXT NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL
);
CREATE INDEX audit_reference ON audit (reference);

CREATE TABLE remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Numbers of the store's own: indexed_to (hashes covers all ids up to it), given_to (ids up to it are used),
-- high_water_ms (the latest time seen).
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('indexed_to', 0), ('given_to', 0), ('high_water_ms', 0);
