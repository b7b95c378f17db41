//! The keys of an exported log: a text file beside it, one line of hexadecimal digits for each
//! position from 1 on, zeros where there is no key. It is read where it is needed and never whole;
//! who deletes it shreds the export.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::envelope::Position;
use domain::personal_key::{PERSONAL_KEY_BYTES, PersonalKey};
use domain::ports::{PersonalKeys, PortError};

use super::ExportError;

/// What the name of the file adds to that of the log.
const SUFFIX: &str = "keys";
/// Digits of a line.
const DIGITS: usize = 2 * PERSONAL_KEY_BYTES;
/// Bytes of a line.
const LINE: u64 = 65;
/// Positions whose keys are asked for, or read, at a time.
const PAGE: u64 = 4_096;

/// The name of the file beside a log's.
pub fn keys_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".");
    name.push(SUFFIX);
    PathBuf::from(name)
}

/// The keys beside an exported log.
#[derive(Debug)]
pub(super) struct KeyFile(File);

impl KeyFile {
    /// The keys of a log, where there are any beside it.
    pub fn beside(log: &Path) -> io::Result<Option<Self>> {
        match File::open(keys_path(log)) {
            Ok(file) => Ok(Some(Self(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The keys of positions, as far as there are any.
    pub fn keys(
        &self,
        positions: &BTreeSet<Position>,
    ) -> io::Result<BTreeMap<Position, PersonalKey>> {
        let mut found = BTreeMap::new();
        let mut rest = positions.iter().copied().filter(|position| position.0 > 0).peekable();
        while let Some(first) = rest.peek().copied() {
            let mut last = first;
            while let Some(next) = rest.next_if(|next| next.0 - first.0 < PAGE) {
                last = next;
            }
            for (position, line) in self.lines(first, last)? {
                let key = line.get(..DIGITS).and_then(PersonalKey::of_hex);
                if let Some(key) = key.filter(|_| positions.contains(&position)) {
                    found.insert(position, key);
                }
            }
        }
        Ok(found)
    }

    fn lines(&self, first: Position, last: Position) -> io::Result<Vec<(Position, Vec<u8>)>> {
        let count = usize::try_from((last.0 - first.0 + 1) * LINE).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count];
        let (mut read, begins) = (0, (first.0 - 1).saturating_mul(LINE));
        while let Some(room) = bytes.get_mut(read..).filter(|room| !room.is_empty()) {
            match self.0.read_at(room, begins + u64::try_from(read).unwrap_or(u64::MAX))? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        let lines = bytes.chunks(usize::try_from(LINE).unwrap_or(DIGITS)).map(<[u8]>::to_vec);
        Ok((first.0..).map(Position).zip(lines).collect())
    }
}

/// Writes the keys of positions up to `last` beside an exported log, for its owner's eyes only; no
/// file where there are none. Returns how many.
///
/// # Errors
/// [`ExportError`].
pub async fn export_keys(
    from: &dyn PersonalKeys,
    log: &Path,
    last: Position,
) -> Result<u64, ExportError> {
    let (mut written, mut file, mut first) = (0, None, 1);
    while first <= last.0 {
        let end = last.0.min(first + PAGE - 1);
        let positions: Vec<Position> = (first..=end).map(Position).collect();
        let keys = from.keys(&positions).await?;
        if file.is_none() && !keys.is_empty() {
            let new = File::options().write(true).create_new(true).mode(0o600).open(keys_path(log));
            let mut out = io::BufWriter::new(new?);
            for _ in 1..first {
                writeln!(out, "{}", "0".repeat(DIGITS))?;
            }
            file = Some(out);
        }
        if let Some(out) = &mut file {
            for position in &positions {
                let digits = keys.get(position).map(|key| key.to_hex());
                writeln!(out, "{}", digits.unwrap_or_else(|| "0".repeat(DIGITS)))?;
            }
        }
        written += u64::try_from(keys.len()).unwrap_or(0);
        first = end + 1;
    }
    if let Some(mut out) = file {
        out.flush()?;
        out.get_ref().sync_all()?;
    }
    Ok(written)
}

/// Reads keys where they are asked for.
pub(super) fn read_keys(
    file: Option<&KeyFile>,
    positions: impl Iterator<Item = Position>,
) -> Result<BTreeMap<Position, PersonalKey>, PortError> {
    let Some(file) = file else { return Ok(BTreeMap::new()) };
    let positions = positions.collect();
    file.keys(&positions).map_err(|error| PortError::unavailable("the keys beside the file", error))
}
