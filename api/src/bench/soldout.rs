//! Refusals per second of a spotlight that is sold out, against a bare handler that refuses
//! everybody.

use std::time::Duration;

use super::load::{Generator, Pace};
use super::measure::{figure, median};
use super::stage::Stage;
use super::{BenchError, Bound, Measure, Options, Round, cpu};

/// Measures refusals.
pub(super) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    Stage::around(options, async |stage| measure(stage, options, say).await).await
}

/// Refusals per second, and CPU of each in microseconds.
struct Refusals {
    rate: f64,
    cpu: f64,
    redis_cpu: f64,
}

impl Refusals {
    /// Refusals per second of the server's CPU, which is on one core; of the clock where the server
    /// is not seen.
    fn per_core(&self) -> f64 {
        if self.cpu > 0.0 { 1e6 / self.cpu } else { self.rate }
    }
}

async fn refuse(
    stage: &Stage<'_>,
    pid: u32,
    load: &Generator,
    time: Duration,
) -> Result<Refusals, BenchError> {
    let (before, servers) = (cpu::of_process(pid), stage.spent());
    let outcome = load.run_awake(time).await?;
    let cpu = cpu::of_process(pid).unwrap_or_default().saturating_sub(before.unwrap_or_default());
    let servers = stage.spent().since(servers);
    if outcome.accepted > 0 || outcome.refused > 0 || outcome.conflicts == 0 {
        return Err(BenchError::Failed(format!(
            "{} orders were accepted and {} refused for another reason than the stock",
            outcome.accepted, outcome.refused
        )));
    }
    let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / figure(outcome.conflicts);
    Ok(Refusals {
        rate: outcome.rate(outcome.conflicts),
        cpu: micros(cpu),
        redis_cpu: micros(servers.redis),
    })
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
    let spotlight = stage.spotlight(address, 1).await?;
    behind.end().await?;
    let bare = stage.reference("soldout").await?;
    let buyer = Stage::load(address, &spotlight, 1)?;
    buyer.run(Pace::PerSecond(1.0), Duration::from_millis(500)).await?;
    let subject = Stage::load(address, &spotlight, options.connections)?;
    let reference = Stage::load(bare.address()?, &spotlight, options.connections)?;
    let mut runs = vec![];
    // the first round fills caches, and does not count
    for round in 0..=options.rounds {
        let refused = refuse(stage, api.pid, &subject, options.round).await?;
        let barely = refuse(stage, bare.pid, &reference, options.round).await?;
        say(&format!(
            "round {round}: {:.0} refusals/s, reference {:.0}; {:.1} µs each, reference {:.1}",
            refused.rate, barely.rate, refused.cpu, barely.cpu
        ));
        if round > 0 {
            runs.push((refused, barely));
        }
    }
    stage.forget(&buyer, &spotlight).await?;
    api.end().await?;
    bare.end().await?;
    let rounds = runs
        .iter()
        .map(|(one, other)| Round { value: one.per_core(), reference: other.per_core() });
    let of = |look: fn(&(Refusals, Refusals)) -> f64| median(runs.iter().map(look));
    Ok(vec![Measure {
        bench: "soldout.rate",
        unit: "refusals/s/core",
        reference: "axum, token, parsed body, 409",
        bound: Bound::AtLeast(0.8),
        rounds: rounds.collect(),
        beside: vec![
            ("subject_refusals_per_second".to_owned(), of(|(one, _)| one.rate)),
            ("reference_refusals_per_second".to_owned(), of(|(_, other)| other.rate)),
            ("subject_cpu_us_per_refusal".to_owned(), of(|(one, _)| one.cpu)),
            ("reference_cpu_us_per_refusal".to_owned(), of(|(_, other)| other.cpu)),
            ("subject_redis_cpu_us_per_refusal".to_owned(), of(|(one, _)| one.redis_cpu)),
        ],
    }])
}
