//! A thread beside each consumer of commands: how far it is behind, whether it is stuck, and whether
//! the log has lost its end.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rdkafka::consumer::{Consumer, StreamConsumer};

use super::context::{Fault, Group, GroupContext};
use crate::metrics::{COMMAND_CONSUMER_STALLS_TOTAL, COMMAND_LAG_RECORDS};

/// How often the lag is measured.
pub const LAG_INTERVAL: Duration = Duration::from_secs(2);
/// How long a writer may wait for records that are there: then its consumer is given up.
pub const STALLED_AFTER: Duration = Duration::from_secs(30);
/// How long one answer about a partition's end may take.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(2);

/// Watches until the consumer is dropped.
pub(super) fn run(
    consumer: &Weak<StreamConsumer<GroupContext>>,
    group: &Arc<Group>,
    ended: &Receiver<()>,
) {
    while ended.recv_timeout(LAG_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let Some(consumer) = consumer.upgrade() else { return };
        let idle_since = group.idle_since();
        let behind = look(&consumer, group);
        if behind > 0
            && idle_since.is_some_and(|since| since.elapsed() >= STALLED_AFTER)
            && group.idle_since() == idle_since
        {
            counter!(COMMAND_CONSUMER_STALLS_TOTAL).increment(1);
            tracing::error!(behind, "the command consumer is stuck");
            group.fail(Fault::Stuck("records are there and do not come"));
        }
    }
}

/// How many records are there that the writer has not got.
fn look(consumer: &StreamConsumer<GroupContext>, group: &Group) -> i64 {
    let mut behind = 0;
    for (name, expected) in group.flowing() {
        let (topic, partition) = &name;
        let Ok((_, high)) = consumer.fetch_watermarks(topic, *partition, WATERMARK_TIMEOUT) else {
            continue;
        };
        let lag = (high - expected).max(0);
        behind += lag;
        let labels = [("topic", topic.clone()), ("partition", partition.to_string())];
        gauge!(COMMAND_LAG_RECORDS, &labels).set(f64::from(i32::try_from(lag).unwrap_or(i32::MAX)));
        // `expected` was read before the log was asked, so the log has lost its end (window 8)
        if high < expected && group.owned(&name).is_some_and(|own| own.expected == Some(expected)) {
            group.fail(Fault::Corrupt(format!(
                "{topic}/{partition} ends at {high}, before {expected}, up to where it was read"
            )));
        }
    }
    behind
}

/// The time, for [`Group::waits`].
pub(super) fn now() -> Instant {
    Instant::now()
}
