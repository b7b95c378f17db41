//! The writer's connection: one transaction per batch.

use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ports::{PortError, StoreError};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};
use tokio::time::timeout;

use super::super::STORE;
use super::super::encoded::Encoded;
use super::super::numbers::to_position;
use super::super::writer::Session;
use super::columns::Columns;
use super::connect::{ANSWER, CONNECT, unavailable, writer_options};

/// Raised by `onair_append`: another writer owns the partition.
const FENCED: &str = "OA001";
/// Raised by `onair_append`: an event does not follow its stream.
const OUT_OF_SEQUENCE: &str = "OA002";
/// Classes of SQLSTATE that come again when the same is tried again: data, integrity.
const DETERMINISTIC: [&str; 2] = ["22", "23"];

/// The writer's connection; absent after it broke, until the next batch.
pub(super) struct PostgresSession {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl PostgresSession {
    pub async fn connect(url: &str) -> Result<Self, sqlx::Error> {
        let options = writer_options(url)?;
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection })
    }

    /// The connection, taken out: whatever ends early leaves none behind, and the server rolls
    /// back what it had begun.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => bounded(CONNECT, self.options.connect()).await.map_err(StoreError::Unavailable),
        }
    }
}

#[async_trait]
impl Session for PostgresSession {
    async fn append(&mut self, batch: &Encoded) -> Result<Position, StoreError> {
        let columns = Columns::of(batch);
        let mut connection = self.take().await?;
        let begun = bounded(ANSWER, connection.execute("BEGIN")).await;
        begun.map_err(StoreError::Unavailable)?;
        match timeout(ANSWER, columns.query().fetch_one(&mut connection)).await {
            Ok(Ok(last)) => {
                let committed = bounded(ANSWER, connection.execute("COMMIT")).await;
                committed.map_err(StoreError::Ambiguous)?;
                self.connection = Some(connection);
                to_position(last).map_err(StoreError::Ambiguous)
            }
            Ok(Err(sqlx::Error::Database(error))) => {
                if bounded(ANSWER, connection.execute("ROLLBACK")).await.is_ok() {
                    self.connection = Some(connection);
                }
                Err(refused(error))
            }
            Ok(Err(error)) => Err(StoreError::Unavailable(unavailable(error))),
            Err(elapsed) => Err(StoreError::Unavailable(PortError::unavailable(STORE, elapsed))),
        }
    }
}

/// What the server's *no* means. Nothing was written.
fn refused(error: Box<dyn DatabaseError>) -> StoreError {
    let code = error.code().unwrap_or_default().into_owned();
    match code.as_str() {
        FENCED => StoreError::Fenced,
        OUT_OF_SEQUENCE => StoreError::Conflict(error.message().to_owned()),
        _ if DETERMINISTIC.iter().any(|class| code.starts_with(class)) => {
            StoreError::Conflict(error.message().to_owned())
        }
        _ => StoreError::Unavailable(unavailable(sqlx::Error::Database(error))),
    }
}

async fn bounded<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, PortError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(elapsed) => Err(PortError::unavailable(STORE, elapsed)),
    }
}
