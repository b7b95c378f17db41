//! A shop that uses onair over HTTP, as any client does.

use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// How long an order may take to end where nothing is broken any more.
const ENDS_WITHIN: Duration = Duration::from_mins(3);
/// How long a client goes on asking where the answer is 503 with Retry-After.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);
/// A client's pause before it asks again.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Signs tokens and sends requests; cheap to clone.
#[derive(Clone)]
pub struct Shop {
    pub seller: String,
    http: reqwest::Client,
    key: EncodingKey,
}

/// A status and a body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The problem's code, or an empty text.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body's id.
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// Fails unless the status is as expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }
}

impl Shop {
    pub fn new(seller: &str, secret: &[u8]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(512)
            // shorter than the server's, as for any client that must not lose a request to it
            .pool_idle_timeout(Duration::from_secs(20))
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Self { seller: seller.to_owned(), http, key: EncodingKey::from_secret(secret) }
    }

    pub fn token(&self, role: &str, subject: &str) -> String {
        let expires = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
            + 3600;
        let claims = json!({
            "sub": subject, "role": role, "seller": self.seller, "aud": "onair", "exp": expires,
        });
        jsonwebtoken::encode(&Header::default(), &claims, &self.key).expect("signs")
    }

    pub async fn call(
        &self,
        method: Method,
        url: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    /// A host's call with a key of its own; repeats with the same key while the answer says so.
    pub async fn host(&self, base: &str, method: Method, path: &str, body: &Value) -> Answer {
        let token = self.token("host", "host-1");
        let key = Uuid::new_v4().to_string();
        let until = Instant::now() + ANSWERED_WITHIN;
        loop {
            let sent = self
                .call(method.clone(), &format!("{base}{path}"), &token, Some(&key), Some(body))
                .await;
            match sent {
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => return answer,
                other => assert!(Instant::now() < until, "{path}: {other:?}"),
            }
            tokio::time::sleep(ASKS_AGAIN_AFTER).await;
        }
    }

    /// A live broadcast in won.
    pub async fn live_broadcast(&self, base: &str) -> String {
        let body = json!({"title": "Friday show", "currency": "KRW"});
        let broadcast = self.host(base, Method::POST, "/v1/broadcasts", &body).await.expect(201);
        let id = broadcast.id();
        self.host(base, Method::POST, &format!("/v1/broadcasts/{id}/start"), &json!({}))
            .await
            .expect(200);
        id
    }

    /// An open spotlight with the given stock.
    pub async fn spotlight(
        &self,
        base: &str,
        broadcast: &str,
        skus: &[(&str, u32)],
        extra: Value,
    ) -> String {
        let skus: Vec<Value> = skus
            .iter()
            .map(|(sku, units)| json!({"sku": sku, "limited_quantity": units}))
            .collect();
        let mut body = json!({
            "product": {
                "id": "p-1", "name": "Lamp",
                "original_price": {"minor": 39900, "currency": "KRW"},
            },
            "live_price": {"minor": 19900, "currency": "KRW"},
            "skus": skus,
        });
        for (name, value) in extra.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/v1/broadcasts/{broadcast}/products/spotlight");
        self.host(base, Method::POST, &path, &body).await.expect(201).id()
    }

    /// One order.
    pub async fn order(
        &self,
        base: &str,
        viewer: &str,
        key: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let token = self.token("viewer", viewer);
        self.call(Method::POST, &format!("{base}/v1/orders"), &token, Some(key), Some(body)).await
    }

    /// One order; the same key again where the connection was cut or the answer says so, as a
    /// client should that must know what became of its press.
    pub async fn order_again(&self, base: &str, viewer: &str, key: &str, body: &Value) -> Answer {
        let until = Instant::now() + ANSWERED_WITHIN;
        loop {
            match self.order(base, viewer, key, body).await {
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => return answer,
                other => assert!(Instant::now() < until, "{other:?}"),
            }
            tokio::time::sleep(ASKS_AGAIN_AFTER).await;
        }
    }

    /// Reads as the host; asks again while the answer says so.
    pub async fn read(&self, base: &str, path: &str) -> Answer {
        let token = self.token("host", "host-1");
        let until = Instant::now() + ANSWERED_WITHIN;
        loop {
            let sent = self.call(Method::GET, &format!("{base}{path}"), &token, None, None).await;
            match sent {
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => return answer,
                other => assert!(Instant::now() < until, "{path}: {other:?}"),
            }
            tokio::time::sleep(ASKS_AGAIN_AFTER).await;
        }
    }

    /// Reads an order until it has ended.
    pub async fn ended_order(&self, base: &str, order: &str) -> Value {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let answer = self.read(base, &format!("/v1/orders/{order}")).await;
            assert_ne!(answer.status, StatusCode::NOT_FOUND, "an accepted order was lost: {order}");
            let status = answer.body["status"].as_str().unwrap_or_default().to_owned();
            if ["confirmed", "failed", "cancelled", "refunded"].contains(&status.as_str()) {
                return answer.body;
            }
            assert!(Instant::now() < until, "{order} does not end: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The inventory of a spotlight, by SKU: remaining, held, sold, limited.
    pub async fn inventory(&self, base: &str, spotlight: &str) -> Value {
        self.read(base, &format!("/v1/spotlights/{spotlight}")).await.expect(200).body["inventory"]
            .clone()
    }
}

/// The body of an order.
pub fn order_of(spotlight: &str, version: u32, lines: &[(&str, u32)], method: &str) -> Value {
    let lines: Vec<Value> =
        lines.iter().map(|(sku, units)| json!({"sku": sku, "quantity": units})).collect();
    json!({
        "spotlight_id": spotlight, "offer_version": version, "lines": lines,
        "payment_method": method,
    })
}
