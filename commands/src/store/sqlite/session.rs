//! The owner's connection: one transaction per batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ports::{Clock, Fence, StoreError};
use sqlx::{Executor, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::super::changes::out_of_sequence;
use super::super::encoded::{Encoded, EncodedEvent, EncodedInbox, EncodedLedger, EncodedUnits};
use super::super::numbers::{signed, to_position};
use super::super::writer::Session;
use super::connect::{Owned, unavailable};

/// Rows of one INSERT; times its columns it stays far below the 32,766 values that SQLite takes.
const ROWS_PER_INSERT: usize = 200;
/// The primary code of every violated constraint.
const CONSTRAINT: i32 = 19;
/// Where SQLite keeps the primary code in an extended one.
const PRIMARY: i32 = 0xff;

/// The owner's connection.
pub(super) struct SqliteSession {
    pub owned: Owned,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Session for SqliteSession {
    async fn append(&mut self, batch: &Encoded) -> Result<Position, StoreError> {
        let connection = &mut self.owned.connection;
        connection.execute("BEGIN IMMEDIATE").await.map_err(not_begun)?;
        let recorded_at = self.clock.now().timestamp_micros();
        match write(connection, batch, recorded_at).await {
            Ok(last) => {
                let committed = connection.execute("COMMIT").await;
                if let Err(error) = committed {
                    roll_back(connection).await;
                    return Err(StoreError::Ambiguous(unavailable(error)));
                }
                to_position(last).map_err(StoreError::Ambiguous)
            }
            Err(error) => {
                roll_back(connection).await;
                Err(error)
            }
        }
    }
}

/// SQLite may have rolled back by itself, and then says so.
async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = connection.execute("ROLLBACK").await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

fn not_begun(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(unavailable(error))
}

/// What an error before COMMIT means. Nothing was written.
fn refused(error: sqlx::Error) -> StoreError {
    let violated = error.as_database_error().is_some_and(|error| {
        let code = error.code().and_then(|code| code.parse::<i32>().ok());
        code.is_some_and(|code| code & PRIMARY == CONSTRAINT)
    });
    if violated {
        StoreError::Conflict(error.to_string())
    } else {
        StoreError::Unavailable(unavailable(error))
    }
}

async fn write(
    connection: &mut SqliteConnection,
    batch: &Encoded,
    recorded_at: i64,
) -> Result<i64, StoreError> {
    for fence in &batch.fences {
        move_fence(connection, fence).await?;
    }
    for change in &batch.ledger {
        change_ledger(connection, change).await.map_err(refused)?;
    }
    for change in &batch.units {
        change_units(connection, change).await.map_err(refused)?;
    }
    for command in &batch.parked {
        sqlx::query(
            "INSERT INTO parked
                 (topic, partition, \"offset\", sequence, value, error, parked_at, deadline)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(&command.topic)
        .bind(command.partition)
        .bind(command.offset)
        .bind(&command.sequence)
        .bind(&command.value)
        .bind(&command.error)
        .bind(command.parked_at.timestamp_micros())
        .bind(command.deadline.timestamp_micros())
        .execute(&mut *connection)
        .await
        .map_err(refused)?;
    }
    for event in batch.events.iter().filter(|event| event.leads && event.sequence > 1) {
        check_follows(connection, event).await?;
    }
    let last = write_events(connection, batch, recorded_at).await.map_err(refused)?;
    if let Some(keys) = &batch.personal_keys {
        let events = i64::try_from(batch.events.len()).unwrap_or(i64::MAX);
        sqlx::query("INSERT INTO personal_keys (first_position, keys) VALUES (?1, ?2)")
            .bind(last - events + 1)
            .bind(keys)
            .execute(&mut *connection)
            .await
            .map_err(refused)?;
    }
    for entry in &batch.inbox {
        write_outcome(connection, entry).await.map_err(refused)?;
    }
    Ok(if batch.events.is_empty() { 0 } else { last })
}

async fn move_fence(connection: &mut SqliteConnection, fence: &Fence) -> Result<(), StoreError> {
    let moved = sqlx::query(
        "UPDATE ingest_offsets SET next_offset = ?5
         WHERE topic = ?1 AND partition = ?2 AND epoch = ?3 AND next_offset IS ?4",
    )
    .bind(&fence.topic)
    .bind(fence.partition)
    .bind(signed(fence.epoch))
    .bind(fence.first_offset)
    .bind(fence.next_offset)
    .execute(connection)
    .await
    .map_err(refused)?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced) }
}

async fn change_ledger(
    connection: &mut SqliteConnection,
    change: &EncodedLedger,
) -> Result<(), sqlx::Error> {
    // not ON CONFLICT: its INSERT is checked first, and what is given back alone is below zero
    let update = "UPDATE stock_ledger
                  SET lim = lim + ?3, held = held + ?4, confirmed = confirmed + ?5
                  WHERE spotlight_id = ?1 AND sku = ?2";
    let insert = "INSERT INTO stock_ledger (spotlight_id, sku, lim, held, confirmed)
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    for statement in [update, insert] {
        let done = sqlx::query(statement)
            .bind(change.spotlight)
            .bind(&change.sku)
            .bind(change.limit)
            .bind(change.held)
            .bind(change.confirmed)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 1 {
            break;
        }
    }
    Ok(())
}

async fn change_units(
    connection: &mut SqliteConnection,
    change: &EncodedUnits,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE viewer_units SET units = units + ?3, lim = ?4
                  WHERE spotlight_id = ?1 AND viewer_ref = ?2";
    let insert = "INSERT INTO viewer_units (spotlight_id, viewer_ref, units, lim)
                  VALUES (?1, ?2, ?3, ?4)";
    for statement in [update, insert] {
        let done = sqlx::query(statement)
            .bind(change.spotlight)
            .bind(&change.viewer)
            .bind(change.delta)
            .bind(change.limit)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 1 {
            break;
        }
    }
    Ok(())
}

async fn check_follows(
    connection: &mut SqliteConnection,
    event: &EncodedEvent,
) -> Result<(), StoreError> {
    let before: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = ?3 - 1",
    )
    .bind(event.aggregate_type)
    .bind(&event.aggregate_id)
    .bind(event.sequence)
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    before.map(|_| ()).ok_or_else(|| {
        let sequence = u64::try_from(event.sequence).unwrap_or(0);
        out_of_sequence(sequence, &event.aggregate_id)
    })
}

/// Inserts the events at the next positions; returns the last position.
async fn write_events(
    connection: &mut SqliteConnection,
    batch: &Encoded,
    recorded_at: i64,
) -> Result<i64, sqlx::Error> {
    let base: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
        .fetch_one(&mut *connection)
        .await?;
    let mut heads: BTreeMap<Uuid, i64> = BTreeMap::new();
    for key in &batch.keys {
        heads.insert(key.key, key_head(connection, key.key).await?);
        sqlx::query(
            "INSERT INTO stream_heads (stream_key, last_position) VALUES (?1, ?2)
             ON CONFLICT (stream_key) DO UPDATE SET last_position = excluded.last_position",
        )
        .bind(key.key)
        .bind(base + key.last)
        .execute(&mut *connection)
        .await?;
    }
    let mut position = base;
    for events in batch.events.chunks(ROWS_PER_INSERT) {
        let mut insert: QueryBuilder<'_, Sqlite> = QueryBuilder::new(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
             event_version, payload, metadata, position, event_id, stream_key, prev, recorded_at) ",
        );
        insert.push_values(events, |mut row, event| {
            position += 1;
            let index = usize::try_from(event.key - 1).unwrap_or(usize::MAX);
            let key = batch.keys.get(index).map_or(Uuid::nil(), |key| key.key);
            let prev = match event.previous {
                0 => heads.get(&key).copied().unwrap_or(0),
                place => base + place,
            };
            row.push_bind(event.aggregate_type)
                .push_bind(&event.aggregate_id)
                .push_bind(event.sequence)
                .push_bind(&event.event_type)
                .push_bind(&event.event_version)
                .push_bind(&event.payload)
                .push_bind(&event.metadata)
                .push_bind(position)
                .push_bind(event.event_id)
                .push_bind(key)
                .push_bind(prev)
                .push_bind(recorded_at);
        });
        // only the full INSERT is worth being kept prepared
        let full = events.len() == ROWS_PER_INSERT;
        insert.build().persistent(full).execute(&mut *connection).await?;
    }
    Ok(position)
}

async fn key_head(connection: &mut SqliteConnection, key: Uuid) -> Result<i64, sqlx::Error> {
    let head = sqlx::query_scalar("SELECT last_position FROM stream_heads WHERE stream_key = ?1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    Ok(head.unwrap_or(0))
}

async fn write_outcome(
    connection: &mut SqliteConnection,
    entry: &EncodedInbox,
) -> Result<(), sqlx::Error> {
    let position = key_head(connection, entry.key).await?;
    sqlx::query(
        "INSERT INTO inbox (command_id, stream_key, topic, partition, \"offset\", outcome, position)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(entry.command)
    .bind(entry.key)
    .bind(&entry.topic)
    .bind(entry.partition)
    .bind(entry.offset)
    .bind(&entry.outcome)
    .bind(position)
    .execute(connection)
    .await
    .map(|_| ())
}
