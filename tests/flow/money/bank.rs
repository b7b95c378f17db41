//! A payment service with books of its own, behind onair's `http` protocol: every simulated method,
//! answers that get lost, and webhooks that come twice, late and out of order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::api::payments::signature::sign;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use uuid::Uuid;

/// What onair shows as a bearer token.
pub const KEY: &str = "sk_test_bank";
/// What webhooks are signed with.
pub const SECRET: &str = "the secret of the bank, thirty-two bytes and more";
/// Every simulated method, as the contract names them, and one for an order that names none.
pub const METHODS: [&str; 8] = [
    "sim_ok",
    "sim_decline_hard",
    "sim_decline_soft",
    "sim_unknown",
    "sim_late",
    "sim_twice",
    "sim_never",
    "sim_requires_action",
];
/// How long after the hold a late buyer pays.
const LATE_BY: Duration = Duration::from_secs(1);
/// The longest that a webhook is on its way.
const DELAY_MS: u64 = 2_000;
/// How often a webhook is told again that was not taken.
const TELLS: usize = 40;
const TELLS_AGAIN_AFTER: Duration = Duration::from_millis(250);
const CURRENCY: &str = "KRW";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    Waits,
    Authorized,
    Captured,
    Voided,
    Hard,
    Soft,
}

#[derive(Debug, Clone)]
pub struct Payment {
    pub standing: Standing,
    pub minor: i64,
    pub refunds: BTreeMap<u64, i64>,
}

/// An order, and the attempt to pay it.
pub type Which = (String, u64);

#[derive(Default)]
struct Books {
    payments: BTreeMap<Which, Payment>,
    failed_captures: u64,
    told: u64,
    refused: Vec<String>,
    webhooks: Vec<String>,
}

struct Shared {
    books: Mutex<Books>,
    dice: Mutex<ChaCha8Rng>,
    http: reqwest::Client,
}

/// The bank, listening until it is dropped.
pub struct Bank {
    pub address: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bank {
    pub async fn start(seed: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            books: Mutex::default(),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            http: reqwest::Client::new(),
        });
        let app = Router::new().route("/{operation}", post(answer)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") });
        Self { address, shared, server }
    }

    /// Where webhooks go to from now on.
    pub fn tell_at(&self, bases: &[String]) {
        let path = |base: &String| format!("{base}/v1/payments/http/webhook");
        self.shared.books.lock().webhooks = bases.iter().map(path).collect();
    }

    pub fn payments(&self) -> BTreeMap<Which, Payment> {
        self.shared.books.lock().payments.clone()
    }

    /// Webhooks that were taken, and what else was answered to one.
    pub fn told(&self) -> (u64, Vec<String>) {
        let books = self.shared.books.lock();
        (books.told, books.refused.clone())
    }

    /// Captures that were refused for good.
    pub fn failed_captures(&self) -> u64 {
        self.shared.books.lock().failed_captures
    }
}

impl Shared {
    fn chance(&self, percent: u32) -> bool {
        self.dice.lock().random_range(0..100) < percent
    }

