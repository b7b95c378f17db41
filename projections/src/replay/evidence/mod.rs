//! What a seller hands over after a show: verdict, fairness, timeline, events, seals and promises in
//! one folder, which somebody with the public key alone can check.

mod page;
mod plot;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use domain::envelope::{Position, Source};
use domain::event::Event;
use domain::ids::{BroadcastId, StreamKey};
use domain::order::{Accepted, OrderEvent};
use domain::ports::{EventReader, PortError, RowReader};
use domain::seal::SealSigner;
use domain::spotlight::SpotlightEvent;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::export::{Format, encode_row};
use super::fairness::fairness;
use super::order_log::AskError;
use super::pages::Pages;
use super::report::Report;
use super::witness::{WitnessError, write_witness};
use plot::Plot;

/// Rows that are read at a time.
const PAGE_ROWS: usize = 1_000;
/// Seals that are read at a time.
const PAGE_SEALS: usize = 1_000;

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The log has no such broadcast, or cannot be read.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The log is not sealed.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The folder cannot be written.
    #[error("the folder cannot be written")]
    File(#[from] io::Error),
}

impl From<PortError> for EvidenceError {
    fn from(error: PortError) -> Self {
        Self::Ask(AskError::Store(error))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Events of the broadcast.
    pub events: u64,
    /// Those of them that follow the last seal.
    pub unproven: u64,
    /// Orders that were accepted in it.
    pub orders: u64,
    /// The files, by name, with their SHA-256.
    pub files: BTreeMap<String, String>,
}

/// What the pack is made from.
pub struct EvidenceSource<'a> {
    /// The events.
    pub events: &'a dyn EventReader,
    /// The bytes, and the seals.
    pub rows: &'a dyn RowReader,
    /// What the invariants say.
    pub report: &'a Report,
    /// What was promised to a buyer: the text that a receipt's leaf has.
    pub promise: &'a (dyn Fn(&Accepted, &Source) -> String + Sync),
    /// Who signs the manifest.
    pub signer: &'a SealSigner,
}

/// Files of the folder, with their hashes.
struct Folder<'a> {
    path: &'a Path,
    files: BTreeMap<String, String>,
}

/// A file that is hashed while it is written.
struct Hashed(BufWriter<File>, Sha256);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Folder<'_> {
    fn begin(&self, name: &str) -> io::Result<Hashed> {
        Ok(Hashed(BufWriter::new(File::create_new(self.path.join(name))?), Sha256::new()))
    }

    fn end(&mut self, name: &str, mut file: Hashed) -> io::Result<()> {
        file.flush()?;
        file.0.get_ref().sync_all()?;
        self.files.insert(name.to_owned(), hex::encode(file.1.finalize()));
        Ok(())
    }

    fn put(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut file = self.begin(name)?;
        file.write_all(text.as_bytes())?;
        self.end(name, file)
    }

    fn put_json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.put(name, &(serde_json::to_string_pretty(value)? + "\n"))
    }
}

