//! One offer inside a broadcast: scheduled → open ⇄ paused → closed.

mod abandoned;
mod command;
mod error;
mod event;
mod waitlist;
mod withdraw;
mod withdrawal;

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::SpotlightCommand;
pub use error::SpotlightError;
pub use event::{Cause, SpotlightEvent, SpotlightTerms, VoidCause};
pub use waitlist::{Offered, UnitsBySku, Wait, WaitOutcome, Waiting, Waitlist, units_of};
pub use withdrawal::{Settle, Withdrawal};

use crate::Timestamp;
use crate::command::Context;
use crate::demand::Observed;
use crate::ids::{Sku, SpotlightId, ViewerRef};
use crate::ledger::Ledger;
use crate::limits::SKU_UNITS_MAX;
use crate::money::Money;
use crate::offer::Offer;
use crate::personal::Personal;

/// Where a spotlight stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpotlightStatus {
    /// Prepared.
    #[default]
    Scheduled,
    /// Takes orders.
    Open,
    /// Takes none for a while.
    Paused,
    /// Takes none any more.
    Closed,
}

/// The state of a spotlight that decisions need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spotlight {
    /// What it offers; absent until it was scheduled.
    pub terms: Option<Box<SpotlightTerms>>,
    /// Where it stands.
    pub status: SpotlightStatus,
    /// Every offer version, because an accepted price is immutable.
    pub offers: BTreeMap<u32, Offer>,
    /// The gate's epoch.
    pub epoch: u64,
    /// Withdrawn versions, and what becomes of their orders.
    pub withdrawn: BTreeMap<u32, Settle>,
    /// The last withdrawal.
    pub withdrawal: Option<Withdrawal>,
    /// Whether it waits for a new offer, because its own was withdrawn.
    pub awaits_offer: bool,
    /// Who waits for what is sold out.
    #[serde(default)]
    pub waitlist: Waitlist,
    /// Holds that viewers abandoned, counted up to where it matters.
    #[serde(default)]
    pub abandoned: BTreeMap<ViewerRef, u32>,
}

impl Spotlight {
    /// The offer that is sold now.
    pub fn current_offer(&self) -> Option<&Offer> {
        self.offers.values().next_back()
    }

    /// The terms.
    ///
    /// # Errors
    /// [`SpotlightError::NotFound`] where nothing was scheduled, or it is another seller's.
    pub fn terms_for(&self, context: &Context) -> Result<&SpotlightTerms, SpotlightError> {
        self.terms
            .as_deref()
            .filter(|terms| terms.seller == context.seller)
            .ok_or(SpotlightError::NotFound)
    }

