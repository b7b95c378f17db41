//! One partition of the log in process.

use std::collections::VecDeque;

use domain::envelope::Source;
use domain::ports::{ConsumerEvent, Delivered};
use tokio::sync::oneshot;

use super::MemberId;

#[derive(Default)]
pub(super) struct Partition {
    /// Offset of the first record that is kept; none until a writer has started the partition.
    pub(super) base: Option<i64>,
    pub(super) records: VecDeque<Queued>,
    pub(super) owner: Option<MemberId>,
    started: bool,
    /// Records from the front that the owner has got.
    delivered: usize,
    /// Records from the front that any owner has got.
    seen: usize,
}

pub(super) struct Queued {
    pub(super) value: Vec<u8>,
    pub(super) ack: Option<oneshot::Sender<i64>>,
}

impl Partition {
    pub(super) fn end(&self, base: i64) -> i64 {
        base.saturating_add(i64::try_from(self.records.len()).unwrap_or(i64::MAX))
    }

    pub(super) fn hand_to(&mut self, owner: Option<MemberId>) {
        self.owner = owner;
        self.started = false;
        self.delivered = 0;
    }

    /// Acknowledges everything before `offset`, as far as it was ever delivered; returns how many
    /// records left the queue.
    pub(super) fn settle(&mut self, offset: i64) -> usize {
        let mut settled = 0;
        while let Some(base) = self.base
            && base < offset
            && self.seen > 0
            && let Some(queued) = self.records.pop_front()
        {
            self.base = Some(base + 1);
            self.seen -= 1;
            self.delivered = self.delivered.saturating_sub(1);
            settled += 1;
            if let Some(ack) = queued.ack {
                // the caller may have gone; the record is decided all the same
                let _gone = ack.send(base);
            }
        }
        settled
    }

    pub(super) fn start(&mut self, offset: i64) -> Result<usize, String> {
        let base = *self.base.get_or_insert(offset);
        if offset < base {
            return Err(format!("the log starts at {base}, after the stored offset {offset}"));
        }
        let seen = base.saturating_add(i64::try_from(self.seen).unwrap_or(i64::MAX));
        if offset > seen {
            return Err(format!("the log ends at {seen}, before the stored offset {offset}"));
        }
        let settled = self.settle(offset);
        self.started = true;
        self.delivered = 0;
        Ok(settled)
    }

    pub(super) fn take(
        &mut self,
        topic: &str,
        number: i32,
        max: usize,
        out: &mut Vec<ConsumerEvent>,
    ) {
        let Some(base) = self.base.filter(|_| self.started) else { return };
        let room = max.saturating_sub(out.len());
        for queued in self.records.iter().skip(self.delivered).take(room) {
            let offset = base.saturating_add(i64::try_from(self.delivered).unwrap_or(i64::MAX));
            let source = Source { topic: topic.to_owned(), partition: number, offset };
            out.push(ConsumerEvent::Record(Delivered { source, value: queued.value.clone() }));
            self.delivered += 1;
        }
        self.seen = self.seen.max(self.delivered);
    }
}
