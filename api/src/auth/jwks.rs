//! The public keys of an identity provider, fetched when a token names one that is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use tokio::sync::Mutex;

use super::TokenError;

/// How long a fetch may take, in seconds.
pub const FETCH_SECONDS: u64 = 5;
/// How long keys are used without looking again, in seconds.
pub const KEEP_SECONDS: u64 = 600;
/// The shortest pause between two fetches, in seconds: unknown keys are free to make.
pub const PAUSE_SECONDS: u64 = 10;
/// Bytes of a key set.
pub const SET_MAX_BYTES: usize = 256 * 1024;

/// Why keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The provider did not answer.
    #[error("the key set cannot be fetched")]
    Fetch(#[from] reqwest::Error),
    /// The answer is no key set.
    #[error("the key set cannot be read")]
    Parse(#[from] serde_json::Error),
    /// The answer is too large.
    #[error("the key set has more than {SET_MAX_BYTES} bytes")]
    TooLarge,
}

/// A cached key set.
#[derive(Debug)]
pub struct Jwks {
    url: String,
    client: reqwest::Client,
    set: ArcSwap<Option<(Instant, JwkSet)>>,
    last_fetch: Mutex<Option<Instant>>,
}

impl Jwks {
    /// The key set at `url`; fetched at the first token.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(url: String) -> Result<Self, JwksError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(FETCH_SECONDS))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { url, client, set: ArcSwap::from_pointee(None), last_fetch: Mutex::new(None) })
    }

    /// The key that a token's header names, and the algorithm that it is for.
    ///
    /// # Errors
    /// [`TokenError`]: no such key, or the keys cannot be fetched.
    pub async fn key(&self, header: &Header) -> Result<(DecodingKey, Algorithm), TokenError> {
        let kept = Duration::from_secs(KEEP_SECONDS);
        if let Some((fetched, set)) = self.set.load().as_ref().as_ref()
            && fetched.elapsed() < kept
            && let Some(key) = find(set, header)
        {
            return usable(key, header);
        }
        self.refresh().await;
        match self.set.load().as_ref().as_ref() {
            None => Err(TokenError::KeysUnavailable),
            Some((_, set)) => match find(set, header) {
                Some(key) => usable(key, header),
                None => Err(TokenError::Invalid("is signed by an unknown key")),
            },
        }
    }

    /// Fetches the set, unless that was tried a moment ago. What is known stays on a failure.
    async fn refresh(&self) {
        let mut last = self.last_fetch.lock().await;
        if last.is_some_and(|last| last.elapsed() < Duration::from_secs(PAUSE_SECONDS)) {
            return;
        }
        *last = Some(Instant::now());
        match self.fetch().await {
            Ok(set) => self.set.store(Arc::new(Some((Instant::now(), set)))),
            Err(error) => tracing::warn!(%error, "the key set was not renewed"),
        }
    }

    async fn fetch(&self) -> Result<JwkSet, JwksError> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > SET_MAX_BYTES {
                return Err(JwksError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn find<'a>(set: &'a JwkSet, header: &Header) -> Option<&'a Jwk> {
    let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
    match &header.kid {
        Some(kid) => set.find(kid).filter(signs),
        None => match set.keys.as_slice() {
            [one] => Some(one).filter(signs),
            _ => None,
        },
    }
}

/// Only public-key algorithms: a public key must never be taken for a shared secret.
fn usable(key: &Jwk, header: &Header) -> Result<(DecodingKey, Algorithm), TokenError> {
    let algorithm = header.alg;
    let public = !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
    let declared = key.common.key_algorithm.map(|declared| declared.to_string());
    let fits = declared.is_none_or(|declared| declared == format!("{algorithm:?}"));
    if !public || !fits {
        return Err(TokenError::Invalid("is signed in another way than its key is for"));
    }
    let key = DecodingKey::from_jwk(key)
        .map_err(|_| TokenError::Invalid("is signed by a key that cannot be used"))?;
    Ok((key, algorithm))
}
