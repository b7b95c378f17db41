-- Where each partition of the command log stands, and who owns it.
CREATE TABLE ingest_offsets (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    -- the first offset that is not decided; null where nothing was
    next_offset bigint,
    epoch       bigint NOT NULL,
    owner       text   NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- What became of commands whose repeat is recognised by their id.
CREATE TABLE inbox (
    command_id  uuid   PRIMARY KEY,
    stream_key  uuid   NOT NULL,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    "offset"    bigint NOT NULL,
    outcome     json   NOT NULL,
    -- the last position of the key when it was decided
    position    bigint NOT NULL
);

-- Commands that could not be processed, and what followed them in their sequence.
CREATE TABLE parked (
    topic      text        NOT NULL,
    partition  int         NOT NULL,
    "offset"   bigint      NOT NULL,
    sequence   text        NOT NULL,
    value      bytea       NOT NULL,
    error      text        NOT NULL,
    parked_at  timestamptz NOT NULL,
    deadline   timestamptz NOT NULL,
    settled    boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX parked_by_sequence ON parked (sequence) WHERE NOT settled;
CREATE INDEX parked_by_deadline ON parked (deadline) WHERE NOT settled;

-- The second and last oversell check.
CREATE TABLE stock_ledger (
    spotlight_id uuid   NOT NULL,
    sku          text   NOT NULL,
    lim          bigint NOT NULL,
    held         bigint NOT NULL,
    confirmed    bigint NOT NULL,
    PRIMARY KEY (spotlight_id, sku),
    CONSTRAINT stock_ledger_sound CHECK (held >= 0 AND confirmed >= 0 AND held + confirmed <= lim)
) WITH (fillfactor = 50);

-- Units per viewer, only of spotlights that have a limit.
CREATE TABLE viewer_units (
    spotlight_id uuid   NOT NULL,
    viewer_ref   text   NOT NULL,
    units        bigint NOT NULL,
    lim          bigint,
    PRIMARY KEY (spotlight_id, viewer_ref),
    CONSTRAINT viewer_units_within CHECK (units >= 0 AND (lim IS NULL OR units <= lim))
);

-- Who runs a role that only one process may run, until when, and how far it got.
CREATE TABLE role_leases (
    role       text        PRIMARY KEY,
    owner      text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    position   bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
