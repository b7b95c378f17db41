//! What a connection may watch of a room.

use std::sync::Arc;

use super::outbox::Outbox;
use super::room::{Catch, Room};

/// What a connection watches of a room.
#[derive(Clone)]
pub enum Feed {
    /// Its state.
    Live(Arc<Room>),
    /// Its chat.
    Chat(Arc<Room>),
}

impl Feed {
    /// The room.
    pub const fn room(&self) -> &Arc<Room> {
        match self {
            Self::Live(room) | Self::Chat(room) => room,
        }
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        match self {
            Self::Live(room) => room.channel(),
            Self::Chat(room) => room.chat.channel(),
        }
    }

    /// What a watcher lacks that has everything before `next`.
    pub fn catch_up(&self, next: u64, outbox: &Outbox) -> Catch {
        match self {
            Self::Live(room) => room.catch_up(next),
            Self::Chat(room) => room.chat.catch_up(next, outbox.subject()),
        }
    }

    /// Ends the watching.
    pub fn leave(&self, outbox: &Arc<Outbox>) {
        match self {
            Self::Live(room) => room.leave(outbox),
            Self::Chat(room) => room.chat.leave(outbox),
        }
    }
}
