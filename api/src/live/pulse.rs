//! What the parts of one connection tell each other.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::personal::Stream;

/// What is to become of the personal stream.
pub enum Personal {
    /// Hand this stream on.
    Follow(Box<Stream>),
    /// Stop.
    Leave,
}

/// What the parts of one connection tell each other.
#[derive(Default)]
pub struct Pulse {
    times_changed: Notify,
    is_connected: AtomicBool,
    owes_pong: AtomicBool,
    expires_at: Mutex<Option<Timestamp>>,
    personal_changed: Notify,
    personal: Mutex<Option<Personal>>,
}

impl Pulse {
    /// The connect command was accepted.
    pub fn connected(&self) {
        if !self.is_connected.swap(true, Ordering::Relaxed) {
            self.times_changed.notify_one();
        }
    }

    /// Whether the connect command was accepted.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// A ping was sent.
    pub fn pinged(&self) {
        self.owes_pong.store(true, Ordering::Relaxed);
    }

    /// A ping was answered.
    pub fn ponged(&self) {
        if self.owes_pong.swap(false, Ordering::Relaxed) {
            // nobody needs to look at it when it would have been late
            self.times_changed.notify_one();
        }
    }

    /// Whether a ping was not answered.
    pub fn owes_pong(&self) -> bool {
        self.owes_pong.load(Ordering::Relaxed)
    }

    /// The token runs out then.
    pub fn set_expiry(&self, at: Timestamp) {
        *self.expires_at.lock() = Some(at);
        self.times_changed.notify_one();
    }

    /// When the token runs out.
    pub fn expires_at(&self) -> Option<Timestamp> {
        *self.expires_at.lock()
    }

    /// Waits until the connection was accepted, or its token is another one.
    pub async fn times_changed(&self) {
        self.times_changed.notified().await;
    }

    /// Says what is to become of the personal stream; what was said before and not done is not
    /// done any more.
    pub fn order(&self, personal: Personal) {
        *self.personal.lock() = Some(personal);
        self.personal_changed.notify_one();
    }

    /// What is to become of the personal stream.
    pub async fn ordered(&self) -> Personal {
        loop {
            let personal = self.personal.lock().take();
            if let Some(personal) = personal {
                return personal;
            }
            self.personal_changed.notified().await;
        }
    }
}
