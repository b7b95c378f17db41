-- The log. The columns of postgres-es come first, so that its stock repository reads and writes it.
-- json, not jsonb: the bytes of a payload are kept as they were written.
CREATE TABLE events (
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    -- dense and in commit order (docs/ARCHITECTURE.md); 1 is the first
    position       bigint                       NOT NULL,
    event_id       uuid                         NOT NULL DEFAULT gen_random_uuid(),
    -- the unit of order: a spotlight, else a broadcast
    stream_key     uuid                         NOT NULL,
    -- the position of the previous event with the same key; 0 for the first
    prev           bigint                       NOT NULL,
    recorded_at    timestamptz                  NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence),
    CONSTRAINT events_position_unique UNIQUE (position),
    CONSTRAINT events_event_id_unique UNIQUE (event_id)
);
CREATE INDEX events_by_key ON events (stream_key, position);

-- The last position of each key; changed only under the lock of positions.
CREATE TABLE stream_heads (
    stream_key    uuid   PRIMARY KEY,
    last_position bigint NOT NULL
) WITH (fillfactor = 50);

-- Every append takes this lock last and keeps it until it has committed, so that positions become
-- visible in their order.
CREATE FUNCTION es_lock_positions() RETURNS void LANGUAGE sql AS
$$ SELECT pg_advisory_xact_lock(7308895158) $$;

-- Lock and max() are statements of their own: a statement's snapshot is taken before it waits for
-- a lock.
CREATE FUNCTION es_next_position() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    following bigint;
BEGIN
    PERFORM es_lock_positions();
    SELECT coalesce(max(position), 0) + 1 INTO following FROM events;
    RETURN following;
END $$;
ALTER TABLE events ALTER COLUMN position SET DEFAULT es_next_position();

-- Rows of the stock repository come without key and chain; ours come with both and skip this.
CREATE FUNCTION es_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    body json;
BEGIN
    IF NEW.stream_key IS NULL THEN
        SELECT stream_key INTO NEW.stream_key FROM events
         WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id
         ORDER BY sequence LIMIT 1;
    END IF;
    IF NEW.stream_key IS NULL THEN
        SELECT value INTO body FROM json_each(NEW.payload) LIMIT 1;
        NEW.stream_key := coalesce(body ->> 'spotlight_id', body ->> 'broadcast_id')::uuid;
    END IF;
    SELECT coalesce(max(last_position), 0) INTO NEW.prev
      FROM stream_heads WHERE stream_key = NEW.stream_key;
    INSERT INTO stream_heads (stream_key, last_position) VALUES (NEW.stream_key, NEW.position)
    ON CONFLICT (stream_key) DO UPDATE SET last_position = EXCLUDED.last_position;
    PERFORM pg_notify('onair_events', NEW.position::text);
    RETURN NEW;
END $$;
CREATE TRIGGER events_chain BEFORE INSERT ON events
    FOR EACH ROW WHEN (NEW.prev IS NULL) EXECUTE FUNCTION es_chain();
