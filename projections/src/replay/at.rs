//! The state at a moment, and what changed between two.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::StreamKey;
use domain::ports::EventReader;
use serde::Serialize;
use serde_json::Value;

use super::order_log::{AskError, events_of, must_know};
use super::pages::Pages;
use super::state::{Scope, State, StateFold};

/// A moment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the event at a position.
    Position(Position),
    /// After the last event that was stored by then.
    Time(Timestamp),
}

impl FromStr for When {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(Position(position)));
        }
        text.parse()
            .map(Self::Time)
            .map_err(|_| "is neither a position nor a time such as 2026-09-21T14:13:21Z".to_owned())
    }
}

/// What the scope of a question narrows the reading to: nothing outside one key can change it.
pub(super) async fn key_of(
    reader: &dyn EventReader,
    scope: &Scope,
) -> Result<Option<StreamKey>, AskError> {
    if let Some(spotlight) = scope.spotlight {
        must_know(reader, spotlight).await?;
    }
    if let Some(order) = scope.order {
        events_of(reader, order).await?;
    }
    let alone = scope.order.is_none() && scope.viewer.is_none();
    Ok(scope.spotlight.filter(|_| alone).map(StreamKey::from))
}

/// The state at a moment; a moment after the end of the log is the end. `progress` is told of
/// every page.
///
/// # Errors
/// [`AskError`], also where the scope names what the log does not know at all.
pub async fn state_at(
    reader: &dyn EventReader,
    when: When,
    scope: &Scope,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<State, AskError> {
    let head = reader.head().await?;
    let end = match when {
        When::Position(position) => position.min(head),
        When::Time(_) => head,
    };
    let key = key_of(reader, scope).await?;
    let mut pages = Pages::new(reader, key, end);
    let mut fold = StateFold::new(scope.clone());
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        for event in &page {
            if matches!(when, When::Time(time) if event.recorded_at > time) {
                return Ok(fold.state().clone());
            }
            fold.take(event);
        }
        progress(last.position, end);
    }
    Ok(fold.state().clone())
}

/// A value that is not the same at two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The path into the state.
    pub path: String,
    /// What it was; null where it was not there.
    pub before: Value,
    /// What it became; null where it is not there.
    pub after: Value,
}

/// What changed between two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The first moment.
    pub from: Position,
    /// The second.
    pub to: Position,
    /// What changed, by path.
    pub changes: Vec<Change>,
}

/// Compares two states.
///
/// # Errors
/// A value that JSON cannot hold; no state has one.
pub fn diff(before: &State, after: &State) -> Result<Diff, serde_json::Error> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(&serde_json::to_value(before)?, String::new(), &mut old);
    leaves(&serde_json::to_value(after)?, String::new(), &mut new);
    for side in [&mut old, &mut new] {
        // what has nothing in it yet is not there
        side.retain(|path, value| {
            !["position", "time"].contains(&path.as_str())
                && value.as_object().is_none_or(|members| !members.is_empty())
        });
    }
    let paths: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| Change {
            path: path.clone(),
            before: old.get(path).cloned().unwrap_or_default(),
            after: new.get(path).cloned().unwrap_or_default(),
        })
        .collect();
    Ok(Diff { from: before.position, to: after.position, changes })
}

fn leaves(value: &Value, path: String, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(member, path, found);
            }
        }
        _ => {
            found.insert(path, value.clone());
        }
    }
}

/// The state as lines of text: a path and its value.
///
/// # Errors
/// A value that JSON cannot hold; no state has one.
pub fn render_state(state: &State) -> Result<String, serde_json::Error> {
    let mut values = BTreeMap::new();
    leaves(&serde_json::to_value(state)?, String::new(), &mut values);
    let mut text = String::new();
    for (path, value) in values {
        // writing to a String cannot fail
        let _ = writeln!(text, "{path} = {value}");
    }
    Ok(text)
}

/// The changes as lines of text.
pub fn render_diff(diff: &Diff) -> String {
    let mut text = format!("from position {} to {}\n", diff.from, diff.to);
    for Change { path, before, after } in &diff.changes {
        // writing to a String cannot fail
        let _ = writeln!(text, "{path}: {before} -> {after}");
    }
    if diff.changes.is_empty() {
        text.push_str("nothing changed\n");
    }
    text
}
