//! The chat log: what was said, for a term.

mod memory;
mod postgres;
mod sqlite;

use domain::ports::ChatRecord;

use crate::read_model::Cursor;

pub use memory::MemoryChatLog;
pub use postgres::PostgresChatLog;
pub use sqlite::SqliteChatLog;

/// Its name in errors.
pub const NAME: &str = "chat_log";

const fn key(record: &ChatRecord) -> Cursor {
    Cursor::new(record.sent_at, record.id)
}
