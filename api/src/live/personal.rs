//! A viewer's own stream on one connection: contiguous, never merged, never silently short.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::fingerprint::PseudonymKey;
use domain::ports::{
    FeedBus, FeedMessage, FeedPosition, FeedSubscription, History, OrderBook, OrderQuery, PortError,
};
use domain::views::OrderStatus;
use projections::viewer_feed::shape::{own_order_json, user_channel};
use serde_json::{Value, json};

use super::limits::{OPEN_ORDERS_MAX, OVERLAY_MESSAGES_MAX, SUMMED_AGAIN_AFTER};
use super::metrics;
use super::outbox::Outbox;
use super::protocol::{self, publication};
use super::schema::{Publication, SubscribeResult};
use super::token::Claims;

/// Where personal streams come from.
pub struct Streams {
    /// The bus.
    pub bus: Arc<dyn FeedBus>,
    /// The orders of whoever begins anew.
    pub orders: Arc<dyn OrderBook>,
    /// Names viewers in the order book.
    pub pseudonyms: PseudonymKey,
}

/// A stream that has begun; what comes after goes through [`Stream::forward`].
pub struct Stream {
    bus: Arc<dyn FeedBus>,
    channel: String,
    messages: Box<dyn FeedSubscription>,
    last: FeedPosition,
    /// Whether the server made the subscription.
    pub server_side: bool,
}

/// The name of a viewer's own channel on the wire.
pub fn wire_name(claims: &Claims) -> String {
    format!("user#{}", claims.subject)
}

impl Streams {
    /// Begins a viewer's stream, or goes on after a place: subscribes, takes the top, replays; what
    /// comes meanwhile waits in the bounded subscription. All of what was missed, or none.
    ///
    /// # Errors
    /// The bus or the order book cannot be reached.
    pub async fn begin(
        &self,
        claims: &Claims,
        after: Option<FeedPosition>,
        server_side: bool,
    ) -> Result<(SubscribeResult, Stream), PortError> {
        let channel = user_channel(&claims.seller, &claims.subject);
        let messages = self.bus.subscribe(&channel).await?;
        let history = self.bus.history(&channel, after.as_ref()).await?;
        let missed = after.as_ref().and(history.messages);
        let recovered = missed.is_some();
        if after.is_some() {
            metrics::recovered(recovered);
        }
        let data = if recovered {
            Bytes::new()
        } else {
            let (orders, is_new) = self.open_orders(claims, &channel, &history.top).await?;
            // where a stream was just lost, the order book may not have all that was in it
            if is_new && after.is_none() {
                self.sum_up(&channel, &history.top, &orders).await;
            }
            protocol::json(&json!({"orders": orders}))
        };
        let last = history.top;
        let begun = SubscribeResult {
            recoverable: true,
            positioned: true,
            epoch: last.epoch.clone(),
            offset: last.offset,
            was_recovering: after.is_some(),
            recovered,
            publications: missed.iter().flatten().map(Publication::from).collect(),
            data,
        };
        let bus = self.bus.clone();
        Ok((begun, Stream { bus, channel, messages, last, server_side }))
    }

    /// What the stream keeps.
    ///
    /// # Errors
    /// The bus cannot be reached.
    pub async fn history(
        &self,
        claims: &Claims,
        after: Option<&FeedPosition>,
    ) -> Result<History, PortError> {
        self.bus.history(&user_channel(&claims.seller, &claims.subject), after).await
    }

    /// The viewer's open orders up to the top of the stream, and whether they are worth a new sum:
    /// from what the stream came to when somebody asked last, so that a crowd that comes again asks
    /// no database.
    async fn open_orders(
        &self,
        claims: &Claims,
        channel: &str,
        top: &FeedPosition,
    ) -> Result<(Vec<Value>, bool), PortError> {
        // most of a crowd: it may not order, so nobody is asked
        if claims.anonymous {
            return Ok((Vec::new(), false));
        }
        if let Some((orders, behind)) = self.summed(channel, top).await? {
            return Ok((orders, behind >= SUMMED_AGAIN_AFTER));
        }
        let mut orders = Orders::default();
        for status in [OrderStatus::Pending, OrderStatus::Reserved] {
            let query = OrderQuery {
                seller: claims.seller.clone(),
                viewer: Some(self.pseudonyms.viewer_ref(&claims.seller, &claims.subject)),
                spotlight: None,
                status: Some(status),
                since: None,
                cursor: None,
                limit: OPEN_ORDERS_MAX,
            };
            for order in self.orders.orders(&query).await?.items {
                orders.take(&own_order_json(&order));
            }
        }
        // the order book may lag behind the stream, so its last messages are laid over
        let offset = top.offset.saturating_sub(OVERLAY_MESSAGES_MAX);
        for message in self.after(channel, top, offset).await?.unwrap_or_default() {
            orders.hear(&message);
        }
        Ok((orders.open(), true))
    }

