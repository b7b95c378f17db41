//! The verification of an exported file with two jobs against that with one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use commands::clock::SystemClock;
use commands::store::{self, StoreOptions};
use domain::ports::EventReader;
use projections::replay::export::{ExportFile, Format, export, export_keys};
use projections::replay::{Verdict, VerifyOptions, verify};

use super::measure::figure;
use super::scratch::Scratch;
use super::stage::Folder;
use super::{BenchError, Bound, Measure, Options, Round};

/// The name of the file in its folder.
const NAME: &str = "log.ndjson";

/// Exports the log of a database, and verifies the file in turns.
pub(super) async fn measure(
    scratch: &Scratch,
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Measure, BenchError> {
    let folder = Folder::create()?;
    let file = folder.path().join(NAME);
    let bytes = exported(scratch, &file).await?;
    let mut rounds = vec![];
    let mut events = 0;
    // the first round fills caches, and does not count
    for round in 0..=options.rounds {
        let (of_all, value) = verified(&file, 2).await?;
        let (_, reference) = verified(&file, 1).await?;
        say(&format!("round {round}: {value:.0} events/s with two jobs, {reference:.0} with one"));
        if round > 0 {
            rounds.push(Round { value, reference });
        }
        events = of_all;
    }
    Ok(Measure {
        bench: "verify.two_jobs_vs_one",
        unit: "events/s",
        reference: "the same with one job",
        bound: Bound::AtLeast(1.7),
        rounds,
        beside: vec![
            ("events".to_owned(), figure(events)),
            ("bytes_of_the_file".to_owned(), figure(bytes)),
        ],
    })
}

async fn exported(scratch: &Scratch, path: &Path) -> Result<u64, BenchError> {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let from = store::open_audit(&scratch.url, &options).await.map_err(BenchError::failed)?;
    let mut out = BufWriter::new(File::create(path).map_err(BenchError::failed)?);
    let done = export(from.rows.as_ref(), &mut out, (Format::Ndjson, false), &mut |_, _| {}).await;
    let last = done.map_err(BenchError::failed)?.last_position;
    out.flush().map_err(BenchError::failed)?;
    export_keys(from.keys.as_ref(), path, last).await.map_err(BenchError::failed)?;
    Ok(std::fs::metadata(path).map_err(BenchError::failed)?.len())
}

/// Opens the file and verifies it, as the command does: how many events, and how many a second.
async fn verified(path: &Path, jobs: usize) -> Result<(u64, f64), BenchError> {
    let began = Instant::now();
    let path = path.to_owned();
    let open = tokio::task::spawn_blocking(move || ExportFile::open(&path)).await;
    let file = open.map_err(BenchError::failed)?.map_err(BenchError::failed)?;
    let reader: Arc<dyn EventReader> = Arc::new(file);
    let options =
        VerifyOptions { settled: true, ahead: Some((&reader, jobs)), ..VerifyOptions::default() };
    let report = verify(reader.as_ref(), options, &mut |_| {}).await?;
    if report.verdict != Verdict::Good {
        let first = report.first_violation().map(|(id, violation)| format!("{id} {violation:?}"));
        return Err(BenchError::Failed(format!("the verdict is bad: {first:?}")));
    }
    Ok((report.events, figure(report.events) / began.elapsed().as_secs_f64()))
}
