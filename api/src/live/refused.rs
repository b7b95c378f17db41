//! What is answered in place of a socket.

use axum::extract::ws::rejection::WebSocketUpgradeRejection as Rejection;
use axum::http::{HeaderValue, header};

use super::LiveState;
use crate::problem::{Code, Problem};

/// Seconds after which a refused client is to try again.
const RETRY_AFTER_SECONDS: u32 = 2;
/// The version of the WebSocket protocol that is spoken.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A request that asks for no socket, or not as it should.
pub fn not_an_upgrade(rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::MethodNotGet(_) => Problem::new(Code::MethodNotAllowed)
            .header(header::ALLOW, HeaderValue::from_static("GET")),
        Rejection::WebSocketKeyHeaderMissing(_) => {
            Problem::new(Code::MalformedRequest).detail(rejection.to_string())
        }
        // HTTP/2 has no such headers
        Rejection::MethodNotConnect(_) => Problem::new(Code::UpgradeRequired),
        _ => Problem::new(Code::UpgradeRequired)
            .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .header(header::SEC_WEBSOCKET_VERSION, VERSION),
    }
}

/// A page that is not one of ours.
pub fn foreign_origin() -> Problem {
    Problem::new(Code::OriginNotAllowed)
}

/// The node is full, or goes away.
pub fn no_seat(live: &LiveState) -> Problem {
    let problem = if live.draining.is_cancelled() {
        Problem::new(Code::ShuttingDown)
    } else {
        Problem::new(Code::Unavailable).detail("this node has no room for another connection")
    };
    problem.retry_after(RETRY_AFTER_SECONDS)
}
