//! The simulated provider: each method behaves in one known way, so that every path of a payment
//! can be walked without a provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::payment::{DeclineKind, NextAction, PaymentResult};
use domain::ports::{Clock, PaymentCall, PaymentGateway, PortError};
use lru::LruCache;
use parking_lot::Mutex;

use crate::clock::delta;

/// Every method of the simulated provider; the first one is the default.
pub const SIM_METHODS: [&str; 8] = [
    "sim_ok",
    "sim_decline_hard",
    "sim_decline_soft",
    "sim_unknown",
    "sim_late",
    "sim_twice",
    "sim_never",
    "sim_requires_action",
];

/// Attempts that the provider remembers.
pub const SIM_ATTEMPTS_MAX: usize = 65_536;
/// How long after the hold `sim_late` is paid.
pub const SIM_LATE_BY: Duration = Duration::from_secs(1);

/// The page that the simulated provider sends a buyer to; it exists nowhere.
pub const SIM_PAGE: &str = "https://pay.invalid/";
/// How long the simulated buyer takes to act, where it has to.
pub const SIM_ACTS_AFTER: Duration = Duration::from_secs(1);

/// Where an attempt stands at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Authorized,
    Captured,
    Voided,
    Declined(DeclineKind),
    /// Nobody knows yet.
    Open,
    /// The buyer acts at this time.
    ActsAt(Timestamp),
}

/// The simulated provider. What it answers follows from method and key; what it remembers only
/// adds what was captured or voided since, so a restart changes nothing that a buyer could see.
pub struct SimulatedGateway {
    clock: Arc<dyn Clock>,
    delay: Duration,
    standings: Mutex<LruCache<String, Standing>>,
}

impl SimulatedGateway {
    /// A provider that takes `delay` for each answer.
    pub fn new(clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { clock, delay, standings: Mutex::new(LruCache::unbounded()) }
    }

    async fn answer(&self) {
        if !self.delay.is_zero() {
            self.clock.sleep(self.delay).await;
        }
    }

    /// Where the attempt stands; one that was never asked for, or was forgotten, stands where its
    /// method would have brought it.
    fn standing(&self, call: &PaymentCall) -> Standing {
        let known = self.standings.lock().get(&call.key("attempt")).copied();
        let paid_late =
            || call.held_until.is_some_and(|until| self.clock.now() >= until + delta(SIM_LATE_BY));
        match (known, call.method.as_str()) {
            (Some(Standing::ActsAt(at)), _) if at <= self.clock.now() => Standing::Authorized,
            (Some(standing), _) if standing != Standing::Open => standing,
            // forgotten: the buyer has acted meanwhile
            (_, "sim_ok" | "sim_twice" | "sim_requires_action") => Standing::Authorized,
            (_, "sim_decline_soft") => Standing::Declined(DeclineKind::Soft),
            (_, "sim_unknown") => Standing::Captured,
            (_, "sim_late") if paid_late() => Standing::Captured,
            (_, "sim_late" | "sim_never") => Standing::Open,
            _ => Standing::Declined(DeclineKind::Hard),
        }
    }

    fn remember(&self, call: &PaymentCall, standing: Standing) {
        let mut standings = self.standings.lock();
        standings.put(call.key("attempt"), standing);
        while standings.len() > SIM_ATTEMPTS_MAX {
            standings.pop_lru();
        }
    }
}

fn declined(kind: DeclineKind) -> PaymentResult {
    let code = match kind {
        DeclineKind::Soft => "insufficient_funds",
        DeclineKind::Hard => "card_declined",
    };
    PaymentResult::Declined { kind, code: code.to_owned() }
}

fn result_of(call: &PaymentCall, standing: Standing) -> Option<PaymentResult> {
    let amount = call.amount;
    match standing {
        Standing::Authorized => {
            Some(PaymentResult::Authorized { amount, reference: Some(call.key("authorize")) })
        }
        Standing::Captured => Some(PaymentResult::Captured { amount }),
        Standing::Voided => Some(PaymentResult::Voided),
        Standing::Declined(kind) => Some(declined(kind)),
        Standing::ActsAt(_) => Some(PaymentResult::RequiresAction {
            action: NextAction::Redirect { url: format!("{SIM_PAGE}{}", call.order) },
            reference: Some(call.key("authorize")),
        }),
        Standing::Open => None,
    }
}

#[async_trait]
impl PaymentGateway for SimulatedGateway {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer().await;
        let mut standing = self.standing(call);
        let asked_before = self.standings.lock().contains(&call.key("attempt"));
        if call.method == "sim_requires_action" && !asked_before {
            standing = Standing::ActsAt(self.clock.now() + delta(SIM_ACTS_AFTER));
        }
        self.remember(call, standing);
        if call.method == "sim_unknown" && standing == Standing::Captured {
            return Ok(PaymentResult::Unknown);
        }
        Ok(result_of(call, standing).unwrap_or(PaymentResult::Unknown))
    }

    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer().await;
        match self.standing(call) {
            Standing::Authorized | Standing::Captured => {
                self.remember(call, Standing::Captured);
                Ok(PaymentResult::Captured { amount: call.amount })
            }
            _ => Ok(PaymentResult::CaptureFailed { code: "not_authorized".to_owned() }),
        }
    }

    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer().await;
        match self.standing(call) {
            Standing::Captured => Ok(PaymentResult::Captured { amount: call.amount }),
            Standing::Declined(kind) => Ok(declined(kind)),
            _ => {
                self.remember(call, Standing::Voided);
                Ok(PaymentResult::Voided)
            }
        }
    }

    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer().await;
        Ok(PaymentResult::Refunded { amount: call.amount })
    }

    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        self.answer().await;
        Ok(result_of(call, self.standing(call)))
    }

    fn tells(&self, call: &PaymentCall) -> usize {
        if call.method == "sim_twice" { 2 } else { 1 }
    }
}
