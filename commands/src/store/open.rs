//! Opening a store by the address of its database.

use std::path::PathBuf;
use std::sync::Arc;

use domain::ports::{Clock, EventReader, EventStore, PersonalKeys, RowReader};
use sqlx::migrate::{MigrateError, Migrator};
use tokio_util::task::TaskTracker;

use super::import::RowSink;
use super::postgres::{
    PostgresReader, PostgresSealSink, PostgresShredder, PostgresSink, PostgresStore,
};
use super::seal_log::SealSink;
use super::shred::Shredder;
use super::sqlite::{SqliteReader, SqliteSealSink, SqliteShredder, SqliteSink, SqliteStore};

/// Connections of a store's read pool where nothing else is asked for.
pub const READERS_DEFAULT: u32 = 4;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The time of an embedded store; PostgreSQL takes its own.
    pub clock: Arc<dyn Clock>,
    /// Connections of the read pool; the writer has one of its own.
    pub readers: u32,
    /// The store's own tasks join these: once they have ended, a file is free for another owner.
    pub tasks: TaskTracker,
    /// What is personal in an event stays sealed, for who only counts it.
    pub sealed: bool,
}

impl StoreOptions {
    /// The defaults.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, readers: READERS_DEFAULT, tasks: TaskTracker::new(), sealed: false }
    }
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none that onair knows.
    #[error("{0:?} is neither sqlite://FILE nor postgres://…")]
    Scheme(String),
    /// Another process has the file.
    #[error("{} is locked: an embedded store has one owner, and another process has it", .file.display())]
    Owned {
        /// The lock's file.
        file: PathBuf,
    },
    /// The lock's file cannot be made.
    #[error("{} cannot be locked", .file.display())]
    Lock {
        /// The lock's file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The schema lacks a step.
    #[error("the database lacks migration {0}: run `onair migrate`")]
    NotMigrated(i64),
    /// It may be read only, as a standby may.
    #[error("the database is read-only, as a replica is: name its primary")]
    ReadOnly,
    /// A migration failed.
    #[error("the database cannot be migrated")]
    Migrate(#[from] MigrateError),
    /// The database cannot be reached or opened.
    #[error("the database cannot be opened")]
    Database(#[from] sqlx::Error),
}

/// Which database an address names.
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

pub(super) fn kind_of(database: &str) -> Result<Kind, OpenError> {
    match database.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Kind::Sqlite),
        Some("postgres" | "postgresql") => Ok(Kind::Postgres),
        _ => Err(OpenError::Scheme(database.split('@').next_back().unwrap_or("").to_owned())),
    }
}

/// Opens a store for its writers and readers: `sqlite://FILE` or `postgres://…`.
///
/// # Errors
/// [`OpenError`].
pub async fn open(
    database: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn EventStore>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Arc::new(SqliteStore::open(database, options).await?),
        Kind::Postgres => Arc::new(PostgresStore::connect(database, options).await?),
    })
}

/// Opens a store for reading only, also while a server runs on it.
///
/// # Errors
/// [`OpenError`].
pub async fn open_reader(
    database: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn EventReader>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Arc::new(SqliteReader::open(database, options).await?),
        Kind::Postgres => Arc::new(PostgresReader::listening(database, options).await?),
    })
}

/// A store as the audit reads it: events, and the bytes that they were decoded from.
#[derive(Clone)]
pub struct AuditReaders {
    /// The events.
    pub events: Arc<dyn EventReader>,
    /// The bytes, and the seals.
    pub rows: Arc<dyn RowReader>,
    /// What opens the personal parts of the events.
    pub keys: Arc<dyn PersonalKeys>,
}

/// As [`open_reader`], for the audit.
///
/// # Errors
/// [`OpenError`].
pub async fn open_audit(database: &str, options: &StoreOptions) -> Result<AuditReaders, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => {
            let reader = Arc::new(SqliteReader::open(database, options).await?);
            AuditReaders { events: reader.clone(), keys: reader.clone(), rows: reader }
        }
        Kind::Postgres => {
            // not listening: a replica that only replays cannot listen either
            let reader = Arc::new(PostgresReader::connect(database, options).await?);
            AuditReaders { events: reader.clone(), keys: reader.clone(), rows: reader }
        }
    })
}

/// Where an import writes.
pub(super) async fn sink(database: &str) -> Result<Box<dyn RowSink>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Box::new(SqliteSink::open(database).await?),
        Kind::Postgres => Box::new(PostgresSink::open(database).await?),
    })
}

/// Where seals are written.
pub(super) async fn seal_sink(database: &str) -> Result<Box<dyn SealSink>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Box::new(SqliteSealSink::open(database).await?),
        Kind::Postgres => Box::new(PostgresSealSink::open(database).await?),
    })
}

/// Where the server that owns a database writes seals.
///
/// # Errors
/// [`OpenError`].
pub async fn open_seal_sink(database: &str) -> Result<Box<dyn SealSink>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Box::new(SqliteSealSink::beside_owner(database).await?),
        Kind::Postgres => Box::new(PostgresSealSink::open(database).await?),
    })
}

/// Where keys of what is personal are destroyed; a file is taken over, and no server may have it.
///
/// # Errors
/// [`OpenError`].
pub async fn open_shredder(database: &str) -> Result<Box<dyn Shredder>, OpenError> {
    Ok(match kind_of(database)? {
        Kind::Sqlite => Box::new(SqliteShredder::open(database).await?),
        Kind::Postgres => Box::new(PostgresShredder::open(database).await?),
    })
}

/// Refuses a database that may be read only.
///
/// # Errors
/// [`OpenError::ReadOnly`], or it cannot be reached.
pub async fn refuse_read_only(database: &str) -> Result<(), OpenError> {
    match kind_of(database)? {
        // a file is opened to be written, or is not
        Kind::Sqlite => Ok(()),
        Kind::Postgres => super::postgres::refuse_read_only(database).await,
    }
}

/// Runs the migrations that a database lacks, under a lock.
///
/// # Errors
/// [`OpenError`].
pub async fn migrate(database: &str) -> Result<(), OpenError> {
    match kind_of(database)? {
        Kind::Sqlite => super::sqlite::migrate(database).await,
        Kind::Postgres => super::postgres::migrate(database).await,
    }
}

/// Whether every step that this code knows was taken; a later release may have taken more.
pub(super) fn check_migrated(migrator: &Migrator, applied: &[i64]) -> Result<(), OpenError> {
    match migrator.iter().find(|step| !applied.contains(&step.version)) {
        Some(step) => Err(OpenError::NotMigrated(step.version)),
        None => Ok(()),
    }
}

/// The versions that a database has; none where it was never migrated.
pub(super) const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success";
