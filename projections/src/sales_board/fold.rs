//! The folds of the sales board: what readers see of a broadcast, of a spotlight, and what the
//! spotlight has sold.

use std::collections::BTreeMap;

use domain::broadcast::{BroadcastEvent, BroadcastStatus};
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, SpotlightId};
use domain::ledger::ledger_deltas;
use domain::money::{Currency, Money};
use domain::order::{OrderEvent, OrderReason};
use domain::ports::SalesTotals;
use domain::reservation::ReservationEvent;
use domain::spotlight::{SpotlightEvent, SpotlightStatus, SpotlightTerms, Withdrawal};
use domain::views::{BroadcastView, Inventory, SpotlightView};

/// The broadcast whose view an event may change.
pub const fn broadcast_of(event: &Event) -> Option<BroadcastId> {
    match event {
        Event::Broadcast(event) => Some(event.broadcast_id()),
        Event::Spotlight(_) | Event::Reservation(_) | Event::Order(_) => None,
    }
}

/// The spotlight whose view or totals an event may change: the key of everything that is not a
/// broadcast's.
pub const fn spotlight_of(recorded: &Recorded) -> Option<SpotlightId> {
    match recorded.event {
        Event::Broadcast(_) => None,
        Event::Spotlight(_) | Event::Reservation(_) | Event::Order(_) => {
            Some(SpotlightId(recorded.key.0))
        }
    }
}

/// Takes an event into a broadcast's view. An event of another broadcast, one that was taken in
/// before, and one of a broadcast whose announcement was not seen change nothing.
pub fn fold_broadcast(
    current: Option<BroadcastView>,
    recorded: &Recorded,
) -> Option<BroadcastView> {
    let Event::Broadcast(event) = &recorded.event else { return current };
    let Some(mut view) = current else { return announced(event, recorded) };
    if broadcast_of(&recorded.event) != Some(view.id) || recorded.position <= view.position {
        return Some(view);
    }
    match event {
        BroadcastEvent::BroadcastStarted { at, .. } => {
            view.status = BroadcastStatus::Live;
            view.started_at = Some(*at);
        }
        BroadcastEvent::BroadcastEnded { at, .. } => {
            view.status = BroadcastStatus::Ended;
            view.ended_at = Some(*at);
        }
        // the chat is no part of the view
        _ => {}
    }
    view.position = recorded.position;
    Some(view)
}

fn announced(event: &BroadcastEvent, recorded: &Recorded) -> Option<BroadcastView> {
    let BroadcastEvent::BroadcastScheduled { broadcast_id, seller, title, currency, starts_at } =
        event
    else {
        return None;
    };
    Some(BroadcastView {
        id: *broadcast_id,
        seller: seller.clone(),
        title: title.clone(),
        currency: *currency,
        status: BroadcastStatus::Scheduled,
        starts_at: *starts_at,
        started_at: None,
        ended_at: None,
        created_at: recorded.metadata.decided_at,
        position: recorded.position,
    })
}

/// Takes an event into a spotlight's view: its own events, and those of its reservations, which
/// move the stock. Others change nothing, as in [`fold_broadcast`].
pub fn fold_spotlight(
    current: Option<SpotlightView>,
    recorded: &Recorded,
) -> Option<SpotlightView> {
    let mut view = match (current, &recorded.event) {
        (Some(view), _)
            if spotlight_of(recorded) != Some(view.id) || recorded.position <= view.position =>
        {
            return Some(view);
        }
        (Some(view), Event::Spotlight(event)) => changed(view, event),
        (Some(view), Event::Reservation(_)) => view,
        (None, Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms })) => {
            prepared(terms, recorded)
        }
        (current, _) => return current,
    };
    for delta in ledger_deltas(&recorded.event) {
        let row = view.inventory.entry(delta.sku).or_default();
        row.limited_quantity = row.limited_quantity.saturating_add(delta.limit);
        row.held = row.held.saturating_add(delta.held);
        row.sold = row.sold.saturating_add(delta.confirmed);
        row.remaining = remaining(row);
    }
    view.position = recorded.position;
    Some(view)
}

const fn remaining(row: &Inventory) -> i64 {
    row.limited_quantity.saturating_sub(row.held).saturating_sub(row.sold)
}

fn prepared(terms: &SpotlightTerms, recorded: &Recorded) -> SpotlightView {
    SpotlightView {
        id: terms.spotlight_id,
        broadcast_id: terms.broadcast_id,
        seller: terms.seller.clone(),
        status: SpotlightStatus::Scheduled,
        product: terms.product.clone(),
        skus: terms.skus.clone(),
        offer: terms.offer.clone(),
        opens_at: terms.opens_at,
        closes_at: terms.closes_at,
        per_viewer_limit: terms.per_viewer_limit,
        hold_seconds: terms.hold_seconds,
        abandoned_hold_seconds: terms.abandoned_hold_seconds,
        inventory: BTreeMap::new(),
        withdrawal: None,
        reference: terms.personal.reference.clone(),
        metadata: terms.personal.metadata.clone(),
        created_at: recorded.metadata.decided_at,
        opened_at: None,
        closed_at: None,
        position: Position::START,
    }
}

