//! The real history under changed rules.
//!
//! Every order that the log accepted asks the gate again, in the order of the log, under the rules
//! of the answer. Who was refused by a node has left no order that could ask again: how many units
//! that was stands beside the answer.

mod rules;
mod sale;

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::demand::Observed;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, Sku, SpotlightId};
use domain::order::{OrderEvent, OrderReason};
use domain::ports::{EventReader, PortError};
use domain::reservation::ReservationEvent;
use domain::spotlight::SpotlightEvent;
use serde::Serialize;

use super::pages::Pages;
use crate::unmet_demand::viewers;
use sale::Sale;

pub use rules::{APPROVED_PERCENT, HOLD_SECONDS_MAX, LIMIT_MAX, Rules, Setting};
pub use sale::{Outcome, Totals};

/// Orders whose outcome changed that an answer names; the rest is counted.
pub const CHANGED_KEPT_MAX: usize = 100;

const ASSUMES: [&str; 4] = [
    "who was refused by a node asks no second time: more units sell only to buyers whose order the \
     log has; what was asked for in vain is told beside it, and how much of that there would have \
     been units for at the end",
    "buyers order the same, at the same time, whatever they are shown",
    "the provider answers when it did; with a seed it approves 90 of 100 payments, else what it said \
     counts",
    "a buyer whose order is refused comes back no second time",
];

/// One spotlight, as it was and as it would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpotlightWhatIf {
    /// Which.
    pub spotlight_id: SpotlightId,
    /// Under the rules of then.
    pub history: Totals,
    /// Under the changed ones.
    pub changed: Totals,
    /// What nodes refused in history, by SKU.
    pub unmet: Vec<AskedInVain>,
}

/// Units of a SKU that were asked for, and refused before an order existed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedInVain {
    /// Which SKU.
    pub sku: Sku,
    /// How often, with every repeat.
    pub requests: u64,
    /// How many units, with every repeat.
    pub units: u64,
    /// By how many viewers; nearly, where they are many.
    pub viewers: u64,
    /// How many of the units the changed rules would have had left at the end.
    pub could_have_sold: u64,
}

/// An order that would have ended otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedOrder {
    /// Which.
    pub order_id: OrderId,
    /// As it was.
    pub from: &'static str,
    /// As it would have been.
    pub to: &'static str,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// The rules.
    pub rules: Rules,
    /// Each spotlight that took or refused an order, in the order of the log.
    pub spotlights: Vec<SpotlightWhatIf>,
    /// Orders that asked.
    pub orders: u64,
    /// How many would have ended otherwise.
    pub changed_total: u64,
    /// Some of them, at most [`CHANGED_KEPT_MAX`].
    pub changed: Vec<ChangedOrder>,
    /// What the answer takes for granted.
    pub assumes: [&'static str; 4],
}

/// Both sales of a spotlight.
struct Twins {
    began: Position,
    history: Sale,
    changed: Sale,
    unmet: BTreeMap<Sku, Observed>,
}

impl Twins {
    fn both(&mut self, mut change: impl FnMut(&mut Sale)) {
        change(&mut self.history);
        change(&mut self.changed);
    }

    fn refuse(&mut self, observed: &Observed) {
        let Some(all) = self.unmet.get_mut(&observed.sku) else {
            self.unmet.insert(observed.sku.clone(), observed.clone());
            return;
        };
        all.requests = all.requests.saturating_add(observed.requests);
        all.units = all.units.saturating_add(observed.units);
        all.viewers.merge(&observed.viewers);
    }

    fn asked_in_vain(&self) -> Vec<AskedInVain> {
        let of_sku = |(sku, all): (&Sku, &Observed)| AskedInVain {
            sku: sku.clone(),
            requests: all.requests,
            units: all.units,
            viewers: viewers(&all.viewers),
            could_have_sold: all.units.min(self.changed.left(sku)),
        };
        self.unmet.iter().map(of_sku).collect()
    }
}

#[derive(Default)]
struct World {
    sales: BTreeMap<SpotlightId, Twins>,
    homes: BTreeMap<OrderId, SpotlightId>,
    orders: u64,
}

