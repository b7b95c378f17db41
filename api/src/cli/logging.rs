//! Log lines, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::CliError;
use crate::config::{LogConfig, LogFormat};

/// Starts to log.
///
/// # Errors
/// The filter is malformed.
pub(super) fn start(config: &LogConfig) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| CliError::Usage(format!("log.filter: {error}")))?;
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = fmt().with_writer(io::stderr).with_env_filter(filter);
    // a second start, as in tests, keeps the first
    let _ = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(colour).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "panicked");
    }));
    Ok(())
}
