//! The public keys of an identity provider, fetched when a token names one that is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

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

/// How often keys are looked for again.
#[derive(Debug, Clone, Copy)]
pub struct JwksTimes {
    /// How long keys are used without looking again.
    pub keep: Duration,
    /// The shortest pause between two fetches.
    pub pause: Duration,
}

impl Default for JwksTimes {
    fn default() -> Self {
        Self { keep: Duration::from_secs(KEEP_SECONDS), pause: Duration::from_secs(PAUSE_SECONDS) }
    }
}

/// A cached key set; a clone shares it.
#[derive(Debug, Clone)]
pub struct Jwks(Arc<Cached>);

#[derive(Debug)]
struct Cached {
    url: String,
    times: JwksTimes,
    client: reqwest::Client,
    set: ArcSwap<Option<(Instant, JwkSet)>>,
    last_fetch: Mutex<Option<Instant>>,
    /// At most one, which ends within [`FETCH_SECONDS`].
    renewals: TaskTracker,
}

impl Jwks {
    /// The key set at `url`; fetched at the first token.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(url: String) -> Result<Self, JwksError> {
        Self::with(url, JwksTimes::default())
    }

    /// As [`Jwks::new`], with other times.
    ///
    /// # Errors
    /// As of [`Jwks::new`].
    pub fn with(url: String, times: JwksTimes) -> Result<Self, JwksError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(FETCH_SECONDS))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let set = ArcSwap::from_pointee(None);
        let (last_fetch, renewals) = (Mutex::new(None), TaskTracker::new());
        Ok(Self(Arc::new(Cached { url, times, client, set, last_fetch, renewals })))
    }

    /// The key that a token's header names, and the algorithm that it is for.
    ///
    /// # Errors
    /// [`TokenError`]: no such key, or the keys cannot be fetched.
    pub async fn key(&self, header: &Header) -> Result<(DecodingKey, Algorithm), TokenError> {
        let Self(cached) = self;
        if let Some((fetched, set)) = cached.set.load().as_ref().as_ref()
            && let Some(key) = find(set, header)
        {
            // nobody waits for a provider whose keys are known
            if fetched.elapsed() >= cached.times.keep && cached.may_fetch() {
                let renewed = Arc::clone(cached);
                cached.renewals.spawn(async move { renewed.refresh().await });
            }
            return usable(key, header);
        }
        cached.refresh().await;
        match cached.set.load().as_ref().as_ref() {
            None => Err(TokenError::KeysUnavailable),
            Some((_, set)) => match find(set, header) {
                Some(key) => usable(key, header),
                None => Err(TokenError::Invalid("is signed by an unknown key")),
            },
        }
    }
}

impl Cached {
    /// Whether a fetch is due and nobody is at it.
    fn may_fetch(&self) -> bool {
        self.last_fetch.try_lock().is_ok_and(|last| self.is_due(*last))
    }

    fn is_due(&self, last: Option<Instant>) -> bool {
        last.is_none_or(|last| last.elapsed() >= self.times.pause)
    }

    /// Fetches the set, unless that was tried a moment ago. What is known stays on a failure.
    async fn refresh(&self) {
        let mut last = self.last_fetch.lock().await;
        if !self.is_due(*last) {
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
