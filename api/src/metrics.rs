//! Every metric of this crate.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

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

/// Describes every metric of this crate.
pub fn describe() {
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

/// One request was answered.
pub fn http_request(route: &str, status: StatusCode, elapsed: Duration) {
    let class = match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    counter!(HTTP_REQUESTS, "route" => route.to_owned(), "status" => class).increment(1);
    histogram!(HTTP_SECONDS, "route" => route.to_owned()).record(elapsed.as_secs_f64());
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
