//! The stock of one spotlight at a position, and who has it.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, Sku, ViewerRef};
use domain::ledger::{LedgerRow, for_each_ledger_change};
use domain::order::OrderEvent;
use domain::reservation::ReservationEvent;
use serde::Serialize;

/// The stock of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StockOf {
    /// Which.
    pub sku: Sku,
    /// Units that may be held and sold.
    pub limit: i64,
    /// Units that are held.
    pub held: i64,
    /// Units that are sold.
    pub sold: i64,
    /// Units that nobody has.
    pub remaining: i64,
}

/// Somebody who has units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// With which order.
    pub order_id: OrderId,
    /// Who, as a pseudonym.
    pub viewer_ref: ViewerRef,
    /// How many units.
    pub units: u32,
    /// The gate's epoch of the take.
    pub epoch: u64,
    /// The gate's number of the take.
    pub admission_no: u64,
    /// When the gate said yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted_at: Option<Timestamp>,
    /// Whether they are sold, and not only held.
    pub sold: bool,
}

/// A time in which nothing was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoldOut {
    /// From which position.
    pub from_position: Position,
    /// Decided when.
    pub from: Timestamp,
    /// Until when; absent where it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Folds the events of one spotlight's key.
#[derive(Debug, Default)]
pub(super) struct StockFold {
    rows: BTreeMap<Sku, LedgerRow>,
    holders: BTreeMap<OrderId, Holder>,
    admitted: BTreeMap<OrderId, Timestamp>,
    sold_out: Vec<SoldOut>,
}

/// Times without stock that are kept, the first ones.
const SOLD_OUT_MAX: usize = 100;

impl StockFold {
    pub fn take(&mut self, recorded: &Recorded) {
        for_each_ledger_change(&recorded.event, |change| {
            let row = self.rows.entry(change.sku.clone()).or_default();
            row.limit = row.limit.saturating_add(change.limit);
            row.held = row.held.saturating_add(change.held);
            row.confirmed = row.confirmed.saturating_add(change.confirmed);
        });
        match &recorded.event {
            Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                self.admitted.insert(accepted.order_id, accepted.admission.at);
            }
            Event::Order(
                OrderEvent::OrderFailed { order_id, .. }
                | OrderEvent::OrderCancelled { order_id, .. },
            ) => {
                self.admitted.remove(order_id);
            }
            Event::Reservation(event) => self.reserve(event),
            _ => {}
        }
        self.note_sold_out(recorded);
    }

    fn reserve(&mut self, event: &ReservationEvent) {
        match event {
            ReservationEvent::StockReserved {
                order_id,
                viewer_ref,
                lines,
                epoch,
                admission_no,
                ..
            } => {
                let holder = Holder {
                    order_id: *order_id,
                    viewer_ref: viewer_ref.clone(),
                    units: lines.units(),
                    epoch: *epoch,
                    admission_no: *admission_no,
                    admitted_at: self.admitted.remove(order_id),
                    sold: false,
                };
                self.holders.insert(*order_id, holder);
            }
            ReservationEvent::ReservationConfirmed { order_id, .. } => {
                if let Some(holder) = self.holders.get_mut(order_id) {
                    holder.sold = true;
                }
            }
            ReservationEvent::ReservationReleased { order_id, .. } => {
                self.holders.remove(order_id);
            }
        }
    }

    fn note_sold_out(&mut self, recorded: &Recorded) {
        let nothing = !self.rows.is_empty() && self.rows.values().all(|row| row.free() <= 0);
        let room = self.sold_out.len() < SOLD_OUT_MAX;
        let open = self.sold_out.last_mut().filter(|it| it.until.is_none());
        let at = recorded.metadata.decided_at;
        match (nothing, open) {
            (true, None) if room => {
                let from_position = recorded.position;
                self.sold_out.push(SoldOut { from_position, from: at, until: None });
            }
            (false, Some(last)) => last.until = Some(at),
            _ => {}
        }
    }

    pub fn stock(&self) -> Vec<StockOf> {
        self.rows
            .iter()
            .map(|(sku, row)| StockOf {
                sku: sku.clone(),
                limit: row.limit,
                held: row.held,
                sold: row.confirmed,
                remaining: row.free(),
            })
            .collect()
    }

    /// Everybody who has units, in the order of admission.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders: Vec<Holder> = self.holders.values().cloned().collect();
        holders.sort_by_key(|holder| (holder.epoch, holder.admission_no, holder.order_id));
        holders
    }

    pub fn sold_out(self) -> Vec<SoldOut> {
        self.sold_out
    }
}
