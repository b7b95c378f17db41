//! The report of a verification; its JSON is a promise (`openapi/audit/`).

use domain::envelope::Position;
use domain::ids::EventId;
use domain::invariants::Violation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::first_break::FirstBreak;
use super::seals_check::Unproven;

/// Whether the log is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No invariant is broken.
    Good,
    /// At least one is.
    Bad,
}

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last position of the store when the verification began.
    pub position: Position,
    /// The hash of the log up to there, where the log is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What became of one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantReport {
    /// Its name, such as `I1`.
    pub id: String,
    /// How many events, or rows, it has judged.
    pub checked: u64,
    /// Why it could not be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Where it is broken, by position; at most [`super::VIOLATIONS_KEPT_MAX`].
    pub violations: Vec<Violation>,
    /// How often it is broken.
    pub violations_total: u64,
}

impl InvariantReport {
    pub(super) fn judged(id: &str, checked: u64) -> Self {
        Self { id: id.to_owned(), checked, skipped: None, violations: vec![], violations_total: 0 }
    }

    pub(super) fn skipped(id: &str, reason: &str) -> Self {
        Self { skipped: Some(reason.to_owned()), ..Self::judged(id, 0) }
    }
}

/// The outcome of `onair replay verify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the log is what it should be.
    pub verdict: Verdict,
    /// How many events were read.
    pub events: u64,
    /// The first position that was read; 0 where none was.
    pub first_position: Position,
    /// The last position that was read; 0 where none was.
    pub last_position: Position,
    /// The end of the log.
    pub head: Head,
    /// Each invariant.
    pub invariants: Vec<InvariantReport>,
    /// Where it is broken first, and what led there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_break: Option<FirstBreak>,
    /// What no seal, or no witness, vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
    /// Where it went on after an interruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<Position>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Events per second.
    pub events_per_second: f64,
}

impl Report {
    /// The report of a log that is broken before it can be read.
    pub fn of_break(invariant: &str, position: Position, detail: String) -> Self {
        let violation = Violation { position, event_id: EventId(Uuid::nil()), detail };
        let broken = InvariantReport {
            violations: vec![violation],
            violations_total: 1,
            ..InvariantReport::judged(invariant, 1)
        };
        Self {
            verdict: Verdict::Bad,
            events: 0,
            first_position: Position::START,
            last_position: Position::START,
            head: Head { position: Position::START, hash: None },
            invariants: vec![broken],
            first_break: None,
            unproven: None,
            resumed_from: None,
            duration_ms: 0,
            events_per_second: 0.0,
        }
    }

    /// The first break, by position, with its invariant.
    pub fn first_violation(&self) -> Option<(&str, &Violation)> {
        self.invariants
            .iter()
            .filter_map(|invariant| Some((invariant.id.as_str(), invariant.violations.first()?)))
            .min_by_key(|(_, violation)| violation.position)
    }
}