impl World {
    fn take(&mut self, event: &Recorded, rules: &Rules) {
        let at = event.metadata.decided_at;
        match &event.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
                let history = Sale::new(terms, &Rules::default());
                let changed = Sale::new(terms, rules);
                let twins =
                    Twins { began: event.position, history, changed, unmet: BTreeMap::new() };
                self.sales.insert(terms.spotlight_id, twins);
            }
            Event::Spotlight(SpotlightEvent::StockAdjusted {
                spotlight_id,
                sku,
                delta,
                refund_of,
                ..
            }) => {
                if let Some(twins) = self.sales.get_mut(spotlight_id) {
                    twins.both(|sale| sale.adjust(sku, *delta, *refund_of));
                }
            }
            Event::Spotlight(SpotlightEvent::DemandObserved { spotlight_id, observed, .. }) => {
                if let Some(twins) = self.sales.get_mut(spotlight_id) {
                    twins.refuse(observed);
                }
            }
            Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                if let Some(twins) = self.sales.get_mut(&accepted.spotlight_id) {
                    self.orders += 1;
                    self.homes.insert(accepted.order_id, accepted.spotlight_id);
                    twins.both(|sale| sale.ask(accepted));
                }
            }
            Event::Order(fact) => {
                let order = fact.order_id();
                let home = self.homes.get(&order);
                let Some(twins) = home.and_then(|home| self.sales.get_mut(home)) else { return };
                match fact {
                    OrderEvent::OrderConfirmed { .. } => twins.both(|sale| sale.paid(order, at)),
                    OrderEvent::OrderFailed { reason, .. }
                    | OrderEvent::OrderCancelled { reason, .. } => {
                        twins.both(|sale| sale.ended(order, *reason, at));
                    }
                    OrderEvent::OrderRefunded { amount, .. } => {
                        twins.both(|sale| sale.refunded(order, *amount));
                    }
                    _ => {}
                }
            }
            Event::Reservation(ReservationEvent::ReservationReleased { order_id, .. }) => {
                let home = self.homes.get(order_id);
                let Some(twins) = home.and_then(|home| self.sales.get_mut(home)) else { return };
                // what ended the order came before it; else its hold ran out, and it waits
                twins.both(|sale| {
                    if sale.outcome(*order_id) == Some(Outcome::Held) {
                        sale.ended(*order_id, OrderReason::HoldExpired, at);
                    }
                });
            }
            _ => {}
        }
    }

    fn finish(self, rules: Rules) -> WhatIf {
        let mut changed: Vec<ChangedOrder> = vec![];
        let mut total = 0;
        let mut spotlights: Vec<(Position, SpotlightWhatIf)> = vec![];
        for (spotlight_id, twins) in self.sales {
            let mut asked = false;
            for (order_id, to) in twins.changed.outcomes() {
                asked = true;
                let from = twins.history.outcome(order_id).unwrap_or(to);
                if from != to {
                    total += 1;
                    changed.push(ChangedOrder { order_id, from: from.as_str(), to: to.as_str() });
                }
            }
            // the first ones by id, whatever the order of a map
            changed.sort_by_key(|order| order.order_id);
            changed.truncate(CHANGED_KEPT_MAX);
            if asked || !twins.unmet.is_empty() {
                let unmet = twins.asked_in_vain();
                let (history, changed) = (twins.history.totals, twins.changed.totals);
                let found = SpotlightWhatIf { spotlight_id, history, changed, unmet };
                spotlights.push((twins.began, found));
            }
        }
        spotlights.sort_by_key(|(began, _)| *began);
        WhatIf {
            rules,
            spotlights: spotlights.into_iter().map(|(_, found)| found).collect(),
            orders: self.orders,
            changed_total: total,
            changed,
            assumes: ASSUMES,
        }
    }
}

/// Plays the orders of the log through changed rules; of one spotlight, or of all.
///
/// # Errors
/// The log cannot be read, or an event does not decode.
pub async fn what_if(
    reader: &dyn EventReader,
    rules: Rules,
    spotlight: Option<SpotlightId>,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<WhatIf, PortError> {
    let end = reader.head().await?;
    let mut pages = Pages::new(reader, spotlight.map(Into::into), end);
    let mut world = World::default();
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { return Ok(world.finish(rules)) };
        progress(last.position, end);
        for event in &page {
            world.take(event, &rules);
        }
        tokio::task::yield_now().await;
    }
}

/// The answer as lines of text.
pub fn render_what_if(answer: &WhatIf) -> String {
    let mut text = String::new();
    for SpotlightWhatIf { spotlight_id, history, changed, unmet } in &answer.spotlights {
        let _ = writeln!(text, "spotlight {spotlight_id}");
        for (name, totals) in [("as it was ", history), ("changed   ", changed)] {
            let sold_out = totals.sold_out_at.map_or_else(
                || "never sold out".to_owned(),
                |at| format!("sold out at {}", at.format("%Y-%m-%d %H:%M:%S%.3f")),
            );
            let _ = writeln!(
                text,
                "  {name} {} units sold in {} orders, {}, {sold_out}, {} units refused",
                totals.sold_units, totals.confirmed_orders, totals.revenue, totals.refused_units
            );
        }
        for AskedInVain { sku, requests, units, viewers, could_have_sold } in unmet {
            let _ = writeln!(
                text,
                "  {sku}: {viewers} viewers asked in vain for {units} units in {requests} requests; \
                 {could_have_sold} would have been left for them"
            );
        }
    }
    let _ = writeln!(text, "{} of {} orders end otherwise", answer.changed_total, answer.orders);
    for ChangedOrder { order_id, from, to } in answer.changed.iter().take(10) {
        let _ = writeln!(text, "  {order_id}: {from} -> {to}");
    }
    let _ = writeln!(text, "taken for granted:");
    for line in answer.assumes {
        let _ = writeln!(text, "  - {line}");
    }
    text
}
