//! The verification against the database's own fastest way to hand the same rows out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::command::CommandRecord;
use domain::ports::{EventReader, EventStore};
use futures::TryStreamExt;
use projections::replay::{Verdict, VerifyOptions, verify};
use sqlx::PgConnection;

use super::measure::figure;
use super::scene::{Scene, order_of};
use super::scratch::Scratch;
use super::{BenchError, Bound, Measure, Options, Round, cpu, jobs, writer};

/// Orders of one spotlight; then comes the next one.
const ORDERS_PER_SPOTLIGHT: usize = 5_000;

/// Measures the verification.
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
    let store = fill(scratch, options.orders).await?;
    let mut connection = scratch.connect().await?;
    sqlx::query("VACUUM ANALYZE events").execute(&mut connection).await?;
    let mut rounds = vec![];
    let mut wall = vec![];
    // the first round fills caches, and does not count
    for round in 0..=options.rounds {
        let checked = verified(store.as_ref()).await?;
        let copied = copied(&mut connection).await?;
        let value = checked.per_core();
        let reference = copied.per_core();
        say(&format!("round {round}: {value:.0} events per core and second, COPY {reference:.0}"));
        if round > 0 {
            rounds.push(Round { value, reference });
            wall.push((figure(checked.rows) / checked.took.as_secs_f64(), copied));
        }
    }
    let events = figure(store.head().await?.0);
    let median_of = |figures: Vec<f64>| super::measure::median(figures);
    let own = median_of(wall.iter().map(|(rate, _)| *rate).collect());
    let copy = median_of(wall.iter().map(|(_, c)| figure(c.rows) / c.took.as_secs_f64()).collect());
    let of_file = jobs::measure(scratch, options, say).await?;
    let of_store = Measure {
        bench: "verify.rate_vs_copy",
        unit: "events/s/core",
        reference: "COPY events TO STDOUT, per core",
        bound: Bound::AtLeast(0.5),
        rounds,
        beside: vec![
            ("events".to_owned(), events),
            ("verify_events_per_second".to_owned(), own),
            ("copy_rows_per_second".to_owned(), copy),
        ],
    };
    Ok(vec![of_store, of_file])
}

/// Writes a log of so many paid orders.
pub(super) async fn fill(
    scratch: &Scratch,
    orders: usize,
) -> Result<Arc<dyn EventStore>, BenchError> {
    let store = scratch.store().await?;
    let mut left = orders;
    while left > 0 {
        let orders = left.min(ORDERS_PER_SPOTLIGHT);
        left -= orders;
        let scene = Scene::new()?;
        let mut records = scene.opening()?;
        let placed: Vec<CommandRecord> =
            (0..orders).map(|number| scene.order(number)).collect::<Result<_, _>>()?;
        let paid = placed.iter().filter_map(order_of).enumerate();
        let paid: Vec<CommandRecord> =
            paid.map(|(number, order)| scene.payment(number, order)).collect();
        records.extend(placed);
        records.extend(paid);
        writer::write(&store, &format!("bench-{left}"), &records).await?;
    }
    Ok(store)
}

/// Rows, and what they took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    pub(super) rows: u64,
    pub(super) took: Duration,
    pub(super) cpu: Option<Duration>,
}

impl Pass {
    /// Rows per second of the CPU of the process that does the work, which is on one core; of the
    /// clock where the process is on another machine.
    pub(super) fn per_core(&self) -> f64 {
        figure(self.rows) / self.cpu.unwrap_or(self.took).as_secs_f64()
    }
}

async fn verified(reader: &dyn EventReader) -> Result<Pass, BenchError> {
    let own = std::process::id();
    let (before, began) = (cpu::of_process(own), Instant::now());
    let report =
        verify(reader, VerifyOptions { settled: true, ..VerifyOptions::default() }, &mut |_| {})
            .await?;
    let took = began.elapsed();
    if report.verdict != Verdict::Good {
        let first = report.first_violation().map(|(id, violation)| format!("{id} {violation:?}"));
        return Err(BenchError::Failed(format!("the verdict is bad: {first:?}")));
    }
    Ok(Pass { rows: report.events, took, cpu: spent(before, cpu::of_process(own)) })
}

pub(super) async fn copied(connection: &mut PgConnection) -> Result<Pass, BenchError> {
    let backend: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut *connection).await?;
    let backend = u32::try_from(backend).map_err(BenchError::failed)?;
    let (before, began) = (cpu::of_thread(backend), Instant::now());
    let mut stream = connection.copy_out_raw("COPY events TO STDOUT").await?;
    let mut bytes = 0_usize;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len();
    }
    drop(stream);
    let took = began.elapsed();
    if bytes == 0 {
        return Err(BenchError::Failed("COPY gave nothing".to_owned()));
    }
    let cpu = spent(before, cpu::of_thread(backend));
    Ok(Pass { rows: u64::try_from(rows).unwrap_or(0), took, cpu })
}

pub(super) fn spent(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    Some(after?.saturating_sub(before?)).filter(|spent| !spent.is_zero())
}
