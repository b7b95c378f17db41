//! From the one subscriber connection of a node to its local subscriptions.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};

use super::super::queue::{self, Receiver, Sender};

type Receivers = HashMap<Vec<u8>, Vec<Sender<Bytes>>>;

/// The local subscriptions by the name of their shard channel.
#[derive(Clone, Default)]
pub struct FanOut {
    receivers: Arc<Mutex<Receivers>>,
}

impl FanOut {
    /// Adds a subscription. Do this before Redis is asked to subscribe, so that nothing falls
    /// between.
    pub fn register(&self, channel: &str, capacity: usize) -> Receiver<Bytes> {
        let (sender, messages) = queue::bounded(capacity);
        self.receivers.lock().entry(channel.as_bytes().to_vec()).or_default().push(sender);
        messages
    }

    /// Ends every subscription: the connection was lost, and with it perhaps messages.
    pub fn fail_all(&self) {
        for senders in self.receivers.lock().values_mut() {
            senders.clear();
        }
    }

    /// Ends the subscriptions of one channel.
    pub fn fail(&self, channel: &[u8]) {
        self.receivers.lock().remove(channel);
    }

    /// Forgets channels that nobody receives any more, and names them.
    pub fn take_abandoned(&self) -> Vec<Vec<u8>> {
        let mut abandoned = Vec::new();
        self.receivers.lock().retain(|channel, senders| {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                abandoned.push(channel.clone());
            }
            !senders.is_empty()
        });
        abandoned
    }

    /// A subscription whose queue is full is let go, and sees its end after what was queued.
    fn deliver(&self, channel: &[u8], payload: &Bytes) {
        if let Some(senders) = self.receivers.lock().get_mut(channel) {
            senders.retain(|sender| sender.try_send(payload.clone()));
        }
    }
}

impl AsyncPushSender for FanOut {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        match info.kind {
            PushKind::SMessage => {
                let mut parts = info.data.into_iter();
                if let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) =
                    (parts.next(), parts.next())
                {
                    self.deliver(&channel, &Bytes::from(payload));
                }
            }
            PushKind::Disconnection => self.fail_all(),
            // The server took the slot away: whoever receives it must subscribe again.
            PushKind::SUnsubscribe => {
                if let Some(Value::BulkString(channel)) = info.data.first() {
                    self.fail(channel);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
