//! The projection: events in, messages to the endpoints that want them out.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, OrderId, SpotlightId, derive_id};
use domain::ports::{
    Clock, EventReader, PortError, SalesBoard, WebhookBook, WebhookEndpoint, WebhookMessage,
};
use domain::views::OrderView;
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{NAME, event_name};
use crate::consumer::by_position::PositionProjection;
use crate::order_book::{fold, order_before, order_of};
use crate::read_model::after_checkpoint;
use crate::viewer_feed::shape::{broadcast_json, order_json, spotlight_json};

/// Orders that are remembered; one that was forgotten is loaded again.
const ORDERS_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// How often the sales board is asked whether it has come as far.
const BOARD_POLL: Duration = Duration::from_millis(20);
/// How many times, before the step counts as failed.
const BOARD_POLLS_MAX: usize = 250;

/// Turns events into messages.
pub struct WebhookFeed {
    reader: Arc<dyn EventReader>,
    board: Arc<dyn SalesBoard>,
    book: Arc<dyn WebhookBook>,
    clock: Arc<dyn Clock>,
    orders: Mutex<LruCache<OrderId, OrderView>>,
}

impl WebhookFeed {
    /// A feed into `book`. The sales board shows what broadcasts and spotlights are.
    pub fn new(
        reader: Arc<dyn EventReader>,
        board: Arc<dyn SalesBoard>,
        book: Arc<dyn WebhookBook>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reader, board, book, clock, orders: Mutex::new(LruCache::new(ORDERS_MAX)) }
    }

    async fn messages(
        &self,
        endpoints: &[WebhookEndpoint],
        recorded: &Recorded,
    ) -> Result<Vec<WebhookMessage>, PortError> {
        let seller = &recorded.metadata.seller;
        // every event of an order of such a seller, so that its fold has no gap
        if !endpoints.iter().any(|endpoint| endpoint.seller == *seller) {
            return Ok(vec![]);
        }
        let order = self.order_after(recorded).await?;
        let Some(event) = event_name(recorded) else { return Ok(vec![]) };
        let wanting: Vec<&WebhookEndpoint> = endpoints
            .iter()
            .filter(|endpoint| endpoint.seller == *seller && endpoint.wants(event))
            .filter(|endpoint| endpoint.created_at <= recorded.recorded_at)
            .collect();
        if wanting.is_empty() {
            return Ok(vec![]);
        }
        let Some(data) = self.data(recorded, order.as_ref()).await? else { return Ok(vec![]) };
        let at = recorded.recorded_at;
        let body = json!({"type": event, "timestamp": at, "data": data}).to_string();
        let position = recorded.position.0.to_be_bytes();
        let messages = wanting.into_iter().map(|endpoint| WebhookMessage {
            id: derive_id("webhook", &[endpoint.id.as_bytes(), &position]),
            endpoint: endpoint.id,
            event: event.to_owned(),
            body: body.clone(),
            created_at: at,
        });
        Ok(messages.collect())
    }

    /// The board says what a spotlight is; it may be a moment behind.
    async fn wait_for_board(&self, position: Position) -> Result<(), PortError> {
        for _ in 0..BOARD_POLLS_MAX {
            if self.board.checkpoint().await? >= position {
                return Ok(());
            }
            self.clock.sleep(BOARD_POLL).await;
        }
        Err(PortError::unavailable(NAME, "the sales board is behind"))
    }

    /// An order or a spotlight as contract §2 has it.
    async fn data(
        &self,
        recorded: &Recorded,
        order: Option<&OrderView>,
    ) -> Result<Option<Value>, PortError> {
        Ok(match &recorded.event {
            Event::Order(_) | Event::Reservation(_) => order.map(order_json),
            Event::Spotlight(_) => {
                let spotlight = self.board.spotlight(SpotlightId(recorded.key.0)).await?;
                spotlight.map(|spotlight| spotlight_json(&spotlight, None))
            }
            Event::Broadcast(_) => {
                let broadcast = self.board.broadcast(BroadcastId(recorded.key.0)).await?;
                broadcast.map(|broadcast| broadcast_json(&broadcast))
            }
        })
    }

    /// The order as it is after an event of it.
    async fn order_after(&self, recorded: &Recorded) -> Result<Option<OrderView>, PortError> {
        let Some(order) = order_of(&recorded.event) else { return Ok(None) };
        let known = self.orders.lock().get(&order).cloned();
        let before = match known.filter(|view| view.position < recorded.position) {
            Some(view) => Some(view),
            None => order_before(self.reader.as_ref(), order, recorded).await?,
        };
        let after = fold(before, recorded);
        if let Some(view) = &after {
            self.orders.lock().put(order, view.clone());
        }
        Ok(after)
    }
}

#[async_trait]
impl PositionProjection for WebhookFeed {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.book.checkpoint().await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let from = self.book.checkpoint().await?;
        let new = after_checkpoint(NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let endpoints = self.book.enabled().await?;
        if !endpoints.is_empty() {
            self.wait_for_board(last.position).await?;
        }
        let mut messages = vec![];
        for recorded in new {
            messages.extend(self.messages(&endpoints, recorded).await?);
        }
        self.book.enqueue(from, last.position, &messages).await
    }
}
