//! How far a verification is, in a file: it goes on from there after it was killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::{EventId, SpotlightId};
use domain::invariants::{SavedInvariants, Violation};
use domain::ports::{Clock, EventReader, PortError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::board_check::Known;
use super::orders_check::SavedOrders;

/// How often it is kept at most.
const KEPT_EVERY: Duration = Duration::from_secs(1);
/// Keeping it takes one part in so many of the time at most.
const SHARE: u32 = 20;
const FILE: &str = "the checkpoint";

/// What was verified up to a position, and what is known of all that is open there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedPass {
    pub position: Position,
    pub event_id: EventId,
    pub events: u64,
    pub first: Option<Position>,
    pub invariants: SavedInvariants,
    pub broken: BTreeMap<String, (u64, Vec<Violation>)>,
    pub gate: Option<BTreeMap<SpotlightId, EventId>>,
    pub orders: Option<SavedOrders>,
    #[serde(default)]
    pub board: Option<Known>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    of: String,
    pass: SavedPass,
}

/// A file that says how far a verification is. It is written beside and renamed, so that a kill
/// leaves the one before.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    of: String,
    /// When the next one is due.
    due: Mutex<Option<Instant>>,
}

impl Checkpoint {
    /// A checkpoint of what `of` says: another release, other options or another log begin anew.
    pub fn new(path: &Path, of: &str) -> Self {
        let of = format!("{} {of}", env!("CARGO_PKG_VERSION"));
        Self { path: path.to_owned(), of, due: Mutex::new(None) }
    }

    /// Goes on from the file, where there is one of this log: its last event must still stand where
    /// it stood. Returns where.
    pub(super) async fn resume(
        &self,
        reader: &dyn EventReader,
        end: Position,
        load: impl FnOnce(SavedPass) -> Result<(), serde_json::Error>,
    ) -> Result<Option<Position>, PortError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PortError::unavailable(FILE, error)),
        };
        let wrong = |error: serde_json::Error| PortError::corrupt(FILE, error);
        let Document { of, pass } = serde_json::from_reader(BufReader::new(file)).map_err(wrong)?;
        if of != self.of || pass.position > end {
            return Ok(None);
        }
        let at = pass.position;
        let before = Position(at.0.saturating_sub(1));
        let there = match reader.read(before, 1).await {
            Err(PortError::Corrupt { .. }) => return Ok(None),
            read => read?,
        };
        if there.first().map(|event| event.event_id) != Some(pass.event_id) {
            return Ok(None);
        }
        load(pass).map_err(wrong)?;
        Ok(Some(at))
    }

    /// Keeps how far it is, where that is due.
    pub(super) fn keep(
        &self,
        save: impl FnOnce() -> Result<SavedPass, serde_json::Error>,
    ) -> Result<(), PortError> {
        let now = Instant::now();
        // the first one is due after a while as well
        let due = *self.due.lock().get_or_insert(now + KEPT_EVERY);
        if now < due {
            return Ok(());
        }
        let document = Document {
            of: self.of.clone(),
            pass: save().map_err(|error| PortError::corrupt(FILE, error))?,
        };
        self.write(&document).map_err(|error| PortError::unavailable(FILE, error))?;
        let took = now.elapsed();
        *self.due.lock() = Some(Instant::now() + KEPT_EVERY.max(took.saturating_mul(SHARE)));
        Ok(())
    }

    fn write(&self, document: &Document) -> io::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let mut file = BufWriter::new(File::create(&name)?);
        serde_json::to_writer(&mut file, document)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        std::fs::rename(&name, &self.path)
    }

    /// It is done: there is nothing to go on from.
    pub(super) fn done(&self) -> Result<(), PortError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(PortError::unavailable(FILE, error))
            }
            _ => Ok(()),
        }
    }
}

/// Waits until so many events may have been read.
pub(super) struct Pacing<'a> {
    rate: Option<(u32, &'a dyn Clock, Timestamp)>,
    from: Position,
}

impl<'a> Pacing<'a> {
    /// From a position on.
    pub fn begin(rate: Option<(u32, &'a dyn Clock)>, from: Position) -> Self {
        Self { rate: rate.map(|(rate, clock)| (rate, clock, clock.now())), from }
    }

    /// Waits for the time of a position.
    pub async fn wait(&mut self, at: Position) {
        let Some((rate, clock, begun)) = self.rate else { return };
        let events = at.0.saturating_sub(self.from.0);
        let due = events.saturating_mul(1_000_000) / u64::from(rate.max(1));
        let due = TimeDelta::from_std(Duration::from_micros(due)).unwrap_or(TimeDelta::MAX);
        if let Ok(pause) = (due - (clock.now() - begun)).to_std() {
            clock.sleep(pause).await;
        }
    }
}
