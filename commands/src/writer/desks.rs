//! The state of stream keys between batches: bounded, dropped with its partition, loaded when a
//! command needs it.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use domain::command::Command;
use domain::desk::Desk;
use domain::envelope::Recorded;
use domain::event::{Event, StreamId};
use domain::ids::{BroadcastId, OrderId, SpotlightId, StreamKey, ViewerRef};
use domain::order::OrderCommand;
use domain::ports::{EventStore, PortError};
use domain::spotlight::SpotlightCommand;
use lru::LruCache;

use super::batch::Item;
use super::partitions::{PartitionId, partition_of};
use super::{DESKS_MAX, ORDERS_MAX};

/// A desk and the partition whose owner may hold it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) desk: Desk,
    partition: PartitionId,
}

/// Desks by key, least recently used last.
#[derive(Debug)]
pub(super) struct Desks {
    seats: LruCache<StreamKey, Seat>,
    orders: LruCache<OrderId, StreamKey>,
    /// The latest decision among the events that were loaded.
    pub(super) seen: Option<Timestamp>,
}

impl Default for Desks {
    fn default() -> Self {
        Self { seats: LruCache::unbounded(), orders: LruCache::unbounded(), seen: None }
    }
}

impl Desks {
    /// The desk of a key that was loaded.
    pub(super) fn desk(&mut self, key: StreamKey) -> Option<&mut Desk> {
        self.seats.get_mut(&key).map(|seat| &mut seat.desk)
    }

    /// Loads what the items' decisions look at.
    pub(super) async fn load(
        &mut self,
        store: &dyn EventStore,
        items: &[Item],
    ) -> Result<(), PortError> {
        self.load_keys(store, items).await?;
        self.load_orders(store, items).await?;
        self.load_units(store, items).await
    }

