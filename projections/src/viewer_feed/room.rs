//! The fold of one key into what a room shows: a broadcast's or a spotlight's part of it.

use std::collections::BTreeSet;

use domain::broadcast::ChatMode;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, Sku};
use domain::ledger::ledger_deltas;
use domain::views::{BroadcastView, SpotlightView};
use serde_json::Value;

use super::shape::{broadcast_state, difference, spotlight_state};
use crate::sales_board::{fold_broadcast, fold_spotlight};
use crate::waitlist::{Places, WaitRow};

/// The members of a spotlight that its own events change back and forth.
const TURNING: [&str; 3] = ["status", "offer", "skus"];

/// One key's part of its room.
#[derive(Debug, Clone, Default)]
pub struct RoomPart {
    broadcast: Option<BroadcastView>,
    spotlight: Option<SpotlightView>,
    applied: Position,
    shown: Option<Value>,
    /// The life of the room in which it was shown.
    pub(super) shown_in: Option<String>,
    moved: BTreeSet<Sku>,
    has_turned: bool,
    mode: ChatMode,
    places: Places,
}

impl RoomPart {
    /// The position of the last event that was taken in.
    pub const fn applied(&self) -> Position {
        self.applied
    }

    /// Who may say something in the chat, and how often.
    pub const fn mode(&self) -> ChatMode {
        self.mode
    }

    /// Whom of those who wait an event tells something, with their place.
    pub fn told(&self, recorded: &Recorded) -> Vec<(WaitRow, Option<u64>)> {
        if recorded.position > self.applied { self.places.told(recorded) } else { vec![] }
    }

    /// Takes an event in; one that was taken in before changes nothing.
    pub fn apply(&mut self, recorded: &Recorded) {
        if recorded.position > self.applied {
            self.places.apply(recorded);
            self.broadcast = fold_broadcast(self.broadcast.take(), recorded);
            self.spotlight = fold_spotlight(self.spotlight.take(), recorded);
            self.applied = recorded.position;
            self.moved.extend(ledger_deltas(&recorded.event).into_iter().map(|delta| delta.sku));
            if let Event::Broadcast(event) = &recorded.event {
                self.mode.apply(event);
            }
            self.has_turned |= matches!(recorded.event, Event::Spotlight(_));
        }
    }

    /// The room that it belongs to; `None` before its first event.
    pub fn room(&self) -> Option<BroadcastId> {
        let by_spotlight = self.spotlight.as_ref().map(|spotlight| spotlight.broadcast_id);
        by_spotlight.or_else(|| self.broadcast.as_ref().map(|broadcast| broadcast.id))
    }

    /// All of it, as a patch.
    pub fn state(&self) -> Option<Value> {
        let spotlight = self.spotlight.as_ref().map(spotlight_state);
        spotlight.or_else(|| self.broadcast.as_ref().map(broadcast_state))
    }

    /// What changed since it was shown last; all of it the first time. What changed and changed
    /// back is in it too, because the room may hold the state of a position in between: another
    /// process publishes whole states.
    pub fn change(&mut self) -> Option<Value> {
        let state = self.state()?;
        let patch = match self.shown.take() {
            None => Some(state.clone()),
            Some(mut shown) => {
                self.forget_moved(&mut shown);
                difference(&shown, &state)
            }
        };
        self.shown = Some(state);
        self.moved.clear();
        self.has_turned = false;
        patch
    }

    fn forget_moved(&self, shown: &mut Value) {
        let Some(spotlight) = &self.spotlight else { return };
        let path = format!("/spotlights/{}", spotlight.id);
        let Some(members) = shown.pointer_mut(&path).and_then(Value::as_object_mut) else { return };
        if self.has_turned {
            members.retain(|name, _| !TURNING.contains(&name.as_str()));
        }
        if let Some(rows) = members.get_mut("inventory").and_then(Value::as_object_mut) {
            rows.retain(|sku, _| !self.moved.iter().any(|moved| moved.as_str() == sku));
        }
    }
}
