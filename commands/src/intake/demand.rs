//! What was asked for and refused: counted in the node, written down once a second.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::time::Duration;

use chrono::{SubsecRound, TimeDelta};
use domain::Timestamp;
use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::demand::{Observed, Viewers};
use domain::ids::{CommandId, CorrelationId, SellerId, Sku, SpotlightId, ViewerRef};
use domain::line::Lines;
use domain::ports::AppendError;
use domain::spotlight::SpotlightCommand;
use futures::StreamExt;
use metrics::counter;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{DEMAND_SPOTLIGHTS_MAX, DEMAND_UNSENT_MAX, Intake, PlaceRefusal};
use crate::metrics::INTAKE_DEMAND_LOST_TOTAL;

/// How often what was counted is written down.
pub const DEMAND_EVERY: Duration = Duration::from_secs(1);
/// Shards of the counts: one hot spotlight is refused on every core.
const SHARDS: usize = 16;
/// Spotlights of one shard.
const SHARD_SPOTLIGHTS_MAX: usize = DEMAND_SPOTLIGHTS_MAX / SHARDS;
/// Records that are appended at once.
const APPENDS_MAX: usize = 16;

/// Who asks. The pseudonym is made only for a viewer who was not counted yet in this second.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The token's subject, or its pseudonym: who was counted is recognised by it.
    pub viewer: &'a str,
    /// Their pseudonym.
    pub viewer_ref: &'a (dyn Fn() -> ViewerRef + Sync),
}

struct Count {
    observed: Observed,
    /// Hashes of the viewers that were counted.
    seen: HashSet<u64>,
}

struct Place {
    seller: SellerId,
    skus: Vec<Count>,
}

type Shard = HashMap<SpotlightId, Place>;

/// Counts of what was refused since they were last written down, and the records that the log has
/// not acknowledged.
pub(super) struct Demand {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    told: Mutex<Option<Timestamp>>,
    unsent: Mutex<VecDeque<CommandRecord>>,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            told: Mutex::default(),
            unsent: Mutex::default(),
        }
    }
}

impl Demand {
    /// Counts a refusal that was for want of stock.
    pub(super) fn count(
        &self,
        spotlight: SpotlightId,
        seller: &SellerId,
        lines: &Lines,
        refusal: &PlaceRefusal,
        asker: Asker<'_>,
    ) {
        let PlaceRefusal::SoldOut { remaining } = refusal else { return };
        let hash = self.hasher.hash_one(asker.viewer);
        let index = usize::try_from(hash).unwrap_or(usize::MAX) % SHARDS;
        let Some(shard) = self.shards.get(index) else { return };
        let mut places = shard.lock();
        if places.len() >= SHARD_SPOTLIGHTS_MAX && !places.contains_key(&spotlight) {
            counter!(INTAKE_DEMAND_LOST_TOTAL).increment(1);
            return;
        }
        let place = places
            .entry(spotlight)
            .or_insert_with(|| Place { seller: seller.clone(), skus: vec![] });
        for line in lines {
            let units = line.quantity.get();
            if remaining.get(&line.sku).copied().unwrap_or(0) < i64::from(units) {
                place.count(&line.sku, units, hash, asker);
            }
        }
    }

    /// Takes what was counted, by spotlight.
    fn drain(&self) -> BTreeMap<SpotlightId, (SellerId, Vec<Observed>)> {
        let mut drained: BTreeMap<SpotlightId, (SellerId, Vec<Observed>)> = BTreeMap::new();
        for shard in &self.shards {
            for (spotlight, place) in mem::take(&mut *shard.lock()) {
                let (_, all) = drained.entry(spotlight).or_insert((place.seller, vec![]));
                for Count { observed, .. } in place.skus {
                    match all.iter_mut().find(|known| known.sku == observed.sku) {
                        None => all.push(observed),
                        Some(known) => {
                            known.requests = known.requests.saturating_add(observed.requests);
                            known.units = known.units.saturating_add(observed.units);
                            known.viewers.merge(&observed.viewers);
                        }
                    }
                }
            }
        }
        drained
    }

