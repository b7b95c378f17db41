-- One batch of a writer in one round trip. Arrays of one prefix are columns of one list:
-- f fences, l ledger, u units, p parked commands, s streams that go on, k keys, e events, i inbox.
-- OA001: another writer owns the partition. OA002: an event does not follow its stream.
CREATE FUNCTION onair_append(
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
    i_outcome text[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n       bigint;
    base    bigint;
    heads   bigint[];
    now_at  timestamptz;
BEGIN
    UPDATE ingest_offsets o SET next_offset = f.next_offset
      FROM unnest(f_topic, f_partition, f_epoch, f_first, f_next)
           AS f(topic, partition, epoch, first_offset, next_offset)
     WHERE o.topic = f.topic AND o.partition = f.partition AND o.epoch = f.epoch
       AND o.next_offset IS NOT DISTINCT FROM f.first_offset;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> cardinality(f_topic) THEN
        RAISE EXCEPTION 'fenced' USING ERRCODE = 'OA001';
    END IF;

    IF cardinality(l_sku) > 0 THEN
        UPDATE stock_ledger t
           SET lim = t.lim + d.lim, held = t.held + d.held, confirmed = t.confirmed + d.confirmed
          FROM unnest(l_spotlight, l_sku, l_lim, l_held, l_confirmed)
               AS d(spotlight_id, sku, lim, held, confirmed)
         WHERE t.spotlight_id = d.spotlight_id AND t.sku = d.sku;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n <> cardinality(l_sku) THEN
            INSERT INTO stock_ledger (spotlight_id, sku, lim, held, confirmed)
            SELECT d.* FROM unnest(l_spotlight, l_sku, l_lim, l_held, l_confirmed)
                   AS d(spotlight_id, sku, lim, held, confirmed)
             WHERE NOT EXISTS (SELECT FROM stock_ledger t
                                WHERE t.spotlight_id = d.spotlight_id AND t.sku = d.sku);
        END IF;
    END IF;

    IF cardinality(u_viewer) > 0 THEN
        UPDATE viewer_units t SET units = t.units + d.delta, lim = d.lim
          FROM unnest(u_spotlight, u_viewer, u_delta, u_lim) AS d(spotlight_id, viewer_ref, delta, lim)
         WHERE t.spotlight_id = d.spotlight_id AND t.viewer_ref = d.viewer_ref;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n <> cardinality(u_viewer) THEN
            INSERT INTO viewer_units (spotlight_id, viewer_ref, units, lim)
            SELECT d.* FROM unnest(u_spotlight, u_viewer, u_delta, u_lim)
                   AS d(spotlight_id, viewer_ref, delta, lim)
             WHERE NOT EXISTS (SELECT FROM viewer_units t
                                WHERE t.spotlight_id = d.spotlight_id AND t.viewer_ref = d.viewer_ref);
        END IF;
    END IF;

    IF cardinality(p_topic) > 0 THEN
        INSERT INTO parked
               (topic, partition, "offset", sequence, value, error, parked_at, deadline)
        SELECT * FROM unnest(p_topic, p_partition, p_offset, p_sequence, p_value, p_error,
                             p_parked_at, p_deadline);
    END IF;

    IF cardinality(s_type) > 0 THEN
        SELECT count(*) INTO n
          FROM unnest(s_type, s_id, s_sequence) AS s(type, id, sequence)
          JOIN events e ON e.aggregate_type = s.type AND e.aggregate_id = s.id
                       AND e.sequence = s.sequence - 1;
        IF n <> cardinality(s_type) THEN
            RAISE EXCEPTION 'an event does not follow its stream' USING ERRCODE = 'OA002';
        END IF;
    END IF;

    IF cardinality(e_type) = 0 AND cardinality(i_command) = 0 THEN
        RETURN 0;
    END IF;

    PERFORM es_lock_positions();
    SELECT coalesce(max(position), 0) INTO base FROM events;
    SELECT array_agg(coalesce((SELECT h.last_position FROM stream_heads h
                                WHERE h.stream_key = k.key), 0) ORDER BY k.place)
      INTO heads FROM unnest(k_key) WITH ORDINALITY AS k(key, place);
    now_at := clock_timestamp();

    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                        metadata, position, event_id, stream_key, prev, recorded_at)
    SELECT e.type, e.id, e.sequence, e.event_type, e.version, e.payload::json, e.metadata::json,
           base + e.place, e.event_id, k_key[e.key],
           CASE WHEN e.prev = 0 THEN heads[e.key] ELSE base + e.prev END, now_at
      FROM unnest(e_type, e_id, e_sequence, e_event_type, e_version, e_payload, e_metadata,
                  e_event_id, e_key, e_prev) WITH ORDINALITY
           AS e(type, id, sequence, event_type, version, payload, metadata, event_id, key, prev, place);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> cardinality(e_type) THEN
        RAISE EXCEPTION 'inserted % of % events', n, cardinality(e_type);
    END IF;

    INSERT INTO stream_heads (stream_key, last_position)
    SELECT k.key, base + k.last FROM unnest(k_key, k_last) AS k(key, last)
    ON CONFLICT (stream_key) DO UPDATE SET last_position = EXCLUDED.last_position;

    IF cardinality(i_command) > 0 THEN
        INSERT INTO inbox (command_id, stream_key, topic, partition, "offset", outcome, position)
        SELECT i.command, i.key, i.topic, i.partition, i.place, i.outcome::json,
               coalesce((SELECT h.last_position FROM stream_heads h WHERE h.stream_key = i.key), 0)
          FROM unnest(i_command, i_key, i_topic, i_partition, i_offset, i_outcome)
               AS i(command, key, topic, partition, place, outcome);
    END IF;

    IF cardinality(e_type) = 0 THEN
        RETURN 0;
    END IF;
    PERFORM pg_notify('onair_events', (base + n)::text);
    RETURN base + n;
END $$;
