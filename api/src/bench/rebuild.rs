//! The rebuild of the order book against `COPY … FROM` of the rows that it writes, and other passes
//! over the log against `COPY … TO STDOUT` of its rows.

use std::io::sink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::clock::SystemClock;
use commands::store::{self, StoreOptions};
use domain::ports::EventReader;
use futures::TryStreamExt;
use projections::read_model::Slot;
use projections::rebuild::{self, BuildOptions, Model};
use projections::replay::export::{Format, export};
use projections::replay::{Rules, what_if};
use sqlx::PgConnection;

use super::measure::figure;
use super::scratch::Scratch;
use super::verify::{Pass, copied, fill, spent};
use super::{BenchError, Bound, Measure, Options, Round, cpu};

/// The table of the reference.
const COPY_TABLE: &str = "order_book_copy";

/// Which pass over the log.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    /// The export as ndjson.
    Export,
    /// The history through changed rules.
    WhatIf,
}

/// Measures the rebuild.
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
    let reader: Arc<dyn EventReader> = store;
    let mut connection = scratch.connect().await?;
    let tables = rebuild::open(&scratch.url, Model::OrderBook).await?;
    let (mut rounds, mut rows) = (vec![], 0.0);
    // the first round fills caches, and does not count
    for round in 0..=options.rounds {
        tables.discard(Slot::Shadow).await?;
        let began = Instant::now();
        let building = BuildOptions { jobs: 2, ..BuildOptions::new(Arc::new(SystemClock)) };
        rebuild::build(tables.as_ref(), &reader, &building, &mut |_, _| {})
            .await
            .map_err(BenchError::failed)?;
        let built = began.elapsed();
        let (count, took) = copied_in(&mut connection).await?;
        rows = count;
        let (value, reference) = (count / built.as_secs_f64(), count / took.as_secs_f64());
        say(&format!("round {round}: {value:.0} rows per second, COPY {reference:.0}"));
        if round > 0 {
            rounds.push(Round { value, reference });
        }
    }
    Ok(vec![Measure {
        bench: "rebuild.rate_vs_copy",
        unit: "rows/s",
        reference: "COPY order_book FROM STDIN, with its indices",
        bound: Bound::AtLeast(0.5),
        rounds,
        beside: vec![
            ("rows".to_owned(), rows),
            ("events".to_owned(), figure(reader.head().await?.0)),
        ],
    }])
}

/// Copies the rows that were built into an empty table of the same shape.
async fn copied_in(connection: &mut PgConnection) -> Result<(f64, Duration), BenchError> {
    let table = Slot::Shadow.of("order_book");
    for statement in [
        format!("DROP TABLE IF EXISTS {COPY_TABLE}"),
        format!("CREATE TABLE {COPY_TABLE} (LIKE order_book INCLUDING ALL)"),
    ] {
        sqlx::query(&statement).execute(&mut *connection).await?;
    }
    let mut chunks = vec![];
    let mut stream = connection.copy_out_raw(&format!("COPY {table} TO STDOUT")).await?;
    while let Some(chunk) = stream.try_next().await? {
        chunks.push(chunk);
    }
    drop(stream);
    let began = Instant::now();
    let mut copy = connection.copy_in_raw(&format!("COPY {COPY_TABLE} FROM STDIN")).await?;
    for chunk in chunks {
        copy.send(chunk).await?;
    }
    let rows = copy.finish().await?;
    Ok((figure(rows), began.elapsed()))
}

/// Measures a pass over the log.
pub(super) async fn reading(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
    reading: Reading,
) -> Result<Vec<Measure>, BenchError> {
    Scratch::around(&options.database, async |scratch| {
        let store = fill(scratch, options.orders).await?;
        let mut connection = scratch.connect().await?;
        sqlx::query("VACUUM ANALYZE events").execute(&mut connection).await?;
        let mut rounds = vec![];
        for round in 0..=options.rounds {
            let passed = pass(scratch, store.as_ref(), reading).await?;
            let copied = copied(&mut connection).await?;
            let (value, reference) = (passed.per_core(), copied.per_core());
            say(&format!(
                "round {round}: {value:.0} events per core and second, COPY {reference:.0}"
            ));
            if round > 0 {
                rounds.push(Round { value, reference });
            }
        }
        Ok(vec![Measure {
            bench: match reading {
                Reading::Export => "export.rate_vs_copy",
                Reading::WhatIf => "whatif.rate_vs_copy",
            },
            unit: "events/s/core",
            reference: "COPY events TO STDOUT, per core",
            bound: Bound::AtLeast(0.25),
            rounds,
            beside: vec![("events".to_owned(), figure(store.head().await?.0))],
        }])
    })
    .await
}

async fn pass(
    scratch: &Scratch,
    events: &dyn EventReader,
    reading: Reading,
) -> Result<Pass, BenchError> {
    let own = std::process::id();
    let rows = store::open_audit(&scratch.url, &StoreOptions::new(Arc::new(SystemClock)))
        .await
        .map_err(BenchError::failed)?
        .rows;
    let (before, began) = (cpu::of_process(own), Instant::now());
    let count = match reading {
        Reading::Export => {
            let format = (Format::Ndjson, false);
            let done = export(rows.as_ref(), &mut sink(), format, &mut |_, _| {}).await;
            done.map_err(BenchError::failed)?.events
        }
        Reading::WhatIf => {
            what_if(events, Rules::default(), None, &mut |_, _| {}).await?;
            events.head().await?.0
        }
    };
    let took = began.elapsed();
    Ok(Pass { rows: count, took, cpu: spent(before, cpu::of_process(own)) })
}
