//! The checkpoint on `SQLite`, and the pool that the read models share.

use std::str::FromStr;
use std::time::Duration;

use domain::envelope::Position;
use domain::ports::PortError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::checkpoint::{Identity, Stored, from_column, to_column, unreachable_as};

/// Connections of the read models to one file.
const CONNECTIONS_MAX: u32 = 4;
/// How long a transaction waits for the file's one writer, which may itself wait for a busy disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the event store's database file for the read models, under connections of their own.
///
/// The rows can be rebuilt, so a commit need not reach the disk before the next checkpoint of the
/// write-ahead log (`synchronous=NORMAL`); rows and checkpoint stay together all the same.
///
/// # Errors
/// The file does not exist or is no database.
pub async fn open(url: &str) -> Result<SqlitePool, PortError> {
    let unavailable = unreachable_as("read models");
    let options = SqliteConnectOptions::from_str(url)
        .map_err(unavailable)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .connect_with(options)
        .await
        .map_err(unavailable)
}

/// Begins a transaction that writes: it waits for the file's one writer now, so that what it reads
/// stays true until it commits.
///
/// # Errors
/// The file is busy for too long.
pub async fn begin(
    pool: &SqlitePool,
    identity: &Identity,
) -> Result<Transaction<'static, Sqlite>, PortError> {
    pool.begin_with("BEGIN IMMEDIATE").await.map_err(unreachable_as(identity.name))
}

/// The checkpoint as readers see it.
///
/// # Errors
/// The database cannot be reached.
pub async fn checkpoint(pool: &SqlitePool, identity: &Identity) -> Result<Position, PortError> {
    let position = sqlx::query_scalar("SELECT position FROM projection_checkpoint WHERE name = $1")
        .bind(&identity.row)
        .fetch_optional(pool)
        .await
        .map_err(unreachable_as(identity.name))?;
    position.map_or(Ok(Position::START), from_column)
}

/// The checkpoint inside a transaction that [`begin`] began.
///
/// # Errors
/// The database cannot be reached, or another fold wrote the rows.
pub async fn locked(
    transaction: &mut SqliteConnection,
    identity: &Identity,
) -> Result<Position, PortError> {
    first(&mut *transaction, identity).await?;
    let stored: Stored = sqlx::query_as(
        "SELECT position, version, fingerprint FROM projection_checkpoint
         WHERE name = $1",
    )
    .bind(&identity.row)
    .fetch_one(transaction)
    .await
    .map_err(unreachable_as(identity.name))?;
    identity.position_in(&stored)
}

/// The checkpoint of rows that nothing was applied to yet: before the first event.
///
/// # Errors
/// The database cannot be reached.
pub async fn first(
    transaction: &mut SqliteConnection,
    identity: &Identity,
) -> Result<(), PortError> {
    sqlx::query(
        "INSERT INTO projection_checkpoint (name, version, position, fingerprint)
         VALUES ($1, $2, 0, $3) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&identity.row)
    .bind(identity.version)
    .bind(identity.fingerprint.as_str())
    .execute(transaction)
    .await
    .map(drop)
    .map_err(unreachable_as(identity.name))
}

/// Moves the checkpoint by compare-and-set.
///
/// # Errors
/// The database cannot be reached, or the checkpoint is elsewhere.
pub async fn advance(
    transaction: &mut SqliteConnection,
    identity: &Identity,
    from: Position,
    to: Position,
) -> Result<(), PortError> {
    let moved = sqlx::query(
        "UPDATE projection_checkpoint SET position = $3 WHERE name = $1 AND position = $2",
    )
    .bind(&identity.row)
    .bind(to_column(from)?)
    .bind(to_column(to)?)
    .execute(transaction)
    .await
    .map_err(unreachable_as(identity.name))?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(identity.moved()) }
}
