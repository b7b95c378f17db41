//! Connections to PostgreSQL and their limits.

use std::str::FromStr;
use std::time::Duration;

use domain::ports::PortError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use super::super::open::{APPLIED, OpenError, check_migrated};
use super::super::{STORE, StoreOptions};

/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long a statement of the pool may run, as the server takes it.
const READ_STATEMENT: &str = "30s";
/// How long the writer's statement may run.
const WRITE_STATEMENT: &str = "10s";
/// How long it may wait for a lock; shorter than the statement, so that the error says so.
const WRITE_LOCK: &str = "8s";
/// How long the writer's transaction may wait for its next statement.
const WRITE_IDLE: &str = "10s";
/// How long the writer waits for an answer; longer than the server's own limits.
pub(super) const ANSWER: Duration = Duration::from_secs(15);
/// Memory of the writer's sorts and lists; a batch stays below.
const WRITE_MEMORY: &str = "32MB";

/// The writer's connections are called so in `pg_stat_activity`.
const WRITER_NAME: &str = "onair writer";
/// All others.
const READER_NAME: &str = "onair";

pub(super) fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/postgres");
    // the release after this one may have run: steps expand before they contract
    migrator.set_ignore_missing(true);
    migrator
}

/// Runs the migrations that a database lacks, under the lock of sqlx.
///
/// # Errors
/// The server cannot be reached, or a migration fails.
pub async fn migrate(url: &str) -> Result<(), OpenError> {
    let mut connection = PgConnection::connect(url).await?;
    check_writable(&mut connection).await?;
    migrator().run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Refuses a standby, and whatever else may be read only.
///
/// # Errors
/// [`OpenError::ReadOnly`], or the server cannot be reached.
pub async fn refuse_read_only(url: &str) -> Result<(), OpenError> {
    let mut connection = PgConnection::connect(url).await?;
    check_writable(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn check_writable(on: &mut PgConnection) -> Result<(), OpenError> {
    let read_only = sqlx::query_scalar("SELECT current_setting('transaction_read_only')::boolean");
    if read_only.fetch_one(on).await? { Err(OpenError::ReadOnly) } else { Ok(()) }
}

pub(super) async fn pool(url: &str, options: &StoreOptions) -> Result<PgPool, OpenError> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name(READER_NAME)
        .options([("statement_timeout", READ_STATEMENT)]);
    let pool = PgPoolOptions::new()
        .max_connections(options.readers.max(1))
        .acquire_timeout(CONNECT)
        // in a storm each waits a little, and a line for each helps nobody; what fails says so
        .acquire_slow_threshold(CONNECT)
        .connect_with(connect)
        .await?;
    let applied = match sqlx::query_scalar(APPLIED).fetch_all(&pool).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
            vec![]
        }
        applied => applied?,
    };
    check_migrated(&migrator(), &applied)?;
    Ok(pool)
}

const UNDEFINED_TABLE: &str = "42P01";

/// The writer's own connection: every wait bounded, and plans that only ever look rows up, since a
/// plan made while a table was small must not scan it when it has grown.
pub(super) fn writer_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name(WRITER_NAME).options([
        ("statement_timeout", WRITE_STATEMENT),
        ("lock_timeout", WRITE_LOCK),
        ("idle_in_transaction_session_timeout", WRITE_IDLE),
        ("work_mem", WRITE_MEMORY),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ]))
}

pub(super) fn unavailable(error: sqlx::Error) -> PortError {
    PortError::unavailable(STORE, error)
}
