//! Every metric of this crate.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::http::StatusCode;
use dashmap::DashMap;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Requests answered, by route and class of status.
pub const HTTP_REQUESTS: &str = "onair_http_requests_total";
/// How long requests took.
pub const HTTP_SECONDS: &str = "onair_http_request_seconds";
/// Orders refused by the rate limit.
pub const RATE_LIMITED: &str = "onair_orders_rate_limited_total";
/// Connections that are open.
pub const CONNECTIONS: &str = "onair_http_connections";
/// Handlers that panicked.
pub const PANICS: &str = "onair_http_panics_total";

/// Attempts to deliver a webhook, by `outcome`: `delivered`, `retry`, `given_up`.
pub const WEBHOOK_ATTEMPTS: &str = "onair_webhook_attempts_total";

/// One attempt to deliver a webhook ended.
pub fn webhook_attempt(outcome: &'static str) {
    counter!(WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
}

/// Describes every metric of this crate.
pub fn describe() {
    describe_counter!(WEBHOOK_ATTEMPTS, "Attempts to deliver a webhook, by outcome");
    describe_counter!(HTTP_REQUESTS, "HTTP requests answered, by route and class of status");
    describe_histogram!(
        HTTP_SECONDS,
        metrics::Unit::Seconds,
        "How long HTTP requests took, by route"
    );
    describe_counter!(RATE_LIMITED, "Orders refused by the limit per viewer");
    describe_gauge!(CONNECTIONS, "HTTP connections that are open");
    describe_counter!(PANICS, "Requests that ended in a panic; a defect, must read 0");
}

/// The metrics of one route, looked up once: their labels are made anew otherwise with every
/// request.
struct Route {
    classes: [Counter; 5],
    seconds: Histogram,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Route {
    fn of(route: &str) -> Self {
        let requests =
            |class| counter!(HTTP_REQUESTS, "route" => route.to_owned(), "status" => class);
        let seconds = histogram!(HTTP_SECONDS, "route" => route.to_owned());
        Self { classes: CLASSES.map(requests), seconds }
    }
}

/// As many as there are routes; filled once requests come, when the recorder stands.
static ROUTES: LazyLock<DashMap<String, Arc<Route>>> = LazyLock::new(DashMap::new);

/// One request was answered. `route` is the pattern that it matched.
pub fn http_request(route: &str, status: StatusCode, elapsed: Duration) {
    let known = ROUTES.get(route).map(|known| Arc::clone(&known));
    let route = known.unwrap_or_else(|| {
        Arc::clone(&ROUTES.entry(route.to_owned()).or_insert_with(|| Arc::new(Route::of(route))))
    });
    let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
    if let Some(requests) = route.classes.get(class) {
        requests.increment(1);
    }
    route.seconds.record(elapsed.as_secs_f64());
}

/// One order was refused by the rate limit.
pub fn rate_limited() {
    counter!(RATE_LIMITED).increment(1);
}

/// A connection was opened (`1.0`) or closed (`-1.0`).
pub fn connections(change: f64) {
    gauge!(CONNECTIONS).increment(change);
}

/// A handler panicked.
pub fn panicked() {
    counter!(PANICS).increment(1);
}
