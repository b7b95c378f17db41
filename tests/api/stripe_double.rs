//! A Stripe of our own: it keeps intents and refunds, answers a repeated key as it did before, and
//! counts what it charged. `stripe-mock` knows every field and no state; this one the reverse.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::server::PAYMENT_KEY;

#[derive(Default)]
struct Books {
    answers: BTreeMap<String, (u16, Value)>,
    intents: BTreeMap<String, Value>,
    refunds: Vec<Value>,
    /// Captured, in minor units.
    charged: i64,
    /// Requests that are refused before anything happens.
    outages: u32,
    /// How new refunds stand at first; absent where they are done at once.
    refunds_are: Option<&'static str>,
}

/// The double, listening until it is dropped.
pub struct StripeDouble {
    pub address: String,
    books: Arc<Mutex<Books>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for StripeDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StripeDouble {
    pub async fn start() -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let app = Router::new().fallback(answer).with_state(books.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { address, books, server }
    }

    /// Charged less refunded, in minor units.
    pub fn kept(&self) -> i64 {
        let books = self.books.lock();
        let back: i64 = books.refunds.iter().filter_map(|it| it["amount"].as_i64()).sum();
        books.charged - back
    }

    pub fn intents(&self) -> Vec<Value> {
        self.books.lock().intents.values().cloned().collect()
    }

    /// The next requests are answered 500, and do nothing.
    pub fn fail(&self, requests: u32) {
        self.books.lock().outages = requests;
    }

    /// Refunds stay as they are told from now on; those that there are already, too.
    pub fn refunds_are(&self, status: &'static str) {
        let mut books = self.books.lock();
        books.refunds_are = Some(status);
        for refund in &mut books.refunds {
            refund["status"] = json!(status);
        }
    }

    /// Refunds that were made, however they stand.
    pub fn refunds(&self) -> usize {
        self.books.lock().refunds.len()
    }

    /// The buyer acted at the provider's page, or paid in Stripe's own form.
    pub fn acted(&self, intent: &str) -> Value {
        let mut books = self.books.lock();
        let intent = books.intents.get_mut(intent).expect("it is known");
        authorize(intent);
        intent.clone()
    }
}

fn authorize(intent: &mut Value) {
    intent["status"] = json!("requires_capture");
    intent["amount_capturable"] = intent["amount"].clone();
    intent["next_action"] = Value::Null;
}

async fn answer(
    State(books): State<Arc<Mutex<Books>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut books = books.lock();
    if header("authorization") != Some(&format!("Bearer {PAYMENT_KEY}")) {
        return reply((401, json!({"error": {"type": "invalid_request_error"}})));
    }
    if books.outages > 0 {
        books.outages -= 1;
        return reply((500, json!({"error": {"type": "api_error"}})));
    }
    let key = header("idempotency-key").map(ToOwned::to_owned);
    assert_eq!(method == Method::POST, key.is_some(), "{method} {uri}: a key where money moves");
    if let Some(known) = key.as_ref().and_then(|key| books.answers.get(key)) {
        return reply(known.clone());
    }
    let fields: BTreeMap<String, String> = fields(&body).into_iter().collect();
    let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let said = match (method.as_str(), path.as_slice()) {
        ("POST", ["v1", "payment_intents"]) => (200, books.create(&fields)),
        ("GET", ["v1", "payment_intents", id]) => (200, books.intents[*id].clone()),
        ("POST", ["v1", "payment_intents", id, what]) => books.act(id, what, &fields),
        ("GET", ["v1", "refunds"]) => (200, json!({"data": books.refunds})),
        ("POST", ["v1", "refunds"]) => books.refund(&fields),
        _ => panic!("nobody asks {method} {uri}"),
    };
    if let Some(key) = key {
        books.answers.insert(key, said.clone());
    }
    reply(said)
}

fn reply((status, body): (u16, Value)) -> Response {
    (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response()
}

fn fields(body: &[u8]) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://a/?{}", String::from_utf8_lossy(body)))
        .expect("a query")
        .query_pairs()
        .into_owned()
        .collect()
}

fn metadata(fields: &BTreeMap<String, String>) -> Value {
    let named = fields.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((name.to_owned(), Value::String(value.clone())))
    });
    Value::Object(named.collect())
}

fn minor(fields: &BTreeMap<String, String>) -> i64 {
    fields["amount"].parse().expect("an amount")
}

impl Books {
    fn create(&mut self, fields: &BTreeMap<String, String>) -> Value {
        let id = format!("pi_{}", self.intents.len() + 1);
        let intent = json!({
            "id": id, "status": "requires_payment_method", "currency": fields["currency"],
            "amount": minor(fields), "amount_capturable": 0, "amount_received": 0,
            "client_secret": format!("{id}_secret"), "next_action": null,
            "last_payment_error": null, "metadata": metadata(fields),
        });
        assert_eq!(fields["capture_method"], "manual");
        self.intents.insert(id, intent.clone());
        intent
    }

    fn act(&mut self, id: &str, what: &str, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let intent = self.intents.get_mut(id).expect("it is known");
        let unexpected = |intent: &Value| {
            let error = json!({"type": "invalid_request_error",
                "code": "payment_intent_unexpected_state", "payment_intent": intent});
            (400, json!({"error": error}))
        };
        match (what, intent["status"].as_str().expect("a status")) {
            ("confirm", "requires_payment_method") => match fields["payment_method"].as_str() {
                "pm_declined" => {
                    let error = json!({"type": "card_error", "code": "card_declined",
                        "decline_code": "insufficient_funds"});
                    intent["last_payment_error"] = error.clone();
                    return (402, json!({"error": error}));
                }
                "pm_3ds" => {
                    intent["status"] = json!("requires_action");
                    intent["next_action"] = json!({"type": "redirect_to_url",
                        "redirect_to_url": {"url": "https://hooks.stripe.example/3ds"}});
                }
                _ => authorize(intent),
            },
            ("capture", "requires_capture") => {
                intent["status"] = json!("succeeded");
                intent["amount_received"] = intent["amount"].clone();
                self.charged += intent["amount"].as_i64().expect("an amount");
            }
            ("cancel", status) if status != "succeeded" && status != "canceled" => {
                intent["status"] = json!("canceled");
            }
            _ => return unexpected(intent),
        }
        (200, intent.clone())
    }

    fn refund(&mut self, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let intent = &self.intents[&fields["payment_intent"]];
        assert_eq!(intent["status"], "succeeded");
        let refund = json!({"amount": minor(fields), "currency": intent["currency"],
            "status": self.refunds_are.unwrap_or("succeeded"), "metadata": metadata(fields)});
        self.refunds.push(refund.clone());
        (200, refund)
    }
}