fn changed(mut view: SpotlightView, event: &SpotlightEvent) -> SpotlightView {
    match event {
        SpotlightEvent::SpotlightOpened { at, .. } => {
            view.status = SpotlightStatus::Open;
            view.opened_at = view.opened_at.or(Some(*at));
        }
        SpotlightEvent::SpotlightPaused { .. } => view.status = SpotlightStatus::Paused,
        SpotlightEvent::SpotlightResumed { .. } => view.status = SpotlightStatus::Open,
        SpotlightEvent::SpotlightClosed { at, .. } => {
            view.status = SpotlightStatus::Closed;
            view.closed_at = Some(*at);
        }
        SpotlightEvent::OfferChanged { offer, .. } => view.offer = offer.clone(),
        SpotlightEvent::OfferWithdrawn { offer_version, settle, .. } => {
            view.withdrawal = Some(Withdrawal::begun(*offer_version, *settle));
        }
        SpotlightEvent::WithdrawalProgressed { withdrawal, .. } => {
            view.withdrawal = Some(*withdrawal);
        }
        SpotlightEvent::SpotlightScheduled { .. }
        | SpotlightEvent::StockAdjusted { .. }
        | SpotlightEvent::GateReopened { .. }
        | SpotlightEvent::AdmissionVoided { .. }
        | SpotlightEvent::DemandObserved { .. }
        | SpotlightEvent::HoldAbandoned { .. }
        // what is kept for those who wait counts as held
        | SpotlightEvent::WaitlistJoined { .. }
        | SpotlightEvent::WaitlistOffered { .. }
        | SpotlightEvent::WaitlistEnded { .. }
        | SpotlightEvent::UnitsCarried { .. }
        | SpotlightEvent::UnitsFreed { .. } => {}
    }
    view
}

/// Nothing sold yet.
pub const fn no_sales(currency: Currency) -> SalesTotals {
    SalesTotals {
        orders: 0,
        confirmed: 0,
        failed: 0,
        cancelled: 0,
        units_sold: 0,
        revenue: Money::zero(currency),
        failed_for_stock: 0,
    }
}

/// Takes an event of a spotlight's key into what the spotlight has sold. The caller feeds each
/// event once, in order.
pub fn fold_totals(current: Option<SalesTotals>, recorded: &Recorded) -> Option<SalesTotals> {
    let mut totals = match (current, &recorded.event) {
        (Some(totals), _) => totals,
        (None, Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms })) => {
            no_sales(terms.offer.live_price.currency)
        }
        (None, _) => return None,
    };
    match &recorded.event {
        Event::Order(event) => count_order(&mut totals, event),
        Event::Reservation(ReservationEvent::ReservationConfirmed { lines, .. }) => {
            totals.units_sold = totals.units_sold.saturating_add(u64::from(lines.units()));
        }
        Event::Reservation(_) | Event::Spotlight(_) | Event::Broadcast(_) => {}
    }
    Some(totals)
}

fn count_order(totals: &mut SalesTotals, event: &OrderEvent) {
    match event {
        OrderEvent::OrderAccepted { .. } => totals.orders = totals.orders.saturating_add(1),
        OrderEvent::OrderConfirmed { .. } => totals.confirmed = totals.confirmed.saturating_add(1),
        OrderEvent::OrderCancelled { .. } => totals.cancelled = totals.cancelled.saturating_add(1),
        OrderEvent::OrderFailed { reason, .. } => {
            totals.failed = totals.failed.saturating_add(1);
            if *reason == OrderReason::StockGuard {
                totals.failed_for_stock = totals.failed_for_stock.saturating_add(1);
            }
        }
        OrderEvent::PaymentCaptured { amount, .. } => earn(totals, *amount),
        OrderEvent::OrderRefunded { amount, .. } => {
            earn(totals, Money::new(amount.minor.saturating_neg(), amount.currency));
        }
        _ => {}
    }
}

/// A spotlight has one currency; an amount of another one, which only a foreign log could hold,
/// is not added.
fn earn(totals: &mut SalesTotals, amount: Money) {
    totals.revenue = totals.revenue.checked_add(amount).unwrap_or(totals.revenue);
}

/// What several spotlights have sold together.
pub fn sum_totals(
    currency: Currency,
    spotlights: impl IntoIterator<Item = SalesTotals>,
) -> SalesTotals {
    let mut sum = no_sales(currency);
    for totals in spotlights {
        sum.orders = sum.orders.saturating_add(totals.orders);
        sum.confirmed = sum.confirmed.saturating_add(totals.confirmed);
        sum.failed = sum.failed.saturating_add(totals.failed);
        sum.cancelled = sum.cancelled.saturating_add(totals.cancelled);
        sum.units_sold = sum.units_sold.saturating_add(totals.units_sold);
        sum.failed_for_stock = sum.failed_for_stock.saturating_add(totals.failed_for_stock);
        earn(&mut sum, totals.revenue);
    }
    sum
}
