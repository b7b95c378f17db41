//! Seller webhooks: events become messages to the endpoints that want them.

mod feed;
mod names;
mod rows;
mod tables;

pub use feed::WebhookFeed;
pub use names::{EVENTS, event_name};
pub use tables::{PostgresWebhookBook, SqliteWebhookBook};

use crate::read_model::Identity;

/// The projection's name in metrics, logs and its checkpoint.
pub const NAME: &str = "webhooks";
/// Raised where the same events would become other messages.
const VERSION: i32 = 1;

fn identity() -> Identity {
    Identity::new(NAME, VERSION, &[])
}
