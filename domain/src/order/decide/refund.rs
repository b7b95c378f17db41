//! Giving a sale back: whole or by line, once per request, one at a time.

use super::{OrderDecision, Scene};
use crate::command::Context;
use crate::line::{Line, Lines, PricedLine, total};
use crate::order::{Accepted, Order, OrderEnd, OrderError, OrderEvent, OrderReason, Returned};
use crate::personal::Personal;
use crate::quantity::Quantity;
use crate::spotlight::{SpotlightEvent, UnitsBySku};

impl Order {
    /// What a host gives back. The units stay sold, unless they are to be sold again; the viewer
    /// may buy as many again either way.
    pub(super) fn refund(
        &self,
        text: Option<&str>,
        lines: Option<&Lines>,
        restock: bool,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted_for(scene, context)?;
        match self.end {
            OrderEnd::Confirmed => {}
            OrderEnd::Open => return Err(OrderError::NotConfirmed),
            OrderEnd::Failed | OrderEnd::Cancelled => return Err(OrderError::AlreadyEnded),
        }
        if self.refund_asked_minor > self.refunded_minor {
            return Err(OrderError::RefundUnderWay);
        }
        let back = self.back(accepted, lines)?;
        let personal = Personal::text(text.map(str::to_owned));
        self.refund_of(accepted, &back, OrderReason::RefundedByHost, restock, personal)
    }

    /// The next refund, of these lines.
    pub(super) fn refund_of(
        &self,
        accepted: &Accepted,
        back: &[PricedLine],
        reason: OrderReason,
        restock: bool,
        personal: Personal,
    ) -> Result<OrderDecision, OrderError> {
        let amount = total(back).map_err(OrderError::Total)?;
        let lines = Lines::try_new(back.iter().map(PricedLine::unpriced).collect())
            .map_err(|_| OrderError::AlreadyEnded)?;
        let (order_id, spotlight_id) = (accepted.order_id, accepted.spotlight_id);
        let spotlight = restocked(accepted, &lines, restock);
        let returned =
            Returned { spotlight_id, viewer_ref: accepted.viewer_ref.clone(), lines, restock };
        let order = vec![OrderEvent::RefundRequested {
            order_id,
            attempt: self.refund_attempt.saturating_add(1),
            amount,
            reason,
            returned: Some(Box::new(returned)),
            personal,
        }];
        Ok(OrderDecision { order, spotlight, ..OrderDecision::default() })
    }

    /// The lines that go back, at the price that was paid; without a choice all that is left.
    pub(super) fn back(
        &self,
        accepted: &Accepted,
        chosen: Option<&Lines>,
    ) -> Result<Vec<PricedLine>, OrderError> {
        let left = |line: &PricedLine| {
            let returned = self.returned.get(&line.sku).copied().unwrap_or(0);
            line.quantity.get().saturating_sub(returned)
        };
        let Some(chosen) = chosen else {
            let back: Vec<PricedLine> = accepted
                .lines
                .iter()
                .filter_map(|line| {
                    let quantity = Quantity::try_new(left(line)).ok()?;
                    Some(PricedLine { quantity, ..line.clone() })
                })
                .collect();
            return if back.is_empty() { Err(OrderError::AlreadyEnded) } else { Ok(back) };
        };
        chosen
            .iter()
            .map(|Line { sku, quantity }| {
                let line = accepted.lines.iter().find(|line| line.sku == *sku);
                line.filter(|line| quantity.get() <= left(line))
                    .map(|line| PricedLine { quantity: *quantity, ..line.clone() })
                    .ok_or_else(|| OrderError::NotBought(sku.clone()))
            })
            .collect()
    }
}

/// Units that can be sold again, in the same transaction as the refund.
fn restocked(accepted: &Accepted, lines: &Lines, restock: bool) -> Vec<SpotlightEvent> {
    let adjusted = |line: &Line| SpotlightEvent::StockAdjusted {
        spotlight_id: accepted.spotlight_id,
        sku: line.sku.clone(),
        delta: i64::from(line.quantity.get()),
        gate_entry: None,
        refund_of: Some(accepted.order_id),
        kept: UnitsBySku::new(),
        personal: Personal::default(),
    };
    if restock { lines.iter().map(adjusted).collect() } else { vec![] }
}
