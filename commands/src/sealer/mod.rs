//! The role that seals the log while it grows, and tells witnesses.
//!
//! One sealer holds the lease. A whole block is sealed as soon as it is there, what is left after a
//! while; each seal is then given to every witness, and only after that the checkpoint moves: a seal
//! may be told twice, and is never kept back.

mod witness;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use domain::envelope::Position;
use domain::ports::{Clock, EventStore, PortError, RowReader, StoreError};
use domain::seal::{SEAL_BLOCK_EVENTS, SealSigner};
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

pub use self::witness::{FolderWitness, KafkaWitness, WitnessSink};
use crate::lease::give_back;
use crate::metrics::{SEALER_RESTARTS_TOTAL, SEALS_TOTAL, UNSEALED_EVENTS};
use crate::store::{SealLogError, SealSink, seal_on};

/// The role whose lease and checkpoint the sealer uses; the checkpoint is the last seal that every
/// witness has.
pub const SEALER_ROLE: &str = "sealer";
/// Seals that are told at a time.
const PAGE_SEALS: usize = 100;
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits after an error.
const RESTART_AFTER: Duration = Duration::from_secs(2);

/// What the sealer works with.
pub struct SealerPorts {
    /// The lease and the checkpoint.
    pub store: Arc<dyn EventStore>,
    /// What is sealed.
    pub rows: Arc<dyn RowReader>,
    /// Who else is told.
    pub witnesses: Vec<Box<dyn WitnessSink>>,
    /// The key of the next seals: asked before each pass, so that another one may go on at any time.
    pub signer: Box<dyn Fn() -> Result<SealSigner, PortError> + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Seals into `sink` until `shutdown`; while another owner has the lease it stands by. What is no whole block
/// is sealed `every` so often.
pub async fn run(
    ports: SealerPorts,
    mut sink: Box<dyn SealSink>,
    every: Duration,
    owner: String,
    shutdown: CancellationToken,
) {
    let mut sealed_at = ports.clock.now();
    while !shutdown.is_cancelled() {
        let pause = match ports.pass(sink.as_mut(), &owner, every, &mut sealed_at).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                counter!(SEALER_RESTARTS_TOTAL).increment(1);
                tracing::error!(%error, "the sealer tries again");
                RESTART_AFTER
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = ports.clock.sleep(pause) => {}
        }
    }
    give_back(ports.store.as_ref(), ports.clock.as_ref(), SEALER_ROLE, &owner).await;
}

impl SealerPorts {
    async fn pass(
        &self,
        sink: &mut dyn SealSink,
        owner: &str,
        every: Duration,
        sealed_at: &mut Timestamp,
    ) -> Result<(), PortError> {
        let Some(epoch) = self.store.lease(SEALER_ROLE, owner).await? else { return Ok(()) };
        let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        let is_due = self.clock.now() - *sealed_at >= every;
        let least = if is_due { 1 } else { SEAL_BLOCK_EVENTS };
        let signer = (self.signer)()?;
        let (rows, clock) = (self.rows.as_ref(), self.clock.as_ref());
        let mut quiet = |_, _| {};
        let key = (&signer, least);
        let sealed = seal_on(rows, sink, clock, key, &mut quiet).await;
        let sealed = sealed.map_err(failed)?;
        if is_due || sealed.blocks > 0 {
            *sealed_at = self.clock.now();
        }
        counter!(SEALS_TOTAL).increment(sealed.blocks);
        let head = self.rows.last_row().await?;
        let unsealed = u32::try_from(head.0.saturating_sub(sealed.last.0)).unwrap_or(u32::MAX);
        gauge!(UNSEALED_EVENTS).set(f64::from(unsealed));
        self.tell(epoch).await
    }

    /// Tells every witness what it was not told.
    async fn tell(&self, epoch: u64) -> Result<(), PortError> {
        if self.witnesses.is_empty() {
            return Ok(());
        }
        let mut told = self.store.checkpoint(SEALER_ROLE).await?;
        loop {
            let seals = self.rows.seals(told.0, PAGE_SEALS).await?;
            let Some(last) = seals.last().map(|seal| seal.number) else { return Ok(()) };
            let keys = self.rows.keys().await?;
            for seal in &seals {
                for witness in &self.witnesses {
                    witness.keep(seal, &keys).await?;
                }
            }
            told = Position(last);
            match self.store.set_checkpoint(SEALER_ROLE, epoch, told).await {
                // another one goes on
                Ok(()) | Err(StoreError::Fenced) => {}
                Err(StoreError::Conflict(detail)) => {
                    return Err(PortError::corrupt("a checkpoint", detail));
                }
                Err(StoreError::Unavailable(error) | StoreError::Ambiguous(error)) => {
                    return Err(error);
                }
            }
        }
    }
}

fn failed(error: SealLogError) -> PortError {
    match error {
        SealLogError::Store(error) => error,
        error @ SealLogError::Gap(_) => PortError::corrupt("the log", error.to_string()),
        error => PortError::unavailable("the seals", error),
    }
}