    fn between(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.dice.lock().random_range(from..to))
    }

    /// One to three webhooks about where a payment stands at this moment; each takes its own time.
    fn tell(self: &Arc<Self>, data: &Value) {
        let copies = self.dice.lock().random_range(1..=3);
        let first = Uuid::new_v4();
        for copy in 0..copies {
            // the third is a message of its own that says the same
            let id = if copy == 2 { Uuid::new_v4() } else { first };
            let (shared, delay) = (self.clone(), self.between(0, DELAY_MS));
            let body = json!({"type": "payment.result", "timestamp": Utc::now(), "data": data})
                .to_string();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                shared.deliver(&id.to_string(), &body).await;
            });
        }
    }

    async fn deliver(&self, id: &str, body: &str) {
        for tell in 0..TELLS {
            let at = Utc::now().timestamp().to_string();
            let url = {
                let books = self.books.lock();
                books.webhooks[tell % books.webhooks.len()].clone()
            };
            let sent = self
                .http
                .post(url)
                .header("content-type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", &at)
                .header("webhook-signature", sign(SECRET.as_bytes(), id, &at, body.as_bytes()))
                .body(body.to_owned())
                .send()
                .await;
            match sent.map(|answer| answer.status().as_u16()) {
                Ok(204) => {
                    self.books.lock().told += 1;
                    return;
                }
                Ok(503) | Err(_) => tokio::time::sleep(TELLS_AGAIN_AFTER).await,
                Ok(other) => {
                    self.books.lock().refused.push(format!("{other} to {body}"));
                    return;
                }
            }
        }
        self.books.lock().refused.push(format!("nothing to {body}"));
    }

    /// The buyer does something by itself, later: acts on the bank's page, or pays after the hold.
    fn later(self: &Arc<Self>, which: Which, after: Duration, from: Standing, to: Standing) {
        let shared = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let told = {
                let mut books = shared.books.lock();
                let payment = books.payments.get_mut(&which).expect("it is known");
                let moves = payment.standing == from;
                if moves {
                    payment.standing = to;
                }
                moves.then(|| result_of(payment))
            };
            if let Some(result) = told {
                shared.tell(&about(&which, &result));
            }
        });
    }

    fn authorize(self: &Arc<Self>, which: &Which, ask: &Value) -> Value {
        let amount = ask["amount"]["minor"].as_i64().expect("an amount");
        assert_eq!(ask["amount"]["currency"], CURRENCY);
        let method = ask["method"].as_str().expect("a method");
        let mut fresh = false;
        let result = {
            let mut books = self.books.lock();
            let payment = books.payments.entry(which.clone()).or_insert_with(|| {
                fresh = true;
                let standing = match method {
                    "sim_decline_hard" => Standing::Hard,
                    "sim_decline_soft" => Standing::Soft,
                    "sim_unknown" => Standing::Captured,
                    "sim_late" | "sim_never" => Standing::Open,
                    "sim_requires_action" => Standing::Waits,
                    _ => Standing::Authorized,
                };
                Payment { standing, minor: amount, refunds: BTreeMap::new() }
            });
            result_of(payment)
        };
        if fresh {
            self.begin(which, method, ask, &result);
        }
        // its answer is lost whatever is asked for: only a query tells
        if method == "sim_unknown" { json!({"outcome": "pending"}) } else { result }
    }

    fn begin(self: &Arc<Self>, which: &Which, method: &str, ask: &Value, result: &Value) {
        match method {
            "sim_late" => {
                let held = ask["held_until"].as_str().expect("a hold");
                let held: DateTime<Utc> = held.parse().expect("a time");
                let after = (held - Utc::now()).to_std().unwrap_or_default() + LATE_BY;
                self.later(which.clone(), after, Standing::Open, Standing::Captured);
            }
            // one in ten never comes back from the page
            "sim_requires_action" if !self.chance(10) => {
                let after = self.between(200, 1_800);
                self.later(which.clone(), after, Standing::Waits, Standing::Authorized);
            }
            "sim_never" | "sim_requires_action" => {}
            "sim_unknown" if self.chance(50) => {}
            _ => self.tell(&about(which, result)),
        }
    }

    fn capture(self: &Arc<Self>, which: &Which) -> Value {
        let fails = self.chance(4);
        let (result, moved) = {
            let mut books = self.books.lock();
            let Some(payment) = books.payments.get_mut(which) else {
                return json!({"outcome": "capture_failed", "code": "unknown"});
            };
            let moved = payment.standing == Standing::Authorized;
            if moved {
                payment.standing = if fails { Standing::Voided } else { Standing::Captured };
            }
            let failed = payment.standing != Standing::Captured;
            let failed_now = moved && failed;
            let result = if failed {
                json!({"outcome": "capture_failed", "code": "expired"})
            } else {
                result_of(payment)
            };
            books.failed_captures += u64::from(failed_now);
            (result, moved)
        };
        if moved {
            self.tell(&about(which, &result));
        }
        result
    }

    fn void(self: &Arc<Self>, which: &Which, ask: &Value) -> Value {
        let minor = ask["amount"]["minor"].as_i64().expect("an amount");
        let mut books = self.books.lock();
        let payment = books.payments.entry(which.clone()).or_insert_with(|| Payment {
            standing: Standing::Open,
            minor,
            refunds: BTreeMap::new(),
        });
        if matches!(payment.standing, Standing::Open | Standing::Waits | Standing::Authorized) {
            payment.standing = Standing::Voided;
        }
        result_of(payment)
    }

    fn refund(self: &Arc<Self>, which: &Which, ask: &Value) -> Value {
        let (minor, number) = (ask["amount"]["minor"].as_i64(), ask["attempt"].as_u64());
        let (minor, number) = (minor.expect("an amount"), number.expect("a number"));
        let result =
            json!({"outcome": "refunded", "amount": {"minor": minor, "currency": CURRENCY}});
        let fresh = {
            let mut books = self.books.lock();
            let payment = books.payments.get_mut(which);
            let Some(payment) = payment.filter(|it| it.standing == Standing::Captured) else {
                return json!({"outcome": "refund_failed", "code": "not_captured"});
            };
            let left = payment.minor - payment.refunds.values().sum::<i64>();
            match payment.refunds.get(&number) {
                Some(known) => {
                    assert_eq!(*known, minor, "one number, two amounts: {which:?}");
                    false
                }
                None if minor > left => {
                    return json!({"outcome": "refund_failed", "code": "more_than_paid"});
                }
                None => {
                    payment.refunds.insert(number, minor);
                    true
                }
            }
        };
        if !fresh {
            return result;
        }
        self.tell(&json!({"order_id": which.0, "attempt": number, "result": &result}));
        // now and then only the webhook says so, or who asks again
        if self.chance(10) { json!({"outcome": "pending"}) } else { result }
    }
}

