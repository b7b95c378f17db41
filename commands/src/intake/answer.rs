//! The answer to the same key again, and the facts that a promise is made of.

use std::time::Duration;

use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::desk::Desk;
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{OrderId, SellerId};
use domain::line::{Lines, PricedLine, total};
use domain::order::{Accepted, Order, OrderCommand, OrderEnd};
use domain::personal::Personal;
use domain::ports::{Entry, EntryState, GateOffer, PortError};
use domain::views::{AcceptedOrder, OrderStatus, OrderView, PaymentView};

use super::merkle::leaf_of;
use super::place::admit_record;
use super::{CLOCK_SKEW_MAX, DECISION_BOUND, Intake, PlaceRefusal, Placed, REDRIVE_AFTER};
use crate::clock::between;

/// What is promised, as the log will have it; the same from the record and from its event.
pub(super) struct Facts {
    accepted: Accepted,
    seller: SellerId,
    lines: Lines,
    source: Source,
}

impl Facts {
    /// Of a record that was just acknowledged.
    pub(super) fn of_record(
        record: CommandRecord,
        admission: Admission,
        offer: &GateOffer,
        source: Source,
    ) -> Option<Self> {
        let Command::Order { command: OrderCommand::PlaceOrder { place } } = record.command else {
            return None;
        };
        let lines: Vec<PricedLine> = offer.offer.price(&place.lines);
        let accepted = Accepted {
            order_id: place.order_id,
            spotlight_id: place.spotlight_id,
            broadcast_id: offer.broadcast,
            viewer_ref: place.viewer_ref,
            total: total(&lines).ok()?,
            lines,
            admission,
            payment_method: place.payment.map(|choice| choice.method),
            key_fingerprint: place.key_fingerprint,
            body_fingerprint: place.body_fingerprint,
            received_at: place.received_at,
            node: place.node,
            accepted_at: admission.at,
            personal: place.personal,
        };
        Some(Self { accepted, seller: record.seller, lines: place.lines, source })
    }

    /// Of an order that the log has decided.
    fn of_events(events: &[Recorded], order: &Order) -> Option<Self> {
        let accepted = order.accepted.as_deref()?.clone();
        let first = events.iter().find(|event| event.stream.id == accepted.order_id.to_string())?;
        let lines = accepted
            .lines
            .iter()
            .map(|line| domain::line::Line { sku: line.sku.clone(), quantity: line.quantity })
            .collect();
        Some(Self {
            lines: Lines::try_new(lines).ok()?,
            seller: first.metadata.seller.clone(),
            source: first.metadata.source.clone(),
            accepted,
        })
    }

    /// The leaf of its receipt.
    fn leaf(&self) -> String {
        leaf_of(&self.accepted, &self.source)
    }

    /// The answer, before anything was decided.
    fn into_view(self) -> AcceptedOrder {
        let Self { accepted, seller, lines, .. } = self;
        let Personal { viewer, reference, metadata, .. } = accepted.personal;
        let order = OrderView {
            id: accepted.order_id,
            spotlight_id: accepted.spotlight_id,
            broadcast_id: accepted.broadcast_id,
            seller,
            viewer,
            viewer_ref: accepted.viewer_ref,
            status: OrderStatus::Pending,
            reason: None,
            lines: accepted.lines,
            total: accepted.total,
            offer_version: accepted.admission.offer_version,
            version: 0,
            hold_expires_at: None,
            payment_method: accepted.payment_method,
            payment: PaymentView::default(),
            refunded: None,
            reference,
            metadata,
            body_fingerprint: accepted.body_fingerprint,
            accepted_at: accepted.admission.at,
            updated_at: accepted.accepted_at,
            position: Position::START,
        };
        AcceptedOrder { order, lines, receipt: None }
    }
}

