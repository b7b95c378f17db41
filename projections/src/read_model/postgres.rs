//! The checkpoint on `PostgreSQL`.

use domain::envelope::Position;
use domain::ports::PortError;
use sqlx::{PgConnection, PgPool};

use super::checkpoint::{Identity, Stored, from_column, to_column, unreachable_as};

/// The checkpoint as readers see it.
///
/// # Errors
/// The database cannot be reached.
pub async fn checkpoint(pool: &PgPool, identity: &Identity) -> Result<Position, PortError> {
    let position = sqlx::query_scalar("SELECT position FROM projection_checkpoint WHERE name = $1")
        .bind(&identity.row)
        .fetch_optional(pool)
        .await
        .map_err(unreachable_as(identity.name))?;
    position.map_or(Ok(Position::START), from_column)
}

/// Locks the checkpoint until the transaction ends: of two projectors one waits, and then sees
/// where the other has come to.
///
/// # Errors
/// The database cannot be reached, or another fold wrote the rows.
pub async fn lock(
    transaction: &mut PgConnection,
    identity: &Identity,
) -> Result<Position, PortError> {
    first(&mut *transaction, identity).await?;
    let stored: Stored = sqlx::query_as(
        "SELECT position, version, fingerprint FROM projection_checkpoint
         WHERE name = $1 FOR UPDATE",
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
pub async fn first(transaction: &mut PgConnection, identity: &Identity) -> Result<(), PortError> {
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
    transaction: &mut PgConnection,
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
