//! The chat log in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use domain::ids::BroadcastId;
use domain::ports::{ChatLog, ChatRecord, Page, PortError};
use parking_lot::Mutex;
use uuid::Uuid;

use super::key;
use crate::read_model::{Cursor, page_limit, page_of};

/// A chat log that is gone with its process.
#[derive(Debug, Default)]
pub struct MemoryChatLog {
    records: Mutex<BTreeMap<Cursor, ChatRecord>>,
}

#[async_trait]
impl ChatLog for MemoryChatLog {
    async fn append(&self, records: &[ChatRecord]) -> Result<(), PortError> {
        let mut known = self.records.lock();
        for record in records {
            known.entry(key(record)).or_insert_with(|| record.clone());
        }
        Ok(())
    }

    async fn message(
        &self,
        broadcast: BroadcastId,
        id: Uuid,
    ) -> Result<Option<ChatRecord>, PortError> {
        let known = self.records.lock();
        let found = known.values().find(|record| record.id == id && record.broadcast == broadcast);
        Ok(found.cloned())
    }

    async fn page(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatRecord>, PortError> {
        let after = Cursor::decode_optional(cursor)?;
        let limit = page_limit(limit);
        let known = self.records.lock();
        let of_broadcast = known.iter().filter(|(place, record)| {
            record.broadcast == broadcast && after.is_none_or(|after| **place > after)
        });
        let records = of_broadcast.map(|(_, record)| record.clone()).take(limit + 1).collect();
        Ok(page_of(records, limit, key))
    }

    async fn forget_before(&self, time: Timestamp) -> Result<u64, PortError> {
        let mut known = self.records.lock();
        let before = known.len();
        known.retain(|_, record| record.sent_at >= time);
        Ok(u64::try_from(before.saturating_sub(known.len())).unwrap_or(u64::MAX))
    }
}
