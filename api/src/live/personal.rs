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

use super::limits::{OPEN_ORDERS_MAX, OVERLAY_MESSAGES_MAX};
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
    wire_name: String,
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
            let orders = self.open_orders(claims, &channel, &history.top).await?;
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
        let (bus, wire_name) = (self.bus.clone(), wire_name(claims));
        Ok((begun, Stream { bus, channel, wire_name, messages, last, server_side }))
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

    /// The viewer's open orders up to the top of the stream: the order book may lag behind it, so
    /// the stream's last messages are laid over.
    async fn open_orders(
        &self,
        claims: &Claims,
        channel: &str,
        top: &FeedPosition,
    ) -> Result<Vec<Value>, PortError> {
        let mut orders: BTreeMap<String, Value> = BTreeMap::new();
        // most of a crowd: it may not order, so nobody is asked
        if claims.anonymous {
            return Ok(Vec::new());
        }
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
                orders.insert(order.id.to_string(), own_order_json(&order));
            }
        }
        for order in self.recent(channel, top).await? {
            let id = text(&order, "id").unwrap_or_default().to_owned();
            let is_open = matches!(text(&order, "status"), Some("pending" | "reserved"));
            let is_newer =
                orders.get(&id).map_or(is_open, |known| version(known) < version(&order));
            if is_newer {
                orders.insert(id, order);
            }
        }
        Ok(orders.into_values().collect())
    }

    /// The orders of the stream's last messages, the newest state of each.
    async fn recent(&self, channel: &str, top: &FeedPosition) -> Result<Vec<Value>, PortError> {
        if top.offset == 0 {
            return Ok(Vec::new());
        }
        let offset = top.offset.saturating_sub(OVERLAY_MESSAGES_MAX);
        let after = FeedPosition { epoch: top.epoch.clone(), offset };
        let recent = self.bus.history(channel, Some(&after)).await?.messages.unwrap_or_default();
        let mut newest: BTreeMap<String, Value> = BTreeMap::new();
        for message in recent {
            let order = message.data.get("order");
            if let Some((id, order)) = order.and_then(|order| Some((text(order, "id")?, order))) {
                newest.insert(id.to_owned(), order.clone());
            }
        }
        Ok(newest.into_values().collect())
    }
}

fn text<'a>(order: &'a Value, member: &str) -> Option<&'a str> {
    order.get(member).and_then(Value::as_str)
}

fn version(order: &Value) -> Option<u64> {
    order.get("version").and_then(Value::as_u64)
}

impl Stream {
    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.wire_name
    }

    /// Hands on what comes, until something is missing for good.
    pub async fn forward(&mut self, outbox: &Outbox) -> PortError {
        loop {
            let next = self.messages.next().await;
            let sent = match next {
                Ok(message) => self.send(&message, outbox),
                Err(_) => self.resume(outbox).await,
            };
            if let Err(error) = sent {
                return error;
            }
        }
    }

    fn send(&mut self, message: &FeedMessage, outbox: &Outbox) -> Result<(), PortError> {
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
        outbox.stream(&publication(&self.wire_name, Publication::from(message)));
        Ok(())
    }

    /// Subscribes again and fills what came meanwhile, if all of it is there.
    async fn resume(&mut self, outbox: &Outbox) -> Result<(), PortError> {
        self.messages = self.bus.subscribe(&self.channel).await?;
        let history = self.bus.history(&self.channel, Some(&self.last)).await?;
        let gone = || PortError::unavailable("the feed", "messages are missing for good");
        for message in history.messages.ok_or_else(gone)? {
            self.send(&message, outbox)?;
        }
        Ok(())
    }
}