    /// The open orders by the stream alone, and how many messages its last sum is behind; nothing
    /// where it has none, or does not keep what came since.
    async fn summed(
        &self,
        channel: &str,
        top: &FeedPosition,
    ) -> Result<Option<(Vec<Value>, usize)>, PortError> {
        let Some(sum) = self.bus.sum(channel).await? else { return Ok(None) };
        if sum.position.epoch != top.epoch || sum.position.offset > top.offset {
            return Ok(None);
        }
        let Some(since) = self.after(channel, top, sum.position.offset).await? else {
            return Ok(None);
        };
        let mut orders = Orders::default();
        for order in sum.data.as_array().into_iter().flatten() {
            orders.take(order);
        }
        for message in &since {
            orders.hear(message);
        }
        Ok(Some((orders.open(), since.len())))
    }

    /// It only saves whoever comes next a question.
    async fn sum_up(&self, channel: &str, top: &FeedPosition, orders: &[Value]) {
        if let Err(error) = self.bus.sum_up(channel, top, &json!(orders)).await {
            tracing::debug!(%error, "a stream was not summed up");
        }
    }

    /// The messages after an offset up to the top; `None` where some are gone.
    async fn after(
        &self,
        channel: &str,
        top: &FeedPosition,
        offset: u64,
    ) -> Result<Option<Vec<FeedMessage>>, PortError> {
        if offset >= top.offset {
            return Ok(Some(Vec::new()));
        }
        let after = FeedPosition { epoch: top.epoch.clone(), offset };
        let messages = self.bus.history(channel, Some(&after)).await?.messages;
        let until_top = |messages: Vec<FeedMessage>| {
            let known = messages.into_iter();
            known.filter(|message| message.position.offset <= top.offset).collect()
        };
        Ok(messages.map(until_top))
    }
}

/// Orders, the newest state of each.
#[derive(Default)]
struct Orders(BTreeMap<String, Value>);

impl Orders {
    fn take(&mut self, order: &Value) {
        let Some(id) = text(order, "id") else { return };
        let is_newer = self.0.get(id).is_none_or(|known| version(known) < version(order));
        if is_newer {
            self.0.insert(id.to_owned(), order.clone());
        }
    }

    fn hear(&mut self, message: &FeedMessage) {
        if let Some(order) = message.data.get("order") {
            self.take(order);
        }
    }

    fn open(self) -> Vec<Value> {
        let is_open = |order: &Value| matches!(text(order, "status"), Some("pending" | "reserved"));
        self.0.into_values().filter(is_open).collect()
    }
}

fn text<'a>(order: &'a Value, member: &str) -> Option<&'a str> {
    order.get(member).and_then(Value::as_str)
}

fn version(order: &Value) -> Option<u64> {
    order.get("version").and_then(Value::as_u64)
}

impl Stream {
    /// The name on the wire: without the seller, which the first slash ends.
    pub fn name(&self) -> String {
        let viewer = self.channel.split_once('/').map_or("", |(_, viewer)| viewer);
        format!("user#{viewer}")
    }

    /// Hands on what comes, until something is missing for good.
    pub async fn forward(&mut self, outbox: &Outbox) -> PortError {
        loop {
            let next = self.messages.next().await;
            let sent = match next {
                Ok(message) => self.send(&message, outbox).await,
                // rare, and large
                Err(_) => Box::pin(self.resume(outbox)).await,
            };
            if let Err(error) = sent {
                return error;
            }
        }
    }

    async fn send(&mut self, message: &FeedMessage, outbox: &Outbox) -> Result<(), PortError> {
        let FeedPosition { epoch, offset } = &message.position;
        if *epoch != self.last.epoch {
            return Err(PortError::unavailable("the feed", "the stream began again"));
        }
        if *offset <= self.last.offset {
            return Ok(());
        }
        if *offset != self.last.offset.saturating_add(1) {
            return Err(PortError::unavailable("the feed", "a message is missing"));
        }
        self.last = message.position.clone();
        outbox.stream(&publication(&self.name(), Publication::from(message)));
        // many at once are written one after the other: only what a reader leaves lying adds up
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Subscribes again and fills what came meanwhile, if all of it is there.
    async fn resume(&mut self, outbox: &Outbox) -> Result<(), PortError> {
        self.messages = self.bus.subscribe(&self.channel).await?;
        let history = self.bus.history(&self.channel, Some(&self.last)).await?;
        let gone = || PortError::unavailable("the feed", "messages are missing for good");
        for message in history.messages.ok_or_else(gone)? {
            self.send(&message, outbox).await?;
        }
        Ok(())
    }
}
