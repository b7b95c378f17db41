-- The same tables as on PostgreSQL (migrations/postgres/0002_writer.sql says what they are for).
CREATE TABLE ingest_offsets (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER,
    epoch       INTEGER NOT NULL,
    owner       TEXT    NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    command_id BLOB    PRIMARY KEY,
    stream_key BLOB    NOT NULL,
    topic      TEXT    NOT NULL,
    partition  INTEGER NOT NULL,
    "offset"   INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE parked (
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    "offset"  INTEGER NOT NULL,
    sequence  TEXT    NOT NULL,
    value     BLOB    NOT NULL,
    error     TEXT    NOT NULL,
    parked_at INTEGER NOT NULL,
    deadline  INTEGER NOT NULL,
    settled   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition, "offset")
) STRICT;
CREATE INDEX parked_by_sequence ON parked (sequence) WHERE settled = 0;
CREATE INDEX parked_by_deadline ON parked (deadline) WHERE settled = 0;

CREATE TABLE stock_ledger (
    spotlight_id BLOB    NOT NULL,
    sku          TEXT    NOT NULL,
    lim          INTEGER NOT NULL,
    held         INTEGER NOT NULL,
    confirmed    INTEGER NOT NULL,
    PRIMARY KEY (spotlight_id, sku),
    CONSTRAINT stock_ledger_sound CHECK (held >= 0 AND confirmed >= 0 AND held + confirmed <= lim)
) STRICT, WITHOUT ROWID;

CREATE TABLE viewer_units (
    spotlight_id BLOB    NOT NULL,
    viewer_ref   TEXT    NOT NULL,
    units        INTEGER NOT NULL,
    lim          INTEGER,
    PRIMARY KEY (spotlight_id, viewer_ref),
    CONSTRAINT viewer_units_within CHECK (units >= 0 AND (lim IS NULL OR units <= lim))
) STRICT, WITHOUT ROWID;

CREATE TABLE role_leases (
    role       TEXT    PRIMARY KEY,
    owner      TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    position   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
