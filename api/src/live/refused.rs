//! What is answered in place of a socket.

use axum::http::{HeaderValue, header};

use super::doors::Shut;
use crate::problem::{Code, Problem};

/// The version of the WebSocket protocol that is spoken.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUpgrade {
    /// It comes by a version of HTTP that has no such upgrade.
    NotHttp1,
    /// It is no GET.
    NotGet,
    /// It asks for no WebSocket, or for another version of it.
    NotAsked,
    /// It has no key.
    NoKey,
}

/// A request that asks for no socket, or not as it should.
pub fn not_an_upgrade(refusal: NoUpgrade) -> Problem {
    match refusal {
        NoUpgrade::NotGet => Problem::new(Code::MethodNotAllowed)
            .header(header::ALLOW, HeaderValue::from_static("GET")),
        NoUpgrade::NoKey => {
            Problem::new(Code::MalformedRequest).detail("Sec-WebSocket-Key is missing")
        }
        NoUpgrade::NotHttp1 => Problem::new(Code::UpgradeRequired),
        NoUpgrade::NotAsked => Problem::new(Code::UpgradeRequired)
            .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .header(header::SEC_WEBSOCKET_VERSION, VERSION),
    }
}

/// A page that is not one of ours.
pub fn foreign_origin() -> Problem {
    Problem::new(Code::OriginNotAllowed)
}

/// The doors are shut.
pub fn shut(shut: Shut) -> Problem {
    let problem = match shut {
        Shut::Draining => Problem::new(Code::ShuttingDown),
        Shut::Full => unavailable("this node has no room for another connection"),
        Shut::TooFast(_) => unavailable("too many connect to this node at once"),
        Shut::AddressFull => unavailable("this address has too many connections"),
        Shut::AddressTooFast(_) => unavailable("too many connect from this address at once"),
    };
    problem.retry_after(shut.retry_after())
}

fn unavailable(detail: &str) -> Problem {
    Problem::new(Code::Unavailable).detail(detail)
}
