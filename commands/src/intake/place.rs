//! Placing an order: take, append, promise.

use std::sync::Arc;

use domain::Timestamp;
use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::ids::{CommandId, OrderId, SellerId, SpotlightId};
use domain::line::Lines;
use domain::order::OrderCommand;
use domain::ports::{AppendError, Entry, GateOffer, Take, TakeOutcome};
use metrics::counter;

use super::answer::Facts;
use super::demand::Asker;
use super::verdicts::Asked;
use super::{
    ACK_BOUND, CHANGING_PAUSE, CHANGING_RETRIES, Intake, OrderRequest, PlaceRefusal, Placed,
    Presence, REBUILD_BOUND, REBUILD_PAUSE, REBUILD_PAUSE_MAX, SOLD_OUT_STALENESS,
};
use crate::clock::between;
use crate::faults::{INTAKE_AFTER_PRODUCE, INTAKE_AFTER_TAKE};
use crate::metrics::INTAKE_ORDERS_TOTAL;

/// What the gate said, where it did not refuse.
enum Admitted {
    Fresh { admission: Admission, offer: GateOffer },
    Again { entry: Entry, offer: Option<GateOffer> },
}

impl Intake {
    /// Places an order. Dropping the future between the take and the append leaves the entry to
    /// the re-driver; [`Intake::place_order_tracked`] does not let that happen to a buyer who hangs
    /// up.
    ///
    /// # Errors
    /// [`PlaceRefusal`].
    pub async fn place_order(&self, request: OrderRequest) -> Result<Placed, PlaceRefusal> {
        let what = (request.spotlight, request.offer_version, &request.lines);
        let order = request.order_id();
        let viewer_ref = || request.viewer_ref.clone();
        let asker = Asker { viewer: request.viewer.as_str(), viewer_ref: &viewer_ref };
        if let Some(refusal) = self.known_refusal(order, &request.seller, what, asker) {
            return Err(refusal);
        }
        self.place_named(order, request).await
    }

    /// Places the order that the request's key names.
    pub(super) async fn place_named(
        &self,
        order: OrderId,
        request: OrderRequest,
    ) -> Result<Placed, PlaceRefusal> {
        let placed = self.place(order, request).await;
        let count = |outcome| counter!(INTAKE_ORDERS_TOTAL, "outcome" => outcome);
        match &placed {
            Ok(placed) if !placed.replayed => {
                self.placed.get_or_init(|| count("placed")).increment(1);
            }
            Ok(_) => count("replayed").increment(1),
            Err(refusal) => count(refusal.code()).increment(1),
        }
        placed
    }

    async fn place(&self, order: OrderId, request: OrderRequest) -> Result<Placed, PlaceRefusal> {
        if self.ports.log.is_down() {
            return Err(PlaceRefusal::LogUnavailable);
        }
        let started = self.ports.clock.now();
        let _slot = self.in_flight.enter(order)?;
        let mut take = Take {
            spotlight: request.spotlight,
            seller: request.seller.clone(),
            order,
            viewer: request.viewer_ref.clone(),
            lines: request.lines.clone(),
            offer_version: request.offer_version,
            fingerprint: request.fingerprint.clone(),
            again: false,
            command: String::new(),
        };
        let id = CommandId(self.ports.ids.uuid());
        let mut record = request.into_record(order, id, &self.node, started);
        // a record of texts and numbers always serialises
        take.command = record.to_json().map_err(|_| PlaceRefusal::StockUnavailable)?;
        let admitted = self.admit(&take).await;
        if let Err(refusal) = &admitted {
            let viewer_ref = || take.viewer.clone();
            let asker = Asker { viewer: take.viewer.as_str(), viewer_ref: &viewer_ref };
            self.demand.count(take.spotlight, &take.seller, &take.lines, refusal, asker);
        }
        match admitted? {
            Admitted::Fresh { admission, offer } => {
                let json = record
                    .admitted_json(&take.command, admission)
                    .map_err(|_| PlaceRefusal::OutcomeUnknown { order })?;
                admit_record(&mut record, admission, None);
                self.produce(order, (record, json), admission, &offer, started).await
            }
            // what is rare is boxed, because every order's task has room for all of its future
            Admitted::Again { entry, offer } => Box::pin(self.again(order, entry, offer)).await,
        }
    }

    /// The refusal of an order that this node knows to be sold out, without asking the gate and
    /// before anything else is made of the request: what most of a rush is answered. `None` also
    /// while the log is down, which is said before anything of the stock.
    pub fn known_refusal(
        &self,
        order: OrderId,
        seller: &SellerId,
        (spotlight, offer_version, lines): (SpotlightId, u32, &Lines),
        by: Asker<'_>,
    ) -> Option<PlaceRefusal> {
        if self.ports.log.is_down() {
            return None;
        }
        let asked = Asked { order, seller, spotlight, offer_version, lines };
        let refusal = self.verdicts.refusal(asked, self.ports.clock.now())?;
        self.verdicts.count(&refusal);
        self.demand.count(spotlight, seller, lines, &refusal, by);
        Some(refusal)
    }

