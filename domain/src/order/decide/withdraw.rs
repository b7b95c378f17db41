//! The orders of an offer version that was withdrawn.

use super::{OrderDecision, Scene};
use crate::order::{Order, OrderEnd, OrderError, OrderEvent, OrderReason};
use crate::personal::Personal;
use crate::reservation::ReleaseReason;
use crate::spotlight::Settle;

impl Order {
    /// What is open is called off; what was sold goes back whole, and its units can be sold again.
    pub(super) fn withdraw(&self, scene: &Scene<'_>) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted()?;
        let withdrawn = scene.spotlight.withdrawn.get(&accepted.admission.offer_version);
        if withdrawn != Some(&Settle::Cancel) {
            return Ok(OrderDecision::default());
        }
        let reason = OrderReason::Withdrawn;
        match self.end {
            OrderEnd::Open => {
                let mut order = vec![OrderEvent::OrderCancelled {
                    order_id: accepted.order_id,
                    reason,
                    personal: Personal::default(),
                }];
                order.extend(self.give_back(reason));
                let held = scene.hold().is_some();
                Ok(OrderDecision::releasing(order, held, ReleaseReason::Cancelled))
            }
            OrderEnd::Confirmed if self.refund_asked_minor > self.refunded_minor => {
                Err(OrderError::RefundUnderWay)
            }
            OrderEnd::Confirmed => match self.back(accepted, None) {
                Ok(back) => self.refund_of(accepted, &back, reason, true, Personal::default()),
                // all of it went back before
                Err(_) => Ok(OrderDecision::default()),
            },
            OrderEnd::Failed | OrderEnd::Cancelled => Ok(OrderDecision::default()),
        }
    }
}
