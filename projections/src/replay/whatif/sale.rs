//! One spotlight as it would have been sold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use domain::Timestamp;
use domain::ids::{OrderId, Sku, ViewerRef};
use domain::money::Money;
use domain::order::{Accepted, OrderReason};
use domain::spotlight::SpotlightTerms;
use serde::Serialize;

use super::rules::Rules;

/// How an order ends, or stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its units are held.
    Held,
    /// It was sold.
    Confirmed,
    /// The gate would have said no: nothing was left.
    SoldOut,
    /// The gate would have said no: the viewer's limit.
    OverLimit,
    /// It ended without a sale.
    Ended(OrderReason),
}

impl Outcome {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::SoldOut => "sold_out",
            Self::OverLimit => "over_limit",
            Self::Ended(reason) => reason.as_str(),
        }
    }
}

/// What a sale came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Orders that were sold.
    pub confirmed_orders: u64,
    /// Units that were sold.
    pub sold_units: u64,
    /// What buyers paid, less what was given back.
    pub revenue: Money,
    /// When nothing was left for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sold_out_at: Option<Timestamp>,
    /// Orders that were refused.
    pub refused_orders: u64,
    /// Their units: demand that was not met.
    pub refused_units: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stock {
    limit: i64,
    taken: i64,
}

#[derive(Debug)]
struct Order {
    viewer: ViewerRef,
    units: u32,
    total: Money,
    lines: Vec<(Sku, i64)>,
    outcome: Outcome,
}

/// A spotlight under rules.
#[derive(Debug)]
pub(super) struct Sale {
    rules: Rules,
    stock: BTreeMap<Sku, Stock>,
    hold: TimeDelta,
    per_viewer: Option<u32>,
    viewers: HashMap<ViewerRef, u32>,
    orders: HashMap<OrderId, Order>,
    deadlines: BTreeSet<(Timestamp, OrderId)>,
    pub(super) totals: Totals,
}

impl Sale {
    pub(super) fn new(terms: &SpotlightTerms, rules: &Rules) -> Self {
        let stock = terms.skus.iter().map(|terms| {
            let units = rules.limits.get(&terms.sku).copied();
            let limit = i64::from(units.unwrap_or(terms.limited_quantity));
            (terms.sku.clone(), Stock { limit, taken: 0 })
        });
        let per_viewer = rules.per_viewer_limit.or(terms.per_viewer_limit);
        let hold = rules.hold_seconds.unwrap_or(terms.hold_seconds);
        Self {
            stock: stock.collect(),
            hold: TimeDelta::seconds(hold.into()),
            per_viewer: per_viewer.filter(|units| *units > 0),
            viewers: HashMap::new(),
            orders: HashMap::new(),
            deadlines: BTreeSet::new(),
            totals: Totals {
                confirmed_orders: 0,
                sold_units: 0,
                revenue: Money { minor: 0, ..terms.offer.live_price },
                sold_out_at: None,
                refused_orders: 0,
                refused_units: 0,
            },
            rules: rules.clone(),
        }
    }

