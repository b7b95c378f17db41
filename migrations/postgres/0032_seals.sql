-- Blocks of the log that were sealed: the signed checkpoint as JSON (domain::seal), and the hash of
-- each row of the block, 32 bytes each, so that what was changed can be named.
CREATE TABLE seals (
    number   bigint PRIMARY KEY,
    seal     json   NOT NULL,
    row_hash bytea  NOT NULL
);

-- The public keys that ever sealed.
CREATE TABLE seal_keys (
    key_id     text   PRIMARY KEY,
    public_key text   NOT NULL,
    first_seal bigint NOT NULL
);
