//! Load from this process: as much as goes, or at a given rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::BenchError;
use super::measure::figure;
use super::request::{Connection, Orders};

/// Latencies are kept up to a minute, in microseconds, to three digits.
const LATENCY_MAX_MICROS: u64 = 60_000_000;
const LATENCY_DIGITS: u8 = 3;

/// What came of a load.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// Answers 202.
    pub accepted: u64,
    /// Answers 409.
    pub conflicts: u64,
    /// Every other answer.
    pub refused: u64,
    /// How long it went on.
    pub took: Duration,
    /// Of every answer, in microseconds.
    pub latency: Histogram<u64>,
}

impl Outcome {
    fn new() -> Result<Self, BenchError> {
        let latency = Histogram::new_with_max(LATENCY_MAX_MICROS, LATENCY_DIGITS)
            .map_err(|error| BenchError::Failed(error.to_string()))?;
        let took = Duration::ZERO;
        Ok(Self { accepted: 0, conflicts: 0, refused: 0, took, latency })
    }

    fn note(&mut self, status: u16, latency: Duration) {
        match status {
            202 => self.accepted += 1,
            409 => self.conflicts += 1,
            _ => self.refused += 1,
        }
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.conflicts += other.conflicts;
        self.refused += other.refused;
        // both have the same bounds
        let _ = self.latency.add(&other.latency);
    }

    /// Answers of a kind per second.
    pub fn rate(&self, answers: u64) -> f64 {
        figure(answers) / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that 99 of 100 answers keep, in microseconds.
    pub fn p99_micros(&self) -> f64 {
        figure(self.latency.value_at_quantile(0.99))
    }
}

/// How orders follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// Each connection sends the next one when it has its answer.
    AsFastAsItGoes,
    /// So many a second, whatever the answers do; a latency counts from when the order was due,
    /// so that an answer that holds others up is not seen only once (coordinated omission).
    PerSecond(f64),
}

/// A load that can go on where the last one stopped.
#[derive(Clone)]
pub(super) struct Generator {
    orders: Arc<Orders>,
    connections: usize,
    next: Arc<AtomicU64>,
}

impl Generator {
    /// A load of orders over connections of its own.
    pub fn new(orders: Orders, connections: usize) -> Self {
        Self { orders: Arc::new(orders), connections, next: Arc::default() }
    }

    /// Orders that were sent so far.
    pub fn sent(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// What they have in common.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Sends orders for a while, as fast as it goes, from a thread that never sleeps: the kernel
    /// would charge the server with waking it, the more often the slower the server is.
    ///
    /// # Errors
    /// A connection broke.
    pub async fn run_awake(&self, time: Duration) -> Result<Outcome, BenchError> {
        let load = self.clone();
        let awake = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let spins = async {
                    loop {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    outcome = load.run(Pace::AsFastAsItGoes, time) => outcome,
                    never = spins => never,
                }
            })
        };
        tokio::task::spawn_blocking(awake).await.map_err(BenchError::failed)?
    }

    /// Sends orders for a while.
    ///
    /// # Errors
    /// A connection broke.
    pub async fn run(&self, pace: Pace, time: Duration) -> Result<Outcome, BenchError> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(self.orders.address).await?);
        }
        let began = Instant::now();
        let first = self.sent();
        let mut senders = JoinSet::new();
        for connection in connections {
            let sender = Sender {
                connection,
                orders: Arc::clone(&self.orders),
                next: Arc::clone(&self.next),
                first,
                began,
                until: began + time,
            };
            senders.spawn(sender.run(pace));
        }
        let mut outcome = Outcome::new()?;
        while let Some(sent) = senders.join_next().await {
            outcome.add(&sent.map_err(BenchError::failed)??);
        }
        outcome.took = began.elapsed();
        Ok(outcome)
    }
}

struct Sender {
    connection: Connection,
    orders: Arc<Orders>,
    next: Arc<AtomicU64>,
    first: u64,
    began: Instant,
    until: Instant,
}

impl Sender {
    async fn run(mut self, pace: Pace) -> Result<Outcome, BenchError> {
        let mut outcome = Outcome::new()?;
        while Instant::now() < self.until {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = match pace {
                Pace::AsFastAsItGoes => Instant::now(),
                Pace::PerSecond(rate) => {
                    let due =
                        self.began + Duration::from_secs_f64(figure(number - self.first) / rate);
                    if due >= self.until {
                        break;
                    }
                    self.wait(due).await
                }
            };
            let status = self.connection.send(&self.orders, number).await?;
            outcome.note(status, due.elapsed());
        }
        Ok(outcome)
    }

    /// Waits until an order is due; where this connection was free in time, it counts from when the
    /// timer woke it, because timers of a millisecond are not the server's latency.
    async fn wait(&self, due: Instant) -> Instant {
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due).await;
        Instant::now()
    }
}
