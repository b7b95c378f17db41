//! One request to a provider over HTTPS: bounded in time and in bytes, without redirects.

use std::time::Duration;

use commands::process::guard::CALL_TIMEOUT;
use domain::ports::PortError;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of a provider's answer.
pub const ANSWER_MAX_BYTES: usize = 256 * 1_024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// What cannot be reached.
pub(super) const WHAT: &str = "the payment provider";

/// Why there is no way to a provider.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The HTTP client cannot be built.
    #[error("the client of the payment provider cannot be built")]
    Client(#[from] reqwest::Error),
    /// The address is none.
    #[error("payment.url is no http or https address")]
    Address,
    /// The key is no header.
    #[error("the key of the payment provider has characters that a header cannot hold")]
    Key,
    /// A setting is missing.
    #[error("{0} is missing")]
    Setting(&'static str),
}

/// The way to a provider.
#[derive(Debug)]
pub struct ProviderClient {
    http: reqwest::Client,
    base: String,
}

/// What a provider answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// The provider's idempotency key, where something may move.
    pub(super) key: Option<String>,
}

impl ProviderClient {
    /// A client of the provider at `url`, which knows us by `key`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(url: &str, key: Option<&SecretString>) -> Result<Self, ClientError> {
        let parsed = Url::parse(url).map_err(|_| ClientError::Address)?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(ClientError::Address);
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let text = format!("Bearer {}", key.expose_secret().trim());
            let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Key)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("onair/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(CALL_TIMEOUT)
            .connect_timeout(CONNECT)
            // what is asked for is money: nobody else is to be asked
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// Asks, and reads the answer.
    pub(super) async fn ask(
        &self,
        ask: Ask<'_>,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, PortError> {
        let mut request =
            self.http.request(ask.method, format!("{}{}", self.base, ask.path)).body(ask.body);
        request = request.header(header::CONTENT_TYPE, ask.content_type);
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > ANSWER_MAX_BYTES {
                return Err(unusable("the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

/// No answer came: whether the provider acted is not known. The address may hold an id of the buyer.
fn unreachable(error: reqwest::Error) -> PortError {
    PortError::unavailable(WHAT, error.without_url())
}

/// An answer that says nothing is none.
pub(super) fn unusable(detail: impl std::fmt::Display) -> PortError {
    PortError::unavailable(WHAT, detail.to_string())
}
