//! Fail points, named after the windows in which a process may die.
//!
//! Unset they cost one comparison. They are set by tests, and by `ONAIR_FAILPOINTS` in builds with
//! debug assertions: `writer.before_commit=abort,intake.after_take=pause`.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ports::PortError;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The variable that sets fail points.
pub const VARIABLE: &str = "ONAIR_FAILPOINTS";

/// After the gate took and before the command is appended (window 3).
pub const INTAKE_AFTER_TAKE: &str = "intake.after_take";
/// After the append was acknowledged and before the buyer is answered (windows 1 and 6).
pub const INTAKE_AFTER_PRODUCE: &str = "intake.after_produce";
/// Before a batch is committed (window 12).
pub const WRITER_BEFORE_COMMIT: &str = "writer.before_commit";
/// After a batch was committed and before anybody was told (windows 13 and 14).
pub const WRITER_AFTER_COMMIT: &str = "writer.after_commit";
/// After events were published and before the relay's checkpoint (window 17).
pub const RELAY_AFTER_PUBLISH: &str = "relay.after_publish";
/// After a provider answered and before its answer is in the log (window 25).
pub const PROCESS_AFTER_CALL: &str = "process.after_call";
/// After a pending entry was claimed and before its command is appended again.
pub const PROCESS_AFTER_CLAIM: &str = "process.after_claim";
/// After the sequence of a parked command goes on and before the command is appended again.
pub const PROCESS_BEFORE_RETRY: &str = "process.before_retry";
/// After a parked command was appended again and before it is settled.
pub const PROCESS_AFTER_RETRY: &str = "process.after_retry";
/// Before a provider is called (windows 24 to 26).
pub const PROCESS_BEFORE_CALL: &str = "process.before_call";

/// Every fail point.
pub const POINTS: [&str; 10] = [
    INTAKE_AFTER_TAKE,
    INTAKE_AFTER_PRODUCE,
    WRITER_BEFORE_COMMIT,
    WRITER_AFTER_COMMIT,
    RELAY_AFTER_PUBLISH,
    PROCESS_AFTER_CALL,
    PROCESS_AFTER_CLAIM,
    PROCESS_BEFORE_RETRY,
    PROCESS_AFTER_RETRY,
    PROCESS_BEFORE_CALL,
];

/// What happens at a fail point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends as by `kill -9`.
    Abort,
    /// Whoever comes there stays there, as if the process had been stopped or had died.
    Pause,
    /// What the point guards fails, once.
    Error,
}

/// A setting of fail points that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fail point: write POINT=abort|pause|error")]
pub struct UnknownFault(pub String);

#[derive(Debug)]
struct Table {
    /// Each with how often it is passed before.
    armed: Mutex<BTreeMap<&'static str, (u32, Action)>>,
    reached: watch::Sender<BTreeMap<&'static str, u64>>,
}

/// The fail points that are set; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    table: Option<Arc<Table>>,
}

impl Faults {
    /// No fail point, and none can be set.
    pub const fn none() -> Self {
        Self { table: None }
    }

    /// Fail points that a test sets.
    pub fn settable() -> Self {
        let table = Table { armed: Mutex::default(), reached: watch::Sender::new(BTreeMap::new()) };
        Self { table: Some(Arc::new(table)) }
    }

