//! An embedded server in this process, on a free port.

use std::time::{Duration, Instant};

use ::api::auth::{self, Claims};
use ::api::compose::{Running, start};
use ::api::config::{Backend, Config, Secrets};
use domain::actor::Role;
use domain::envelope::Position;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const SECRET: &[u8] = b"the secret of the api tests, 32 bytes and more";
/// What the provider signs with; the second one is being rotated in.
pub const WEBHOOK_SECRETS: [&[u8]; 2] = [b"the provider's secret", b"the provider's next secret"];
/// What the payment provider knows the server by.
pub const PAYMENT_KEY: &str = "sk_test_onair";
pub const SELLER: &str = "acme";
/// How long an order may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub struct Server {
    pub base: String,
    pub ops: String,
    database: String,
    http: reqwest::Client,
    running: Running,
    dir: TempDir,
}

/// A status and a body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// A problem as the contract has it.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.code(), code, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body["status"], status);
        assert_eq!(answer.body["type"], format!("urn:onair:problem:{code}"));
        for member in ["title", "detail"] {
            assert!(answer.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        assert!(answer.body["errors"].is_array());
        let trace = answer.body["trace_id"].as_str().expect("a trace");
        assert!(answer.header("traceparent").is_some_and(|parent| parent.contains(trace)));
        assert!(!answer.body.to_string().contains("panicked"), "{}", answer.body);
        answer
    }

    pub fn pointers(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().expect("errors");
        let mut pointers: Vec<String> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
            .collect();
        pointers.sort();
        pointers
    }
}

pub fn now() -> i64 {
    i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs(),
    )
    .expect("before the year 292 billion")
}

pub fn role(name: &str) -> Role {
    auth::role_of(name).expect("a role")
}

pub fn token_of(seller: &str, name: &str, subject: &str) -> String {
    let claims = Claims::new(subject.to_owned(), role(name), seller.to_owned(), now() + 600);
    auth::sign(SECRET, &claims).expect("signs")
}

pub fn host() -> String {
    token_of(SELLER, "host", "host-1")
}

pub fn viewer(subject: &str) -> String {
    token_of(SELLER, "viewer", subject)
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server with other settings than the default.
    pub async fn start_with(settings: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self::on(tempfile::tempdir().expect("a folder"), settings).await
    }

    /// Stops the server and starts another one on the same file, with other settings than the
    /// default.
    pub async fn restart_with(self, settings: impl FnOnce(&mut Config)) -> Self {
        let Self { running, dir, .. } = self;
        assert_eq!(running.shut_down().await, ::api::compose::Stopped::Cleanly);
        Self::on(dir, settings).await
    }

    /// As [`Server::start`], with the keys of an identity provider.
    pub async fn trusting(jwks_url: &str) -> Self {
        Self::start_with(|config| config.auth.jwks_url = Some(jwks_url.to_owned())).await
    }

    /// Stops the server and starts another one on the same file.
    pub async fn restart(self) -> Self {
        self.restart_after(async |_| {}).await
    }

    /// As [`Server::restart`]; in between something happens to the file.
    pub async fn restart_after(self, meanwhile: impl AsyncFnOnce(&str)) -> Self {
        let Self { running, dir, database, .. } = self;
        assert_eq!(running.shut_down().await, ::api::compose::Stopped::Cleanly);
        meanwhile(&database).await;
        Self::on(dir, |_| {}).await
    }

    async fn on(dir: TempDir, settings: impl FnOnce(&mut Config)) -> Self {
        let file = dir.path().join("onair.db");
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            ops_listen: ([127, 0, 0, 1], 0).into(),
            database: format!("sqlite://{}", file.display()),
            ..Config::default()
        };
        settings(&mut config);
        let tokens = config.auth.jwks_url.is_none().then(|| SECRET.to_vec().into());
        let secrets = Secrets {
            tokens,
            installation: SECRET.to_vec().into(),
            payment_key: Some(PAYMENT_KEY.to_owned().into()),
            provider_webhooks: WEBHOOK_SECRETS.iter().map(|it| it.to_vec().into()).collect(),
        };
        let backend = Backend::Embedded { file };
        let running = start(&config, &backend, &secrets).await.expect("starts");
        Self {
            base: format!("http://{}", running.listen().expect("answers HTTP")),
            ops: format!("http://{}", running.ops()),
            database: config.database,
            http: reqwest::Client::new(),
            running,
            dir,
        }
    }

    /// The address of its file.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub async fn stop(self) {
        let stopped = self.running.shut_down().await;
        assert_eq!(stopped, ::api::compose::Stopped::Cleanly);
    }

    pub fn request(&self, method: &Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.clone(), format!("{}{path}", self.base))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        answer(request.send().await.expect("the server answers")).await
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.request(&method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(token), None, Some(body)).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, Some(token), None, None).await
    }

    pub async fn order(&self, token: &str, key: &str, body: &Value) -> Answer {
        self.call(Method::POST, "/v1/orders", Some(token), Some(key), Some(body)).await
    }

    pub async fn live_broadcast(&self) -> String {
        let body = json!({"title": "Friday show", "currency": "KRW"});
        let id = self.post("/v1/broadcasts", &host(), &body).await.expect(201).id();
        self.post(&format!("/v1/broadcasts/{id}/start"), &host(), &json!({})).await.expect(200);
        id
    }

    pub async fn spotlight(&self, broadcast: &str, units: u32, extra: Value) -> String {
        let path = format!("/v1/broadcasts/{broadcast}/products/spotlight");
        self.post(&path, &host(), &spotlight_of(units, extra)).await.expect(201).id()
    }

    pub async fn ended(&self, order: &str) -> Value {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let answer = self.get(&format!("/v1/orders/{order}"), &host()).await.expect(200);
            if !matches!(answer.body["status"].as_str(), Some("pending" | "reserved")) {
                return answer.body;
            }
            assert!(Instant::now() < until, "{order} does not end: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last position of the log.
    pub async fn head(&self) -> Position {
        let options =
            commands::store::StoreOptions::new(std::sync::Arc::new(commands::clock::SystemClock));
        let reader = commands::store::open_reader(&self.database, &options).await.expect("opens");
        reader.head().await.expect("reads")
    }
}

async fn answer(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(text.clone()));
    Answer { status, headers, body, text }
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the JSON in place")]
pub fn spotlight_of(units: u32, extra: Value) -> Value {
    let mut body = json!({
        "product": {
            "id": "p-1", "name": "Lamp", "original_price": {"minor": 39900, "currency": "KRW"},
        },
        "live_price": {"minor": 19900, "currency": "KRW"},
        "skus": [{"sku": "lamp", "limited_quantity": units}],
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

pub fn order_of(spotlight: &str, units: u32) -> Value {
    json!({
        "spotlight_id": spotlight, "offer_version": 1,
        "lines": [{"sku": "lamp", "quantity": units}],
    })
}
