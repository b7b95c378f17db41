//! Stores that answer in time or count as away: a server that stands still keeps its connections,
//! and who asks it would wait for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{BroadcastId, CommandId, OrderId, SellerId, SpotlightId, StreamKey};
use domain::ports::{
    EventReader, OrderBook, OrderQuery, Page, PortError, RoomBook, RoomTotals, RowReader,
    SalesBoard, SalesTotals, StoredOutcome,
};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use domain::views::{BroadcastView, OrderView, SpotlightView};
use projections::key_table::{Fold, KeyTable};
use uuid::Uuid;

/// How long a store may take to answer a request or a socket.
pub const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A store whose questions end within [`STORE_ANSWERS_WITHIN`].
pub(super) struct Bounded<T: ?Sized>(pub Arc<T>);

async fn in_time<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, PortError>>,
) -> Result<T, PortError> {
    let answer = tokio::time::timeout(STORE_ANSWERS_WITHIN, answer).await;
    answer.unwrap_or_else(|elapsed| Err(PortError::unavailable(what, elapsed)))
}

const ORDERS: &str = "the order book";
const BOARD: &str = "the sales board";
const EVENTS: &str = "the event store";
const ROOMS: &str = "the room book";

#[async_trait]
impl RoomBook for Bounded<dyn RoomBook> {
    async fn totals(&self, broadcast: BroadcastId) -> Result<RoomTotals, PortError> {
        in_time(ROOMS, self.0.totals(broadcast)).await
    }

    async fn keep(&self, broadcast: BroadcastId, totals: RoomTotals) -> Result<(), PortError> {
        in_time(ROOMS, self.0.keep(broadcast, totals)).await
    }
}

#[async_trait]
impl OrderBook for Bounded<dyn OrderBook> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        in_time(ORDERS, self.0.checkpoint()).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }

    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError> {
        in_time(ORDERS, self.0.order(order)).await
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError> {
        in_time(ORDERS, self.0.orders(query)).await
    }

    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError> {
        in_time(ORDERS, self.0.due_holds(now, limit)).await
    }

    async fn open_payments(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, PortError> {
        in_time(ORDERS, self.0.open_payments(after, limit)).await
    }
}

#[async_trait]
impl SalesBoard for Bounded<dyn SalesBoard> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        in_time(BOARD, self.0.checkpoint()).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError> {
        in_time(BOARD, self.0.broadcast(id)).await
    }

    async fn broadcasts(
        &self,
        seller: &SellerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<BroadcastView>, PortError> {
        in_time(BOARD, self.0.broadcasts(seller, cursor, limit)).await
    }

    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError> {
        in_time(BOARD, self.0.spotlight(id)).await
    }

    async fn spotlights(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SpotlightView>, PortError> {
        in_time(BOARD, self.0.spotlights(broadcast, cursor, limit)).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        in_time(BOARD, self.0.due(now, limit)).await
    }

    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        in_time(BOARD, self.0.withdrawing(limit)).await
    }

    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError> {
        in_time(BOARD, self.0.totals(broadcast)).await
    }
}

#[async_trait]
impl<F: Fold> KeyTable<F> for Bounded<dyn KeyTable<F>> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        in_time(F::NAME, self.0.checkpoint()).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }

    async fn row(&self, key: Uuid) -> Result<Option<F::Row>, PortError> {
        in_time(F::NAME, self.0.row(key)).await
    }

    async fn rows(&self, spotlight: SpotlightId) -> Result<Vec<F::Row>, PortError> {
        in_time(F::NAME, self.0.rows(spotlight)).await
    }

    async fn in_line(&self, spotlight: SpotlightId, up_to: Position) -> Result<u64, PortError> {
        in_time(F::NAME, self.0.in_line(spotlight, up_to)).await
    }
}

#[async_trait]
impl EventReader for Bounded<dyn EventReader> {
    async fn head(&self) -> Result<Position, PortError> {
        in_time(EVENTS, self.0.head()).await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        in_time(EVENTS, self.0.read(after, limit)).await
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        in_time(EVENTS, self.0.read_key(key, after, limit)).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        in_time(EVENTS, self.0.load(streams)).await
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        in_time(EVENTS, self.0.key_head(key)).await
    }

    async fn wait(&self, after: Position) {
        self.0.wait(after).await;
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        in_time(EVENTS, self.0.outcomes(commands)).await
    }
}

#[async_trait]
impl RowReader for Bounded<dyn RowReader> {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        in_time(EVENTS, self.0.rows(after, limit)).await
    }

    async fn last_row(&self) -> Result<Position, PortError> {
        in_time(EVENTS, self.0.last_row()).await
    }

    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, PortError> {
        in_time(EVENTS, self.0.seals(after, limit)).await
    }

    async fn block(&self, number: u64) -> Result<Option<SealedBlock>, PortError> {
        in_time(EVENTS, self.0.block(number)).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError> {
        in_time(EVENTS, self.0.keys()).await
    }
}
