-- The keys of personal parts (docs/adr/0007-shredding.md): 32 bytes for each event of a batch, in
-- their order; zeros where an event has nothing personal, or its key was destroyed. What follows
-- the last key of a batch is left out.
CREATE TABLE personal_keys (
    first_position bigint PRIMARY KEY,
    keys           bytea  NOT NULL
);
-- random bytes do not compress, and one key is read without the others
ALTER TABLE personal_keys ALTER COLUMN keys SET STORAGE EXTERNAL;

-- Who had whose keys destroyed, and why. The subject is a pseudonym.
CREATE TABLE shreddings (
    number   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller   text        NOT NULL,
    subject  text        NOT NULL,
    at       timestamptz NOT NULL,
    author   text        NOT NULL,
    ticket   text        NOT NULL,
    reason   text        NOT NULL,
    -- how many keys, and where the log ended
    keys     bigint      NOT NULL,
    head     bigint      NOT NULL
);
CREATE INDEX shreddings_subject ON shreddings (seller, subject);

-- onair_append, with the keys of the batch in the same transaction: none, or one list of them.
CREATE FUNCTION onair_append_sealed(
    f_topic text[], f_partition int[], f_epoch bigint[], f_first bigint[], f_next bigint[],
    l_spotlight uuid[], l_sku text[], l_lim bigint[], l_held bigint[], l_confirmed bigint[],
    u_spotlight uuid[], u_viewer text[], u_delta bigint[], u_lim bigint[],
    p_topic text[], p_partition int[], p_offset bigint[], p_sequence text[], p_value bytea[],
    p_error text[], p_parked_at timestamptz[], p_deadline timestamptz[],
    s_type text[], s_id text[], s_sequence bigint[],
    k_key uuid[], k_last bigint[],
    e_type text[], e_id text[], e_sequence bigint[], e_event_type text[], e_version text[],
    e_payload text[], e_metadata text[], e_event_id uuid[], e_key int[], e_prev bigint[],
    i_command uuid[], i_key uuid[], i_topic text[], i_partition int[], i_offset bigint[],
    i_outcome text[],
    y_keys bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    last bigint;
BEGIN
    last := onair_append(
        f_topic, f_partition, f_epoch, f_first, f_next, l_spotlight, l_sku, l_lim, l_held,
        l_confirmed, u_spotlight, u_viewer, u_delta, u_lim, p_topic, p_partition, p_offset,
        p_sequence, p_value, p_error, p_parked_at, p_deadline, s_type, s_id, s_sequence, k_key,
        k_last, e_type, e_id, e_sequence, e_event_type, e_version, e_payload, e_metadata,
        e_event_id, e_key, e_prev, i_command, i_key, i_topic, i_partition, i_offset, i_outcome);
    IF cardinality(y_keys) > 0 THEN
        INSERT INTO personal_keys (first_position, keys)
        VALUES (last - cardinality(e_type) + 1, y_keys[1]);
    END IF;
    RETURN last;
END $$;
