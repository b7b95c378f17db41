-- The log; the same columns as on PostgreSQL. Times are microseconds since 1970.
CREATE TABLE events (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 0),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    position       INTEGER PRIMARY KEY,
    event_id       BLOB    NOT NULL UNIQUE,
    stream_key     BLOB    NOT NULL,
    prev           INTEGER NOT NULL,
    recorded_at    INTEGER NOT NULL,
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;
CREATE INDEX events_by_key ON events (stream_key, position);

CREATE TABLE stream_heads (
    stream_key    BLOB    PRIMARY KEY,
    last_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
