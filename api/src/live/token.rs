//! Who is at the other end.

use async_trait::async_trait;
use domain::Timestamp;
use domain::actor::Role;
use domain::ids::{SellerId, ViewerId};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Within which seller.
    pub seller: SellerId,
    /// Who.
    pub subject: ViewerId,
    /// What others read.
    pub name: Option<String>,
    /// As what.
    pub role: Role,
    /// Whether nobody signed in.
    pub anonymous: bool,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was valid; a new one helps.
    #[error("the token has expired")]
    Expired,
    /// It is forged or malformed.
    #[error("the token is not valid")]
    Invalid,
}

/// Checks tokens, without a read of any store.
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// The claims of a valid token.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn verify(&self, token: &str) -> Result<Claims, TokenError>;
}