/// Writes the evidence of a broadcast into a folder, which must not be there yet.
///
/// # Errors
/// [`EvidenceError`]; half a pack is none, and is removed.
pub async fn write_evidence(
    source: &EvidenceSource<'_>,
    broadcast: BroadcastId,
    path: &Path,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Evidence, EvidenceError> {
    let known = source.events.read_key(broadcast.into(), Position::START, 1).await?;
    if known.is_empty() {
        return Err(AskError::Unknown(format!("broadcast {broadcast}")).into());
    }
    fs::create_dir(path)?;
    let written = fill(source, broadcast, path, progress).await;
    if written.is_err() {
        // what cannot be removed is not whole either: it has no manifest
        let _ = fs::remove_dir_all(path);
    }
    written
}

async fn fill(
    source: &EvidenceSource<'_>,
    broadcast: BroadcastId,
    path: &Path,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Evidence, EvidenceError> {
    let mut folder = Folder { path, files: BTreeMap::new() };
    let mut witness = folder.begin("witness.ndjson")?;
    write_witness(source.rows, &mut witness).await?;
    folder.end("witness.ndjson", witness)?;
    let (keys, plot) = promises(source, broadcast, &mut folder, progress).await?;
    let (events, unproven) = events(source.rows, &keys, &mut folder).await?;
    let mut fair = vec![];
    for spotlight in plot.spotlights() {
        let report = fairness(source.events, Some(spotlight), &mut |_, _| {}).await?;
        fair.push(json!({"spotlight_id": spotlight, "fairness": report}));
    }
    folder.put_json("verdict.json", source.report)?;
    folder.put_json("fairness.json", &fair)?;
    let svg = plot.svg();
    folder.put("timeline.svg", &svg)?;
    let facts = page::Facts { broadcast, events, unproven, report: source.report, plot: &plot };
    folder.put("index.html", &page::html(&facts, &svg))?;
    folder.put("README.md", &page::readme(&hex::encode(source.signer.public_key())))?;
    sign(source, broadcast, path, &folder)?;
    let Folder { files, .. } = folder;
    Ok(Evidence { events, unproven, orders: plot.accepted, files })
}

/// The manifest, and its signature beside it.
fn sign(
    source: &EvidenceSource<'_>,
    broadcast: BroadcastId,
    path: &Path,
    folder: &Folder<'_>,
) -> io::Result<()> {
    let manifest = json!({
        "format": "onair evidence v1", "broadcast_id": broadcast, "files": folder.files,
        "public_key": hex::encode(source.signer.public_key()),
    });
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    fs::write(path.join("manifest.json"), &text)?;
    let signature = source.signer.sign_evidence(text.as_bytes());
    fs::write(path.join("manifest.sig"), format!("{signature}\n"))
}

/// Goes through the log once: what was promised, what was left, and which keys are the broadcast's.
async fn promises(
    source: &EvidenceSource<'_>,
    broadcast: BroadcastId,
    folder: &mut Folder<'_>,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<(BTreeSet<StreamKey>, Plot), EvidenceError> {
    let mut file = folder.begin("promises.ndjson")?;
    let mut keys = BTreeSet::from([StreamKey::from(broadcast)]);
    let mut plot = Plot::default();
    let end = source.events.head().await?;
    let mut pages = Pages::new(source.events, None, end);
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        progress(last.position, end);
        for event in &page {
            if let Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) = &event.event
                && terms.broadcast_id == broadcast
            {
                keys.insert(terms.spotlight_id.into());
            }
            if !keys.contains(&event.key) {
                continue;
            }
            plot.take(event);
            if let Event::Order(OrderEvent::OrderAccepted { accepted }) = &event.event {
                writeln!(file, "{}", (source.promise)(accepted, &event.metadata.source))?;
            }
        }
    }
    folder.end("promises.ndjson", file)?;
    Ok((keys, plot))
}

/// The broadcast's events, and of each block that has one the hashes of all its rows; tells how
/// many events there are, and how many follow the last seal.
async fn events(
    rows: &dyn RowReader,
    keys: &BTreeSet<StreamKey>,
    folder: &mut Folder<'_>,
) -> Result<(u64, u64), EvidenceError> {
    let mut spans: Vec<(u64, Position, Position)> = vec![];
    loop {
        let after = spans.last().map_or(0, |(number, ..)| *number);
        let page = rows.seals(after, PAGE_SEALS).await?;
        if page.is_empty() {
            break;
        }
        spans.extend(page.iter().map(|seal| (seal.number, seal.first, seal.last)));
    }
    let (mut lines, mut blocks) = (folder.begin("events.ndjson")?, folder.begin("blocks.ndjson")?);
    let (mut after, mut total, mut unproven, mut written) = (Position::START, 0, 0, 0);
    loop {
        let page = rows.rows(after, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for row in page.iter().filter(|row| keys.contains(&StreamKey(row.stream_key))) {
            let line = encode_row(Format::Ndjson, row).map_err(io::Error::other)?;
            writeln!(lines, "{line}")?;
            total += 1;
            let place = spans.partition_point(|(_, _, last)| *last < row.position);
            let Some((number, ..)) = spans.get(place) else {
                unproven += 1;
                continue;
            };
            if *number > written
                && let Some(block) = rows.block(*number).await?
            {
                written = *number;
                writeln!(blocks, "{}", json!({"number": number, "rows": block.rows}))?;
            }
        }
    }
    folder.end("events.ndjson", lines)?;
    folder.end("blocks.ndjson", blocks)?;
    Ok((total, unproven))
}
