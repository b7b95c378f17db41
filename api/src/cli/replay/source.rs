//! What a replay command reads: a store, or a file that was exported from one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use commands::clock::SystemClock;
use commands::store::{self, OpenError, StoreOptions};
use domain::ports::{Clock, EventReader, PersonalKeys, PortError, RowReader};
use projections::replay::export::{ExportFile, FileError};

use crate::cli::CliError;
use crate::config::Config;

/// The address of an exported file, where it is not just its path.
const EXPORT: &str = "export://";
/// The address of a bare path, as the settings complete it.
const SQLITE: &str = "sqlite://";
/// What a SQLite database begins with.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A log that can be read, and never written.
#[derive(Clone)]
pub(super) struct Source {
    /// The events.
    pub events: Arc<dyn EventReader>,
    /// The bytes, and the seals.
    pub rows: Arc<dyn RowReader>,
    /// What opens the personal parts of the events.
    pub keys: Arc<dyn PersonalKeys>,
    /// Whether it is a file: there are no read models beside it.
    pub is_file: bool,
}

/// A source, or a file that is damaged before its first event can be read.
pub(super) enum Opened {
    /// It can be read.
    Source(Source),
    /// Where and how it was changed.
    Damaged { position: u64, detail: String },
}

/// The path of an exported file, where the address names one: by its scheme, or because the file
/// is no database.
pub(super) fn export_path(database: &str) -> Option<PathBuf> {
    if let Some(path) = database.strip_prefix(EXPORT) {
        return Some(PathBuf::from(path));
    }
    let path = PathBuf::from(database.strip_prefix(SQLITE)?);
    let mut begins = [0; SQLITE_MAGIC.len()];
    let read = File::open(&path).and_then(|mut file| file.read(&mut begins)).ok()?;
    (read > 0 && begins != *SQLITE_MAGIC).then_some(path)
}

/// Opens the configured log; a damaged file is an answer of its own.
pub(super) async fn open_any(config: &Config) -> Result<Opened, CliError> {
    open_as(config, false).await
}

/// Opens the configured log, with what is personal left sealed.
pub(super) async fn open_sealed(config: &Config) -> Result<Source, CliError> {
    whole(open_as(config, true).await?)
}

async fn open_as(config: &Config, sealed: bool) -> Result<Opened, CliError> {
    if let Some(path) = export_path(&config.database) {
        return match open_file(&path, sealed) {
            Ok(file) => Ok(Opened::Source(file)),
            Err(FileError::Damaged { line, position, detail }) => {
                Ok(Opened::Damaged { position, detail: format!("line {line}: {detail}") })
            }
            Err(error) => Err(refused_file(&path, error)),
        };
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let readers = config.postgres.connections;
    let options = StoreOptions { readers, sealed, ..StoreOptions::new(clock) };
    let opened = store::open_audit(&config.database, &options).await.map_err(refused)?;
    let (events, rows, keys) = (opened.events, opened.rows, opened.keys);
    Ok(Opened::Source(Source { events, rows, keys, is_file: false }))
}

/// Opens the configured log.
pub(super) async fn open(config: &Config) -> Result<Source, CliError> {
    whole(open_any(config).await?)
}

fn whole(opened: Opened) -> Result<Source, CliError> {
    match opened {
        Opened::Source(source) => Ok(source),
        Opened::Damaged { detail, .. } => Err(CliError::usage(format!(
            "the exported file is damaged ({detail}): `onair replay verify` names the break"
        ))),
    }
}

fn open_file(path: &Path, sealed: bool) -> Result<Source, FileError> {
    let file = ExportFile::open(path)?;
    let file = Arc::new(if sealed { file.sealed() } else { file });
    Ok(Source { events: file.clone(), rows: file.clone(), keys: file, is_file: true })
}

fn refused_file(path: &Path, error: FileError) -> CliError {
    let what = format!("{} cannot be opened", path.display());
    match error {
        FileError::Unreadable(source) => CliError::unreachable(what, source),
        error => CliError::usage(format!("{}: {error}", path.display())),
    }
}

pub(super) fn refused(error: OpenError) -> CliError {
    match error {
        OpenError::Scheme(_) | OpenError::Owned { .. } | OpenError::ReadOnly => {
            CliError::usage(error)
        }
        error => CliError::unreachable("the event store cannot be opened", error),
    }
}

/// The log of the configured store, for reading only.
pub(in crate::cli) async fn open_reader(config: &Config) -> Result<Arc<dyn EventReader>, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = StoreOptions { readers: config.postgres.connections, ..StoreOptions::new(clock) };
    store::open_reader(&config.database, &options).await.map_err(refused)
}

/// Refuses a store that may be read only, before anything is done.
pub(super) async fn refuse_read_only(config: &Config) -> Result<(), CliError> {
    store::refuse_read_only(&config.database).await.map_err(refused)
}

pub(super) fn nodes(redis: &str) -> Vec<String> {
    redis.split(',').map(|url| url.trim().to_owned()).collect()
}

/// The log cannot be read.
pub(super) fn unreachable_port(error: PortError) -> CliError {
    match error {
        PortError::Corrupt { .. } => CliError::usage(format!(
            "{error}: `onair replay verify` tells what is wrong with the log"
        )),
        error => CliError::unreachable("the log cannot be read", error),
    }
}