    async fn admit(&self, take: &Take) -> Result<Admitted, PlaceRefusal> {
        let mut changing = 0;
        let mut failed = false;
        let started = self.ports.clock.now();
        loop {
            let Ok(outcome) = self.ports.gate.take(take).await else {
                if std::mem::replace(&mut failed, true) {
                    return Err(PlaceRefusal::OutcomeUnknown { order: take.order });
                }
                continue;
            };
            match outcome {
                TakeOutcome::Taken { admission, offer } => {
                    self.verdicts.forget(take.spotlight);
                    return Ok(Admitted::Fresh { admission, offer });
                }
                TakeOutcome::SameAgain { entry, offer } => {
                    return Ok(Admitted::Again { entry, offer });
                }
                TakeOutcome::Changing | TakeOutcome::Stale => {
                    changing += 1;
                    if changing > CHANGING_RETRIES {
                        return Err(PlaceRefusal::StockUnavailable);
                    }
                    self.ports.clock.sleep(CHANGING_PAUSE).await;
                }
                TakeOutcome::NoState => {
                    Box::pin(self.await_gate(take.spotlight, &take.seller, started)).await?;
                }
                TakeOutcome::SoldOut { remaining } => {
                    Box::pin(self.ask_verdict(take)).await;
                    return Err(PlaceRefusal::SoldOut { remaining: Arc::new(remaining) });
                }
                refused => return Err(refusal(refused)),
            }
        }
    }

    /// Waits for a gate that knows nothing, until it is worth asking again.
    pub(super) async fn await_gate(
        &self,
        spotlight: SpotlightId,
        seller: &SellerId,
        since: Timestamp,
    ) -> Result<(), PlaceRefusal> {
        match self.ports.rebuilder.ensure(spotlight).await {
            Ok(Presence::Unknown) => return Err(PlaceRefusal::NotFound),
            // a gate that has its state says nothing of it to another seller
            Ok(Presence::Ready) => match self.ports.gate.view(spotlight).await {
                Ok(Some(view)) if view.offer.seller != *seller => {
                    return Err(PlaceRefusal::NotFound);
                }
                _ => {}
            },
            Ok(Presence::Rebuilding) => {}
            Err(_) => return Err(PlaceRefusal::StockUnavailable),
        }
        let waited = between(since, self.ports.clock.now());
        if waited >= REBUILD_BOUND {
            return Err(PlaceRefusal::StockUnavailable);
        }
        // as long again as it has waited
        self.ports.clock.sleep(waited.clamp(REBUILD_PAUSE, REBUILD_PAUSE_MAX)).await;
        Ok(())
    }

    async fn ask_verdict(&self, take: &Take) {
        let spotlight = take.spotlight;
        let now = self.ports.clock.now();
        if self.verdicts.begin(spotlight, now) {
            let verdict =
                self.ports.gate.sold_out(spotlight, SOLD_OUT_STALENESS).await.ok().flatten();
            self.verdicts.keep(spotlight, &take.seller, now, verdict);
        }
    }

    async fn produce(
        &self,
        order: OrderId,
        (record, json): (CommandRecord, String),
        admission: Admission,
        offer: &GateOffer,
        started: Timestamp,
    ) -> Result<Placed, PlaceRefusal> {
        let unknown = || PlaceRefusal::OutcomeUnknown { order };
        self.ports.faults.at(INTAKE_AFTER_TAKE).await.map_err(|_| unknown())?;
        let source = match self.ports.log.append_json(&record, json).await {
            Ok(source) => source,
            Err(AppendError::Refused(why)) => {
                return Err(Box::pin(self.give_back(&record, order, &why)).await);
            }
            Err(AppendError::Unknown(why)) => {
                tracing::warn!(order = %order, why, "an order was not acknowledged");
                return Err(unknown());
            }
        };
        self.ports.faults.at(INTAKE_AFTER_PRODUCE).await.map_err(|_| unknown())?;
        if between(started, self.ports.clock.now()) > ACK_BOUND {
            return Err(unknown());
        }
        let facts = Facts::of_record(record, admission, offer, source).ok_or_else(unknown)?;
        self.promise(order, facts, false).await
    }

    /// The log refused for certain: the units go back, unless somebody else has the entry by now.
    async fn give_back(&self, record: &CommandRecord, order: OrderId, why: &str) -> PlaceRefusal {
        tracing::warn!(order = %order, why, "the command log refused an order");
        let spotlight = SpotlightId(record.key.0);
        match self.ports.gate.cancel_unsent(spotlight, order.0).await {
            Ok(true) => PlaceRefusal::LogUnavailable,
            _ => PlaceRefusal::OutcomeUnknown { order },
        }
    }
}

/// Writes the gate's yes into a record that came without it; `void_after` where nobody was
/// promised anything.
pub(crate) fn admit_record(
    record: &mut CommandRecord,
    admission: Admission,
    void_after: Option<Timestamp>,
) {
    match &mut record.command {
        Command::Order { command: OrderCommand::PlaceOrder { place } } => {
            place.admission = Some(admission);
            place.void_after = void_after;
        }
        Command::Order { command: OrderCommand::TakeAgain { admission: given, .. } } => {
            *given = Some(admission);
        }
        Command::Spotlight { command } => command.admit(admission),
        _ => {}
    }
}

fn refusal(outcome: TakeOutcome) -> PlaceRefusal {
    match outcome {
        TakeOutcome::UnknownSku { sku } => PlaceRefusal::UnknownSku { sku },
        TakeOutcome::NotOpen { opens_at } => PlaceRefusal::NotOpen { opens_at },
        TakeOutcome::Paused => PlaceRefusal::Paused,
        TakeOutcome::Closed => PlaceRefusal::Closed,
        TakeOutcome::OverLimit { limit, open_order } => {
            PlaceRefusal::OverLimit { limit, open_order }
        }
        TakeOutcome::OfferChanged { offer } => {
            PlaceRefusal::OfferChanged { offer: Box::new(offer) }
        }
        TakeOutcome::Conflict => PlaceRefusal::KeyReused,
        TakeOutcome::SoldOut { remaining } => {
            PlaceRefusal::SoldOut { remaining: Arc::new(remaining) }
        }
        TakeOutcome::Taken { .. }
        | TakeOutcome::SameAgain { .. }
        | TakeOutcome::Changing
        | TakeOutcome::Stale
        | TakeOutcome::NoState => PlaceRefusal::StockUnavailable,
    }
}
