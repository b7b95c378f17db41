-- The same tables as on PostgreSQL (migrations/postgres/0050_personal_keys.sql says what they are for).
CREATE TABLE personal_keys (
    first_position INTEGER PRIMARY KEY,
    keys           BLOB    NOT NULL
) STRICT;

CREATE TABLE shreddings (
    number   INTEGER PRIMARY KEY,
    seller   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    author   TEXT    NOT NULL,
    ticket   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    keys     INTEGER NOT NULL,
    head     INTEGER NOT NULL
) STRICT;
CREATE INDEX shreddings_subject ON shreddings (seller, subject);
