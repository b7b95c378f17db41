//! The key that seals the log.

use std::path::Path;

use domain::seal::SealSigner;

/// The environment's way to give the key itself.
pub const SEAL_KEY_VARIABLE: &str = "ONAIR_SEAL_KEY";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody gave one.
    #[error(
        "no key: `openssl rand -hex 32 > seal.key`, then --key-file seal.key, or set ONAIR_SEAL_KEY"
    )]
    None,
    /// It is no key.
    #[error("the key is no 32 bytes in hexadecimal")]
    Malformed,
}

/// The signer of a key file, else of [`SEAL_KEY_VARIABLE`]. Both are read each time: another key may
/// go on at any time.
///
/// # Errors
/// [`SealKeyError`].
pub fn seal_signer(file: Option<&Path>) -> Result<SealSigner, SealKeyError> {
    let text = match (file, std::env::var(SEAL_KEY_VARIABLE)) {
        (Some(file), _) => std::fs::read_to_string(file)
            .map_err(|source| SealKeyError::File { file: file.display().to_string(), source })?,
        (None, Ok(text)) => text,
        (None, Err(_)) => return Err(SealKeyError::None),
    };
    let seed: Option<[u8; 32]> =
        hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    seed.map(|seed| SealSigner::from_seed(&seed)).ok_or(SealKeyError::Malformed)
}
