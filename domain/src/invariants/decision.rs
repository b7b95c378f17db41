//! Which events came of one decision.

use crate::envelope::Recorded;
use crate::ids::CommandId;
use serde::{Deserialize, Serialize};

/// The command and where it stood: the events of one decision share both and stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionId {
    command: CommandId,
    partition: i32,
    offset: i64,
}

impl DecisionId {
    pub fn of(event: &Recorded) -> Self {
        let source = &event.metadata.source;
        Self {
            command: event.metadata.command_id,
            partition: source.partition,
            offset: source.offset,
        }
    }
}
