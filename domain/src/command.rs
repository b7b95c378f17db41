//! The union of commands and their record on the command log.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::actor::Actor;
use crate::admission::Admission;
use crate::broadcast::BroadcastCommand;
use crate::fingerprint::Fingerprint;
use crate::ids::{CommandId, CorrelationId, EventId, SellerId, StreamKey};
use crate::order::OrderCommand;
use crate::spotlight::SpotlightCommand;

/// Any command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Command {
    /// To a broadcast.
    Broadcast {
        /// What.
        command: BroadcastCommand,
    },
    /// To a spotlight.
    Spotlight {
        /// What.
        command: SpotlightCommand,
    },
    /// To an order.
    Order {
        /// What.
        command: OrderCommand,
    },
}

/// Bytes that the record of an order hardly ever exceeds: its text need not grow.
const RECORD_BYTES: usize = 1_536;
/// Bytes that an admission hardly ever exceeds.
const ADMISSION_BYTES: usize = 160;

/// A command as the command log holds it; JSON, one per record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// What a repeat is recognised by.
    pub command_id: CommandId,
    /// On whose behalf.
    pub seller: SellerId,
    /// The unit of order, which is the log's key: the spotlight, else the broadcast.
    pub key: StreamKey,
    /// What this command belongs to.
    pub correlation: CorrelationId,
    /// The event that led to it, where onair issued it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Who issued it.
    pub actor: Actor,
    /// When it was issued, by the issuer's clock; for reading only, no decision uses it.
    #[serde(with = "crate::rfc3339")]
    pub issued_at: Timestamp,
    /// What is asked.
    pub command: Command,
}

/// What a decision may use besides state: every value comes from the record, and `decided_at` from
/// the writer's batch (design rule 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The command.
    pub command_id: CommandId,
    /// On whose behalf.
    pub seller: SellerId,
    /// Who issued it.
    pub actor: Actor,
    /// The writer's one time of the batch, monotone per partition.
    pub decided_at: Timestamp,
}

impl CommandRecord {
    /// The fingerprint of what is asked, without what onair itself adds on the way: a repeat asks
    /// the same.
    pub fn request(&self) -> Fingerprint {
        let mut asked = serde_json::to_value(&self.command).unwrap_or_default();
        if let Some(command) = asked.pointer_mut("/command").and_then(|known| known.as_object_mut())
        {
            for added in ["admission", "open_now"] {
                command.remove(added);
            }
            if let Some(wait) = command.get_mut("wait").and_then(|wait| wait.as_object_mut()) {
                wait.remove("received_at");
                wait.remove("node");
            }
        }
        Fingerprint::of(asked.to_string().as_bytes())
    }

    /// The record as the command log holds it.
    ///
    /// # Errors
    /// None that can be met: a record is texts and numbers.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = Vec::with_capacity(RECORD_BYTES);
        serde_json::to_writer(&mut text, self)?;
        String::from_utf8(text).map_err(serde::ser::Error::custom)
    }

    /// [`CommandRecord::to_json`] of an order that the gate has admitted, from its text `before`:
    /// an order's text is written once.
    ///
    /// # Errors
    /// None that can be met, as there.
    pub fn admitted_json(
        &self,
        before: &str,
        admission: Admission,
    ) -> Result<String, serde_json::Error> {
        // those of the order, its command, the union and the record
        const END: &str = "}}}}";
        let Some(body) = before.strip_suffix(END) else { return self.to_json() };
        let mut text = Vec::with_capacity(before.len().saturating_add(ADMISSION_BYTES));
        text.extend_from_slice(body.as_bytes());
        text.extend_from_slice(b",\"admission\":");
        serde_json::to_writer(&mut text, &admission)?;
        text.extend_from_slice(END.as_bytes());
        String::from_utf8(text).map_err(serde::ser::Error::custom)
    }

    /// What its decision may use.
    pub fn context(&self, decided_at: Timestamp) -> Context {
        Context {
            command_id: self.command_id,
            seller: self.seller.clone(),
            actor: self.actor.clone(),
            decided_at,
        }
    }
}
