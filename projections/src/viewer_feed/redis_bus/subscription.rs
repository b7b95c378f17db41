//! A subscription that lets no gap through: what is missing is filled from the history, or the
//! subscription fails.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ports::{FeedMessage, FeedPosition, FeedSubscription, PortError};

use super::super::queue::Receiver;
use super::{Inner, position};

pub struct RedisSubscription {
    bus: Arc<Inner>,
    channel: String,
    messages: Receiver<Bytes>,
    last: FeedPosition,
    ready: VecDeque<FeedMessage>,
}

/// What was published, as the script writes it: kind, epoch, offset, JSON.
struct Published {
    is_state: bool,
    message: FeedMessage,
}

impl RedisSubscription {
    pub fn new(
        bus: Arc<Inner>,
        channel: String,
        messages: Receiver<Bytes>,
        top: FeedPosition,
    ) -> Self {
        Self { bus, channel, messages, last: top, ready: VecDeque::new() }
    }

    async fn accept(&mut self, published: Published) -> Result<(), PortError> {
        let Published { is_state, message } = published;
        if message.position.epoch != self.last.epoch {
            return Err(PortError::unavailable("the feed", "the channel started again"));
        }
        if message.position.offset <= self.last.offset {
            return Ok(());
        }
        if message.position.offset == self.last.offset.saturating_add(1) {
            self.ready.push_back(message);
        } else if is_state {
            return Err(PortError::unavailable("the feed", "a patch is missing"));
        } else {
            self.fill().await?;
        }
        if let Some(newest) = self.ready.back() {
            self.last = newest.position.clone();
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), PortError> {
        let history = self.bus.history(&self.channel, Some(&self.last)).await?;
        let missing = || PortError::unavailable("the feed", "messages are missing for good");
        self.ready.extend(history.messages.ok_or_else(missing)?);
        Ok(())
    }
}

#[async_trait]
impl FeedSubscription for RedisSubscription {
    async fn next(&mut self) -> Result<FeedMessage, PortError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            let fell_behind =
                || PortError::unavailable("the feed", "the subscription fell behind or was lost");
            let payload = self.messages.recv().await.ok_or_else(fell_behind)?;
            self.accept(published(&payload)?).await?;
        }
    }
}

fn published(payload: &[u8]) -> Result<Published, PortError> {
    let corrupt = || PortError::corrupt("the feed", "a published message");
    let text = std::str::from_utf8(payload).map_err(|_| corrupt())?;
    let mut parts = text.splitn(4, ' ');
    let (Some(kind), Some(epoch), Some(offset), Some(data)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(corrupt());
    };
    Ok(Published {
        is_state: kind == "s",
        message: FeedMessage {
            position: position(epoch.to_owned(), offset)?,
            data: Arc::new(serde_json::from_str(data).map_err(|_| corrupt())?),
        },
    })
}
