//! Parked commands as somebody looks at them, beside a running server.

use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Source;
use domain::ports::{ParkedAction, ParkedBook, ParkedCommand, ParkedVerb, PortError};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};

use super::STORE;
use super::numbers::from_limit;
use super::open::{Kind, OpenError, kind_of};
use super::sqlite::BUSY;
use super::stored::{PARKED_COLUMNS, StoredParked};

/// Connections of a book: it is seldom looked at.
const CONNECTIONS: u32 = 1;

/// Opens the book of a store, also while a server runs on it; it connects when it is asked.
///
/// # Errors
/// [`OpenError`]: the address is none.
pub fn open_parked(database: &str) -> Result<Arc<dyn ParkedBook>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => {
            let options = SqliteConnectOptions::from_str(database)?.busy_timeout(BUSY);
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            Arc::new(SqliteParked(pool.connect_lazy_with(options)))
        }
        Kind::Postgres => {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            Arc::new(PostgresParked(pool.connect_lazy(database)?))
        }
    })
}

struct SqliteParked(SqlitePool);

struct PostgresParked(PgPool);

fn unavailable(error: sqlx::Error) -> PortError {
    PortError::unavailable(STORE, error)
}

/// What is asked for: a retry of the whole sequence, anything else of the one command.
fn statement(verb: ParkedVerb, open: &str) -> String {
    let this = "topic = $5 AND partition = $6 AND \"offset\" = $7";
    let asked = format!("EXISTS (SELECT 1 FROM parked WHERE {this} AND {open} AND action IS NULL)");
    let which = match verb {
        ParkedVerb::Retry => format!("sequence = (SELECT sequence FROM parked WHERE {this})"),
        ParkedVerb::Discard | ParkedVerb::Keep => this.to_owned(),
    };
    format!(
        "UPDATE parked SET action = $1, action_by = $2, action_reason = $3, action_at = $4
         WHERE {which} AND {open} AND {asked}"
    )
}

#[async_trait]
impl ParkedBook for SqliteParked {
    async fn parked(&self, limit: usize) -> Result<Vec<ParkedCommand>, PortError> {
        let rows: Vec<StoredParked<i64>> = sqlx::query_as(&format!(
            "SELECT {PARKED_COLUMNS} FROM parked WHERE settled = 0
             ORDER BY parked_at, topic, partition, \"offset\" LIMIT $1"
        ))
        .bind(from_limit(limit))
        .fetch_all(&self.0)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(StoredParked::decode).collect()
    }

    async fn ask(&self, source: &Source, action: &ParkedAction) -> Result<bool, PortError> {
        let done = sqlx::query(&statement(action.verb, "settled = 0"))
            .bind(action.verb.as_str())
            .bind(&action.author)
            .bind(&action.reason)
            .bind(action.at.timestamp_micros())
            .bind(&source.topic)
            .bind(source.partition)
            .bind(source.offset)
            .execute(&self.0)
            .await
            .map_err(unavailable)?;
        Ok(done.rows_affected() > 0)
    }
}

#[async_trait]
impl ParkedBook for PostgresParked {
    async fn parked(&self, limit: usize) -> Result<Vec<ParkedCommand>, PortError> {
        let rows: Vec<StoredParked<Timestamp>> = sqlx::query_as(&format!(
            "SELECT {PARKED_COLUMNS} FROM parked WHERE NOT settled
             ORDER BY parked_at, topic COLLATE \"C\", partition, \"offset\" LIMIT $1"
        ))
        .bind(from_limit(limit))
        .fetch_all(&self.0)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(StoredParked::decode).collect()
    }

    async fn ask(&self, source: &Source, action: &ParkedAction) -> Result<bool, PortError> {
        let done = sqlx::query(&statement(action.verb, "NOT settled"))
            .bind(action.verb.as_str())
            .bind(&action.author)
            .bind(&action.reason)
            .bind(action.at)
            .bind(&source.topic)
            .bind(source.partition)
            .bind(source.offset)
            .execute(&self.0)
            .await
            .map_err(unavailable)?;
        Ok(done.rows_affected() > 0)
    }
}
