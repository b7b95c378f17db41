//! What somebody else kept of the seals: a chain that is checked against its own database proves
//! nothing about a rewrite, or about a tail that was cut.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use domain::ports::{PortError, RowReader};
use domain::seal::{KeyRecord, Seal, WITNESS_FORMAT, WitnessHeading};
use serde::Serialize;

/// Seals that are read at a time.
const PAGE_SEALS: usize = 1_000;

/// Why a witness cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] PortError),
    /// The file cannot be written or read.
    #[error("the witness cannot be written or read")]
    File(#[from] io::Error),
    /// It is no witness.
    #[error("line {line} of the witness: {detail}")]
    NoWitness {
        /// Which line, from 1.
        line: usize,
        /// Why.
        detail: String,
    },
    /// The log is not sealed.
    #[error("the log is not sealed: `onair replay seal` does it")]
    NotSealed,
}

/// Seals that were kept elsewhere, by number, and the keys that they are believed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witness {
    /// The keys.
    pub keys: Vec<KeyRecord>,
    /// The seals. One for about a thousand events.
    pub seals: BTreeMap<u64, Seal>,
}

/// Writes every seal, one a line, after a line with the keys; tells how many.
///
/// # Errors
/// [`WitnessError`].
pub async fn write_witness(
    rows: &dyn RowReader,
    out: &mut (dyn Write + Send),
) -> Result<u64, WitnessError> {
    let heading = WitnessHeading::new(rows.keys().await?);
    writeln!(out, "{}", json(&heading)?)?;
    let mut number = 0;
    loop {
        let page = rows.seals(number, PAGE_SEALS).await?;
        let Some(last) = page.last() else { break };
        number = last.number;
        for seal in &page {
            writeln!(out, "{}", json(seal)?)?;
        }
    }
    out.flush()?;
    if number == 0 { Err(WitnessError::NotSealed) } else { Ok(number) }
}

fn json(value: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::other)
}

/// Reads a witness, or every witness of a folder: the seals of all of them count, and two that
/// differ are told by [`WitnessError::NoWitness`].
///
/// # Errors
/// [`WitnessError`].
pub fn read_witness(path: &Path) -> Result<Witness, WitnessError> {
    let mut witness = Witness::default();
    if path.is_dir() {
        let mut files: Vec<_> =
            path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        files.sort();
        for file in files.iter().filter(|file| file.is_file() && !is_hidden(file)) {
            read_into(&mut witness, file)?;
        }
    } else {
        read_into(&mut witness, path)?;
    }
    if witness.seals.is_empty() {
        let detail = "there is no seal in it".to_owned();
        return Err(WitnessError::NoWitness { line: 1, detail });
    }
    Ok(witness)
}

/// A name that begins with a dot is of a file that is being written.
fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn read_into(witness: &mut Witness, path: &Path) -> Result<(), WitnessError> {
    let wrong = |line: usize, detail: String| WitnessError::NoWitness { line, detail };
    for (line, text) in (1..).zip(BufReader::new(std::fs::File::open(path)?).lines()) {
        let text = text?;
        if line == 1 {
            let heading: WitnessHeading =
                serde_json::from_str(&text).map_err(|error| wrong(line, error.to_string()))?;
            if heading.format != WITNESS_FORMAT {
                return Err(wrong(line, format!("{:?} is no format of ours", heading.format)));
            }
            let new = heading.keys.into_iter().filter(|key| !witness.keys.contains(key));
            let new: Vec<KeyRecord> = new.collect();
            witness.keys.extend(new);
            continue;
        }
        let seal: Seal =
            serde_json::from_str(&text).map_err(|error| wrong(line, error.to_string()))?;
        let number = seal.number;
        if witness.seals.insert(number, seal.clone()).is_some_and(|known| known != seal) {
            return Err(wrong(line, format!("two witnesses saw another seal {number}")));
        }
    }
    Ok(())
}
