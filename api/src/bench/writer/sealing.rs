//! What sealing costs: the CPU of this process while it seals what the writer has just written.

use std::sync::Arc;

use commands::clock::SystemClock;
use commands::store::{self, StoreOptions};
use domain::seal::SealSigner;

use crate::bench::measure::figure;
use crate::bench::{BenchError, Bound, Measure, Round, cpu};

/// The seed of the key; it proves nothing.
const SEED: [u8; 32] = [7; 32];

/// Seals a log as it grows.
pub(super) struct Sealing<'a> {
    url: &'a str,
    signer: SealSigner,
    last: u64,
}

impl<'a> Sealing<'a> {
    /// Of a database.
    pub fn new(url: &'a str) -> Self {
        Self { url, signer: SealSigner::from_seed(&SEED), last: 0 }
    }

    /// Seals what is not sealed yet; returns microseconds of CPU per event.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn run(&mut self) -> Result<f64, BenchError> {
        let options = StoreOptions::new(Arc::new(SystemClock));
        let before = cpu::of_process(std::process::id()).unwrap_or_default();
        let sealed = store::seal_log(self.url, &options, &self.signer, &mut |_, _| {})
            .await
            .map_err(BenchError::failed)?;
        let after = cpu::of_process(std::process::id()).unwrap_or_default();
        let events = sealed.last.0.saturating_sub(self.last).max(1);
        self.last = sealed.last.0;
        Ok(after.saturating_sub(before).as_secs_f64() * 1e6 / figure(events))
    }
}

/// The rounds as a measure.
pub(super) fn measure(rounds: Vec<Round>) -> Measure {
    Measure {
        bench: "seal.cpu",
        unit: "us/event",
        reference: "the writer's own CPU per event",
        bound: Bound::AtMost(0.05),
        rounds,
        beside: vec![],
    }
}
