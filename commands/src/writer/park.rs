//! Putting a command aside: which sequence it belongs to, and until when it may wait.

use std::time::Duration;

use domain::Timestamp;
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::envelope::Source;
use domain::order::OrderCommand;
use domain::ports::{Delivered, ParkedCommand};
use domain::spotlight::SpotlightCommand;
use serde_json::Value;

use super::batch::Item;
use crate::clock::delta;

/// What is put aside together: an order's commands, or a host's commands to one spotlight or
/// broadcast (design rule 9).
pub(super) fn sequence_of(record: &CommandRecord) -> String {
    match &record.command {
        Command::Order { command } => command.order_id().to_string(),
        Command::Spotlight { .. } | Command::Broadcast { .. } => record.key.to_string(),
    }
}

impl Item {
    /// The sequence, as far as it can be told; a record that tells nothing is its own.
    pub(super) fn sequence(&self) -> String {
        match &self.record {
            Ok(record) => sequence_of(record),
            Err(_) => guessed(&self.delivered),
        }
    }

    pub(super) fn park(
        &self,
        error: &str,
        parked_at: Timestamp,
        deadline: Duration,
    ) -> ParkedCommand {
        ParkedCommand {
            source: self.delivered.source.clone(),
            sequence: self.sequence(),
            value: self.delivered.value.clone(),
            error: error.to_owned(),
            parked_at,
            deadline: parked_at + delta(deadline),
            action: None,
        }
    }
}

fn guessed(delivered: &Delivered) -> String {
    let value: Value = serde_json::from_slice(&delivered.value).unwrap_or_default();
    ["/command/command/place/order_id", "/command/command/order_id", "/key"]
        .into_iter()
        .find_map(|pointer| value.pointer(pointer).and_then(Value::as_str))
        .filter(|text| uuid::Uuid::parse_str(text).is_ok())
        .map_or_else(|| own_sequence(&delivered.source), str::to_owned)
}

fn own_sequence(source: &Source) -> String {
    format!("{}/{}/{}", source.topic, source.partition, source.offset)
}

/// Why a record that parses cannot be decided: it names another key than it stands under, and a
/// decision writes only streams of its own key (design rule 13).
pub(super) fn misaddressed(record: &CommandRecord) -> Option<&'static str> {
    let addressed = match &record.command {
        Command::Broadcast {
            command: BroadcastCommand::ScheduleBroadcast { broadcast_id, .. },
        } => broadcast_id.0,
        Command::Spotlight { command: SpotlightCommand::ScheduleSpotlight { terms, .. } } => {
            terms.spotlight_id.0
        }
        Command::Order {
            command: OrderCommand::PlaceOrder { place } | OrderCommand::FailParked { place },
        } => place.spotlight_id.0,
        _ => record.key.0,
    };
    (addressed != record.key.0).then_some("the command is addressed to another key")
}

/// What becomes of a command whose sequence is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// It is decided all the same: it is what ends the sequence.
    Decide,
    /// It is let go: whoever issued it issues it again as long as it is needed.
    Skip,
    /// It waits with the others.
    Park,
}

pub(super) fn behind(record: &CommandRecord) -> Behind {
    match &record.command {
        Command::Order {
            command: OrderCommand::FailParked { .. } | OrderCommand::EndParked { .. },
        } => Behind::Decide,
        // they are proposed again, by the re-driver while the gate has the entry
        Command::Order {
            command:
                OrderCommand::ExpireHold { .. }
                | OrderCommand::WithdrawOrder { .. }
                | OrderCommand::TakeAgain { .. }
                | OrderCommand::TurnAway { .. }
                | OrderCommand::PlaceOrder { .. },
        } => Behind::Skip,
        _ => Behind::Park,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(value: &str) -> Delivered {
        let source = Source { topic: "t".to_owned(), partition: 3, offset: 7 };
        Delivered { source, value: value.as_bytes().to_vec() }
    }

    #[test]
    fn the_sequence_of_broken_bytes_is_guessed() {
        let order = "00000000-0000-4000-8000-000000000001";
        let place = format!(r#"{{"command":{{"command":{{"place":{{"order_id":"{order}"}}}}}}}}"#);
        assert_eq!(guessed(&delivered(&place)), order);
        let key = format!(r#"{{"key":"{order}","command":3}}"#);
        assert_eq!(guessed(&delivered(&key)), order);
        assert_eq!(guessed(&delivered("{")), "t/3/7");
        assert_eq!(guessed(&delivered(r#"{"key":"no id"}"#)), "t/3/7");
    }
}
