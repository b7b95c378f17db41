//! The file of an embedded store, its lock and its connections.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use domain::ports::PortError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};

use super::super::open::{APPLIED, OpenError, check_migrated};
use super::super::{STORE, StoreOptions};

/// How long a connection waits for another one's transaction, which may itself wait for a busy disk.
pub(in super::super) const BUSY: Duration = Duration::from_secs(30);
/// How long a read waits for a connection of the pool.
const ACQUIRE: Duration = Duration::from_secs(5);
/// What the lock's file adds to the database file's name.
const LOCK_SUFFIX: &str = ".lock";

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/sqlite");
    // the release after this one may have run: steps expand before they contract
    migrator.set_ignore_missing(true);
    migrator
}

/// The owner's connection, with the lock that makes it the owner.
pub(super) struct Owned {
    pub connection: SqliteConnection,
    // the system lets go of it when the process ends, however it ends
    _lock: Lock,
}

/// A lock on a file. It is given up by word: closing the file leaves it locked for as long as a
/// child process that was just forked has not closed its copy.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the file over and brings its schema up to date.
pub(super) async fn own(url: &str) -> Result<Owned, OpenError> {
    let options = options(url)?.create_if_missing(true);
    let lock = lock(&options)?;
    // FULL: what was committed stays, also when the machine loses its power
    let mut connection = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    migrator().run(&mut connection).await?;
    Ok(Owned { connection, _lock: lock })
}

/// Runs the migrations that a file lacks.
///
/// # Errors
/// Another process owns the file, or a migration fails.
pub async fn migrate(url: &str) -> Result<(), OpenError> {
    own(url).await.map(|_| ())
}

/// The connection of single statements that write; the batches have their own.
pub(super) async fn small(url: &str) -> Result<SqlitePool, OpenError> {
    let options =
        options(url)?.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .acquire_slow_threshold(ACQUIRE);
    Ok(pool.connect_with(options).await?)
}

/// Connections that only read.
pub(super) async fn pool(url: &str, store: &StoreOptions) -> Result<SqlitePool, OpenError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(store.readers.max(1))
        .acquire_timeout(ACQUIRE)
        .acquire_slow_threshold(ACQUIRE)
        .connect_with(options(url)?.read_only(true))
        .await?;
    let applied = match sqlx::query_scalar(APPLIED).fetch_all(&pool).await {
        Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => vec![],
        applied => applied?,
    };
    check_migrated(&migrator(), &applied)?;
    Ok(pool)
}

fn options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(OpenError::Scheme(url.to_owned()));
    }
    Ok(SqliteConnectOptions::from_str(url)?.foreign_keys(true).busy_timeout(BUSY))
}

fn lock(options: &SqliteConnectOptions) -> Result<Lock, OpenError> {
    let mut name = options.get_filename().as_os_str().to_owned();
    name.push(LOCK_SUFFIX);
    let path = PathBuf::from(name);
    let failed = |source| OpenError::Lock { file: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Owned { file: path }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> PortError {
    PortError::unavailable(STORE, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_owner_whoever_else_has_the_file_open() {
        let name = format!("onair-lock-{}-{:?}", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(name);
        let options = SqliteConnectOptions::new().filename(&file);
        let first = lock(&options).expect("is free");
        assert!(matches!(lock(&options), Err(OpenError::Owned { .. })));
        let copy = first.0.try_clone().expect("a copy, as a fork makes one");
        drop(first);
        lock(&options).expect("is free again");
        drop(copy);
        let _ = std::fs::remove_file(file.with_added_extension("lock"));
    }
}
