//! The raw insert: the same rows into a table with the same columns and indexes, one UNNEST and one
//! commit per batch.

use std::time::{Duration, Instant};

use commands::writer::BATCH_COMMANDS_MAX;
use domain::Timestamp;
use domain::envelope::Position;
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use crate::bench::BenchError;

/// Events of one order as it is placed.
const EVENTS_PER_ORDER: usize = 3;

const COLUMNS: &str = "aggregate_type, aggregate_id, sequence, event_type, event_version, \
    payload::text, metadata::text, position, event_id, stream_key, prev, recorded_at";

const INSERT: &str = "INSERT INTO raw_events (aggregate_type, aggregate_id, sequence, event_type,
        event_version, payload, metadata, position, event_id, stream_key, prev, recorded_at)
    SELECT e.type, e.id, e.sequence, e.event_type, e.version, e.payload::json, e.metadata::json,
           e.position, e.event_id, e.stream_key, e.prev, e.recorded_at
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                  $7::text[], $8::bigint[], $9::uuid[], $10::uuid[], $11::bigint[],
                  $12::timestamptz[])
           AS e(type, id, sequence, event_type, version, payload, metadata, position, event_id,
                stream_key, prev, recorded_at)";

#[derive(Default)]
struct Rows {
    types: Vec<String>,
    ids: Vec<String>,
    sequences: Vec<i64>,
    event_types: Vec<String>,
    versions: Vec<String>,
    payloads: Vec<String>,
    metadata: Vec<String>,
    positions: Vec<i64>,
    event_ids: Vec<Uuid>,
    keys: Vec<Uuid>,
    prevs: Vec<i64>,
    recorded: Vec<Timestamp>,
}

/// A connection and the rows that are to be inserted next.
pub(super) struct Insert {
    connection: PgConnection,
    batches: Vec<Rows>,
}

impl Insert {
    pub(super) async fn new(mut connection: PgConnection) -> Result<Self, BenchError> {
        connection.execute("CREATE TABLE raw_events (LIKE events INCLUDING ALL)").await?;
        Ok(Self { connection, batches: vec![] })
    }

    /// Reads what was written after a position, in batches as large as the writer's.
    pub(super) async fn copy_of(&mut self, after: Position) -> Result<usize, BenchError> {
        let query = format!("SELECT {COLUMNS} FROM events WHERE position > $1 ORDER BY position");
        let after = i64::try_from(after.0).map_err(BenchError::failed)?;
        let rows = sqlx::query(&query).bind(after).fetch_all(&mut self.connection).await?;
        for batch in rows.chunks(BATCH_COMMANDS_MAX * EVENTS_PER_ORDER) {
            let mut columns = Rows::default();
            for row in batch {
                columns.types.push(row.try_get(0)?);
                columns.ids.push(row.try_get(1)?);
                columns.sequences.push(row.try_get(2)?);
                columns.event_types.push(row.try_get(3)?);
                columns.versions.push(row.try_get(4)?);
                columns.payloads.push(row.try_get(5)?);
                columns.metadata.push(row.try_get(6)?);
                columns.positions.push(row.try_get(7)?);
                columns.event_ids.push(row.try_get(8)?);
                columns.keys.push(row.try_get(9)?);
                columns.prevs.push(row.try_get(10)?);
                columns.recorded.push(row.try_get(11)?);
            }
            self.batches.push(columns);
        }
        Ok(rows.len())
    }

    /// Inserts them.
    pub(super) async fn run(&mut self) -> Result<Duration, BenchError> {
        let batches = std::mem::take(&mut self.batches);
        let began = Instant::now();
        for rows in &batches {
            sqlx::query(INSERT)
                .bind(&rows.types)
                .bind(&rows.ids)
                .bind(&rows.sequences)
                .bind(&rows.event_types)
                .bind(&rows.versions)
                .bind(&rows.payloads)
                .bind(&rows.metadata)
                .bind(&rows.positions)
                .bind(&rows.event_ids)
                .bind(&rows.keys)
                .bind(&rows.prevs)
                .bind(&rows.recorded)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(began.elapsed())
    }
}