fn about((order, attempt): &Which, result: &Value) -> Value {
    json!({"order_id": order, "attempt": attempt, "result": result})
}

fn result_of(payment: &Payment) -> Value {
    let amount = json!({"minor": payment.minor, "currency": CURRENCY});
    match payment.standing {
        Standing::Open => json!({"outcome": "pending"}),
        Standing::Waits => {
            let action = json!({"type": "redirect", "url": "https://pay.invalid/page"});
            json!({"outcome": "requires_action", "action": action})
        }
        Standing::Authorized => json!({"outcome": "authorized", "amount": amount}),
        Standing::Captured => json!({"outcome": "captured", "amount": amount}),
        Standing::Voided => json!({"outcome": "voided"}),
        Standing::Hard => json!({"outcome": "declined", "kind": "hard", "code": "card_declined"}),
        Standing::Soft => {
            json!({"outcome": "declined", "kind": "soft", "code": "insufficient_funds"})
        }
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    assert_eq!(header("authorization"), format!("Bearer {KEY}"));
    let ask: Value = serde_json::from_slice(&body).expect("JSON");
    let order = ask["order_id"].as_str().expect("an order").to_owned();
    let key = format!("{order}:{operation}:{}", ask["attempt"]);
    assert_eq!(header("idempotency-key"), key, "the key names the operation");
    if shared.chance(2) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let which = (order, ask["payment_attempt"].as_u64().expect("an attempt"));
    let result = match operation.as_str() {
        "authorize" => shared.authorize(&which, &ask),
        "capture" => shared.capture(&which),
        "void" => shared.void(&which, &ask),
        "refund" => shared.refund(&which, &ask),
        "query" => {
            let books = shared.books.lock();
            books.payments.get(&which).map_or_else(|| json!({"outcome": "pending"}), result_of)
        }
        other => panic!("{other} is no operation"),
    };
    // done, and nobody learns of it
    if shared.chance(3) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    axum::Json(json!({"result": result})).into_response()
}
