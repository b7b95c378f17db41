//! The partitions that a writer owns, and where each stands.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use domain::envelope::Source;
use domain::ports::{Fence, PortError};

use super::batch::Item;
use super::{BACKOFF_MIN, Stop, Writer, WriterError};
use crate::clock::{between, delta};

/// A topic and the number of its partition.
pub(super) type PartitionId = (String, i32);

/// The part of a source that names its partition.
pub(super) fn partition_of(source: &Source) -> PartitionId {
    (source.topic.clone(), source.partition)
}

#[derive(Debug, Clone, Copy)]
enum Standing {
    /// Owned under an epoch.
    Owned { epoch: u64, next_offset: Option<i64> },
    /// Fenced; claimed again at this time, unless it is revoked before.
    Lost { claim_at: Timestamp },
}

/// Every partition that is assigned.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    standings: BTreeMap<PartitionId, Standing>,
    /// Where each began when it was assigned.
    lows: BTreeMap<PartitionId, i64>,
    /// The last time that decisions were stamped with; time of a partition never goes back.
    decided_at: Option<Timestamp>,
}

impl Partitions {
    pub(super) fn own(&mut self, partition: PartitionId, epoch: u64, next_offset: Option<i64>) {
        self.standings.insert(partition, Standing::Owned { epoch, next_offset });
    }

    pub(super) fn lose(&mut self, partition: PartitionId, claim_at: Timestamp) {
        self.standings.insert(partition, Standing::Lost { claim_at });
    }

    pub(super) fn remove(&mut self, partition: &PartitionId) {
        self.standings.remove(partition);
        self.lows.remove(partition);
    }

    /// How many are owned.
    pub(super) fn count(&self) -> usize {
        let owned = |standing: &&Standing| matches!(standing, Standing::Owned { .. });
        self.standings.values().filter(owned).count()
    }

    fn owned(&self, partition: &PartitionId) -> Option<(u64, Option<i64>)> {
        match self.standings.get(partition)? {
            Standing::Owned { epoch, next_offset } => Some((*epoch, *next_offset)),
            Standing::Lost { .. } => None,
        }
    }

    /// Whether the record is owned and was not decided yet.
    pub(super) fn expects(&self, source: &Source) -> bool {
        self.owned(&partition_of(source))
            .is_some_and(|(_, next_offset)| next_offset.is_none_or(|next| source.offset >= next))
    }

    /// When the next lost partition may be claimed again.
    pub(super) fn reclaim_in(&self, now: Timestamp) -> Option<Duration> {
        let claims = self.standings.values().filter_map(|standing| match standing {
            Standing::Lost { claim_at } => Some(*claim_at),
            Standing::Owned { .. } => None,
        });
        claims.min().map(|claim_at| between(now, claim_at))
    }

    fn to_reclaim(&self, now: Timestamp) -> Vec<PartitionId> {
        let due = |standing: &Standing| matches!(standing, Standing::Lost { claim_at } if *claim_at <= now);
        self.standings
            .iter()
            .filter(|(_, standing)| due(standing))
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    /// The conditions under which the items may be committed.
    pub(super) fn fences(&self, items: &[Item]) -> Vec<Fence> {
        let mut ends: BTreeMap<PartitionId, i64> = BTreeMap::new();
        for item in items {
            ends.insert(partition_of(&item.delivered.source), item.delivered.source.offset + 1);
        }
        ends.into_iter()
            .filter_map(|(partition, next_offset)| {
                let (epoch, first_offset) = self.owned(&partition)?;
                let (topic, partition) = partition;
                Some(Fence { topic, partition, epoch, first_offset, next_offset })
            })
            .collect()
    }

    /// The fences' partitions have moved on.
    pub(super) fn advance(&mut self, fences: &[Fence]) {
        for fence in fences {
            self.own((fence.topic.clone(), fence.partition), fence.epoch, Some(fence.next_offset));
        }
    }

    /// The one time of a batch: now, but never before an earlier one, also of an earlier owner as
    /// far as its events were loaded.
    pub(super) fn stamp(&mut self, now: Timestamp, seen: Option<Timestamp>) -> Timestamp {
        let stamp = [Some(now), seen, self.decided_at].into_iter().flatten().max().unwrap_or(now);
        self.decided_at = Some(stamp);
        stamp
    }
}

impl Writer {
    /// Takes a partition over and starts where the store says.
    pub(super) async fn assign(
        &mut self,
        partition: PartitionId,
        low: i64,
        high: i64,
    ) -> Result<(), Stop> {
        self.partitions.lows.insert(partition.clone(), low);
        self.claim(partition, Some((low, high))).await
    }

