//! What one command led to: commands and events, linked by what caused them.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::Timestamp;
use domain::actor::Actor;
use domain::envelope::{Position, Recorded, Source};
use domain::ids::{CommandId, CorrelationId, EventId};
use domain::ports::EventReader;
use serde::Serialize;

use super::order_log::AskError;
use super::pages::Pages;
use super::timeline::{clock, seconds};

/// Events of one trace that are kept.
pub const TRACE_EVENTS_MAX: usize = 10_000;

/// An event of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedEvent {
    /// Where.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    /// Its stream.
    pub stream: String,
}

/// A command of a trace, with the events that it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedCommand {
    /// Its id.
    pub command_id: CommandId,
    /// Who issued it.
    pub actor: Actor,
    /// Where it stood.
    pub source: Source,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The event that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// What it led to.
    pub events: Vec<TracedEvent>,
}

/// Everything with one correlation, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Which.
    pub correlation: CorrelationId,
    /// Whether there is more than [`TRACE_EVENTS_MAX`] events.
    pub truncated: bool,
    /// The commands, by the position of their first event.
    pub commands: Vec<TracedCommand>,
}

/// Collects what has a correlation; an order's is its id. `progress` is told of every page.
///
/// # Errors
/// [`AskError`].
pub async fn trace(
    reader: &dyn EventReader,
    correlation: CorrelationId,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Trace, AskError> {
    let end = reader.head().await?;
    let mut pages = Pages::new(reader, None, end);
    let mut found = Trace { correlation, truncated: false, commands: vec![] };
    let (mut places, mut kept) = (BTreeMap::new(), 0);
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        for event in page.iter().filter(|event| event.metadata.correlation == correlation) {
            if kept == TRACE_EVENTS_MAX {
                found.truncated = true;
                return Ok(found);
            }
            kept += 1;
            found.take(&mut places, event);
        }
        progress(last.position, end);
    }
    if found.commands.is_empty() {
        return Err(AskError::Unknown(format!("event of correlation {correlation}")));
    }
    Ok(found)
}

impl Trace {
    fn take(&mut self, places: &mut BTreeMap<CommandId, usize>, event: &Recorded) {
        let metadata = &event.metadata;
        let place = *places.entry(metadata.command_id).or_insert(self.commands.len());
        if place == self.commands.len() {
            self.commands.push(TracedCommand {
                command_id: metadata.command_id,
                actor: metadata.actor.clone(),
                source: metadata.source.clone(),
                decided_at: metadata.decided_at,
                causation: metadata.causation,
                events: vec![],
            });
        }
        if let Some(command) = self.commands.get_mut(place) {
            command.events.push(TracedEvent {
                position: event.position,
                event_id: event.event_id,
                event: event.event.event_type(),
                stream: event.stream.to_string(),
            });
        }
    }

    fn depth(&self, command: &TracedCommand) -> usize {
        let mut depth = 0;
        let mut cause = command.causation;
        // a cause stands before its effect: the walk ends
        while let Some(parent) = cause.and_then(|cause| self.parent(cause)) {
            depth += 1;
            cause = parent.causation;
            if depth > self.commands.len() {
                break;
            }
        }
        depth
    }

    fn parent(&self, cause: EventId) -> Option<&TracedCommand> {
        let led = |command: &&TracedCommand| command.events.iter().any(|it| it.event_id == cause);
        self.commands.iter().find(led)
    }
}

/// The trace as a tree of text.
pub fn render_trace(trace: &Trace) -> String {
    let mut text = String::new();
    // writing to a String cannot fail
    let _ = writeln!(text, "correlation {}", trace.correlation);
    let begun = trace.commands.first().map(|command| command.decided_at);
    for command in &trace.commands {
        let indent = "  ".repeat(trace.depth(command));
        let after = begun.and_then(|at| (command.decided_at - at).num_microseconds()).unwrap_or(0);
        let Source { topic, partition, offset } = &command.source;
        let _ = writeln!(
            text,
            "{indent}{} {} command {} by {:?}, {topic} partition {partition} offset {offset}",
            clock(command.decided_at),
            seconds(after),
            command.command_id,
            command.actor.role,
        );
        for event in &command.events {
            let TracedEvent { position, event, stream, .. } = event;
            let _ = writeln!(text, "{indent}  at {position} {event} of {stream}");
        }
    }
    if trace.truncated {
        let _ = writeln!(text, "there is more: the first {TRACE_EVENTS_MAX} events are shown");
    }
    text
}

/// The trace as a graph for Graphviz.
pub fn render_dot(trace: &Trace) -> String {
    let mut text = "digraph trace {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
    for command in &trace.commands {
        let id = command.command_id;
        // writing to a String cannot fail
        let _ = writeln!(
            text,
            "  \"{id}\" [shape=box, label=\"command by {:?}\\noffset {}\"];",
            command.actor.role, command.source.offset
        );
        if let Some(cause) = command.causation {
            let _ = writeln!(text, "  \"{cause}\" -> \"{id}\" [style=dashed];");
        }
        for event in &command.events {
            let TracedEvent { position, event_id, event, .. } = event;
            let _ = writeln!(text, "  \"{event_id}\" [label=\"{position} {event}\"];");
            let _ = writeln!(text, "  \"{id}\" -> \"{event_id}\";");
        }
    }
    text.push_str("}\n");
    text
}
