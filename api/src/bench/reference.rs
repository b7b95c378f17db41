//! The references of the HTTP benchmarks: bare axum handlers, in a process of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use commands::log::kafka::ProducerSettings;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use redis::Script;
use redis::aio::ConnectionManager;
use serde::Deserialize;
use serde_json::json;

use super::{BenchError, Suite};
use crate::auth::{AUDIENCE, Claims, LEEWAY_SECONDS};

/// One unit of one counter.
const TAKE: &str = "local n = redis.call('INCR', KEYS[1]) return n";

/// Which handler, and what it works with.
#[derive(Debug, clap::Args)]
pub struct ReferenceOptions {
    /// accept or soldout
    pub suite: Suite,
    /// Redis
    #[arg(long)]
    pub redis: String,
    /// Kafka
    #[arg(long)]
    pub kafka: String,
    /// The topic that accepted orders are appended to
    #[arg(long)]
    pub topic: String,
    /// Bytes of a record that is appended
    #[arg(long)]
    pub record_bytes: usize,
    /// The key that accepted orders are counted in
    #[arg(long)]
    pub key: String,
    /// The secret that tokens are signed with
    #[arg(long)]
    pub secret_file: PathBuf,
    /// Written once it serves
    #[arg(long)]
    pub ready_file: PathBuf,
}

struct Bare {
    decoding: DecodingKey,
    validation: Validation,
    redis: ConnectionManager,
    script: String,
    key: String,
    producer: FutureProducer,
    topic: String,
    record: Vec<u8>,
    number: AtomicU64,
}

/// Serves until the process is killed.
///
/// # Errors
/// A server cannot be reached, or nothing can be listened on.
pub async fn serve(options: ReferenceOptions) -> Result<(), BenchError> {
    let secret = std::fs::read(&options.secret_file)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    let unreachable = |error| BenchError::unreachable("Redis", error);
    let client = redis::Client::open(options.redis.as_str()).map_err(unreachable)?;
    let mut connection = ConnectionManager::new(client).await.map_err(unreachable)?;
    let script: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(TAKE)
        .query_async(&mut connection)
        .await
        .map_err(unreachable)?;
    debug_assert_eq!(script, Script::new(TAKE).get_hash());
    let bare = Arc::new(Bare {
        decoding: DecodingKey::from_secret(secret.trim_ascii_end()),
        validation,
        redis: connection,
        script,
        key: options.key,
        producer: producer(&options.kafka)?,
        topic: options.topic,
        record: vec![b' '; options.record_bytes],
        number: AtomicU64::new(0),
    });
    let routes = match options.suite {
        Suite::Soldout => Router::new().route("/v1/orders", post(sold_out)),
        _ => Router::new().route("/v1/orders", post(accept)),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let listen = listener.local_addr()?.to_string();
    let draft = options.ready_file.with_extension("draft");
    std::fs::write(&draft, json!({"listen": listen}).to_string())?;
    std::fs::rename(&draft, &options.ready_file)?;
    let listener = listener.tap_io(|stream| {
        // answers are short
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes.with_state(bare)).await?;
    Ok(())
}

/// The producer of the api process: the same settings.
fn producer(brokers: &str) -> Result<FutureProducer, BenchError> {
    let settings = ProducerSettings::default();
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "onair-bench")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("max.in.flight.requests.per.connection", settings.in_flight.to_string())
        .set("compression.type", settings.compression)
        .set("queue.buffering.max.messages", settings.queue_depth.to_string())
        .create()
        .map_err(|error| BenchError::unreachable("Kafka", error))
}

impl Bare {
    fn viewer(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?;
        Some(data.claims.sub)
    }
}

/// Verifies the token, takes in one script, appends, answers.
async fn accept(State(bare): State<Arc<Bare>>, headers: HeaderMap, body: Bytes) -> Response {
    if bare.viewer(&headers).is_none() || body.is_empty() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut evalsha = redis::cmd("EVALSHA");
    evalsha.arg(&bare.script).arg(1).arg(&bare.key);
    let taken: Result<i64, _> = evalsha.query_async(&mut bare.redis.clone()).await;
    let Ok(taken) = taken else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let record = FutureRecord::to(&bare.topic).key(bare.key.as_str()).payload(&bare.record);
    let delivery = match bare.producer.send_result(record) {
        Ok(delivery) => delivery.await,
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let Ok(Ok(stood)) = delivery else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let number = bare.number.fetch_add(1, Ordering::Relaxed);
    let location = HeaderValue::from(number);
    let answer = Json(json!({"id": number, "taken": taken, "offset": stood.offset}));
    (StatusCode::ACCEPTED, [(LOCATION, location)], answer).into_response()
}

/// The body of an order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    spotlight_id: uuid::Uuid,
    offer_version: u32,
    lines: Vec<Line>,
    payment_method: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    quantity: u32,
}

/// Verifies the token, parses the body, refuses.
async fn sold_out(
    State(bare): State<Arc<Bare>>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Response {
    if bare.viewer(&headers).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let units: u32 = order.lines.iter().map(|line| line.quantity).sum();
    let known = order.lines.iter().all(|line| !line.sku.is_empty());
    if units == 0 || !known || order.offer_version == 0 || order.payment_method.is_empty() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let answer = Json(json!({"code": "sold_out", "spotlight_id": order.spotlight_id}));
    (StatusCode::CONFLICT, answer).into_response()
}