    /// Claims what was fenced and not revoked since.
    pub(super) async fn reclaim(&mut self) -> Result<(), Stop> {
        for partition in self.partitions.to_reclaim(self.ports.clock.now()) {
            self.claim(partition, None).await?;
        }
        Ok(())
    }

    async fn claim(
        &mut self,
        partition: PartitionId,
        bounds: Option<(i64, i64)>,
    ) -> Result<(), Stop> {
        let (topic, number) = (partition.0.as_str(), partition.1);
        self.desks.drop_partition(&partition);
        let mut pause = BACKOFF_MIN;
        let claim = loop {
            match self.ports.store.claim(topic, number, &self.config.owner).await {
                Ok(claim) => break claim,
                Err(error) => self.back_off(&mut pause, &error).await?,
            }
        };
        let start = match (claim.next_offset, bounds) {
            (Some(wanted), Some((low, _))) if wanted < low => {
                let topic = topic.to_owned();
                let error = WriterError::LogTruncated { topic, partition: number, low, wanted };
                return Err(Stop::Failed(error));
            }
            (Some(wanted), _) => wanted,
            (None, _) => self.partitions.lows.get(&partition).copied().unwrap_or(0),
        };
        loop {
            match self.ports.consumer.start_at(topic, number, start).await {
                Ok(()) => break,
                Err(PortError::Closed) => return Err(Stop::Asked),
                Err(error @ PortError::Corrupt { .. }) => {
                    return Err(Stop::Failed(unreadable(&partition, start, bounds, error)));
                }
                Err(error) => self.back_off(&mut pause, &error).await?,
            }
        }
        tracing::info!(
            topic,
            partition = number,
            epoch = claim.epoch,
            offset = start,
            "took a partition over"
        );
        self.partitions.own(partition, claim.epoch, claim.next_offset);
        self.config.owned.set(self.partitions.count());
        Ok(())
    }

    /// Finds out which partitions of a fenced batch are gone, and where the others stand.
    pub(super) async fn refresh(&mut self, fences: &[Fence]) -> Result<(), Stop> {
        let mut pause = BACKOFF_MIN;
        for fence in fences {
            let claim = loop {
                match self.ports.store.position_of(&fence.topic, fence.partition).await {
                    Ok(claim) => break claim,
                    Err(error) => self.back_off(&mut pause, &error).await?,
                }
            };
            let partition = (fence.topic.clone(), fence.partition);
            match claim {
                Some(claim) if claim.epoch == fence.epoch => {
                    self.partitions.own(partition, claim.epoch, claim.next_offset);
                }
                _ => {
                    tracing::warn!(
                        topic = %fence.topic, partition = fence.partition, epoch = fence.epoch,
                        "fenced: another writer owns the partition"
                    );
                    self.desks.drop_partition(&partition);
                    let claim_at = self.ports.clock.now() + delta(self.config.reclaim_pause);
                    self.partitions.lose(partition, claim_at);
                    self.config.owned.set(self.partitions.count());
                }
            }
        }
        Ok(())
    }
}

/// Why a partition cannot be started where the store says (design rule 6). The log's end is judged
/// only here, after the claim: an owner that is fenced now may have decided past the end that the
/// assignment told.
fn unreadable(
    (topic, partition): &PartitionId,
    wanted: i64,
    bounds: Option<(i64, i64)>,
    error: PortError,
) -> WriterError {
    match bounds {
        Some((_, high)) if wanted > high => {
            let (topic, partition) = (topic.clone(), *partition);
            WriterError::LogEndLost { topic, partition, high, wanted }
        }
        _ => WriterError::LogUnreadable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_does_not_start_says_why() {
        let why = |bounds| {
            unreadable(&("t".to_owned(), 0), 10, bounds, PortError::corrupt("t", "no such offset"))
        };
        assert!(matches!(why(Some((5, 9))), WriterError::LogEndLost { high: 9, wanted: 10, .. }));
        assert!(matches!(why(Some((5, 10))), WriterError::LogUnreadable(_)));
        assert!(matches!(why(None), WriterError::LogUnreadable(_)));
    }

    #[test]
    fn time_does_not_go_back() {
        let mut partitions = Partitions::default();
        let at = |seconds| Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        assert_eq!(partitions.stamp(at(5), None), at(5));
        assert_eq!(partitions.stamp(at(3), None), at(5));
        assert_eq!(partitions.stamp(at(3), Some(at(7))), at(7));
        assert_eq!(partitions.stamp(at(8), Some(at(7))), at(8));
    }
}