    /// What a command leads to; a repeat leads to nothing.
    ///
    /// # Errors
    /// [`SpotlightError`] where the command is refused.
    pub fn decide(
        &self,
        command: &SpotlightCommand,
        ledger: &Ledger,
        context: &Context,
    ) -> Result<Vec<SpotlightEvent>, SpotlightError> {
        if let SpotlightCommand::ScheduleSpotlight { terms, open_now } = command {
            return self.schedule(terms, *open_now, context);
        }
        let spotlight_id = self.terms_for(context)?.spotlight_id;
        let at = context.decided_at;
        match command {
            SpotlightCommand::OpenSpotlight { cause } => match self.status {
                SpotlightStatus::Scheduled => {
                    let cause = *cause;
                    Ok(vec![SpotlightEvent::SpotlightOpened { spotlight_id, at, cause }])
                }
                SpotlightStatus::Open | SpotlightStatus::Paused => Ok(vec![]),
                SpotlightStatus::Closed => Err(SpotlightError::Closed),
            },
            SpotlightCommand::PauseSpotlight { reason, .. } => match self.status {
                SpotlightStatus::Scheduled => Err(SpotlightError::NotOpen),
                SpotlightStatus::Open => {
                    let personal = Personal::text(reason.clone());
                    Ok(vec![SpotlightEvent::SpotlightPaused { spotlight_id, at, personal }])
                }
                SpotlightStatus::Paused => Ok(vec![]),
                SpotlightStatus::Closed => Err(SpotlightError::Closed),
            },
            SpotlightCommand::ResumeSpotlight { reason } => match self.status {
                SpotlightStatus::Scheduled => Err(SpotlightError::NotOpen),
                SpotlightStatus::Open => Ok(vec![]),
                SpotlightStatus::Paused if self.awaits_offer => Err(SpotlightError::OfferWithdrawn),
                SpotlightStatus::Paused => {
                    let personal = Personal::text(reason.clone());
                    Ok(vec![SpotlightEvent::SpotlightResumed { spotlight_id, at, personal }])
                }
                SpotlightStatus::Closed => Err(SpotlightError::Closed),
            },
            SpotlightCommand::CloseSpotlight { cause, reason, .. } => {
                if self.status == SpotlightStatus::Closed {
                    return Ok(vec![]);
                }
                let personal = Personal::text(reason.clone());
                let cause = *cause;
                Ok(vec![SpotlightEvent::SpotlightClosed { spotlight_id, at, cause, personal }])
            }
            SpotlightCommand::AdjustStock { sku, delta, reason, admission } => {
                self.adjust(sku, *delta, ledger)?;
                Ok(vec![SpotlightEvent::StockAdjusted {
                    spotlight_id,
                    sku: sku.clone(),
                    delta: *delta,
                    gate_entry: admission.map(|_| context.command_id.0),
                    refund_of: None,
                    kept: UnitsBySku::new(),
                    personal: Personal::text(reason.clone()),
                }])
            }
            SpotlightCommand::ChangeOffer { live_price, reason, .. } => {
                let offer = self.next_offer(*live_price)?;
                let personal = Personal::text(reason.clone());
                let mut events =
                    vec![SpotlightEvent::OfferChanged { spotlight_id, offer, personal }];
                if self.awaits_offer && self.status == SpotlightStatus::Paused {
                    let personal = Personal::default();
                    events.push(SpotlightEvent::SpotlightResumed { spotlight_id, at, personal });
                }
                Ok(events)
            }
            SpotlightCommand::WithdrawOffer { offer_version, settle, reason, .. } => {
                self.withdraw(*offer_version, *settle, reason.clone(), context)
            }
            SpotlightCommand::ReportWithdrawal { withdrawal } => {
                Ok(self.report(spotlight_id, *withdrawal))
            }
            SpotlightCommand::JoinWaitlist { wait, .. } => self.join(wait, context),
            SpotlightCommand::LeaveWaitlist { viewer_ref } => self.leave(viewer_ref, context),
            SpotlightCommand::ObserveDemand { second, node, observed } => {
                Ok(self.observe(spotlight_id, *second, node, observed))
            }
            SpotlightCommand::ReopenGate { expected } if *expected == self.epoch => {
                let epoch = self.epoch.saturating_add(1);
                Ok(vec![SpotlightEvent::GateReopened { spotlight_id, epoch }])
            }
            SpotlightCommand::ScheduleSpotlight { .. } | SpotlightCommand::ReopenGate { .. } => {
                Ok(vec![])
            }
        }
    }

    /// What was refused of the SKUs that there are; also after the end, because it is told late.
    fn observe(
        &self,
        spotlight_id: SpotlightId,
        second: Timestamp,
        node: &str,
        observed: &[Observed],
    ) -> Vec<SpotlightEvent> {
        let skus = self.terms.as_deref().map_or(&[][..], |terms| &terms.skus);
        let known = |sku: &Sku| skus.iter().any(|terms| terms.sku == *sku);
        let event = |observed: &Observed| SpotlightEvent::DemandObserved {
            spotlight_id,
            second,
            node: node.to_owned(),
            observed: Box::new(observed.clone()),
        };
        observed.iter().filter(|observed| known(&observed.sku)).map(event).collect()
    }

    fn schedule(
        &self,
        terms: &SpotlightTerms,
        open_now: bool,
        context: &Context,
    ) -> Result<Vec<SpotlightEvent>, SpotlightError> {
        match self.terms.as_deref() {
            Some(known) if known == terms => return Ok(vec![]),
            Some(_) => return Err(SpotlightError::Exists),
            None => {}
        }
        if terms.seller != context.seller {
            return Err(SpotlightError::NotFound);
        }
        let spotlight_id = terms.spotlight_id;
        let mut events =
            vec![SpotlightEvent::SpotlightScheduled { terms: Box::new(terms.clone()) }];
        if open_now {
            events.push(SpotlightEvent::SpotlightOpened {
                spotlight_id,
                at: context.decided_at,
                cause: Cause::Host,
            });
        }
        Ok(events)
    }

