//! Flags that every command with settings has.

use std::path::PathBuf;

use crate::config::{self, Backend, Config, ConfigError, Flags, Role};

/// Where the settings come from.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingArgs {
    /// Settings file; onair.toml by default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// SQLite file or postgres:// address (`ONAIR_DATABASE`)
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Redis of a cluster (`ONAIR_REDIS`)
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Kafka of a cluster (`ONAIR_KAFKA`)
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
}

impl SettingArgs {
    /// The flags, for the loader.
    pub fn flags(&self) -> Flags {
        Flags {
            file: self.config.clone(),
            database: self.database.clone(),
            redis: self.redis.clone(),
            kafka: self.kafka.clone(),
            ..Flags::default()
        }
    }

    /// The effective configuration, checked, and what it stands on.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(&self) -> Result<(Config, Backend), ConfigError> {
        checked(config::load(&self.flags())?)
    }
}

/// A configuration whose settings fit together.
///
/// # Errors
/// [`ConfigError`].
pub(super) fn checked(config: Config) -> Result<(Config, Backend), ConfigError> {
    config.check()?;
    let backend = config.backend()?;
    Ok((config, backend))
}

/// Reads `api,writer`.
pub(super) fn role(text: &str) -> Result<Role, String> {
    text.parse()
}
