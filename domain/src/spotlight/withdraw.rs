//! Stopping an offer version: the undo of a wrong price.

use super::{Settle, Spotlight, SpotlightError, SpotlightEvent, SpotlightStatus, Withdrawal};
use crate::command::Context;
use crate::ids::SpotlightId;
use crate::personal::Personal;

impl Spotlight {
    /// The version is stopped, and the spotlight with it, until the next offer; a repeat leads to
    /// nothing.
    pub(super) fn withdraw(
        &self,
        offer_version: u32,
        settle: Settle,
        reason: Option<String>,
        context: &Context,
    ) -> Result<Vec<SpotlightEvent>, SpotlightError> {
        let spotlight_id = self.terms_for(context)?.spotlight_id;
        if self.status == SpotlightStatus::Scheduled {
            return Err(SpotlightError::NotOpen);
        }
        if !self.offers.contains_key(&offer_version) {
            return Err(SpotlightError::UnknownOffer(offer_version));
        }
        match self.withdrawn.get(&offer_version) {
            Some(known) if *known == settle => return Ok(vec![]),
            Some(_) => return Err(SpotlightError::AlreadyWithdrawn),
            None => {}
        }
        if self.withdrawal.is_some_and(|withdrawal| withdrawal.open) {
            return Err(SpotlightError::WithdrawalInProgress);
        }
        let at = context.decided_at;
        let personal = Personal::text(reason);
        let mut events = vec![SpotlightEvent::OfferWithdrawn {
            spotlight_id,
            offer_version,
            settle,
            at,
            personal,
        }];
        if self.status == SpotlightStatus::Open {
            let personal = Personal::default();
            events.push(SpotlightEvent::SpotlightPaused { spotlight_id, at, personal });
        }
        Ok(events)
    }

    /// How far it has come, where that is news of the withdrawal that is open.
    pub(super) fn report(
        &self,
        spotlight_id: SpotlightId,
        withdrawal: Withdrawal,
    ) -> Vec<SpotlightEvent> {
        let news = self.withdrawal.is_some_and(|known| {
            known.open && known.offer_version == withdrawal.offer_version && known != withdrawal
        });
        let event = || SpotlightEvent::WithdrawalProgressed { spotlight_id, withdrawal };
        news.then(event).into_iter().collect()
    }
}
