//! Why a benchmark has nothing to print.

use std::error::Error;

/// What to do about a server that is missing.
const ADVICE: &str = "`scripts/services start` starts PostgreSQL, Redis and Kafka on this machine \
    and prints their settings";

/// Why a benchmark has nothing to print.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A server that it needs is not named.
    #[error("{what} is not named: set {setting}; {ADVICE}")]
    Missing {
        /// Which server.
        what: &'static str,
        /// How to name it.
        setting: &'static str,
    },
    /// A server that it needs cannot be reached.
    #[error("{what} cannot be reached; {ADVICE}")]
    Unreachable {
        /// Which server.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It began and could not be finished.
    #[error("the benchmark could not be finished: {0}")]
    Failed(String),
}

impl BenchError {
    pub(super) const fn missing(what: &'static str, setting: &'static str) -> Self {
        Self::Missing { what, setting }
    }

    pub(super) fn unreachable(
        what: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable { what, source: source.into() }
    }

    /// What went wrong, with its causes.
    pub(super) fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let said = next.to_string();
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = next.source();
        }
        Self::Failed(text)
    }
}

impl From<sqlx::Error> for BenchError {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(error)
    }
}

impl From<std::io::Error> for BenchError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

impl From<domain::ports::PortError> for BenchError {
    fn from(error: domain::ports::PortError) -> Self {
        Self::failed(error)
    }
}
