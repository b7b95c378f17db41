//! Benchmarks: each measure beside a reference that is measured in the same run, in turns.
//!
//! A benchmark informs and judges nothing: it prints the ratio, the bound that the project has set
//! itself, and whether it holds.

mod accept;
mod child;
mod cpu;
mod errors;
mod jobs;
mod live;
mod load;
mod measure;
mod rebuild;
mod reference;
mod request;
mod scene;
mod scratch;
mod soldout;
mod stage;
mod verify;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use errors::BenchError;
pub use measure::{Bound, Measure, Round};
pub use reference::{ReferenceOptions, serve as serve_reference};

/// Rounds of subject and reference where nothing else is asked for; the median counts.
pub const ROUNDS_DEFAULT: usize = 3;
/// How long one round of load lasts where nothing else is asked for, in seconds.
pub const SECONDS_DEFAULT: u64 = 5;
/// Orders of one round where nothing else is asked for.
pub const ORDERS_DEFAULT: usize = 20_000;
/// Connections that load comes over where nothing else is asked for.
pub const CONNECTIONS_DEFAULT: usize = 64;

/// Viewers where nothing else is asked for.
pub const VIEWERS_DEFAULT: usize = 10_000;
/// Where the references of `fanout` are where nothing else is asked for.
pub const REFERENCES_DEFAULT: &str = "tests/bench";

/// Which benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// CPU per accepted order and latency of the api process, on a cluster.
    Accept,
    /// Refusals per second of a sold-out spotlight, on a cluster.
    Soldout,
    /// Events per second of the writer, on PostgreSQL.
    Writer,
    /// Events per second of the verification, on PostgreSQL.
    Verify,
    /// Rows per second of a read model that is built again, on PostgreSQL.
    Rebuild,
    /// Events per second of the export, on PostgreSQL.
    Export,
    /// Events per second of the history through changed rules, on PostgreSQL.
    Whatif,
    /// CPU per message that goes to every viewer, of a server on one core.
    Fanout,
    /// Time from an accepted order to the viewers' screens, of one process with all roles.
    Screen,
    /// Memory and CPU of viewers that are told nothing, and a storm of reconnects.
    Idle,
}

/// What to measure on, and how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// `postgres://…`; scratch databases are made beside it and dropped.
    pub database: String,
    /// Redis, for the benchmarks of a cluster.
    pub redis: Option<String>,
    /// Kafka, for the benchmarks of a cluster.
    pub kafka: Option<String>,
    /// Rounds.
    pub rounds: usize,
    /// How long one round of load lasts.
    pub round: Duration,
    /// Orders of one round, where rounds are counted in orders.
    pub orders: usize,
    /// Connections that load comes over.
    pub connections: usize,
    /// Viewers.
    pub viewers: usize,
    /// Where the references of `fanout` are.
    pub references: PathBuf,
    /// The onair whose sockets are measured; this one where none is named.
    pub subject: Option<PathBuf>,
}

impl Options {
    /// Redis and Kafka, which a cluster needs.
    fn cluster(&self) -> Result<(&str, &str), BenchError> {
        match (&self.redis, &self.kafka) {
            (Some(redis), Some(kafka)) => Ok((redis, kafka)),
            (None, _) => Err(BenchError::missing("Redis", "--redis or ONAIR_REDIS")),
            (_, None) => Err(BenchError::missing("Kafka", "--kafka or ONAIR_KAFKA")),
        }
    }
}

/// Runs a benchmark. `say` is told what goes on, for people.
///
/// # Errors
/// [`BenchError`]: a server that it needs cannot be reached, or it could not be finished.
pub async fn run(
    suite: Suite,
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    match suite {
        Suite::Accept => accept::run(options, say).await,
        Suite::Soldout => soldout::run(options, say).await,
        Suite::Writer => writer::run(options, say).await,
        Suite::Verify => verify::run(options, say).await,
        Suite::Rebuild => rebuild::run(options, say).await,
        Suite::Export => rebuild::reading(options, say, rebuild::Reading::Export).await,
        Suite::Whatif => rebuild::reading(options, say, rebuild::Reading::WhatIf).await,
        Suite::Fanout => live::fanout(options, say).await,
        Suite::Screen => live::screen(options, say).await,
        Suite::Idle => live::idle(options, say).await,
    }
}