    async fn load_keys(&mut self, store: &dyn EventStore, items: &[Item]) -> Result<(), PortError> {
        let mut missing: BTreeMap<StreamKey, PartitionId> = BTreeMap::new();
        for item in items {
            let Ok(record) = &item.record else { continue };
            if self.seats.get(&record.key).is_none() {
                missing.insert(record.key, partition_of(&item.delivered.source));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let streams: Vec<StreamId> = missing
            .keys()
            .flat_map(|key| {
                let spotlight = StreamId::spotlight(SpotlightId(key.0));
                [StreamId::broadcast(BroadcastId(key.0)), spotlight]
            })
            .collect();
        let mut desks: BTreeMap<StreamKey, Desk> =
            missing.keys().map(|key| (*key, Desk::default())).collect();
        for recorded in store.load(&streams).await? {
            self.see(&recorded);
            if let Some(desk) = desks.get_mut(&recorded.key) {
                desk.fold(&recorded.stream, &recorded.event);
            }
        }
        for (key, mut desk) in desks {
            if desk.spotlight.terms.is_some() {
                desk.ledger = store.ledger(SpotlightId(key.0)).await?;
            }
            if let Some(partition) = missing.remove(&key) {
                self.seats.put(key, Seat { desk, partition });
            }
        }
        Ok(())
    }

    /// A new order has no stream; only for a known one is its reservation read as well.
    async fn load_orders(
        &mut self,
        store: &dyn EventStore,
        items: &[Item],
    ) -> Result<(), PortError> {
        let mut missing: BTreeMap<OrderId, StreamKey> = BTreeMap::new();
        for item in items {
            let Some((key, command)) = item.order_command() else { continue };
            let order = command.order_id();
            self.orders.put(order, key);
            if self.desk(key).is_some_and(|desk| desk.lacks_order(order)) {
                missing.insert(order, key);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let streams: Vec<StreamId> = missing.keys().map(|order| StreamId::order(*order)).collect();
        let mut events = store.load(&streams).await?;
        let known: BTreeSet<OrderId> = events.iter().filter_map(order_of).collect();
        if !known.is_empty() {
            let streams: Vec<StreamId> = known
                .iter()
                .flat_map(|order| {
                    [StreamId::reservation(*order), StreamId::reservation_again(*order)]
                })
                .collect();
            events.extend(store.load(&streams).await?);
        }
        for (order, key) in &missing {
            if let Some(desk) = self.desk(*key) {
                desk.orders.insert(*order, domain::desk::OrderDesk::default());
            }
        }
        for recorded in events {
            self.see(&recorded);
            // an order of another key is not this desk's: the decision finds nothing
            let wanted = order_of(&recorded).and_then(|order| missing.get(&order).copied());
            if wanted == Some(recorded.key)
                && let Some(desk) = self.desk(recorded.key)
            {
                desk.fold(&recorded.stream, &recorded.event);
            }
        }
        Ok(())
    }

    /// Counts an order among those whose state is kept.
    pub(super) fn note(&mut self, order: OrderId, key: StreamKey) {
        self.orders.put(order, key);
    }

    async fn load_units(
        &mut self,
        store: &dyn EventStore,
        items: &[Item],
    ) -> Result<(), PortError> {
        let mut missing: BTreeMap<StreamKey, BTreeSet<ViewerRef>> = BTreeMap::new();
        for item in items {
            let Some((key, command)) = item.order_command() else { continue };
            let Some(desk) = self.desk(key) else { continue };
            if limit_of(desk).is_some()
                && let Some(viewer) = desk.buyer(command)
                && desk.lacks_viewer(viewer)
            {
                let viewer = viewer.clone();
                missing.entry(key).or_default().insert(viewer);
            }
        }
        for item in items {
            let Ok(record) = &item.record else { continue };
            let Some(desk) = self.desk(record.key) else { continue };
            if limit_of(desk).is_some() {
                let lacking = waiting(desk, &record.command);
                missing.entry(record.key).or_default().extend(lacking);
            }
        }
        for (key, viewers) in missing {
            if viewers.is_empty() {
                continue;
            }
            let viewers: Vec<ViewerRef> = viewers.into_iter().collect();
            let mut units = store.units(SpotlightId(key.0), &viewers).await?;
            if let Some(desk) = self.desk(key) {
                for viewer in viewers {
                    let held = units.remove(&viewer).unwrap_or(0);
                    desk.units.insert(viewer, held);
                }
            }
        }
        Ok(())
    }

    fn see(&mut self, recorded: &Recorded) {
        self.seen = self.seen.max(Some(recorded.metadata.decided_at));
    }

    /// Forgets the desks of keys; they are loaded again.
    pub(super) fn drop_keys(&mut self, items: &[Item]) {
        for item in items {
            if let Ok(record) = &item.record {
                self.seats.pop(&record.key);
            }
        }
    }

    /// Forgets everything of a partition.
    pub(super) fn drop_partition(&mut self, partition: &PartitionId) {
        let gone: Vec<StreamKey> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.partition == *partition)
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.seats.pop(&key);
        }
    }

    /// Comes back to the bounds, between batches.
    pub(super) fn trim(&mut self) {
        while self.seats.len() > DESKS_MAX {
            self.seats.pop_lru();
        }
        while self.orders.len() > ORDERS_MAX {
            if let Some((order, key)) = self.orders.pop_lru()
                && let Some(seat) = self.seats.peek_mut(&key)
            {
                seat.desk.forget_order(order);
            }
        }
    }

    /// Comes back to the bounds within one desk: viewers are cheap to load again.
    pub(super) fn trim_units(&mut self, key: StreamKey) {
        if let Some(desk) = self.desk(key)
            && (limit_of(desk).is_none() || desk.units.len() > ORDERS_MAX)
        {
            desk.units.clear();
        }
    }
}

/// Viewers in line, or about to be, whose units are not known: any decision may make them an offer.
fn waiting(desk: &Desk, command: &Command) -> Vec<ViewerRef> {
    let joining = match command {
        Command::Spotlight { command: SpotlightCommand::JoinWaitlist { wait, .. } } => {
            Some(&wait.viewer_ref)
        }
        _ => None,
    };
    let line = desk.spotlight.waitlist.line.values().map(|waiting| &waiting.wait.viewer_ref);
    line.chain(joining).filter(|viewer| desk.lacks_viewer(viewer)).cloned().collect()
}

/// Units that one viewer may hold and buy.
pub(super) fn limit_of(desk: &Desk) -> Option<u32> {
    desk.spotlight.terms.as_deref().and_then(|terms| terms.per_viewer_limit)
}

fn order_of(recorded: &Recorded) -> Option<OrderId> {
    match &recorded.event {
        Event::Order(event) => Some(event.order_id()),
        Event::Reservation(event) => Some(event.order_id()),
        _ => None,
    }
}

impl Item {
    pub(super) fn order_command(&self) -> Option<(StreamKey, &OrderCommand)> {
        let record = self.record.as_ref().ok()?;
        match &record.command {
            Command::Order { command } => Some((record.key, command)),
            _ => None,
        }
    }
}
