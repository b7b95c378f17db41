//! The simulator: the real loops of onair on the in-memory adapters, under a seeded scheduler that
//! delays, loses, repeats and reorders, and kills roles between any two steps.
//!
//! One seed is one run. Everything in it follows from the seed, so a seed that fails does so again,
//! step by step; [`run_seed`] with a trace tells the story. After the faults everything must come to
//! its end, and then the log, the gate and the read models are compared; the invariants of
//! [`domain::invariants`] are checked at every commit.

mod breaks;
mod check;
mod clients;
mod clock;
mod command_log;
mod event_log;
mod executor;
mod faults;
mod gate;
mod ports;
mod post;
mod roles;
mod script;
mod shop;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

pub use breaks::{BREAKS, Break, UnknownBreak};

use clients::{Client, Told};
use executor::{Executor, Stuck};
use script::Script;
use shop::Shop;
use world::{OUTSIDE, World};

/// Roles that are not api processes: two each of writer, relay and process, and the projections.
const ROLES: usize = 8;

/// What became of one seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was found, if anything was.
    pub failure: Option<String>,
    /// What happened, line by line, where it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// A hash of every decision of the scheduler: the same seed has the same.
    pub fingerprint: u64,
    /// Events that were stored.
    pub events: u64,
    /// Orders that were promised.
    pub promised: u64,
    /// Steps of the scheduler.
    pub steps: u64,
}

/// Runs one seed.
pub fn run_seed(seed: u64, planted: Option<Break>, traced: bool) -> Outcome {
    let world = World::new(seed, traced);
    let shop = Shop::new(&world, seed, planted);
    let nodes = shop.start(2 + usize::try_from(world.below(2)).unwrap_or(0));
    let roles = ROLES + nodes.len();
    let told = Arc::new(Mutex::new(Told::default()));
    let client = Client { shop: shop.clone(), nodes, told: Arc::clone(&told) };
    shop.post.open(client.clone());
    let mut script = Script::new(client, seed);
    let done = Arc::new(AtomicBool::new(false));
    let finished = Arc::clone(&done);
    world.spawn(
        OUTSIDE,
        Box::pin(async move {
            script.open().await;
            script.rush(roles).await;
            script.come_late().await;
            script.settle().await;
            finished.store(true, Ordering::Relaxed);
        }),
    );
    let mut executor = Executor::new(Arc::clone(&world));
    let run = catch_unwind(AssertUnwindSafe(|| executor.run(|| done.load(Ordering::Relaxed))));
    match run {
        Ok(Ok(())) => {}
        Ok(Err(Stuck::Nobody)) => world.fail("nobody can go on"),
        Ok(Err(Stuck::Endless)) => world.fail("it never ends"),
        Err(_) => world.fail("it panicked"),
    }
    shop.post.close();
    let steps = executor.polls();
    drop(executor);
    let failure = world.failure();
    let (trace, fingerprint) = world.take_trace();
    let events = shop.witness.lock().seen.0;
    let promised = u64::try_from(told.lock().promised.len()).unwrap_or(u64::MAX);
    Outcome { seed, failure, trace, fingerprint, events, promised, steps }
}
