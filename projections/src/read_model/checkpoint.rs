//! The checkpoint: how far a read model is, and which fold wrote its rows.

use domain::envelope::Position;
use domain::fingerprint::Fingerprint;
use domain::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::slot::Slot;

const CHECKPOINT: &str = "projection_checkpoint";

/// Who writes the rows. Rows of another version or with another fingerprint are never mixed with
/// ours: the read model must be rebuilt.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The read model.
    pub name: &'static str,
    /// Its row in the table of checkpoints.
    pub row: String,
    /// The version of its fold; raised by hand when the fold gives other rows.
    pub version: i32,
    /// The fingerprint of what the fold takes in.
    pub fingerprint: Fingerprint,
}

/// A row of the table as it was read: position, version, fingerprint.
pub type Stored = (i64, i32, String);

impl Identity {
    /// The identity of a fold that takes `events` in.
    pub fn new(name: &'static str, version: i32, events: &[&str]) -> Self {
        let text = format!("{name} {version} {}", events.join(" "));
        Self { name, row: name.to_owned(), version, fingerprint: Fingerprint::of(text.as_bytes()) }
    }

    /// The identity of the same fold's rows in another slot.
    pub fn in_slot(self, slot: Slot) -> Self {
        Self { row: slot.of(self.name), ..self }
    }

    /// The position of a stored row that this fold may go on from.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] where another fold wrote it.
    pub fn position_in(
        &self,
        (position, version, fingerprint): &Stored,
    ) -> Result<Position, PortError> {
        if (*version, fingerprint.as_str()) != (self.version, self.fingerprint.as_str()) {
            let Self { name, version: ours, .. } = self;
            return Err(PortError::corrupt(
                CHECKPOINT,
                format_args!(
                    "{name} was written by version {version} ({fingerprint}), this is version \
                     {ours} ({}): rebuild it",
                    self.fingerprint
                ),
            ));
        }
        from_column(*position)
    }

    /// The error of a checkpoint that moved although it was locked.
    pub fn moved(&self) -> PortError {
        PortError::unavailable(self.name, "another projector moved the checkpoint")
    }
}

/// A position as a column.
///
/// # Errors
/// [`PortError::Corrupt`] where it does not fit.
pub fn to_column(position: Position) -> Result<i64, PortError> {
    i64::try_from(position.0).map_err(|error| PortError::corrupt(CHECKPOINT, error))
}

/// A column as a position.
///
/// # Errors
/// [`PortError::Corrupt`] where it is negative.
pub fn from_column(position: i64) -> Result<Position, PortError> {
    u64::try_from(position).map(Position).map_err(|error| PortError::corrupt(CHECKPOINT, error))
}

/// Every error of the database, as the port has it.
pub fn unreachable_as(name: &'static str) -> impl Fn(sqlx::Error) -> PortError + Copy {
    move |error| PortError::unavailable(name, error)
}

/// A view as the JSON text of its column.
///
/// # Errors
/// [`PortError::Corrupt`] where JSON cannot hold it; no view is so.
pub fn encode<T: Serialize>(name: &'static str, view: &T) -> Result<String, PortError> {
    serde_json::to_string(view).map_err(|error| PortError::corrupt(name, error))
}

/// A view from the JSON text of its column.
///
/// # Errors
/// [`PortError::Corrupt`] where it does not decode.
pub fn decode<T: DeserializeOwned>(name: &'static str, text: &str) -> Result<T, PortError> {
    serde_json::from_str(text).map_err(|error| PortError::corrupt(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_another_fold_are_refused() {
        let ours = Identity::new("book", 2, &["A", "B"]);
        let stored = |version, fingerprint: &Fingerprint| (7, version, fingerprint.to_string());
        assert_eq!(ours.position_in(&stored(2, &ours.fingerprint)).expect("ours"), Position(7));
        assert!(ours.position_in(&stored(1, &ours.fingerprint)).is_err());
        let other = Identity::new("book", 2, &["A", "B", "C"]);
        assert!(ours.position_in(&stored(2, &other.fingerprint)).is_err());
    }
}
