//! The fold of one key into what a room shows: a broadcast's or a spotlight's part of it.

use domain::envelope::{Position, Recorded};
use domain::ids::BroadcastId;
use domain::spotlight::SpotlightStatus;
use domain::views::{BroadcastView, SpotlightView};
use serde_json::Value;

use super::shape::{broadcast_state, difference, spotlight_state};
use crate::sales_board::{fold_broadcast, fold_spotlight};

/// One key's part of its room.
#[derive(Debug, Clone, Default)]
pub struct RoomPart {
    broadcast: Option<BroadcastView>,
    spotlight: Option<SpotlightView>,
    applied: Position,
    shown: Option<Value>,
    shown_at: Position,
}

impl RoomPart {
    /// The position of the last event that was taken in.
    pub const fn applied(&self) -> Position {
        self.applied
    }

    /// The version under which it was shown last.
    pub const fn shown_at(&self) -> Position {
        self.shown_at
    }

    /// Takes an event in; one that was taken in before changes nothing.
    pub fn apply(&mut self, recorded: &Recorded) {
        if recorded.position > self.applied {
            self.broadcast = fold_broadcast(self.broadcast.take(), recorded);
            self.spotlight = fold_spotlight(self.spotlight.take(), recorded);
            self.applied = recorded.position;
        }
    }

    /// The room that it belongs to; `None` before its first event.
    pub fn room(&self) -> Option<BroadcastId> {
        let by_spotlight = self.spotlight.as_ref().map(|spotlight| spotlight.broadcast_id);
        by_spotlight.or_else(|| self.broadcast.as_ref().map(|broadcast| broadcast.id))
    }

    /// Whether its stock may still move by orders.
    pub fn is_active(&self) -> bool {
        self.spotlight.as_ref().is_some_and(|view| view.status != SpotlightStatus::Closed)
            || self.broadcast.as_ref().is_some_and(|view| view.ended_at.is_none())
    }

    /// All of it, as a patch.
    pub fn state(&self) -> Option<Value> {
        let spotlight = self.spotlight.as_ref().map(spotlight_state);
        spotlight.or_else(|| self.broadcast.as_ref().map(broadcast_state))
    }

    /// What changed since it was shown last; all of it the first time.
    pub fn change(&mut self) -> Option<Value> {
        let state = self.state()?;
        let patch = match &self.shown {
            None => Some(state.clone()),
            Some(shown) => difference(shown, &state),
        };
        self.shown = Some(state);
        if patch.is_some() {
            self.shown_at = self.applied;
        }
        patch
    }
}
