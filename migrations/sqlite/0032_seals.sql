-- The same tables as on PostgreSQL (migrations/postgres/0032_seals.sql says what they are for).
CREATE TABLE seals (
    number   INTEGER PRIMARY KEY,
    seal     TEXT    NOT NULL,
    row_hash BLOB    NOT NULL
) STRICT;

CREATE TABLE seal_keys (
    key_id     TEXT    PRIMARY KEY,
    public_key TEXT    NOT NULL,
    first_seal INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