    /// Holds that have run out by then give their units back; only where the rules say how long a
    /// hold is, else the log says when.
    pub(super) fn pass(&mut self, now: Timestamp) {
        while let Some((at, order)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, order));
            self.give_back(order, Outcome::Ended(OrderReason::HoldExpired));
        }
    }

    /// The host's change of the limit; a reduction takes what is free, as the gate does.
    pub(super) fn adjust(&mut self, sku: &Sku, delta: i64, refund_of: Option<OrderId>) {
        if refund_of.is_some_and(|order| self.outcome(order) != Some(Outcome::Confirmed)) {
            return;
        }
        if let Some(stock) = self.stock.get_mut(sku) {
            stock.limit += delta.max(-(stock.limit - stock.taken).max(0));
        }
    }

    /// Units that nobody holds or has bought.
    pub(super) fn left(&self, sku: &Sku) -> u64 {
        let left = self.stock.get(sku).map_or(0, |stock| stock.limit - stock.taken);
        u64::try_from(left).unwrap_or(0)
    }

    pub(super) fn outcome(&self, order: OrderId) -> Option<Outcome> {
        self.orders.get(&order).map(|order| order.outcome)
    }

    /// Every order, as it stands.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (OrderId, Outcome)> + '_ {
        self.orders.iter().map(|(id, order)| (*id, order.outcome))
    }

    /// Asks the gate.
    pub(super) fn ask(&mut self, accepted: &Accepted) {
        self.pass(accepted.admission.at);
        let lines: Vec<(Sku, i64)> = accepted
            .lines
            .iter()
            .map(|line| (line.sku.clone(), i64::from(line.quantity.get())))
            .collect();
        let units = accepted.lines.iter().map(|line| line.quantity.get()).sum();
        let order = Order {
            viewer: accepted.viewer_ref.clone(),
            units,
            total: accepted.total,
            lines,
            outcome: Outcome::Held,
        };
        let id = accepted.order_id;
        let outcome = self.take(&order, accepted.admission.at);
        if outcome == Outcome::Held && self.rules.hold_seconds.is_some() {
            self.deadlines.insert((accepted.accepted_at + self.hold, id));
        }
        if outcome != Outcome::Held {
            self.totals.refused_orders += 1;
            self.totals.refused_units += u64::from(units);
        }
        self.orders.insert(id, Order { outcome, ..order });
    }

    fn take(&mut self, order: &Order, at: Timestamp) -> Outcome {
        let has = self.viewers.get(&order.viewer).copied().unwrap_or_default();
        if self.per_viewer.is_some_and(|limit| has.saturating_add(order.units) > limit) {
            return Outcome::OverLimit;
        }
        let fits = |(sku, units): &(Sku, i64)| {
            self.stock.get(sku).is_some_and(|stock| stock.limit - stock.taken >= *units)
        };
        if !order.lines.iter().all(fits) {
            return Outcome::SoldOut;
        }
        for (sku, units) in &order.lines {
            if let Some(stock) = self.stock.get_mut(sku) {
                stock.taken += units;
            }
        }
        *self.viewers.entry(order.viewer.clone()).or_default() += order.units;
        if self.stock.values().all(|stock| stock.taken >= stock.limit) {
            self.totals.sold_out_at.get_or_insert(at);
        }
        Outcome::Held
    }

    fn give_back(&mut self, id: OrderId, outcome: Outcome) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        if order.outcome != Outcome::Held {
            return;
        }
        order.outcome = outcome;
        for (sku, units) in &order.lines {
            if let Some(stock) = self.stock.get_mut(sku) {
                stock.taken -= units;
            }
        }
        if let Some(units) = self.viewers.get_mut(&order.viewer) {
            *units = units.saturating_sub(order.units);
        }
    }

    /// The provider's word came: it pays, where the drawn provider agrees.
    pub(super) fn paid(&mut self, id: OrderId, at: Timestamp) {
        self.pass(at);
        if self.rules.draw(id) == Some(false) {
            return self.give_back(id, Outcome::Ended(OrderReason::PaymentDeclined));
        }
        match self.outcome(id) {
            Some(Outcome::Held) => self.sell(id),
            Some(Outcome::Ended(OrderReason::HoldExpired)) => self.again(id, at),
            _ => {}
        }
    }

    /// The money came after the hold: the gate is asked once more.
    fn again(&mut self, id: OrderId, at: Timestamp) {
        let Some(order) = self.orders.remove(&id) else { return };
        let outcome = self.take(&order, at);
        let held = outcome == Outcome::Held;
        let outcome = if held { outcome } else { Outcome::Ended(OrderReason::LatePayment) };
        self.orders.insert(id, Order { outcome, ..order });
        if held {
            self.sell(id);
        }
    }

    fn sell(&mut self, id: OrderId) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.outcome = Outcome::Confirmed;
        self.totals.confirmed_orders += 1;
        self.totals.sold_units += u64::from(order.units);
        self.totals.revenue.minor = self.totals.revenue.minor.saturating_add(order.total.minor);
    }

    /// The order ended in the log.
    pub(super) fn ended(&mut self, id: OrderId, reason: OrderReason, at: Timestamp) {
        self.pass(at);
        let by_itself = reason == OrderReason::HoldExpired;
        if by_itself && self.rules.hold_seconds.is_some() {
            // its own deadline counts
            return;
        }
        let drawn = matches!(reason, OrderReason::PaymentDeclined | OrderReason::PaymentTimeout)
            && self.rules.draw(id) == Some(true);
        if drawn {
            return self.paid(id, at);
        }
        match self.orders.get_mut(&id) {
            // its units went back before
            Some(order) if order.outcome == Outcome::Ended(OrderReason::HoldExpired) => {
                order.outcome = Outcome::Ended(reason);
            }
            _ => self.give_back(id, Outcome::Ended(reason)),
        }
    }

    /// Money went back to a buyer.
    pub(super) fn refunded(&mut self, id: OrderId, amount: Money) {
        if self.outcome(id) == Some(Outcome::Confirmed) {
            self.totals.revenue.minor = self.totals.revenue.minor.saturating_sub(amount.minor);
        }
    }
}
