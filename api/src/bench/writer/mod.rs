//! The writer against a raw insert of the same rows, and against postgres-es.

mod canned;
mod framework;
mod insert;
mod sealing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::clock::SystemClock;
use commands::faults::Faults;
use commands::writer::{self, BATCH_COMMANDS_MAX, WriterConfig, WriterPorts};
use domain::command::CommandRecord;
use domain::ports::EventStore;
use tokio_util::sync::CancellationToken;

use super::measure::figure;
use super::scene::Scene;
use super::scratch::Scratch;
use super::{BenchError, Bound, Measure, Options, Round, cpu};
use canned::Canned;

/// One order through postgres-es costs as much as many through the writer: it gets so many fewer.
const FRAMEWORK_SHARE: usize = 20;

/// Has the writer decide records as they come from a log, and returns when they are stored.
///
/// # Errors
/// The writer stopped.
pub(super) async fn write(
    store: &Arc<dyn EventStore>,
    topic: &str,
    records: &[CommandRecord],
) -> Result<Duration, BenchError> {
    let done = CancellationToken::new();
    let consumer = Canned::new(topic, records, done.clone())?;
    let ports = WriterPorts {
        store: Arc::clone(store),
        consumer: Box::new(consumer),
        parked: None,
        clock: Arc::new(SystemClock),
        faults: Faults::none(),
    };
    let began = Instant::now();
    writer::run(ports, WriterConfig::new("bench"), done).await.map_err(BenchError::failed)?;
    Ok(began.elapsed())
}

/// Measures the writer.
pub(super) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    Scratch::around(&options.database, async |scratch| measure(scratch, options, say).await).await
}

async fn measure(
    scratch: &Scratch,
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    let store = scratch.store().await?;
    let mut insert = insert::Insert::new(scratch.connect().await?).await?;
    let framework = framework::Framework::new(&scratch.url).await?;
    let mut sealing = sealing::Sealing::new(&scratch.url);
    let (mut inserted, mut executed, mut sealed) = (vec![], vec![], vec![]);
    let mut own_cpu = Duration::ZERO;
    let mut events_of_all = 0;
    // the first round fills caches and plans, and does not count
    for round in 0..=options.rounds {
        let scene = Scene::new()?;
        write(&store, &format!("bench-opening-{round}"), &scene.opening()?).await?;
        let orders: Result<Vec<CommandRecord>, BenchError> =
            (0..options.orders).map(|number| scene.order(number)).collect();
        let orders = orders?;
        let first = store.head().await?;
        let cpu_before = cpu::of_process(std::process::id());
        let took = write(&store, &format!("bench-{round}"), &orders).await?;
        let cpu_after = cpu::of_process(std::process::id());
        let own = cpu_after.unwrap_or_default().saturating_sub(cpu_before.unwrap_or_default());
        let events = insert.copy_of(first).await?;
        let to_seal = sealing.run().await?;
        let to_write = own.as_secs_f64() * 1e6 / figure(events);
        let value = figure(events) / took.as_secs_f64();
        let reference = figure(events) / insert.run().await?.as_secs_f64();
        let few: Vec<CommandRecord> =
            orders.into_iter().take(options.orders.div_ceil(FRAMEWORK_SHARE)).collect();
        let (facts, took) = framework.run(&scene, few).await?;
        let in_framework = figure(facts) / took.as_secs_f64();
        if round > 0 {
            inserted.push(Round { value, reference });
            executed.push(Round { value, reference: in_framework });
            sealed.push(Round { value: to_seal, reference: to_write });
            own_cpu += own;
            events_of_all += events;
        }
        say(&format!(
            "round {round}: {value:.0} events/s, insert {reference:.0}, postgres-es {in_framework:.0}; \
             {to_write:.2} us of CPU per event, {to_seal:.2} to seal it"
        ));
    }
    let beside = vec![
        ("own_cpu_us_per_event".to_owned(), own_cpu.as_secs_f64() * 1e6 / figure(events_of_all)),
        ("orders_per_batch".to_owned(), figure(BATCH_COMMANDS_MAX)),
    ];
    let measure = |bench, reference, bound, rounds| Measure {
        bench,
        unit: "events/s",
        reference,
        bound: Bound::AtLeast(bound),
        rounds,
        beside: beside.clone(),
    };
    Ok(vec![
        measure("writer.rate_vs_insert", "raw UNNEST insert of the same rows", 0.5, inserted),
        measure(
            "writer.rate_vs_postgres_es",
            "CqrsFramework::execute of postgres-es",
            5.0,
            executed,
        ),
        sealing::measure(sealed),
    ])
}
