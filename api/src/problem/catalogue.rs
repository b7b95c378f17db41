//! Every code that a problem may have: one table, whose page is `docs/errors.md`.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal, $meaning:literal;)*) => {
        /// The stable code of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as clients read it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The same few words each time.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The URI of the kind of problem.
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:onair:problem:", $code),)* }
            }

            /// What it means and what to do.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON", "The body is empty, cut short, nested too deep or no JSON. Mend it and send it again.";
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be read", "The connection ended inside the body, or a header has characters that it must not have.";
    IdempotencyKeyMissing = "idempotency_key_missing", BAD_REQUEST, "The Idempotency-Key header is missing", "Orders are placed under a key of the client's choice, so that a repeat is never a second order.";
    IdempotencyKeyInvalid = "idempotency_key_invalid", BAD_REQUEST, "The Idempotency-Key header is malformed", "A key has 1 to 255 visible ASCII characters.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A token is needed", "The request has no `Authorization: Bearer` token and the route needs one.";
    TokenExpired = "token_expired", UNAUTHORIZED, "The token has expired", "Fetch a new token and repeat the request.";
    TokenInvalid = "token_invalid", UNAUTHORIZED, "The token is not valid", "The token is malformed, signed by another key, meant for another audience or without a known role.";
    SignatureInvalid = "signature_invalid", UNAUTHORIZED, "The signature is not valid", "The signature of the webhook is missing, of another secret, of another body or older than 5 minutes.";
    Forbidden = "forbidden", FORBIDDEN, "The role does not allow this", "The token is valid, and its role may not do this.";
    NotFound = "not_found", NOT_FOUND, "There is no such thing", "The route or the thing does not exist, or it is another seller's.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The route has no such method", "`Allow` names the methods that the route has.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The body came too slowly", "Send the request again.";
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN, "Pages of this origin may not connect", "`ONAIR_ALLOWED_ORIGINS` names the pages that may.";
    UpgradeRequired = "upgrade_required", UPGRADE_REQUIRED, "This is a socket", "Connect with a WebSocket client: `Upgrade: websocket`, version 13.";
    SoldOut = "sold_out", CONFLICT, "Sold out", "At least one line does not fit; nothing was taken. `remaining` says what is left of each SKU.";
    NotOpen = "not_open", CONFLICT, "Not open yet", "The spotlight has not been opened. `opens_at` says when it will be, if that is known.";
    Paused = "paused", CONFLICT, "Paused", "The host has paused the spotlight; it may be resumed. Where its offer was withdrawn, only a new offer opens it again.";
    Closed = "closed", CONFLICT, "Closed", "The spotlight is closed for good.";
    OverLimit = "over_limit", CONFLICT, "Over the limit per viewer", "The viewer would hold and have bought more units than `per_viewer_limit`. `Location` is the viewer's open order, if there is one.";
    InStock = "in_stock", CONFLICT, "There are units", "All lines fit into what is free: order them. Only what is sold out is waited for.";
    AlreadyWaiting = "already_waiting", CONFLICT, "The viewer waits for something else", "A viewer waits once per spotlight. Leave the line first; the new place is at its end.";
    NotWaiting = "not_waiting", CONFLICT, "The viewer does not wait", "The place in line is gone: an offer was made, or the line ended. Read the waitlist.";
    WaitlistFull = "waitlist_full", CONFLICT, "The line is full", "At most 2,000 viewers wait for one spotlight.";
    OfferChanged = "offer_changed", CONFLICT, "The offer has changed", "The order names another offer version than the one that is sold. `offer` is the current one; show it to the buyer before ordering again.";
    IdempotencyInFlight = "idempotency_in_flight", CONFLICT, "The same key is being processed", "Ask again with the same key after `Retry-After`.";
    BelowCommitted = "below_committed", CONFLICT, "Fewer units would be left than are held and sold", "The reduction is larger than what remains. `remaining` says how much that is, if it is known.";
    AlreadyWithdrawn = "already_withdrawn", CONFLICT, "The offer version was withdrawn otherwise", "A version is withdrawn once; what becomes of its orders cannot be changed.";
    WithdrawalInProgress = "withdrawal_in_progress", CONFLICT, "The orders of another version are being settled", "`withdrawal` of the spotlight shows how far that is; ask again when it is done.";
    BroadcastNotLive = "broadcast_not_live", CONFLICT, "The broadcast is not live", "Start the broadcast before opening a spotlight of it.";
    BroadcastEnded = "broadcast_ended", CONFLICT, "The broadcast has ended", "Nothing of an ended broadcast can be changed.";
    AlreadyConfirmed = "already_confirmed", CONFLICT, "The order is confirmed", "A confirmed order is paid; it can no longer be cancelled.";
    AlreadyEnded = "already_ended", CONFLICT, "The order has ended", "The order is failed, cancelled or refunded already.";
    NotConfirmed = "not_confirmed", CONFLICT, "The order is not confirmed", "Only a confirmed order is refunded; one that is not paid yet can be cancelled.";
    RefundInProgress = "refund_in_progress", CONFLICT, "A refund of the order is under way", "Ask again once the order shows it as done.";
    PaymentNotAwaited = "payment_not_awaited", CONFLICT, "The order waits for no payment", "A payment is under way or was made, or the last refusal allows no other attempt. Read the order.";
    HoldExpired = "hold_expired", CONFLICT, "The hold has run out", "The units are no longer held for the order; place a new one.";
    AlreadyExists = "already_exists", CONFLICT, "It exists already", "The same id exists with other terms.";
    LimitExceeded = "limit_exceeded", CONFLICT, "There are so many already", "A bound of what is kept for one broadcast is reached; `detail` names it.";
    TooManyEndpoints = "too_many_endpoints", CONFLICT, "The seller has too many webhook endpoints", "A seller has at most 20 endpoints. Remove one first.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large", "Bodies are bounded: 32 KiB for an order, 256 KiB elsewhere.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON", "Send `Content-Type: application/json`.";
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "The request has bad fields", "`errors` names every bad field of the body by JSON pointer (RFC 6901), and of the query as `?name`.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The key was used for another request", "A key belongs to one body; use a new key for a new request.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests", "Wait for `Retry-After` seconds. `RateLimit-Policy` states the limit.";
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large", "Headers are bounded by 32 KiB.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here", "A defect of the server. `trace_id` finds it in the logs.";
    StockUnavailable = "stock_unavailable", SERVICE_UNAVAILABLE, "The stock is not available for a moment", "The gate of the spotlight is being rebuilt, or the command log is down; nothing was taken. Ask again with the same key after `Retry-After`.";
    OutcomeUnknown = "outcome_unknown", SERVICE_UNAVAILABLE, "Whether the order was accepted is not known", "The log did not acknowledge in time. Ask again with the same key after `Retry-After`; `Location` is where the order will be.";
    DecisionPending = "decision_pending", SERVICE_UNAVAILABLE, "The command is in the log and not decided yet", "Ask again after `Retry-After`; with an Idempotency-Key, repeat the request under the same one.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Something that this depends on cannot be reached", "Ask again after `Retry-After`.";
    Timeout = "timeout", SERVICE_UNAVAILABLE, "The request took too long", "Its outcome is not known. Ask again after `Retry-After`.";
    ShuttingDown = "shutting_down", SERVICE_UNAVAILABLE, "The server is shutting down", "Ask again: another server answers.";
}

/// The page `docs/errors.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every error is an `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `code`,\n\
         `detail`, `errors` and `trace_id`. `code` is stable; `detail` is for people and may change.\n\
         This page is generated from `api/src/problem/catalogue.rs`: `ONAIR_BLESS=1 cargo test -p api`.\n\n\
         | code | status | title | meaning |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let status = code.status();
        page.push_str(&row([code.as_str(), status.as_str(), code.title(), code.meaning()]));
    }
    page
}

fn row([code, status, title, meaning]: [&str; 4]) -> String {
    format!("| `{code}` | {status} | {title} | {meaning} |\n")
}
