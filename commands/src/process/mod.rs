//! What acts on events by sending commands: payment, hold expiry, schedules, re-drive.
//!
//! One process at a time holds the role's lease; another one stands by. Everything here proposes:
//! a proposal's id follows from its purpose, so that a repeat, also by two processes at once, is a
//! repeat to the log, and the writer decides. Nothing here is needed for a fact to be right, only
//! for it to come.

mod expiry;
mod gateway;
pub mod guard;
mod in_hand;
mod late;
mod parked;
mod payment;
mod payments;
mod proposals;
mod redrive;
mod schedule;
mod withdraw;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::SpotlightId;
use domain::ports::{
    Clock, CommandLog, EventStore, OrderBook, PaymentGateway, PortError, SalesBoard, StockGate,
};
use metrics::counter;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub use gateway::{SIM_ACTS_AFTER, SIM_METHODS, SimulatedGateway};
pub use guard::GuardedGateway;
pub use payment::{PAYMENT_FINAL_DEFAULT, REFUND_PENDING_MAX, REFUND_UNANSWERED_MAX};

use crate::faults::Faults;
use crate::intake::GateRebuilder;
use crate::lease::give_back;
use crate::metrics::PROCESS_ERRORS_TOTAL;
use crate::writer::cause;
use proposals::Remembered;
use withdraw::Settling;

/// The name of the role's lease and checkpoint.
pub const ROLE: &str = "process";
/// The pause between two renewals of the lease.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(1);
/// Renewals that may fail in a row before the role is given up.
pub const LEASE_FAILURES_MAX: u32 = 3;
/// How long after its deadline the end of a hold is decided at the latest, while every role keeps
/// up: it is proposed within [`SWEEP_PAUSE`] of the order book's knowing, [`SWEEP_MAX`] at once.
/// `onair_hold_late_seconds` measures it.
pub const HOLD_LATE_MAX: Duration = Duration::from_secs(10);
/// The pause between two looks for holds and schedules that are due.
pub const SWEEP_PAUSE: Duration = Duration::from_millis(200);
/// The pause between two looks for entries and parked commands that need help.
pub const REPAIR_PAUSE: Duration = Duration::from_millis(500);
/// The pause between two looks for gates that were lost and that nobody orders from.
pub const LOSS_PAUSE: Duration = Duration::from_secs(2);
/// What one look takes in hand.
pub const SWEEP_MAX: usize = 500;
/// Commands that one look appends at once.
pub const APPENDS_MAX: usize = 64;

/// What the process role works with. Nothing else holds a [`PaymentGateway`].
pub struct ProcessPorts {
    /// The log of events.
    pub store: Arc<dyn EventStore>,
    /// Where proposals go.
    pub log: Arc<dyn CommandLog>,
    /// Pending entries, and closing.
    pub gate: Arc<dyn StockGate>,
    /// Holds and payments.
    pub orders: Arc<dyn OrderBook>,
    /// Schedules.
    pub board: Arc<dyn SalesBoard>,
    /// The provider.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Lost gates.
    pub rebuilder: Arc<dyn GateRebuilder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fail points.
    pub faults: Faults,
}

/// The settings of the process role.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Who it is, in the lease.
    pub owner: String,
    /// How long after the hold a payment without an answer is ended.
    pub payment_final: Duration,
    /// Payments that are worked on at once.
    pub payments: usize,
}

impl ProcessConfig {
    /// The settings by default.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            payment_final: PAYMENT_FINAL_DEFAULT,
            payments: payments::PAYMENTS_MAX,
        }
    }
}

pub(crate) struct Process {
    ports: ProcessPorts,
    config: ProcessConfig,
    remembered: Remembered,
    /// Withdrawals as far as they were read.
    withdrawals: Mutex<BTreeMap<SpotlightId, Settling>>,
}

/// Works while it holds the role's lease, and stands by while it does not, until `shutdown`.
pub async fn run(ports: ProcessPorts, config: ProcessConfig, shutdown: CancellationToken) {
    let (remembered, withdrawals) = (Remembered::default(), Mutex::default());
    let process = Process { ports, config, remembered, withdrawals };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = process.take_turns() => {}
    }
    // the next one need not wait for its end
    let Process { ports, config, .. } = &process;
    give_back(ports.store.as_ref(), ports.clock.as_ref(), ROLE, &config.owner).await;
}

impl Process {
    async fn take_turns(&self) {
        loop {
            match self.ports.store.lease(ROLE, &self.config.owner).await {
                Ok(Some(epoch)) => {
                    tracing::info!(epoch, "took the role of the process");
                    self.lead(epoch).await;
                    tracing::warn!(epoch, "gave up the role of the process");
                }
                Ok(None) => {}
                Err(error) => Self::failed("lease", &error),
            }
            self.ports.clock.sleep(LEASE_RENEWAL).await;
        }
    }

    /// Runs until the lease is lost. What is dropped here was told to nobody: the next holder finds
    /// it in the log.
    async fn lead(&self, epoch: u64) {
        tokio::select! {
            biased;
            () = self.keep_lease(epoch) => {}
            () = self.pay(epoch) => {}
            () = self.sweep() => {}
            () = self.repair() => {}
            () = self.rebuild() => {}
        }
    }

    async fn keep_lease(&self, epoch: u64) {
        let mut failures = 0;
        loop {
            self.ports.clock.sleep(LEASE_RENEWAL).await;
            match self.ports.store.lease(ROLE, &self.config.owner).await {
                Ok(Some(held)) if held == epoch => failures = 0,
                Ok(_) => return,
                Err(error) => {
                    Self::failed("lease", &error);
                    failures += 1;
                    if failures >= LEASE_FAILURES_MAX {
                        return;
                    }
                }
            }
        }
    }

    async fn sweep(&self) {
        loop {
            if let Err(error) = self.expire_holds().await {
                Self::failed("expiry", &error);
            }
            if let Err(error) = self.keep_schedules().await {
                Self::failed("schedule", &error);
            }
            self.ports.clock.sleep(SWEEP_PAUSE).await;
        }
    }

    async fn repair(&self) {
        loop {
            if let Err(error) = self.redrive().await {
                Self::failed("redrive", &error);
            }
            if let Err(error) = self.fail_parked().await {
                Self::failed("parked", &error);
            }
            if let Err(error) = self.settle_withdrawals().await {
                Self::failed("withdrawals", &error);
            }
            self.ports.clock.sleep(REPAIR_PAUSE).await;
        }
    }

    async fn rebuild(&self) {
        loop {
            for spotlight in self.ports.gate.lost().await {
                if let Err(error) = self.ports.rebuilder.ensure(spotlight).await {
                    Self::failed("rebuild", &error);
                }
            }
            self.ports.clock.sleep(LOSS_PAUSE).await;
        }
    }

    fn failed(step: &'static str, error: &PortError) {
        counter!(PROCESS_ERRORS_TOTAL, "step" => step).increment(1);
        tracing::warn!(error = cause(error), step, "a step of the process failed");
    }
}
