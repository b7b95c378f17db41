//! CPU and latency of accepting an order, against a bare handler that does the least that an
//! acceptance needs.

use std::time::Duration;

use super::child::Process;
use super::load::{Generator, Outcome, Pace};
use super::measure::{figure, median};
use super::stage::{Spent, Stage};
use super::{BenchError, Bound, Measure, Options, Round, cpu};

/// The part of the subject's highest rate at which both are compared.
const SHARE_OF_HIGHEST: f64 = 0.6;
const REFERENCE: &str = "axum, token, EVALSHA, acked produce";

/// What one server did under one load.
struct Run {
    outcome: Outcome,
    cpu: Duration,
    servers: Spent,
}

impl Run {
    fn micros_per_order(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / figure(self.outcome.accepted.max(1))
    }

    fn rate(&self) -> f64 {
        self.outcome.rate(self.outcome.accepted)
    }
}

/// A figure of a run.
type Look = fn(&Run) -> f64;

/// One server under test with its load.
struct Tested<'a> {
    stage: &'a Stage<'a>,
    process: Process,
    load: Generator,
}

impl Tested<'_> {
    async fn run(&self, pace: Pace, time: Duration) -> Result<Run, BenchError> {
        let (before, servers) = (cpu::of_process(self.process.pid), self.stage.spent());
        let outcome = self.load.run(pace, time).await?;
        let after = cpu::of_process(self.process.pid);
        let servers = self.stage.spent().since(servers);
        if outcome.accepted == 0 {
            return Err(BenchError::Failed(format!(
                "no order was accepted; {} conflicts, {} other refusals",
                outcome.conflicts, outcome.refused
            )));
        }
        let cpu = after.unwrap_or_default().saturating_sub(before.unwrap_or_default());
        Ok(Run { outcome, cpu, servers })
    }
}

/// Measures acceptance.
pub(super) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    Stage::around(options, async |stage| measure(stage, options, say).await).await
}

async fn measure(
    stage: &Stage<'_>,
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    say("starting the processes");
    let behind = stage.serve("writer,relay,project,process", false).await?;
    let api = stage.serve("api", true).await?;
    let address = api.address()?;
    let spotlight = stage.spotlight(address, u32::MAX).await?;
    // acceptance needs none of them, and they would take the cores from both servers
    behind.end().await?;
    let reference = stage.reference("accept").await?;
    let subject = Tested {
        stage,
        load: Stage::load(address, &spotlight, options.connections)?,
        process: api,
    };
    let reference = Tested {
        stage,
        load: Stage::load(reference.address()?, &spotlight, options.connections)?,
        process: reference,
    };
    let mut rounds = vec![];
    // the first round fills caches, and does not count
    for round in 0..=options.rounds {
        let highest = subject.run(Pace::AsFastAsItGoes, options.round).await?;
        let bare = reference.run(Pace::AsFastAsItGoes, options.round).await?;
        let pace = Pace::PerSecond(highest.rate() * SHARE_OF_HIGHEST);
        let steady = subject.run(pace, options.round).await?;
        let bare_steady = reference.run(pace, options.round).await?;
        say(&format!(
            "round {round}: {:.1} µs per order, reference {:.1}, at {:.0}/s; \
             highest {:.0}/s with {:.1}, reference {:.0}/s with {:.1}; \
             p99 {:.0} µs, reference {:.0} µs",
            steady.micros_per_order(steady.cpu),
            bare_steady.micros_per_order(bare_steady.cpu),
            steady.rate(),
            highest.rate(),
            highest.micros_per_order(highest.cpu),
            bare.rate(),
            bare.micros_per_order(bare.cpu),
            steady.outcome.p99_micros(),
            bare_steady.outcome.p99_micros(),
        ));
        if round > 0 {
            rounds.push([highest, bare, steady, bare_steady]);
        }
    }
    stage.forget(&subject.load, &spotlight).await?;
    subject.process.end().await?;
    reference.process.end().await?;
    Ok(measures(&rounds))
}

/// Of each round: the subject and the reference at their highest rate, and both at the share of the
/// subject's. At its highest rate each has batches of its own size, because the bare handler goes
/// several times faster; at the same rate both have the same work to do in the same time.
fn measures(rounds: &[[Run; 4]]) -> Vec<Measure> {
    let cpu = rounds.iter().map(|[.., steady, bare]| Round {
        value: steady.micros_per_order(steady.cpu),
        reference: bare.micros_per_order(bare.cpu),
    });
    let p99 = rounds.iter().map(|[.., steady, bare]| Round {
        value: steady.outcome.p99_micros(),
        reference: bare.outcome.p99_micros(),
    });
    vec![
        Measure {
            bench: "accept.cpu_per_order",
            unit: "µs",
            reference: REFERENCE,
            bound: Bound::AtMost(1.5),
            rounds: cpu.collect(),
            beside: beside(rounds, [(2, "subject"), (3, "reference")]),
        },
        Measure {
            bench: "accept.p99_at_60_percent",
            unit: "µs",
            reference: REFERENCE,
            bound: Bound::AtMost(1.5),
            rounds: p99.collect(),
            beside: beside(
                rounds,
                [(0, "subject_at_its_highest"), (1, "reference_at_its_highest")],
            ),
        },
    ]
}

/// What else was seen in two of the runs, by name.
fn beside(rounds: &[[Run; 4]], runs: [(usize, &str); 2]) -> Vec<(String, f64)> {
    let looks: [(&str, Look); 7] = [
        ("accepted_per_second", Run::rate),
        ("refused", |run| figure(run.outcome.refused + run.outcome.conflicts)),
        ("cpu_us_per_order", |run| run.micros_per_order(run.cpu)),
        ("redis_cpu_us_per_order", |run| run.micros_per_order(run.servers.redis)),
        ("kafka_cpu_us_per_order", |run| run.micros_per_order(run.servers.kafka)),
        ("postgres_cpu_us_per_order", |run| run.micros_per_order(run.servers.postgres)),
        ("p50_us", |run| figure(run.outcome.latency.value_at_quantile(0.5))),
    ];
    let of =
        |look: Look, run: usize| median(rounds.iter().filter_map(|runs| runs.get(run).map(look)));
    runs.iter()
        .flat_map(|(run, name)| {
            looks.map(|(look, of_run)| (format!("{name}_{look}"), of(of_run, *run)))
        })
        .collect()
}
