//! What stands on the events topic, against the log.

use std::time::Duration;

use domain::envelope::Position;
use domain::ports::PortError;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

/// How long the brokers may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Positions that are remembered, one bit each: 128 MiB.
pub const SCANNED_POSITIONS_MAX: u64 = 1 << 30;
/// Missing positions that an answer names; the rest is counted.
pub const MISSING_KEPT_MAX: usize = 1_000;
const BITS: u64 = 64;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScannedEvents {
    /// Records that were read.
    pub records: u64,
    /// Records of a position that was read before: harmless, consumers drop them.
    pub repeated: u64,
    /// Records without a position of ours.
    pub foreign: u64,
    /// Records of positions after the head of the log.
    pub beyond: u64,
    /// The first position that is there; what was before it has run out of the topic's retention,
    /// or was never published.
    pub first: Position,
    /// The last position that is there.
    pub last: Position,
    /// Positions between the first and the last that are not there, at most [`MISSING_KEPT_MAX`].
    pub missing: Vec<Position>,
    /// How many are not there.
    pub missing_total: u64,
}

/// Positions as bits.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, position: u64) -> bool {
        let (word, bit) = (usize::try_from(position / BITS).unwrap_or(usize::MAX), position % BITS);
        if word >= self.0.len() {
            self.0.resize(word.saturating_add(1), 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & (1 << bit) == 0;
        *word |= 1 << bit;
        is_new
    }

    fn has(&self, position: u64) -> bool {
        let word = usize::try_from(position / BITS).unwrap_or(usize::MAX);
        self.0.get(word).is_some_and(|word| word & (1 << (position % BITS)) != 0)
    }
}

fn unavailable(error: KafkaError) -> PortError {
    PortError::unavailable("the events topic", error)
}

fn position_of(message: &BorrowedMessage<'_>) -> Option<u64> {
    let header = message.headers()?.iter().find(|header| header.key == "position")?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

/// Reads the whole topic as it is now, without a group, and tells what of the log up to `head` is
/// not there.
///
/// # Errors
/// Kafka cannot be reached, or the log is longer than [`SCANNED_POSITIONS_MAX`].
pub async fn scan_events(
    brokers: &str,
    topic: &str,
    head: Position,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<ScannedEvents, PortError> {
    if head.0 >= SCANNED_POSITIONS_MAX {
        let detail = format!("more than {SCANNED_POSITIONS_MAX} positions are not scanned");
        return Err(PortError::corrupt("the events topic", detail));
    }
    let consumer: StreamConsumer = super::client(brokers, "onair-audit")
        // a consumer must have one; nothing is committed under it
        .set("group.id", "onair-audit")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .map_err(unavailable)?;
    let (consumer, ends) = begin(consumer, topic.to_owned()).await?;
    let total: i64 = ends.iter().map(|(_, low, high)| high - low).sum();
    let total = u64::try_from(total).unwrap_or_default();
    let mut open: Vec<(i32, i64)> = ends
        .into_iter()
        .filter(|(_, low, high)| high > low)
        .map(|(p, _, high)| (p, high))
        .collect();
    let mut found = ScannedEvents {
        records: 0,
        repeated: 0,
        foreign: 0,
        beyond: 0,
        first: Position(u64::MAX),
        last: Position::START,
        missing: vec![],
        missing_total: 0,
    };
    let mut seen = Seen::default();
    while !open.is_empty() {
        let message = tokio::time::timeout(ANSWERS_WITHIN, consumer.recv()).await;
        let message = message
            .map_err(|elapsed| PortError::unavailable("the events topic", elapsed))?
            .map_err(unavailable)?;
        open.retain(|(partition, high)| {
            *partition != message.partition() || message.offset() + 1 < *high
        });
        found.take(&mut seen, position_of(&message), head);
        if found.records.is_multiple_of(1_000) {
            progress(found.records, total);
        }
    }
    // closing may take half a second, and never on this thread
    tokio::task::spawn_blocking(move || drop(consumer)).await.ok();
    found.finish(&seen);
    Ok(found)
}

type Ends = Vec<(i32, i64, i64)>;

/// Assigns every partition from its beginning; tells where each begins and ends.
async fn begin(
    consumer: StreamConsumer,
    topic: String,
) -> Result<(StreamConsumer, Ends), PortError> {
    let begun = tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(Some(&topic), ANSWERS_WITHIN)?;
        let (mut list, mut ends) = (TopicPartitionList::new(), vec![]);
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let id = partition.id();
            let (low, high) = consumer.fetch_watermarks(&topic, id, ANSWERS_WITHIN)?;
            list.add_partition_offset(&topic, id, Offset::Beginning)?;
            ends.push((id, low, high));
        }
        consumer.assign(&list)?;
        Ok((consumer, ends))
    });
    let begun = begun.await.map_err(|error| PortError::unavailable("the events topic", error))?;
    begun.map_err(unavailable)
}

impl ScannedEvents {
    fn take(&mut self, seen: &mut Seen, position: Option<u64>, head: Position) {
        self.records += 1;
        let Some(position) = position.filter(|position| *position > 0) else {
            self.foreign += 1;
            return;
        };
        if position > head.0 {
            self.beyond += 1;
            return;
        }
        if !seen.insert(position) {
            self.repeated += 1;
        }
        self.first = self.first.min(Position(position));
        self.last = self.last.max(Position(position));
    }

    fn finish(&mut self, seen: &Seen) {
        if self.last == Position::START {
            self.first = Position::START;
            return;
        }
        for position in (self.first.0..=self.last.0).filter(|position| !seen.has(*position)) {
            self.missing_total += 1;
            if self.missing.len() < MISSING_KEPT_MAX {
                self.missing.push(Position(position));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_repeated_foreign_and_beyond_is_told_apart() {
        let mut found = ScannedEvents {
            records: 0,
            repeated: 0,
            foreign: 0,
            beyond: 0,
            first: Position(u64::MAX),
            last: Position::START,
            missing: vec![],
            missing_total: 0,
        };
        let mut seen = Seen::default();
        for position in [Some(3), Some(4), Some(4), None, Some(0), Some(70), Some(200), Some(7)] {
            found.take(&mut seen, position, Position(100));
        }
        found.finish(&seen);
        assert_eq!((found.records, found.repeated, found.foreign, found.beyond), (8, 1, 2, 1));
        assert_eq!((found.first, found.last), (Position(3), Position(70)));
        assert_eq!(found.missing_total, 70 - 3 + 1 - 4);
        assert_eq!(found.missing.first(), Some(&Position(5)));
    }
}
