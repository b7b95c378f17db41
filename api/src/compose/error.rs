//! Why a process does not start, or does not go on.

use std::io;
use std::net::SocketAddr;

use commands::faults::UnknownFault;
use commands::store::OpenError;
use commands::writer::WriterError;
use domain::ports::PortError;

use crate::auth::JwksError;
use crate::config::SealKeyError;
use crate::payments::ClientError;

/// Why a process does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The event store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Something it depends on.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The identity provider.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The HTTP client of webhooks.
    #[error("webhooks cannot be sent")]
    Webhooks(#[from] reqwest::Error),
    /// The key that seals the log.
    #[error(transparent)]
    SealKey(#[from] SealKeyError),
    /// The witness folder.
    #[error("the witness folder cannot be made")]
    Witness(#[source] io::Error),
    /// The payment provider.
    #[error(transparent)]
    Payments(#[from] ClientError),
    /// A fail point.
    #[error(transparent)]
    Fault(#[from] UnknownFault),
    /// A listener.
    #[error("{address} cannot be listened on")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A role's loop ended, though nobody had stopped it.
    #[error("the role {0} has ended by itself")]
    Ended(&'static str),
    /// A role's loop panicked; the log has the place.
    #[error("the role {0} has panicked")]
    Panicked(&'static str),
    /// The command log is not the one that the store knows.
    #[error(transparent)]
    Writer(#[from] WriterError),
}

impl StartError {
    /// Whether the settings are at fault, rather than something that cannot be reached.
    pub const fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Fault(_)
                | Self::Payments(_)
                | Self::Listen { .. }
                | Self::Store(
                    OpenError::Scheme(_)
                        | OpenError::Owned { .. }
                        | OpenError::ReadOnly
                        | OpenError::NotMigrated(_)
                )
        )
    }
}
