//! One live show: scheduled → live → ended.

mod chat;
mod command;
mod error;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use chat::{ChatMode, ChatRules, Pinned, Sanction, Until};
pub use command::{BroadcastCommand, ChatAction, Target};
pub use error::BroadcastError;
pub use event::BroadcastEvent;

use crate::Timestamp;
use crate::command::Context;
use crate::ids::{BroadcastId, SellerId};
use crate::money::Currency;
use crate::personal::Personal;

/// Where a broadcast stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastStatus {
    /// Announced.
    #[default]
    Scheduled,
    /// On air.
    Live,
    /// Over.
    Ended,
}

/// The state of a broadcast that decisions need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Its terms; absent until it was scheduled.
    pub terms: Option<BroadcastTerms>,
    /// Where it stands.
    pub status: BroadcastStatus,
    /// When it went live.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The rules of its chat.
    #[serde(default)]
    pub chat: ChatRules,
}

/// What was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastTerms {
    /// Which broadcast.
    pub broadcast_id: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// What viewers read.
    pub title: String,
    /// The currency of every offer in it.
    pub currency: Currency,
    /// When it is to start.
    pub starts_at: Option<Timestamp>,
}

impl Broadcast {
    /// What a command leads to; a repeat leads to nothing.
    ///
    /// # Errors
    /// [`BroadcastError`] where the command is refused.
    pub fn decide(
        &self,
        command: &BroadcastCommand,
        context: &Context,
    ) -> Result<Vec<BroadcastEvent>, BroadcastError> {
        if let BroadcastCommand::ScheduleBroadcast { broadcast_id, title, currency, starts_at } =
            command
        {
            return self.schedule(*broadcast_id, title, *currency, *starts_at, context);
        }
        let terms = self.terms.as_ref().ok_or(BroadcastError::NotFound)?;
        if terms.seller != context.seller {
            return Err(BroadcastError::NotFound);
        }
        let broadcast_id = terms.broadcast_id;
        let at = context.decided_at;
        match (command, self.status) {
            (BroadcastCommand::StartBroadcast, BroadcastStatus::Scheduled) => {
                Ok(vec![BroadcastEvent::BroadcastStarted { broadcast_id, at }])
            }
            (
                BroadcastCommand::StartBroadcast | BroadcastCommand::ModerateChat { .. },
                BroadcastStatus::Ended,
            ) => Err(BroadcastError::Ended),
            (
                BroadcastCommand::EndBroadcast { reason },
                BroadcastStatus::Scheduled | BroadcastStatus::Live,
            ) => Ok(vec![BroadcastEvent::BroadcastEnded {
                broadcast_id,
                at,
                personal: Personal::text(reason.clone()),
            }]),
            (BroadcastCommand::ModerateChat { action }, _) => {
                let decided = self.chat.decide(broadcast_id, action, context)?;
                Ok(decided.into_iter().collect())
            }
            _ => Ok(vec![]),
        }
    }

    fn schedule(
        &self,
        broadcast_id: BroadcastId,
        title: &str,
        currency: Currency,
        starts_at: Option<Timestamp>,
        context: &Context,
    ) -> Result<Vec<BroadcastEvent>, BroadcastError> {
        let seller = context.seller.clone();
        let title = title.to_owned();
        let asked = BroadcastTerms { broadcast_id, seller, title, currency, starts_at };
        match &self.terms {
            Some(known) if *known == asked => Ok(vec![]),
            Some(_) => Err(BroadcastError::Exists),
            None => Ok(vec![BroadcastEvent::BroadcastScheduled {
                broadcast_id,
                seller: asked.seller,
                title: asked.title,
                currency,
                starts_at,
            }]),
        }
    }

    /// Takes a fact in; cannot fail.
    pub fn apply(&mut self, event: &BroadcastEvent) {
        match event {
            BroadcastEvent::BroadcastScheduled {
                broadcast_id,
                seller,
                title,
                currency,
                starts_at,
            } => {
                self.terms = Some(BroadcastTerms {
                    broadcast_id: *broadcast_id,
                    seller: seller.clone(),
                    title: title.clone(),
                    currency: *currency,
                    starts_at: *starts_at,
                });
            }
            BroadcastEvent::BroadcastStarted { at, .. } => {
                self.status = BroadcastStatus::Live;
                self.started_at = Some(*at);
            }
            BroadcastEvent::BroadcastEnded { at, .. } => {
                self.status = BroadcastStatus::Ended;
                self.ended_at = Some(*at);
            }
            fact => self.chat.apply(fact),
        }
    }
}

impl Aggregate for Broadcast {
    const TYPE: &'static str = "broadcast";
    type Command = (BroadcastCommand, Context);
    type Event = BroadcastEvent;
    type Error = BroadcastError;
    type Services = ();

    async fn handle(
        &mut self,
        (command, context): Self::Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), BroadcastError> {
        for event in self.decide(&command, &context)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: BroadcastEvent) {
        Self::apply(self, &event);
    }
}