    /// Reads a setting such as `writer.before_commit=abort`.
    ///
    /// # Errors
    /// [`UnknownFault`] where a point or an action is not known.
    pub fn parse(setting: &str) -> Result<Self, UnknownFault> {
        let faults = Self::settable();
        for part in setting.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let unknown = || UnknownFault(part.to_owned());
            let (name, action) = part.split_once('=').ok_or_else(unknown)?;
            let point = POINTS.into_iter().find(|point| *point == name).ok_or_else(unknown)?;
            let action = match action {
                "abort" => Action::Abort,
                "pause" => Action::Pause,
                "error" => Action::Error,
                _ => return Err(unknown()),
            };
            faults.arm(point, action);
        }
        Ok(faults)
    }

    /// What `ONAIR_FAILPOINTS` says; nothing in a build without debug assertions.
    ///
    /// # Errors
    /// [`UnknownFault`] where a point or an action is not known.
    pub fn from_env() -> Result<Self, UnknownFault> {
        match std::env::var(VARIABLE) {
            Ok(setting) if cfg!(debug_assertions) => Self::parse(&setting),
            _ => Ok(Self::none()),
        }
    }

    /// Sets a fail point.
    pub fn arm(&self, point: &'static str, action: Action) {
        self.arm_after(point, 0, action);
    }

    /// Sets a fail point that is passed so many times before.
    pub fn arm_after(&self, point: &'static str, passes: u32, action: Action) {
        if let Some(table) = &self.table {
            table.armed.lock().insert(point, (passes, action));
        }
    }

    /// Takes a fail point away.
    pub fn disarm(&self, point: &'static str) {
        if let Some(table) = &self.table {
            table.armed.lock().remove(point);
        }
    }

    /// How often somebody came to the point while it was set.
    pub fn count(&self, point: &'static str) -> u64 {
        let table = self.table.as_ref();
        table.map_or(0, |table| table.reached.borrow().get(point).copied().unwrap_or(0))
    }

    /// Returns once somebody came to the point while it was set.
    pub async fn reached(&self, point: &'static str) {
        if let Some(table) = &self.table {
            let mut reached = table.reached.subscribe();
            // the sender lives as long as the table
            let _ = reached.wait_for(|counts| counts.contains_key(point)).await;
        }
    }

    /// Somebody comes to the point.
    ///
    /// # Errors
    /// The point is set to fail.
    pub async fn at(&self, point: &'static str) -> Result<(), PortError> {
        let Some(table) = &self.table else { return Ok(()) };
        let Some(action) = table.take(point) else { return Ok(()) };
        table.reached.send_modify(|counts| *counts.entry(point).or_default() += 1);
        match action {
            Action::Abort => std::process::abort(),
            Action::Pause => std::future::pending().await,
            Action::Error => Err(PortError::unavailable("a fail point", point)),
        }
    }
}

impl Table {
    fn take(&self, point: &'static str) -> Option<Action> {
        let mut armed = self.armed.lock();
        let (passes, action) = armed.get_mut(point)?;
        if let Some(left) = passes.checked_sub(1) {
            *passes = left;
            return None;
        }
        let action = *action;
        if action == Action::Error {
            armed.remove(point);
        }
        Some(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_known_points() {
        assert!(Faults::parse("").is_ok());
        assert!(Faults::parse("writer.before_commit=pause, intake.after_take=error").is_ok());
        assert!(Faults::parse("writer.before_commit").is_err());
        assert!(Faults::parse("writer.nowhere=abort").is_err());
        assert!(Faults::parse("writer.before_commit=explode").is_err());
    }

    #[tokio::test]
    async fn an_error_comes_once() {
        let faults = Faults::settable();
        faults.arm(WRITER_BEFORE_COMMIT, Action::Error);
        assert!(faults.at(WRITER_AFTER_COMMIT).await.is_ok());
        assert!(faults.at(WRITER_BEFORE_COMMIT).await.is_err());
        assert!(faults.at(WRITER_BEFORE_COMMIT).await.is_ok());
        assert!(Faults::none().at(WRITER_BEFORE_COMMIT).await.is_ok());
    }

    #[tokio::test]
    async fn a_point_is_passed_as_often_as_was_said() {
        let faults = Faults::settable();
        faults.arm_after(PROCESS_BEFORE_CALL, 2, Action::Error);
        for _ in 0..2 {
            assert!(faults.at(PROCESS_BEFORE_CALL).await.is_ok());
        }
        assert_eq!(faults.count(PROCESS_BEFORE_CALL), 0);
        assert!(faults.at(PROCESS_BEFORE_CALL).await.is_err());
        assert_eq!(faults.count(PROCESS_BEFORE_CALL), 1);
        faults.arm(PROCESS_BEFORE_CALL, Action::Error);
        faults.disarm(PROCESS_BEFORE_CALL);
        assert!(faults.at(PROCESS_BEFORE_CALL).await.is_ok());
    }
}