    fn adjust(&self, sku: &Sku, delta: i64, ledger: &Ledger) -> Result<(), SpotlightError> {
        if self.status == SpotlightStatus::Closed {
            return Err(SpotlightError::Closed);
        }
        let row = ledger.get(sku).ok_or_else(|| SpotlightError::UnknownSku(sku.clone()))?;
        let limit = row.limit.saturating_add(delta);
        if limit < row.held.saturating_add(row.confirmed) {
            return Err(SpotlightError::BelowCommitted);
        }
        if limit > i64::from(SKU_UNITS_MAX) {
            return Err(SpotlightError::TooManyUnits);
        }
        Ok(())
    }

    fn next_offer(&self, live_price: Money) -> Result<Offer, SpotlightError> {
        if self.status == SpotlightStatus::Closed {
            return Err(SpotlightError::Closed);
        }
        let current = self.current_offer().ok_or(SpotlightError::NotFound)?;
        if current.live_price.currency != live_price.currency {
            return Err(SpotlightError::CurrencyMismatch);
        }
        Ok(Offer {
            version: current.version.saturating_add(1),
            live_price,
            sku_prices: current.sku_prices.clone(),
        })
    }

    /// Takes a fact in; cannot fail.
    pub fn apply(&mut self, event: &SpotlightEvent) {
        match event {
            SpotlightEvent::SpotlightScheduled { terms } => {
                self.offers.insert(terms.offer.version, terms.offer.clone());
                self.terms = Some(terms.clone());
                self.epoch = 1;
            }
            SpotlightEvent::SpotlightOpened { .. } | SpotlightEvent::SpotlightResumed { .. } => {
                self.status = SpotlightStatus::Open;
            }
            SpotlightEvent::SpotlightPaused { .. } => self.status = SpotlightStatus::Paused,
            SpotlightEvent::SpotlightClosed { .. } => self.status = SpotlightStatus::Closed,
            SpotlightEvent::OfferChanged { offer, .. } => {
                self.offers.insert(offer.version, offer.clone());
                self.awaits_offer = false;
            }
            SpotlightEvent::OfferWithdrawn { offer_version, settle, .. } => {
                self.withdrawn.insert(*offer_version, *settle);
                self.withdrawal = Some(Withdrawal::begun(*offer_version, *settle));
                self.awaits_offer = true;
            }
            SpotlightEvent::WithdrawalProgressed { withdrawal, .. } => {
                self.withdrawal = Some(*withdrawal);
            }
            SpotlightEvent::GateReopened { epoch, .. } => self.epoch = *epoch,
            SpotlightEvent::StockAdjusted { .. }
            | SpotlightEvent::AdmissionVoided { .. }
            | SpotlightEvent::DemandObserved { .. } => {}
            SpotlightEvent::WaitlistJoined { .. }
            | SpotlightEvent::WaitlistOffered { .. }
            | SpotlightEvent::WaitlistEnded { .. }
            | SpotlightEvent::UnitsCarried { .. }
            | SpotlightEvent::UnitsFreed { .. } => self.waitlist.apply(event),
            SpotlightEvent::HoldAbandoned { viewer_ref, .. } => {
                let holds = self.abandoned.entry(viewer_ref.clone()).or_default();
                *holds = holds.saturating_add(1);
            }
        }
    }
}

impl Aggregate for Spotlight {
    const TYPE: &'static str = "spotlight";
    type Command = (SpotlightCommand, Ledger, Context);
    type Event = SpotlightEvent;
    type Error = SpotlightError;
    type Services = ();

    async fn handle(
        &mut self,
        (command, ledger, context): Self::Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SpotlightError> {
        for event in self.decide(&command, &ledger, &context)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: SpotlightEvent) {
        Self::apply(self, &event);
    }
}
