//! How a command ends.

use std::error::Error;

/// The verdict is bad.
pub const BAD: u8 = 1;
/// Usage, configuration or an unknown id.
pub const USAGE: u8 = 2;
/// Something it depends on cannot be reached.
pub const UNREACHABLE: u8 = 3;

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done, or good.
    Good,
    /// Bad: a difference, a finding, no hit.
    Bad,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Usage, configuration or an unknown id.
    #[error("{0}")]
    Usage(String),
    /// Something it depends on cannot be reached.
    #[error("{what}")]
    Unreachable {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CliError {
    /// Usage, configuration or an unknown id.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// Something it depends on cannot be reached.
    pub fn unreachable(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable { what: what.into(), source: source.into() }
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unreachable { .. } => UNREACHABLE,
        }
    }

    /// Prints the error and its causes to stderr.
    pub fn print(&self) {
        let mut text = format!("onair: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.ends_with(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        eprintln!("{text}");
        if matches!(self, Self::Unreachable { .. }) {
            eprintln!("onair: `onair doctor` looks at each thing it depends on, with advice");
        }
    }
}

impl From<crate::config::ConfigError> for CliError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<crate::config::SecretError> for CliError {
    fn from(error: crate::config::SecretError) -> Self {
        let mut text = error.to_string();
        if let Some(cause) = error.source() {
            text.push_str(": ");
            text.push_str(&cause.to_string());
        }
        Self::Usage(text)
    }
}
