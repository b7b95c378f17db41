//! The demo's HTTP client: a host and its viewers.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long the demo waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How often a host's call is repeated while the answer is 503.
const HOST_TRIES: u32 = 20;
/// The pause between two tries of a host's call.
const HOST_PAUSE: Duration = Duration::from_millis(250);

/// Sends requests to one server; cheap to clone.
#[derive(Clone)]
pub struct Shop {
    http: reqwest::Client,
    base: String,
    host_token: String,
}

/// A status and a body.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The JSON body, or null.
    pub body: Value,
}

impl Answer {
    /// The problem's code, or an empty text.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Shop {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn try_new(base: String, host_token: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .context("building the HTTP client")?;
        Ok(Self { http, base, host_token })
    }

    /// One request.
    ///
    /// # Errors
    /// The server cannot be reached or the answer cannot be read.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("calling {path}"))?;
        let status = response.status();
        let bytes = response.bytes().await.with_context(|| format!("reading {path}"))?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    /// A host's call; the same key is tried again while the server asks for it.
    ///
    /// # Errors
    /// Any answer but 200, 201 and 202.
    pub async fn host(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
        for _ in 0..HOST_TRIES {
            let answer =
                self.call(Method::POST, path, &self.host_token, Some(key), Some(body)).await?;
            match answer.status.as_u16() {
                200..=202 => return Ok(answer.body),
                503 => tokio::time::sleep(HOST_PAUSE).await,
                status => bail!("{path} answered {status}: {}", answer.body),
            }
        }
        bail!("{path} kept answering 503")
    }

    /// One press on *buy*.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn buy(
        &self,
        token: &str,
        key: &str,
        spotlight: &str,
        offer_version: u64,
        method: &str,
    ) -> anyhow::Result<Answer> {
        let body = json!({
            "spotlight_id": spotlight,
            "offer_version": offer_version,
            "lines": [{"sku": SKU, "quantity": 1}],
            "payment_method": method,
        });
        self.call(Method::POST, "/v1/orders", token, Some(key), Some(&body)).await
    }
}

/// The one SKU of the demo's spotlight.
pub const SKU: &str = "lamp-ivory";
