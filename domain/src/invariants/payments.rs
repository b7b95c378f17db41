//! I9: sold means paid, and paid means sold or given back.

use super::decision::DecisionId;
use super::fast::ById;
use super::{Invariant, LogEnd, Mark, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{OrderId, StreamKey};
use crate::money::Money;
use crate::order::OrderEvent;
use crate::reservation::ReservationEvent;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I9:
/// - an answer of the provider names an attempt that `PaymentRequested` announced, and
///   `PaymentRequested` asks for the order's total;
/// - an order is captured once, with its total, or with any amount where it ended unsold; `OrderConfirmed` stands only after that;
/// - at the end of a decision, captured money of an order that is not confirmed was asked back
///   whole (`RefundRequested`); only one that has not ended and whose units were given back may
///   wait until it takes them again, and in a settled log every order has ended (I2);
/// - `refunded ≤ asked back ≤ captured` at every prefix; in a settled log what was asked back was
///   refunded.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Payments {
    keys: ById<StreamKey, ById<OrderId, Account>>,
    /// The order whose money arrived, or that ended unsold, in the decision that is being read.
    arrived: Option<(DecisionId, Mark, StreamKey, OrderId)>,
    checked: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    total: Money,
    attempt: u32,
    captured: i64,
    confirmed: bool,
    /// Failed or cancelled.
    unsold: bool,
    /// Its units are held.
    held: bool,
    asked: i64,
    refunded: i64,
    refund_attempt: u32,
    /// The last refund that was asked for.
    asked_at: Option<Mark>,
}

impl Account {
    fn new(total: Money) -> Self {
        Self {
            total,
            attempt: 0,
            captured: 0,
            confirmed: false,
            unsold: false,
            held: false,
            asked: 0,
            refunded: 0,
            refund_attempt: 0,
            asked_at: None,
        }
    }

    fn take(&mut self, event: &Recorded, fact: &OrderEvent) -> Option<String> {
        match fact {
            OrderEvent::PaymentRequested { attempt, amount, .. } => {
                let before = std::mem::replace(&mut self.attempt, *attempt);
                if *attempt != before + 1 {
                    return Some(format!("payment attempt {attempt} follows {before}"));
                }
                (*amount != self.total).then(|| "asks for another amount than the total".to_owned())
            }
            OrderEvent::PaymentCaptured { attempt, amount, .. } => {
                self.captured = self.captured.saturating_add(amount.minor);
                let right = self.captured == self.total.minor || self.unsold;
                if amount.currency != self.total.currency || !right {
                    return Some(format!(
                        "{} captured of a total of {}",
                        self.captured, self.total.minor
                    ));
                }
                self.unasked(*attempt)
            }
            OrderEvent::PaymentActionRequired { attempt, .. }
            | OrderEvent::PaymentAuthorized { attempt, .. }
            | OrderEvent::PaymentDeclined { attempt, .. }
            | OrderEvent::PaymentUnknown { attempt, .. }
            | OrderEvent::CaptureFailed { attempt, .. }
            | OrderEvent::PaymentVoided { attempt, .. } => self.unasked(*attempt),
            OrderEvent::OrderConfirmed { .. } => {
                self.confirmed = true;
                (self.captured != self.total.minor)
                    .then(|| format!("confirmed with {} captured", self.captured))
            }
            OrderEvent::RefundRequested { attempt, amount, .. } => {
                self.asked = self.asked.saturating_add(amount.minor);
                self.asked_at = Some(Mark::of(event));
                let before = std::mem::replace(&mut self.refund_attempt, *attempt);
                if *attempt != before + 1 {
                    return Some(format!("refund {attempt} follows {before}"));
                }
                (self.asked > self.captured)
                    .then(|| format!("{} asked back of {} captured", self.asked, self.captured))
            }
            OrderEvent::OrderRefunded { amount, .. } => {
                self.refunded = self.refunded.saturating_add(amount.minor);
                (self.refunded > self.asked)
                    .then(|| format!("{} refunded, {} asked back", self.refunded, self.asked))
            }
            OrderEvent::OrderFailed { .. } | OrderEvent::OrderCancelled { .. } => {
                self.unsold = true;
                None
            }
            OrderEvent::OrderAccepted { .. } => None,
        }
    }

    fn unasked(&self, attempt: u32) -> Option<String> {
        (attempt == 0 || attempt > self.attempt)
            .then(|| format!("an answer to attempt {attempt}, which was never asked for"))
    }

    fn is_owed(&self) -> bool {
        self.captured > 0
            && !self.confirmed
            && (self.unsold || self.held)
            && self.asked < self.captured
    }
}

impl Payments {
    fn close_decision(&mut self, event: Option<&Recorded>) -> Option<Violation> {
        let now = event.map(DecisionId::of);
        let (_, mark, key, order) =
            self.arrived.take_if(|(decision, ..)| Some(*decision) != now)?;
        let account = self.keys.get(&key)?.get(&order)?;
        account.is_owed().then(|| {
            let Account { captured, asked, .. } = account;
            mark.violation(format!(
                "order {order} is not confirmed, {captured} captured and {asked} asked back"
            ))
        })
    }
}

impl Invariant for Payments {
    fn id(&self) -> &'static str {
        "I9"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let mut found: Vec<Violation> = self.close_decision(Some(event)).into_iter().collect();
        let fact = match &event.event {
            Event::Order(fact) => fact,
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => {
                self.keys.entry(event.key).or_default();
                return found;
            }
            Event::Reservation(fact) => {
                let accounts = self.keys.get_mut(&event.key);
                if let Some(account) = accounts.and_then(|known| known.get_mut(&fact.order_id())) {
                    account.held = matches!(fact, ReservationEvent::StockReserved { .. });
                }
                return found;
            }
            _ => return found,
        };
        let Some(accounts) = self.keys.get_mut(&event.key) else { return found };
        let order = fact.order_id();
        if let OrderEvent::OrderAccepted { accepted } = fact {
            accounts.insert(order, Account::new(accepted.total));
            return found;
        }
        self.checked += 1;
        let wrong = match accounts.get_mut(&order) {
            Some(account) => account.take(event, fact),
            None => Some(format!("order {order} was never accepted")),
        };
        if matches!(
            fact,
            OrderEvent::PaymentCaptured { .. }
                | OrderEvent::OrderFailed { .. }
                | OrderEvent::OrderCancelled { .. }
        ) {
            let arrived = (DecisionId::of(event), Mark::of(event), event.key, order);
            self.arrived.get_or_insert(arrived);
        }
        found.extend(wrong.map(|detail| Violation::at(event, detail)));
        found
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, end: &LogEnd) -> Vec<Violation> {
        let mut found: Vec<Violation> = self.close_decision(None).into_iter().collect();
        if end.settled {
            found.extend(self.keys.values().flatten().filter_map(|(order, account)| {
                let Account { asked, refunded, .. } = account;
                let mark = account.asked_at.filter(|_| refunded < asked)?;
                Some(mark.violation(format!("order {order}: {refunded} of {asked} refunded")))
            }));
            found.sort_by_key(|violation| violation.position);
        }
        found
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