impl Intake {
    /// The same key again: what was promised once is answered again; what nobody promised is
    /// appended again; what the log has decided is promised from the log.
    pub(super) async fn again(
        &self,
        order: OrderId,
        entry: Entry,
        offer: Option<GateOffer>,
    ) -> Result<Placed, PlaceRefusal> {
        let unknown = || PlaceRefusal::OutcomeUnknown { order };
        match self.ports.accepted.get(order).await {
            Ok(Some(known)) if known.receipt.is_some() => {
                return Ok(Placed { order: known, replayed: true });
            }
            Ok(_) => {}
            Err(_) => return Err(unknown()),
        }
        if entry.state != EntryState::Pending {
            return self.promise_decided(order).await?.ok_or_else(unknown);
        }
        let mut record: CommandRecord = entry
            .command
            .as_deref()
            .and_then(|command| serde_json::from_str(command).ok())
            .ok_or_else(unknown)?;
        let places =
            matches!(&record.command, Command::Order { command: OrderCommand::PlaceOrder { .. } });
        if !places {
            // decided long ago: its late payment takes the units again
            return self.promise_decided(order).await?.ok_or_else(unknown);
        }
        admit_record(&mut record, entry.admission, None);
        // an earlier append may be in the log: a refusal of this one gives nothing back
        let source = self.ports.log.append(&record).await.map_err(|_| unknown())?;
        let young = REDRIVE_AFTER.saturating_sub(CLOCK_SKEW_MAX);
        if let Some(offer) = offer
            && between(entry.admission.at, self.ports.clock.now()) < young
        {
            let facts = Facts::of_record(record, entry.admission, &offer, source);
            return self.promise(order, facts.ok_or_else(unknown)?, true).await;
        }
        self.await_decided(order, DECISION_BOUND).await?.ok_or_else(unknown)
    }

    pub(super) async fn promise(
        &self,
        order: OrderId,
        facts: Facts,
        replayed: bool,
    ) -> Result<Placed, PlaceRefusal> {
        let leaf = facts.leaf();
        let promised = self.receipts.promise(facts.into_view(), leaf).await;
        promised
            .map(|order| Placed { order, replayed })
            .ok_or(PlaceRefusal::OutcomeUnknown { order })
    }

    async fn await_decided(
        &self,
        order: OrderId,
        bound: Duration,
    ) -> Result<Option<Placed>, PlaceRefusal> {
        let started = self.ports.clock.now();
        loop {
            let head =
                self.ports.events.head().await.map_err(|error| unreachable_log(order, &error))?;
            if let Some(placed) = self.promise_decided(order).await? {
                return Ok(Some(placed));
            }
            if between(started, self.ports.clock.now()) >= bound {
                return Ok(None);
            }
            self.ports.events.wait(head).await;
        }
    }

    /// Promises an order that the log has decided, as it stands now.
    async fn promise_decided(&self, order: OrderId) -> Result<Option<Placed>, PlaceRefusal> {
        let streams = StreamId::of_order(order);
        let events = self
            .ports
            .events
            .load(&streams)
            .await
            .map_err(|error| unreachable_log(order, &error))?;
        let mut desk = Desk::default();
        for recorded in &events {
            desk.fold(&recorded.stream, &recorded.event);
        }
        let Some(known) = desk.orders.remove(&order) else { return Ok(None) };
        let Some(facts) = Facts::of_events(&events, &known.order) else { return Ok(None) };
        let mut promised = self.promise(order, facts, true).await?;
        let view = &mut promised.order.order;
        view.status = status_of(&known.order, known.hold().is_some());
        view.reason = known.order.reason;
        view.version = u64::try_from(events.len()).unwrap_or(u64::MAX);
        view.payment.status = known.order.payment;
        view.payment.attempts = known.order.attempt;
        view.hold_expires_at = known.hold().map(|hold| hold.deadline);
        if let Some(last) = events.last() {
            view.updated_at = last.metadata.decided_at;
            view.position = last.position;
        }
        Ok(Some(promised))
    }
}

fn unreachable_log(order: OrderId, error: &PortError) -> PlaceRefusal {
    tracing::warn!(order = %order, "the event store could not be read: {error}");
    PlaceRefusal::OutcomeUnknown { order }
}

fn status_of(order: &Order, held: bool) -> OrderStatus {
    let sold = order.captured_minor > 0 && order.refunded_minor >= order.captured_minor;
    match order.end {
        OrderEnd::Open if held => OrderStatus::Reserved,
        OrderEnd::Open => OrderStatus::Pending,
        OrderEnd::Confirmed if sold => OrderStatus::Refunded,
        OrderEnd::Confirmed => OrderStatus::Confirmed,
        OrderEnd::Failed => OrderStatus::Failed,
        OrderEnd::Cancelled => OrderStatus::Cancelled,
    }
}