    /// Whether a second is told for the first time.
    fn begin(&self, second: Timestamp) -> bool {
        let mut told = self.told.lock();
        let is_new = told.is_none_or(|told| second > told);
        if is_new {
            *told = Some(second);
        }
        is_new
    }

    fn keep(&self, record: CommandRecord) {
        let mut unsent = self.unsent.lock();
        unsent.push_back(record);
        while unsent.len() > DEMAND_UNSENT_MAX {
            unsent.pop_front();
            counter!(INTAKE_DEMAND_LOST_TOTAL).increment(1);
        }
    }
}

impl Place {
    fn count(&mut self, sku: &Sku, units: u32, hash: u64, asker: Asker<'_>) {
        let known = self.skus.iter().position(|count| count.observed.sku == *sku);
        let index = known.unwrap_or_else(|| {
            let viewers = Viewers::default();
            let observed = Observed { sku: sku.clone(), requests: 0, units: 0, viewers };
            self.skus.push(Count { observed, seen: HashSet::new() });
            self.skus.len() - 1
        });
        let Some(Count { observed, seen }) = self.skus.get_mut(index) else { return };
        observed.requests = observed.requests.saturating_add(1);
        observed.units = observed.units.saturating_add(u64::from(units));
        if seen.insert(hash) {
            observed.viewers.insert((asker.viewer_ref)());
        }
    }
}

impl Intake {
    /// Writes down what was refused, once a second, and the rest at `stop`.
    pub async fn tell_demand(&self, stop: &CancellationToken) {
        let pause = || self.ports.clock.sleep(DEMAND_EVERY);
        while stop.run_until_cancelled(pause()).await.is_some() {
            let second = self.ports.clock.now() - TimeDelta::seconds(1);
            stop.run_until_cancelled(self.tell_second(second)).await;
        }
        // the log may have stopped before
        tokio::select! {
            () = self.tell_second(self.ports.clock.now()) => {}
            () = pause() => {}
        }
    }

    /// Writes down what was refused since it was last told, as of this second; nothing where the
    /// second was told before.
    pub async fn tell_second(&self, at: Timestamp) {
        let second = at.trunc_subsecs(0);
        if self.ports.log.is_down() || !self.demand.begin(second) {
            return;
        }
        let mut records: Vec<CommandRecord> = mem::take(&mut *self.demand.unsent.lock()).into();
        for (spotlight, (seller, mut observed)) in self.demand.drain() {
            observed.sort_by(|one, other| one.sku.cmp(&other.sku));
            records.push(self.demand_record(spotlight, seller, second, observed));
        }
        let mut appends = futures::stream::iter(records)
            .map(|record| async move { (self.ports.log.append(&record).await, record) })
            .buffer_unordered(APPENDS_MAX);
        while let Some((appended, record)) = appends.next().await {
            // the same record again is known by its id
            if let Err(AppendError::Refused(why) | AppendError::Unknown(why)) = appended {
                tracing::debug!(why, "unmet demand is told later");
                self.demand.keep(record);
            }
        }
    }

    fn demand_record(
        &self,
        spotlight: SpotlightId,
        seller: SellerId,
        second: Timestamp,
        observed: Vec<Observed>,
    ) -> CommandRecord {
        let id = self.ports.ids.uuid();
        let command = SpotlightCommand::ObserveDemand { second, node: self.node.clone(), observed };
        CommandRecord {
            command_id: CommandId(id),
            seller,
            key: spotlight.into(),
            correlation: CorrelationId(id),
            causation: None,
            traceparent: None,
            actor: Actor::system(),
            issued_at: self.ports.clock.now(),
            command: Command::Spotlight { command },
        }
    }
}
